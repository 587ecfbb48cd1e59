//! [`Node`]: what a view has at a path.

use ntmeta::{FileAttributes, FileBasicInfo};

use crate::layer::{Item, Removed};
use crate::path::LayerPath;

/// What a view has at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Its path, in the layers' spelling.
    pub path: LayerPath,
    /// What it is.
    pub kind: NodeKind,
    /// The file or directory; for a hard link, the file that it leads to, or the link itself if its
    /// target is missing. `None` for a removal, and for a directory that no layer has an entry for.
    pub item: Option<Item>,
    /// The number of the layer that has the item, 0 for the nearest.
    pub layer: usize,
    /// The target of a hard link, as its entry names it.
    pub link: Option<LayerPath>,
    /// What is hidden here in layers out of sight; `None` in a view of all layers.
    pub removed: Option<Removed>,
    /// The layers that have or remove something in the directory, nearest first.
    pub(super) contributors: Vec<usize>,
    /// Whether something is there, rather than only removed.
    pub(super) exists: bool,
}

/// What a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NodeKind {
    /// A file, which may be a reparse point or a hard link.
    File,
    /// A directory, which may be a reparse point.
    Directory,
    /// A path of layers out of sight that is removed.
    Removal,
}

impl Node {
    /// Returns its times and attributes; `None` for implied directories and removals.
    pub fn basic_info(&self) -> Option<&FileBasicInfo> {
        self.item.as_ref().map(|item| &item.basic_info)
    }

    /// Returns whether it is a directory that can have names in it.
    pub fn is_plain_directory(&self) -> bool {
        self.kind == NodeKind::Directory && !self.is_reparse_point()
    }

    /// Returns whether it is a reparse point.
    pub fn is_reparse_point(&self) -> bool {
        self.item.as_ref().is_some_and(|item| item.is_reparse_point)
    }

    /// Returns its attributes; an implied directory has only that of directories.
    pub fn attributes(&self) -> FileAttributes {
        match (&self.item, self.kind) {
            (Some(item), _) => item.attributes(),
            (None, NodeKind::Directory) => FileAttributes::DIRECTORY,
            (None, _) => FileAttributes::empty(),
        }
    }

    /// Returns the length of the unnamed data stream in bytes.
    pub fn size(&self) -> u64 {
        self.item.as_ref().map_or(0, |item| item.size)
    }
}
