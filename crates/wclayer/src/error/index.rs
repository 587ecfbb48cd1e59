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

    /// Returns how the system failed SQLite; `None` if the index itself is at fault.
    pub fn system_failure(&self) -> Option<SystemFailure> {
        match self {
            Self::Database { system, .. } => *system,
            _ => None,
        }
    }
}
