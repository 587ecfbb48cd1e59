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
        /// The line, from 1.
        line: usize,
        /// The problem.
        problem: TombstoneProblem,
    },
    /// A file of the folder is malformed or in the wrong place.
    #[error("`{entry}` of the transport folder {problem}")]
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
    /// The line is not a path of a layer.
    #[error("is not a path below `Files`: {0}")]
    Path(PathError),
}

/// A problem of a file of a transport folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EntryProblem {
    /// The file is too short for the attributes.
    #[error("is shorter than the attributes that it must start with")]
    Short,
    /// A directory does not have the file that describes it.
    #[error("has no `.$wcidirs$` file beside it to describe it")]
    NoDirectoryFile,
    /// A file has the attribute of directories, or a directory does not have it.
    #[error("is not of the kind that its attributes claim")]
    Kind,
    /// The file is a link or another reparse point of the disk itself.
    #[error("is a reparse point of the disk, which is never followed")]
    ReparsePoint,
    /// To Windows, a file and a directory have the same name.
    #[error("exists as a file and as a directory, in different case")]
    Twin,
    /// A directory that should be a reparse point is not empty.
    #[error("should be a reparse point, but is not empty")]
    NotEmpty,
    /// A directory has a name that the format reserves.
    #[error("is a directory with the name of a file that describes one")]
    Reserved,
    /// The holes are too large: they take no room on disk, but reading them takes forever.
    #[error("has more than 64 GiB of holes")]
    Holes,
    /// Another program writes to the folder.
    #[error("was changed while it was being read")]
    Changed,
}

impl EntryProblem {
    /// Makes the error for a file with this problem.
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
