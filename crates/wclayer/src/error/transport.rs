//! What can be wrong with a transport folder.

use std::path::PathBuf;

use crate::error::ErrorKind;
use crate::path::{LayerPath, PathError};

/// Why a folder cannot be read or made as a transport folder.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TransportError {
    /// The folder is no transport folder.
    #[error("`{}` is not a transport folder: it has no `{missing}`", path.display())]
    NotATransportFolder {
        /// The folder.
        path: PathBuf,
        /// What is missing.
        missing: &'static str,
    },
    /// `tombstones.txt` cannot be understood.
    #[error("line {line} of `tombstones.txt` {problem}")]
    Tombstones {
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        problem: TombstoneProblem,
    },
    /// A file does not hold what its place demands.
    #[error("`{entry}` of the transport folder {problem}")]
    Entry {
        /// The file.
        entry: LayerPath,
        /// What is wrong with it.
        problem: EntryProblem,
    },
    /// A removal cannot be written down.
    #[error("the removal of `{entry}` cannot be written to `tombstones.txt`: {why}")]
    Removal {
        /// What is removed.
        entry: LayerPath,
        /// The rule.
        why: &'static str,
    },
    /// The target of a link is in a parent that is not there to be copied from.
    #[error("the target `{target}` of the hard link `{entry}` is only in a parent, {why}")]
    LinkTarget {
        /// The link.
        entry: LayerPath,
        /// Its target.
        target: LayerPath,
        /// Why it cannot be copied.
        why: &'static str,
    },
    /// A removal without a parent.
    #[error("`{entry}`: a layer without parents has nothing to remove")]
    NothingToRemove {
        /// The entry.
        entry: LayerPath,
    },
}

/// What is wrong with a line of `tombstones.txt`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TombstoneProblem {
    /// Another first line than expected.
    #[error("is not `Version 1.0`")]
    Version,
    /// A path that does not start with a backslash.
    #[error("does not start with a backslash")]
    NoBackslash,
    /// What is no path of a layer.
    #[error("is no path below `Files`: {0}")]
    Path(PathError),
}

/// What is wrong with a file of a transport folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EntryProblem {
    /// A file that cannot hold the attributes.
    #[error("is shorter than the attributes that it must start with")]
    Short,
    /// A directory without the file that describes it.
    #[error("has no `.$wcidirs$` file beside it, which would describe it")]
    NoDirectoryFile,
    /// A file with the attribute of directories, or a directory without.
    #[error("is of another kind than its attributes say")]
    Kind,
    /// A link or another reparse point of the disk itself.
    #[error("is a reparse point of the disk, which is never followed")]
    ReparsePoint,
    /// A name beside it is the same to Windows, and another kind of thing.
    #[error("has a file and a directory of that name, spelled in different case")]
    Twin,
    /// Something in a directory that is to be a reparse point.
    #[error("is to be a reparse point, but is not empty")]
    NotEmpty,
    /// A directory with a name that the format needs for itself.
    #[error("is a directory with the name of a file that describes one")]
    Reserved,
    /// Sparse streams of any length cost nothing on disk, and time without end when they are read.
    #[error("has more than 64 GiB of holes")]
    Holes,
    /// Another program writes to the folder.
    #[error("was changed while it was being read")]
    Changed,
}

impl EntryProblem {
    /// Says which file it is.
    pub(crate) fn of(self, entry: &LayerPath) -> crate::Error {
        TransportError::Entry {
            entry: entry.clone(),
            problem: self,
        }
        .into()
    }
}

impl TransportError {
    /// Returns the kind of failure.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::NotATransportFolder { .. } => ErrorKind::NotFound,
            Self::LinkTarget { .. } => ErrorKind::InvalidInput,
            Self::Tombstones { .. }
            | Self::Entry { .. }
            | Self::Removal { .. }
            | Self::NothingToRemove { .. } => ErrorKind::InvalidLayer,
        }
    }
}
