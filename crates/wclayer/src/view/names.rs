//! The names of a file: its own, and hard links to it.

use std::collections::{BTreeSet, HashMap};

use super::chain::View;
use super::follow::follow;
use super::node::Node;
use crate::error::Result;
use crate::layer::{ItemId, ItemKind};
use crate::path::LayerPath;

impl View {
    /// Returns all names that a file has in the view, including its own, sorted.
    ///
    /// This reads the links of all layers in sight.
    ///
    /// # Errors
    ///
    /// Same as [`find`](Self::find).
    pub fn names(&self, node: &Node) -> Result<Vec<LayerPath>> {
        names(self, node)
    }

    /// Returns the files that hard links of the layers in sight lead to, each without a name yet.
    pub(crate) fn linked_files(&self) -> Result<HashMap<(usize, ItemId), Option<LayerPath>>> {
        linked_files(self)
    }
}

/// Returns all names of a file in the view.
pub(super) fn names(view: &View, node: &Node) -> Result<Vec<LayerPath>> {
    let own = vec![node.path.clone()];
    let Some(item) = node
        .item
        .as_ref()
        .filter(|item| item.kind == ItemKind::File)
    else {
        return Ok(own);
    };
    let identity = (node.layer, item.id);
    let mut names: BTreeSet<LayerPath> = own.into_iter().collect();
    add_name(view, &item.path, identity, &mut names)?;
    for layer in 0..view.seen() {
        view.layer(layer).for_each_linked(&mut |linked| {
            let path = linked.path.clone();
            let (at, file, _) = follow(view, layer, linked)?;
            match (at, file.id) == identity {
                true => add_name(view, &path, identity, &mut names),
                false => Ok(()),
            }
        })?;
    }
    Ok(names.into_iter().collect())
}

/// Returns the files that hard links of the layers in sight lead to, each without a name yet.
pub(super) fn linked_files(view: &View) -> Result<HashMap<(usize, ItemId), Option<LayerPath>>> {
    let mut files = HashMap::new();
    for layer in 0..view.seen() {
        view.layer(layer).for_each_linked(&mut |linked| {
            let (at, file, _) = follow(view, layer, linked)?;
            if file.kind == ItemKind::File {
                files.insert((at, file.id), None);
            }
            Ok(())
        })?;
    }
    Ok(files)
}

/// Files of layers out of sight, each with the hard links to it in those layers, sorted.
pub(super) type LinksBelow = HashMap<(usize, ItemId), BTreeSet<LayerPath>>;

/// Returns the hard links of the layers out of sight.
pub(super) fn links_below(view: &View) -> Result<LinksBelow> {
    let mut links = LinksBelow::new();
    for layer in view.seen()..view.depth() {
        view.layer(layer).for_each_linked(&mut |linked| {
            let path = linked.path.clone();
            let (at, file, _) = follow(view, layer, linked)?;
            if file.kind == ItemKind::File {
                links.entry((at, file.id)).or_default().insert(path);
            }
            Ok(())
        })?;
    }
    Ok(links)
}

/// Returns whether `path` leads to a file of a layer out of sight there, and nothing in sight takes
/// that path.
pub(super) fn names_below(view: &View, path: &LayerPath, file: (usize, ItemId)) -> Result<bool> {
    if view.find(path)?.is_some_and(|node| node.exists) {
        return Ok(false);
    }
    let below = view.merged(path, view.seen()..view.depth())?;
    let Some((layer, item)) = below.and_then(|below| below.item) else {
        return Ok(false);
    };
    let (at, item, _) = follow(view, layer, item)?;
    Ok((at, item.id) == file)
}

/// Adds a path if it still leads to the file in the view.
fn add_name(
    view: &View,
    path: &LayerPath,
    identity: (usize, ItemId),
    names: &mut BTreeSet<LayerPath>,
) -> Result<()> {
    if let Some(node) = view.find(path)?
        && let Some(item) = &node.item
        && item.kind == ItemKind::File
        && (node.layer, item.id) == identity
    {
        names.insert(node.path);
    }
    Ok(())
}
