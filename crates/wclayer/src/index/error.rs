//! What can be wrong with an index.

use std::path::PathBuf;

use crate::error::ErrorKind;

/// Why an index cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IndexError {
    /// SQLite cannot read or write it.
    #[error("the index `{}` cannot be used", path.display())]
    Database {
        /// The database file.
        path: PathBuf,
        /// What SQLite said.
        source: rusqlite::Error,
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
            Self::Database { source, .. } if cannot_write(source) => ErrorKind::Io,
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
            Self::Database { source, .. } if cannot_write(source) => {
                "The disk is full, or fails: free some space."
            }
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

/// Whether SQLite failed to write an index, rather than to understand one.
fn cannot_write(error: &rusqlite::Error) -> bool {
    use rusqlite::{ErrorCode, ffi};
    let Some(error) = error.sqlite_error() else {
        return false;
    };
    let write_errors = [
        ffi::SQLITE_IOERR_WRITE,
        ffi::SQLITE_IOERR_FSYNC,
        ffi::SQLITE_IOERR_TRUNCATE,
    ];
    error.code == ErrorCode::DiskFull || write_errors.contains(&error.extended_code)
}
