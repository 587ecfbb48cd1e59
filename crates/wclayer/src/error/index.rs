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
            Self::Database { source, .. } if failure_of_system(source).is_some() => ErrorKind::Io,
            Self::Database { .. }
            | Self::Content { .. }
            | Self::Tar { .. }
            | Self::ImpliedDirectories { .. } => ErrorKind::InvalidLayer,
            Self::Version { .. } => ErrorKind::Unsupported,
        }
    }

    /// Returns what can be done about it.
    pub fn hint(&self) -> Option<String> {
        if let Self::Database { source, .. } = self
            && let Some(hint) = failure_of_system(source)
        {
            return Some(hint.to_owned());
        }
        let hint = match self {
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

/// Returns what can be done when the system failed SQLite, rather than the content of an index.
fn failure_of_system(error: &rusqlite::Error) -> Option<&'static str> {
    use rusqlite::{ErrorCode, ffi};
    let error = error.sqlite_error()?;
    let is_write = [
        ffi::SQLITE_IOERR_WRITE,
        ffi::SQLITE_IOERR_FSYNC,
        ffi::SQLITE_IOERR_TRUNCATE,
    ]
    .contains(&error.extended_code);
    match error.code {
        ErrorCode::DiskFull => Some("The disk is full, or fails: free some space."),
        _ if is_write => Some("The disk is full, or fails: free some space."),
        ErrorCode::OutOfMemory => {
            Some("End other programs, or raise the limit of memory (`ulimit -v`).")
        }
        // Less than a page is no failure of the disk.
        ErrorCode::SystemIoFailure if error.extended_code != ffi::SQLITE_IOERR_SHORT_READ => {
            Some("The disk or the file system failed: try again, and check the disk.")
        }
        ErrorCode::CannotOpen => {
            Some("Check the permissions, and how many files may be open (`ulimit -n`).")
        }
        _ => None,
    }
}
