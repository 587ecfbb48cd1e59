//! Counts the content of each layer, and the hidden part of it, which is wasted.
//!
//! Walks each layer alone; entries that the walk through the whole view did not visit are hidden.

use wclayer::LayerPath;
use wclayer::view::Node;

use super::super::view_options::Opened;
use super::{Counted, Hidden, HiddenFile, LayerUsage, Usage};
use crate::errors::CliError;

/// How many hidden paths are shown.
const SHOWN: usize = 10;

/// Returns all visible files.
pub(super) fn seen(opened: &Opened) -> Result<Counted, CliError> {
    let mut seen = Counted::default();
    for node in opened.view.walk(None) {
        opened.check_cancelled()?;
        seen.content(&node?);
    }
    Ok(seen)
}

/// Adds the layers and their hidden content at and below a path, or everywhere for `None`.
pub(super) fn count(
    path: Option<&LayerPath>,
    opened: &Opened,
    seen: &Counted,
    usage: &mut Usage,
) -> Result<(), CliError> {
    let mut layers = Vec::new();
    let mut hidden = Hidden::default();
    for (layer, place) in opened.view.places().enumerate().take(opened.view.seen()) {
        let mut found = LayerUsage {
            layer,
            place: place.to_owned(),
            size: 0,
            files: 0,
            hidden_size: 0,
            hidden_files: 0,
        };
        let mut counted = Counted::default();
        for_each(layer, path, opened, |node| {
            // The target of a hard link may be in a parent, which counts the file.
            let content = counted.content(node).filter(|_| node.layer == layer);
            let Some(content) = content else { return };
            found.size = found.size.saturating_add(content.size);
            found.files += content.files;
            if !seen.contains(node) {
                found.hidden_size = found.hidden_size.saturating_add(content.size);
                found.hidden_files += content.files;
                let (size, path) = (content.size, node.path.to_string());
                keep_largest(&mut hidden.largest, HiddenFile { size, path, layer });
            }
        })?;
        hidden.size = hidden.size.saturating_add(found.hidden_size);
        hidden.files += found.hidden_files;
        layers.push(found);
    }
    let sizes = layers.iter().map(|layer| layer.size);
    // A malicious index may claim any size.
    let total = sizes.fold(0, u64::saturating_add);
    hidden.efficiency = match total {
        0 => 1.0,
        _ => (total - hidden.size) as f64 / total as f64,
    };
    usage.layers = Some(layers);
    usage.hidden = Some(hidden);
    Ok(())
}

/// Visits the entries of one layer at and below a path, or everywhere for `None`.
fn for_each(
    layer: usize,
    path: Option<&LayerPath>,
    opened: &Opened,
    mut visit: impl FnMut(&Node),
) -> Result<(), CliError> {
    let view = &opened.view;
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
        opened.check_cancelled()?;
        visit(&node?);
    }
    Ok(())
}

fn keep_largest(largest: &mut Vec<HiddenFile>, file: HiddenFile) {
    let at = largest.partition_point(|other| (other.size, &file.path) >= (file.size, &other.path));
    largest.insert(at, file);
    largest.truncate(SHOWN);
}
