//! [`ChainLayer`]: the questions that a view asks of one layer, whatever its kind.

use std::io::{self, Read};
use std::path::Path;

use ntmeta::{FileAttributes, FileBasicInfo};

mod content;

pub(crate) use content::Empty;
pub use content::{Content, ContentReader};

use crate::digest::Digest;
use crate::error::Result;
use crate::path::{LayerPath, StreamName};
use crate::rules::Breach;

/// One layer of a chain, read-only.
///
/// A layer answers for itself alone: what it has, and what it removes. It need not have an entry
/// for every directory that has something in it; directories without one are *implied*. Threads
/// share a layer, and may ask it at the same time.
pub trait ChainLayer: Send + Sync {
    /// Returns the layer's path: its folder or its tar.
    fn place(&self) -> &Path;

    /// Returns what the layer has at a path.
    ///
    /// # Errors
    ///
    /// All methods return an error if the layer cannot be read or is damaged.
    fn slot(&self, path: &LayerPath) -> Result<Slot>;

    /// Lists the names that the layer has or removes in a directory (at the top for `None`), and
    /// those with something below them: each once, in any order.
    ///
    /// # Errors
    ///
    /// Same as [`slot`](Self::slot).
    fn slots(&self, directory: Option<&LayerPath>) -> Result<Vec<Slot>>;

    /// Returns the metadata of a file or directory that is not in its [`Item`].
    ///
    /// # Errors
    ///
    /// Same as [`slot`](Self::slot).
    fn details(&self, item: &Item) -> Result<Details>;

    /// Opens the content of the unnamed stream or of an alternate stream.
    ///
    /// # Errors
    ///
    /// Same as [`slot`](Self::slot), and [`Error::NoStream`](crate::Error::NoStream) if the item
    /// has no such stream.
    fn content(&self, item: &Item, stream: Option<&StreamName>) -> Result<Box<dyn Content>>;

    /// Opens the whole backup stream.
    ///
    /// # Errors
    ///
    /// Same as [`slot`](Self::slot).
    fn backup_stream(&self, item: &Item) -> Result<BackupStream>;

    /// Returns the total length of all data streams in bytes, holes included, if that is known
    /// without looking at each file.
    ///
    /// # Errors
    ///
    /// Same as [`slot`](Self::slot).
    fn content_size(&self) -> Result<Option<u64>> {
        Ok(None)
    }

    /// Calls `visit` for every item that may be one of several names of a file: hard links, or
    /// files that are known to have several names. `visit` may ask the layer.
    ///
    /// # Errors
    ///
    /// Same as [`slot`](Self::slot), and the errors of `visit`.
    fn for_each_linked(&self, visit: &mut dyn FnMut(Item) -> Result<()>) -> Result<()>;

    /// Calls `visit` for every entry that is never seen because something else in the layer is in
    /// its way. A layer that was checked when it was made has none. `visit` must not ask the layer,
    /// which may be locked meanwhile.
    ///
    /// # Errors
    ///
    /// Same as [`slot`](Self::slot), and the errors of `visit`.
    fn for_each_lost(&self, _visit: &mut dyn FnMut(LostEntry) -> Result<()>) -> Result<()> {
        Ok(())
    }
}

/// An entry that is never seen because something else in its layer is in the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LostEntry {
    /// Its path.
    pub path: LayerPath,
    /// Where its first header block starts in the layer tar, in bytes.
    pub offset: u64,
    /// The rule that it breaks, which names what is in the way.
    pub rule: Breach,
}

/// The backup stream of a file or directory.
pub struct BackupStream {
    /// The bytes.
    pub reader: Box<dyn Read + Send>,
    /// Whether no metadata comes after the data; see [`FileEntry`](crate::FileEntry).
    pub metadata_first: bool,
}

impl BackupStream {
    /// Returns an empty stream.
    pub fn empty() -> Self {
        Self {
            reader: Box::new(io::empty()),
            metadata_first: true,
        }
    }
}

/// What one layer has at one path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slot {
    /// The path, as the layer spells it.
    pub path: LayerPath,
    /// The item that the layer adds; the last one if the path comes more than once.
    pub added: Option<Item>,
    /// What it removes there. If it also adds an item, that is on top.
    pub removed: Option<Removed>,
    /// Whether the layer has or removes something below the path.
    pub has_below: bool,
    /// Whether the layer adds something below the path, rather than only removing.
    pub has_added_below: bool,
}

/// What a layer removes at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Removed {
    /// The path in the layers below, with everything in it (a whiteout, a tombstone).
    Path,
    /// The contents of the directory in the layers below (an opaque whiteout).
    Contents,
}

/// Something that a layer has at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Its path, as the layer spells it.
    pub path: LayerPath,
    /// What it is.
    pub kind: ItemKind,
    /// Its four times and its attributes.
    pub basic_info: FileBasicInfo,
    /// Whether it is a reparse point, by its data or by its attributes.
    pub is_reparse_point: bool,
    /// Length of the unnamed data stream in bytes, holes included.
    pub size: u64,
    /// Sum of the lengths of all its data streams in bytes, holes included.
    pub total_size: u64,
    /// Its identity in the layer; all names of a file have the same.
    pub id: ItemId,
}

/// The identity of a file in its layer, by which the layer finds it again.
pub type ItemId = [u8; 16];

/// What an item is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ItemKind {
    /// A file, which may be a reparse point.
    File,
    /// A directory, which may be a reparse point.
    Directory,
    /// Another name for the file at that path, in this layer or one below.
    Link(LayerPath),
}

impl Item {
    /// Returns whether it can have names in it: it is a directory and not a reparse point.
    pub fn is_plain_directory(&self) -> bool {
        self.kind == ItemKind::Directory && !self.is_reparse_point
    }

    /// Returns its attributes, including those that follow from its kind, which writers leave out.
    pub fn attributes(&self) -> FileAttributes {
        let mut attributes = self.basic_info.attributes;
        if self.is_reparse_point {
            attributes |= FileAttributes::REPARSE_POINT;
        }
        attributes
    }
}

/// The metadata of a file or directory that a listing does not need.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Details {
    /// The self-relative security descriptor.
    pub security: Option<Vec<u8>>,
    /// The extended attributes, as a `FILE_FULL_EA_INFORMATION` list.
    pub ea: Option<Vec<u8>>,
    /// The reparse point's buffer, a `REPARSE_DATA_BUFFER`.
    pub reparse: Option<Vec<u8>>,
    /// Records of a backup stream that a tar has no other field for: object ids, …
    pub other_streams: Option<Vec<u8>>,
    /// The data streams, the unnamed one first.
    pub streams: Vec<StreamDetails>,
}

/// A data stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamDetails {
    /// Its name; `None` for the unnamed data.
    pub name: Option<StreamName>,
    /// Its length in bytes, holes included.
    pub size: u64,
    /// How many of these bytes are allocated on Windows.
    pub allocated: u64,
    /// Whether it is sparse on Windows.
    pub is_sparse: bool,
    /// SHA-256 of the content, holes as zeros, if the layer knows it without reading.
    pub sha256: Option<Digest>,
}

impl StreamDetails {
    /// Returns how many bytes of it are in holes.
    pub fn holes(&self) -> u64 {
        self.size.saturating_sub(self.allocated)
    }
}
