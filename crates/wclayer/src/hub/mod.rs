//! The hub: a layer as every part of this project sees it.
//!
//! A [`LayerReader`] is a source of entries, a [`LayerWriter`] a sink. Each format implements one
//! or both and knows no other format; [`copy`] connects a source to a sink. Content travels as the
//! Win32 backup stream of its file ([`ntmeta::backup_stream`]): security, extended attributes,
//! reparse data, the data and the alternate streams, in one sequence of bytes.
//!
//! ```text
//! layer tar ─┐                                            ┌─ layer tar
//! folder    ─┼─ LayerReader → Entry + backup stream → LayerWriter ─┼─ folder
//! Windows   ─┘                                            └─ Windows
//! ```

mod copy;
mod counts;

pub(crate) use copy::poll;
pub use copy::{EntriesOnly, Progress, copy};
pub use counts::EntryCounts;

use ntmeta::FileBasicInfo;

use crate::error::Result;
use crate::path::LayerPath;

/// One entry of a layer, in the order of its source.
///
/// Sinks match it exhaustively: a new kind of entry is one that each of them has to handle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// A file, a directory or a reparse point. Its backup stream follows.
    File(FileEntry),
    /// Another name for a file of this layer or of a parent: a hard link.
    Link(LinkEntry),
    /// A removal: a path of the parents that this layer does not have (a whiteout in a tar, a tombstone
    /// in a transport folder).
    Removal(LayerPath),
    /// A directory without the content that the parents have in it (an opaque whiteout). The entries
    /// of this layer in the directory stay, whether they come earlier or later.
    Opaque(LayerPath),
}

/// A file, a directory or a reparse point, without its backup stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileEntry {
    /// Its path.
    pub path: LayerPath,
    /// Its four times and its attributes. The attribute `DIRECTORY` makes it a directory.
    pub basic_info: FileBasicInfo,
    /// Length of the unnamed data stream in bytes, holes included.
    pub size: u64,
    /// Whether the source promises that all metadata in the backup stream comes before the data, so
    /// that a sink which has to write it first need not hold the data back.
    pub metadata_first: bool,
}

/// Another name of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkEntry {
    /// The new name.
    pub path: LayerPath,
    /// A name of the file in this layer, earlier or later, or in a parent.
    pub target: LayerPath,
    /// The times and attributes that the source has for the link. Windows takes them from the file;
    /// some formats repeat them.
    pub basic_info: Option<FileBasicInfo>,
}

impl Entry {
    /// Returns the path of the entry.
    pub fn path(&self) -> &LayerPath {
        match self {
            Self::File(file) => &file.path,
            Self::Link(link) => &link.path,
            Self::Removal(path) | Self::Opaque(path) => path,
        }
    }
}

/// A source of layer entries.
pub trait LayerReader {
    /// Moves to the next entry and skips the rest of the current backup stream. Returns `None` after
    /// the last entry, once the source has been checked as a whole.
    ///
    /// # Errors
    ///
    /// Returns an error if the source cannot be read or is not a layer. The reader cannot be used
    /// afterwards.
    fn next_entry(&mut self) -> Result<Option<Entry>>;

    /// Reads bytes of the current file's backup stream. Returns 0 at its end, and for other entries.
    ///
    /// # Errors
    ///
    /// Same as [`next_entry`](Self::next_entry).
    fn read_stream(&mut self, buffer: &mut [u8]) -> Result<usize>;
}

/// A sink of layer entries.
///
/// A writer that is dropped without [`finish`](Self::finish) discards what it wrote.
pub trait LayerWriter {
    /// The result of a finished layer.
    type Output;

    /// Starts a file, directory or reparse point. [`write`](Self::write) takes its backup stream.
    ///
    /// # Errors
    ///
    /// All methods return an error if the sink refuses the entry or cannot be written. The writer can
    /// then only be dropped.
    fn add(&mut self, file: &FileEntry) -> Result<()>;

    /// Takes the next bytes of the backup stream of the last file, in pieces of any size.
    ///
    /// # Errors
    ///
    /// Same as [`add`](Self::add); also returns an error if there is no file to write to.
    fn write(&mut self, backup_stream: &[u8]) -> Result<()>;

    /// Adds another name for a file.
    ///
    /// # Errors
    ///
    /// Same as [`add`](Self::add).
    fn add_link(&mut self, link: &LinkEntry) -> Result<()>;

    /// Removes a path of the parents.
    ///
    /// # Errors
    ///
    /// Same as [`add`](Self::add).
    fn remove(&mut self, path: &LayerPath) -> Result<()>;

    /// Removes everything that the parents have inside `directory`.
    ///
    /// # Errors
    ///
    /// Same as [`add`](Self::add).
    fn remove_contents(&mut self, directory: &LayerPath) -> Result<()>;

    /// Completes the layer and makes it permanent.
    ///
    /// # Errors
    ///
    /// Returns an error if the layer breaks a rule that only shows at the end, or cannot be written.
    /// Nothing is left of it then.
    fn finish(self) -> Result<Self::Output>
    where
        Self: Sized;
}
