//! What can be wrong with an index.

use std::path::PathBuf;

use crate::error::ErrorKind;

/// A failure of the system that keeps SQLite from working.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SystemFailure {
    /// The disk is full, or a write to it failed.
    DiskFull,
    /// There is not enough memory.
    Memory,
    /// The disk or the file system failed.
    Disk,
    /// The file cannot be opened.
    Open,
}

/// Why an index cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IndexError {
    /// SQLite cannot read or write it.
    #[error("the index `{}` cannot be used", path.display())]
    Database {
        /// The database file.
        path: PathBuf,
        /// What SQLite reported.
        source: Box<dyn std::error::Error + Send + Sync>,
        /// The failure of the system behind it; `None` if the content of the file is at fault.
        system: Option<SystemFailure>,
    },
    /// It holds what is never written there.
    #[error("the index `{}` is damaged: {what}", path.display())]
    Content {
        /// The database file.
        path: PathBuf,
        /// What is wrong.
        what: &'static str,
    },
    /// A part of the layer tar is not what was imported.
    #[error("`{}` is damaged at byte {offset:#x} or behind it", path.display())]
    Tar {
        /// The layer tar.
        path: PathBuf,
        /// Where the damaged block starts.
        offset: u64,
    },
    /// Too much of the layer lies in directories that have no entry themselves.
    #[error("the layer has too many directories without an entry of their own (`{}`)", path.display())]
    ImpliedDirectories {
        /// The database file.
        path: PathBuf,
    },
    /// It is not an index, or one of a version that this program does not know.
    #[error("`{}` is not an index of a version that is expected here ({version})", path.display())]
    Version {
        /// The database file.
        path: PathBuf,
        /// What it says its version is.
        version: i64,
    },
}

impl IndexError {
    /// Returns the kind of failure.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Database {
                system: Some(_), ..
            } => ErrorKind::Io,
            Self::Database { .. }
            | Self::Content { .. }
            | Self::Tar { .. }
            | Self::ImpliedDirectories { .. } => ErrorKind::InvalidLayer,
            Self::Version { .. } => ErrorKind::Unsupported,
        }
    }

    /// Returns what can be done about it.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Database {
                system: Some(failure),
                ..
            } => failure.hint(),
            Self::Database { .. } | Self::Content { .. } => {
                "The folder was changed or damaged: `wclayer repair` makes its index anew."
            }
            Self::Tar { .. } => "The folder was changed or damaged: import the layer again.",
            Self::ImpliedDirectories { .. } => {
                "Write the layer again, with an entry for each directory."
            }
            Self::Version { .. } => {
                "Use the program version that wrote it, or make it anew with `wclayer repair`."
            }
        };
        Some(hint.to_owned())
    }
}

impl SystemFailure {
    fn hint(self) -> &'static str {
        match self {
            Self::DiskFull => "The disk is full, or fails: free some space.",
            Self::Memory => "End other programs, or raise the limit of memory (`ulimit -v`).",
            Self::Disk => "The disk or the file system failed: try again, and check the disk.",
            Self::Open => "Check the permissions, and how many files may be open (`ulimit -n`).",
        }
    }
}
