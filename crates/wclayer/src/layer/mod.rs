//! [`ChainLayer`]: what the merged view asks of one layer, whatever kind it is.

use std::io::{self, Read};
use std::path::Path;

use ntmeta::{FileAttributes, FileBasicInfo};

use crate::digest::Digest;
use crate::error::Result;
use crate::path::{LayerPath, StreamName};
use crate::rules::Breach;

/// One layer of a chain, read-only.
///
/// A layer answers for itself alone: what lies in it, what it removes. It need not have an entry
/// for each directory that something of it lies in; such directories are *implied*.
pub trait ChainLayer: Send {
    /// Returns where the layer is: its folder or its tar.
    fn place(&self) -> &Path;

    /// Returns what the layer says of a path.
    ///
    /// # Errors
    ///
    /// When the layer cannot be read or is damaged; so for all methods.
    fn slot(&self, path: &LayerPath) -> Result<Slot>;

    /// Lists what the layer says of names directly in a directory, at the top for `None`: in any
    /// order, each name once.
    ///
    /// # Errors
    ///
    /// As for [`slot`](Self::slot).
    fn slots(&self, directory: Option<&LayerPath>) -> Result<Vec<Slot>>;

    /// Returns the metadata of a file or directory that is not kept in its [`Item`].
    ///
    /// # Errors
    ///
    /// As for [`slot`](Self::slot).
    fn details(&self, item: &Item) -> Result<Details>;

    /// Opens the content of the unnamed stream, or of an alternate stream; holes are zeros.
    ///
    /// # Errors
    ///
    /// As for [`slot`](Self::slot); [`Error::NoStream`](crate::Error::NoStream) when the item has
    /// no such stream.
    fn content(&self, item: &Item, stream: Option<&StreamName>) -> Result<Box<dyn Content + Send>>;

    /// Opens the whole backup stream.
    ///
    /// # Errors
    ///
    /// As for [`slot`](Self::slot).
    fn backup_stream(&self, item: &Item) -> Result<BackupStream>;

    /// Returns the sum of the lengths of all data streams in bytes, holes included, where that is
    /// known without looking at each file.
    ///
    /// # Errors
    ///
    /// As for [`slot`](Self::slot).
    fn content_size(&self) -> Result<Option<u64>> {
        Ok(None)
    }

    /// Calls `visit` for everything in the layer that may be one of several names of a file: hard
    /// links, or files that are known to have several names.
    ///
    /// # Errors
    ///
    /// As for [`slot`](Self::slot); what `visit` returns.
    fn for_each_linked(&self, visit: &mut dyn FnMut(Item) -> Result<()>) -> Result<()>;

    /// Calls `visit` for every entry that is never seen, because something else of the layer is in
    /// its way. A layer that was checked when it was made has none.
    ///
    /// # Errors
    ///
    /// As for [`slot`](Self::slot); what `visit` returns.
    fn for_each_lost(&self, _visit: &mut dyn FnMut(LostEntry) -> Result<()>) -> Result<()> {
        Ok(())
    }
}

/// An entry of a layer that is never seen, because something else of the layer is in its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LostEntry {
    /// Its path.
    pub path: LayerPath,
    /// Where its first header block starts in the layer tar, in bytes.
    pub offset: u64,
    /// The rule that it breaks, which names what is in its way.
    pub rule: Breach,
}

/// The content of a data stream: its bytes, holes as zeros, or the holes left out.
pub trait Content: Read {
    /// Goes over the hole that begins here, and returns its length in bytes; 0 where there is none,
    /// or the source does not know of it.
    ///
    /// # Errors
    ///
    /// As for reading.
    fn skip_hole(&mut self) -> io::Result<u64> {
        Ok(0)
    }
}

impl Content for io::Empty {}

impl<C: Content + ?Sized> Content for Box<C> {
    fn skip_hole(&mut self) -> io::Result<u64> {
        (**self).skip_hole()
    }
}

/// The backup stream of a file or directory.
pub struct BackupStream {
    /// Gives its bytes.
    pub reader: Box<dyn Read + Send>,
    /// Whether no metadata comes after the data; see [`FileEntry`](crate::FileEntry).
    pub metadata_first: bool,
}

impl BackupStream {
    /// Returns the stream of what has nothing to say.
    pub fn empty() -> Self {
        Self {
            reader: Box::new(io::empty()),
            metadata_first: true,
        }
    }
}

/// What one layer says of one path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slot {
    /// The path, as the layer spells it.
    pub path: LayerPath,
    /// What the layer puts there; the last one when it comes more than once.
    pub added: Option<Item>,
    /// What it takes away there. Together with `added`, the layer's own comes on top.
    pub removed: Option<Removed>,
    /// Whether the layer says something of paths below.
    pub has_below: bool,
    /// Whether the layer puts something below, rather than only removing there.
    pub has_added_below: bool,
}

/// What a layer takes away at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Removed {
    /// What the layers below have there, with everything in it (a whiteout, a tombstone).
    Path,
    /// What the layers below have inside the directory (an opaque whiteout).
    Contents,
}

/// Something that a layer has at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Where it is, as the layer spells it.
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
    /// Its identity in the layer: two names of one file have the same.
    pub id: ItemId,
}

/// The identity of a file in its layer; also where the layer finds it again.
pub type ItemId = [u8; 16];

/// What an item is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ItemKind {
    /// A file, which may be a reparse point.
    File,
    /// A directory, which may be a reparse point.
    Directory,
    /// One more name for the file at that path, of this layer or of one below it.
    Link(LayerPath),
}

impl Item {
    /// Returns whether names can lie in it: it is a directory and no reparse point.
    pub fn is_plain_directory(&self) -> bool {
        self.kind == ItemKind::Directory && !self.is_reparse_point
    }

    /// Returns its attributes, with those that its kind implies: writers leave them out.
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
    /// Records of a backup stream for what has no place of its own in a tar: object ids, …
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
    /// SHA-256 of the content, holes as zeros, where the layer knows it without reading.
    pub sha256: Option<Digest>,
}

impl StreamDetails {
    /// Returns how many bytes of it are in holes.
    pub fn holes(&self) -> u64 {
        self.size.saturating_sub(self.allocated)
    }
}
