//! The content of each layer alone, and the part that is hidden.
//!
//! Each layer is walked alone; content that the walk of the whole view did not meet is hidden.

use std::cmp::Reverse;

use super::counted::Counted;
use super::sums::{HiddenFile, LARGEST, LayerUsage, LayersUsage, Sum};
use crate::error::Result;
use crate::hub::{Progress, poll};
use crate::path::LayerPath;
use crate::view::{Node, View};

/// Returns whether a layer has something at a path, seen or not.
pub(super) fn have(view: &View, path: &LayerPath) -> Result<bool> {
    for layer in 0..view.seen() {
        if view.find_in_layer(layer, path)?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Returns everything that is seen.
pub(super) fn seen(view: &View, progress: &dyn Progress) -> Result<Counted> {
    let mut seen = Counted::default();
    for node in view.walk(None) {
        poll(progress)?;
        seen.add(&node?);
    }
    Ok(seen)
}

/// Sums up the content that each layer has at a path and below it; all of it for `None`.
pub(super) fn usage(
    view: &View,
    path: Option<&LayerPath>,
    seen: &Counted,
    progress: &dyn Progress,
) -> Result<LayersUsage> {
    let mut usage = LayersUsage {
        layers: Vec::new(),
        hidden: Sum::default(),
        efficiency: 1.0,
        largest: Vec::new(),
    };
    let mut total = Sum::default();
    for layer in 0..view.seen() {
        let found = layer_usage(view, layer, path, seen, &mut usage.largest, progress)?;
        total.add(found.sum);
        usage.hidden.add(found.hidden);
        usage.layers.push(found);
    }
    if total.size > 0 {
        usage.efficiency = (total.size - usage.hidden.size) as f64 / total.size as f64;
    }
    Ok(usage)
}

/// Sums up one layer, and adds its hidden files to the largest ones.
fn layer_usage(
    view: &View,
    layer: usize,
    path: Option<&LayerPath>,
    seen: &Counted,
    largest: &mut Vec<HiddenFile>,
    progress: &dyn Progress,
) -> Result<LayerUsage> {
    let mut found = LayerUsage {
        layer,
        sum: Sum::default(),
        hidden: Sum::default(),
    };
    let mut counted = Counted::default();
    for_each(view, layer, path, progress, |node| {
        // A hard link may name a file of a layer below, which counts there.
        let Some(sum) = counted.add(node).filter(|_| node.layer == layer) else {
            return;
        };
        found.sum.add(sum);
        if !seen.contains(node) {
            found.hidden.add(sum);
            keep_largest(
                largest,
                HiddenFile {
                    size: sum.size,
                    path: node.path.clone(),
                    layer,
                },
            );
        }
    })?;
    Ok(found)
}

/// Visits the entries that one layer has at a path and below it; all of them for `None`.
fn for_each(
    view: &View,
    layer: usize,
    path: Option<&LayerPath>,
    progress: &dyn Progress,
    mut visit: impl FnMut(&Node),
) -> Result<()> {
    let below = match path {
        None => view.walk_layer(layer),
        Some(path) => {
            let Some(node) = view.find_in_layer(layer, path)? else {
                return Ok(());
            };
            visit(&node);
            if !node.is_plain_directory() {
                return Ok(());
            }
            view.walk(Some(&node))
        }
    };
    for node in below {
        poll(progress)?;
        visit(&node?);
    }
    Ok(())
}

/// Keeps the largest files, largest first; files of one size are sorted by path.
fn keep_largest(largest: &mut Vec<HiddenFile>, file: HiddenFile) {
    fn key(file: &HiddenFile) -> (Reverse<u64>, &[u8]) {
        (Reverse(file.size), file.path.as_bytes())
    }
    let at = largest.partition_point(|other| key(other) <= key(&file));
    if at < LARGEST {
        largest.insert(at, file);
        largest.truncate(LARGEST);
    }
}
