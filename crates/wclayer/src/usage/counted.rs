//! [`Counted`]: the files that have been counted, so that each counts once.

use std::collections::HashSet;

use super::sums::Sum;
use crate::layer::{ItemId, ItemKind};
use crate::view::{Node, NodeKind};

/// The files, and the directories with streams, that have been counted. Which files have several
/// names is not known beforehand.
#[derive(Default)]
pub(super) struct Counted(HashSet<(usize, ItemId)>);

impl Counted {
    /// Counts a file or directory and returns its content; `None` for a further name of a file, and
    /// for an entry without content.
    pub(super) fn add(&mut self, node: &Node) -> Option<Sum> {
        let item = node.item.as_ref()?;
        let files = match (node.kind, &item.kind) {
            (NodeKind::File, ItemKind::File) => 1,
            (NodeKind::Directory, _) if item.total_size > 0 => 0,
            _ => return None,
        };
        let size = item.total_size;
        let is_new = self.0.insert((node.layer, item.id));
        is_new.then_some(Sum { size, files })
    }

    /// Returns whether a file was counted, under this name or another.
    pub(super) fn contains(&self, node: &Node) -> bool {
        let item = node.item.as_ref();
        item.is_some_and(|item| self.0.contains(&(node.layer, item.id)))
    }
}
