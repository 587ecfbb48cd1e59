//! The hub: what a layer is to every part of this project.
//!
//! A [`LayerReader`] is a source of entries, a [`LayerWriter`] a sink. Each format implements one
//! or both and knows no other format; [`copy`] joins a source to a sink. Content travels as the
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
    /// A file, a directory or a reparse point; its backup stream follows.
    File(FileEntry),
    /// One more name for a file of this layer or of a parent.
    Link(LinkEntry),
    /// A path of the parents that is gone in this layer (a whiteout, a tombstone).
    Removal(LayerPath),
    /// A directory whose content in the parents is gone as a whole (an opaque whiteout); what
    /// this layer itself puts there stays, wherever in the layer it comes.
    Opaque(LayerPath),
}

/// A file, a directory or a reparse point, without its backup stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileEntry {
    /// Where it lies.
    pub path: LayerPath,
    /// Its four times and its attributes; `DIRECTORY` among these makes it a directory.
    pub basic_info: FileBasicInfo,
    /// Length of the unnamed data stream in bytes, holes included.
    pub size: u64,
    /// Whether the source promises that in the backup stream no security, extended attribute,
    /// reparse or other metadata comes after the data, so that a sink which must announce these
    /// first need not hold the data back.
    pub metadata_first: bool,
}

/// One more name of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkEntry {
    /// The new name.
    pub path: LayerPath,
    /// An existing name in this layer, earlier or later, or in a parent.
    pub target: LayerPath,
    /// The times and attributes that the source gives with the link. Windows takes them from the
    /// file; they are carried for formats that repeat them.
    pub basic_info: Option<FileBasicInfo>,
}

impl Entry {
    /// Returns the path the entry is about.
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
    /// Moves to the next entry; what is left of the current backup stream is skipped. `None`
    /// comes after the last entry, once the source has been checked as a whole.
    ///
    /// # Errors
    ///
    /// When the source cannot be read or is not a layer; the reader is unusable afterwards.
    fn next_entry(&mut self) -> Result<Option<Entry>>;

    /// Reads bytes of the current file's backup stream; 0 at its end, and for other entries.
    ///
    /// # Errors
    ///
    /// As for [`next_entry`](Self::next_entry).
    fn read_stream(&mut self, buffer: &mut [u8]) -> Result<usize>;
}

/// A sink of layer entries.
///
/// A writer that is dropped without [`finish`](Self::finish) discards what it wrote.
pub trait LayerWriter {
    /// What a finished layer is to the caller.
    type Output;

    /// Starts a file, directory or reparse point; [`write`](Self::write) gives its stream.
    ///
    /// # Errors
    ///
    /// When the sink refuses the entry or cannot be written; the writer can then only be dropped.
    /// This holds for every method.
    fn add(&mut self, file: &FileEntry) -> Result<()>;

    /// Takes the next bytes of the backup stream of the file added last, in pieces of any size.
    ///
    /// # Errors
    ///
    /// As for [`add`](Self::add); also without a file to write to.
    fn write(&mut self, backup_stream: &[u8]) -> Result<()>;

    /// Makes one more name for a file.
    ///
    /// # Errors
    ///
    /// As for [`add`](Self::add).
    fn add_link(&mut self, link: &LinkEntry) -> Result<()>;

    /// Removes a path of the parents.
    ///
    /// # Errors
    ///
    /// As for [`add`](Self::add).
    fn remove(&mut self, path: &LayerPath) -> Result<()>;

    /// Removes all that the parents have inside `directory`.
    ///
    /// # Errors
    ///
    /// As for [`add`](Self::add).
    fn remove_contents(&mut self, directory: &LayerPath) -> Result<()>;

    /// Completes the layer and makes it permanent.
    ///
    /// # Errors
    ///
    /// When the layer breaks a rule that shows only in the end, or cannot be written; nothing is
    /// left of it then.
    fn finish(self) -> Result<Self::Output>
    where
        Self: Sized;
}
