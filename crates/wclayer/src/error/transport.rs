//! Errors of transport folders.

use std::path::PathBuf;

use crate::error::ErrorKind;
use crate::path::{LayerPath, PathError};

/// The reason why a transport folder cannot be read or created.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TransportError {
    /// The folder is not a transport folder.
    #[error("`{}` is not a transport folder: it has no `{missing}`", path.display())]
    NotATransportFolder {
        /// The folder.
        path: PathBuf,
        /// The file or folder that is missing.
        missing: &'static str,
    },
    /// `tombstones.txt` is malformed.
    #[error("line {line} of `tombstones.txt` {problem}")]
    Tombstones {
        /// The number of the line, starting at 1.
        line: usize,
        /// The problem.
        problem: TombstoneProblem,
    },
    /// A file of the folder is malformed or misplaced.
    #[error("`{entry}` in the transport folder {problem}")]
    Entry {
        /// The file.
        entry: LayerPath,
        /// The problem.
        problem: EntryProblem,
    },
}

/// A problem of a line of `tombstones.txt`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TombstoneProblem {
    /// The first line is not the version.
    #[error("is not `Version 1.0`")]
    Version,
    /// The path does not start with a backslash.
    #[error("does not start with a backslash")]
    NoBackslash,
    /// The line is not a path below `Files`.
    #[error("is not a path below `Files`: {0}")]
    Path(PathError),
}

/// A problem of a file of a transport folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EntryProblem {
    /// The file is too short for the attributes.
    #[error("is too short to contain its attributes")]
    Short,
    /// A directory does not have the file that describes it.
    #[error("has no `.$wcidirs$` file that describes it")]
    NoDirectoryFile,
    /// A file has the `DIRECTORY` attribute, or a directory does not have it.
    #[error("is not of the kind that its attributes specify")]
    Kind,
    /// The file is a link or another reparse point on the disk itself.
    #[error("is a reparse point on the disk, which is never followed")]
    ReparsePoint,
    /// A file and a directory have the same name on Windows.
    #[error("exists both as a file and as a directory, with names that differ only in case")]
    Twin,
    /// A directory that should be a reparse point is not empty.
    #[error("should be a reparse point, but is not empty")]
    NotEmpty,
    /// A directory has a name that the format reserves.
    #[error("is a directory with a name that is reserved for `.$wcidirs$` files")]
    Reserved,
    /// The holes are too large: they take no space on the disk, but reading them takes too long.
    #[error("has more than 64 GiB of holes")]
    Holes,
    /// Another program is writing to the folder.
    #[error("was changed while it was being read")]
    Changed,
}

impl EntryProblem {
    /// Creates the error for a file with this problem.
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
            Self::Tombstones { .. } | Self::Entry { .. } => ErrorKind::InvalidLayer,
        }
    }
}
