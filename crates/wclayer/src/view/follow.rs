//! Following hard links across layers.
//!
//! A hard link names a file as it was when its layer was made: a file of that layer, otherwise one
//! of the layers below, no matter which layers were added on top later (hcsshim
//! `internal/wclayer/legacy.go`, `AddLink`). So a file is identified by its layer and its id in
//! that layer.

use std::collections::HashSet;
use std::sync::Arc;

use super::chain::View;
use super::known_links::{Identity, Known};
use crate::error::Result;
use crate::layer::{Item, ItemKind};
use crate::layout;
use crate::path::LayerPath;

/// How many links a chain of links may have before its file.
const MAX_STEPS: usize = layout::MAX_FURTHER_NAMES as usize;
/// How many links are followed to find the end of a chain.
const MAX_FOLLOWED: usize = 16 * 1024;

/// Follows a hard link to its file. Returns the number of the file's layer, the file, and for a
/// link the target that its entry names. Returns the link itself if it cannot be followed.
pub(super) fn follow(
    view: &View,
    layer: usize,
    item: Item,
) -> Result<(usize, Item, Option<LayerPath>)> {
    let ItemKind::Link(named) = &item.kind else {
        return Ok((layer, item, None));
    };
    let named = named.clone();
    let link = (layer, item.id);
    let known = match view.known_links.get(link) {
        Some(known) => known,
        None => learn(view, link, &named)?,
    };
    Ok(match known.file {
        Some(file) if known.steps <= MAX_STEPS => (file.0, file.1.clone(), Some(named)),
        _ => (layer, item, Some(named)),
    })
}

/// Follows a link to `target` step by step, and remembers all links on the way.
fn learn(view: &View, link: Identity, target: &LayerPath) -> Result<Known> {
    let mut links = vec![link];
    let mut passed = HashSet::from([link]);
    let mut next = target.clone();
    let mut place = link.0;
    let mut end = Known {
        file: None,
        steps: 0,
    };
    let mut is_known = true;
    while let Some((at, found)) = named(view, place, &next)? {
        let (kind, id) = (found.kind.clone(), (at, found.id));
        match kind {
            ItemKind::File => end.file = Some(Arc::new((at, found))),
            ItemKind::Directory => {}
            ItemKind::Link(target) => match view.known_links.get(id) {
                Some(known) => end = known,
                None if !passed.insert(id) => {}
                None if links.len() == MAX_FOLLOWED => is_known = false,
                None => {
                    links.push(id);
                    (place, next) = (at, target);
                    continue;
                }
            },
        }
        break;
    }
    // Beyond too many links there may still be a file for the last of them.
    let sure = match is_known {
        true => links.len(),
        false => links.len().saturating_sub(MAX_STEPS),
    };
    view.known_links.put(&links[..sure], &end);
    let steps = end.steps + links.len();
    Ok(Known { steps, ..end })
}

/// Returns the target of a link: in the link's own layer, otherwise in those below.
fn named(view: &View, layer: usize, target: &LayerPath) -> Result<Option<(usize, Item)>> {
    if let Some(own) = view.layer(layer).slot(target)?.added {
        return Ok(Some((layer, own)));
    }
    let below = view.merged(target, layer + 1..view.depth())?;
    Ok(below.and_then(|below| below.item))
}
