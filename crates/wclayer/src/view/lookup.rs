//! Finding paths of a view, and listing directories.

use super::chain::View;
use super::follow::follow;
use super::merge::Merged;
use super::node::{Node, NodeKind};
use crate::error::Result;
use crate::layer::{ItemKind, Removed};
use crate::path::LayerPath;

impl View {
    /// Finds what is at a path.
    ///
    /// # Errors
    ///
    /// All methods return an error if a layer cannot be read or is damaged.
    pub fn find(&self, path: &LayerPath) -> Result<Option<Node>> {
        let merged = self.merged(path, 0..self.seen)?;
        match merged {
            Some(merged) => self.node(merged),
            None => Ok(None),
        }
    }

    /// Finds what one layer has at a path, as if it were alone. The same holds for the
    /// [`children`](Self::children) of that node and a [`walk`](Self::walk) from it. Hard links
    /// lead where they do in the whole view.
    ///
    /// # Errors
    ///
    /// Same as [`find`](Self::find).
    pub fn find_in_layer(&self, layer: usize, path: &LayerPath) -> Result<Option<Node>> {
        let merged = self.merged(path, self.only(layer))?;
        merged.map_or(Ok(None), |merged| self.node(merged))
    }

    /// Finds a name in a directory that was found before (at the top for `None`) by asking each
    /// layer that has something in there once. The name is one component of a path, in any case. A
    /// name that cannot be one is not found.
    ///
    /// # Errors
    ///
    /// Same as [`find`](Self::find).
    pub fn child(&self, directory: Option<&Node>, name: &[u8]) -> Result<Option<Node>> {
        let above = directory.map(|node| &node.path);
        let path = match above {
            Some(above) => above.join(name),
            None => LayerPath::parse(name),
        };
        let all: Vec<usize>;
        let layers = match directory {
            Some(node) => &node.contributors,
            None => {
                all = (0..self.seen).collect();
                &all
            }
        };
        // With a separator in it, it would be a path.
        let path = path.ok().filter(|path| path.parent().as_ref() == above);
        let merged = path.map(|path| self.merged_of(above, &path, layers));
        let merged = merged.transpose()?.flatten();
        merged.map_or(Ok(None), |merged| self.node(merged))
    }

    /// Lists a directory (the top for `None`), sorted as NTFS sorts names. Each layer is asked
    /// once.
    ///
    /// # Errors
    ///
    /// Same as [`find`](Self::find).
    pub fn children(&self, directory: Option<&Node>) -> Result<Vec<Node>> {
        match directory {
            Some(node) => self.children_in(directory, &node.contributors),
            None => self.children_in(None, &(0..self.seen).collect::<Vec<_>>()),
        }
    }

    /// Lists a directory of some of the layers.
    pub(super) fn children_in(
        &self,
        directory: Option<&Node>,
        layers: &[usize],
    ) -> Result<Vec<Node>> {
        let path = directory.map(|node| &node.path);
        let mut children = Vec::new();
        for merged in self.merged_in(path, layers)? {
            children.extend(self.node(merged)?);
        }
        Ok(children)
    }

    /// Lists the paths that the layers out of sight have in a directory.
    pub(super) fn names_below(&self, directory: &LayerPath) -> Result<Vec<LayerPath>> {
        let Some(below) = self.merged(directory, self.seen..self.depth())? else {
            return Ok(Vec::new());
        };
        let names = self.merged_in(Some(directory), &below.contributors)?;
        let there = names.into_iter().filter(|merged| merged.exists);
        Ok(there.map(|merged| merged.path).collect())
    }

    /// Makes a node; `None` if it is not to be seen.
    pub(super) fn node(&self, merged: Merged) -> Result<Option<Node>> {
        let (layer, item, link) = match merged.item {
            None => (0, None, None),
            Some((layer, item)) => {
                let (layer, item, link) = follow(self, layer, item)?;
                (layer, Some(item), link)
            }
        };
        let kind = match &item {
            Some(item) if item.kind == ItemKind::Directory => NodeKind::Directory,
            Some(_) => NodeKind::File,
            None if merged.exists => NodeKind::Directory,
            None if !self.keeps_removals => return Ok(None),
            None if merged.contributors.is_empty() && merged.removed == Some(Removed::Path) => {
                NodeKind::Removal
            }
            None => NodeKind::Directory,
        };
        let layer = match item {
            Some(_) => layer,
            None => merged.contributors.first().copied().unwrap_or(0),
        };
        Ok(Some(Node {
            path: merged.path,
            kind,
            item,
            layer,
            link,
            removed: merged.removed.filter(|_| self.keeps_removals),
            contributors: merged.contributors,
            exists: merged.exists,
        }))
    }
}
