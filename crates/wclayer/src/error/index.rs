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
            Self::Database { .. } if self.system_failure().is_some() => ErrorKind::Io,
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
            Self::Database { source, .. } => failure_of_system(source),
            _ => None,
        }
    }
}

/// How the system failed while an index was read or written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SystemFailure {
    /// Data could not be written: the disk is full, or fails.
    Write,
    /// The system refused memory.
    Memory,
    /// The disk or the file system failed.
    Io,
    /// The index could not be opened.
    Open,
}

/// Returns how the system failed SQLite, if it did.
fn failure_of_system(error: &rusqlite::Error) -> Option<SystemFailure> {
    use rusqlite::{ErrorCode, ffi};
    let error = error.sqlite_error()?;
    let is_write = [
        ffi::SQLITE_IOERR_WRITE,
        ffi::SQLITE_IOERR_FSYNC,
        ffi::SQLITE_IOERR_TRUNCATE,
    ]
    .contains(&error.extended_code);
    match error.code {
        ErrorCode::DiskFull => Some(SystemFailure::Write),
        _ if is_write => Some(SystemFailure::Write),
        ErrorCode::OutOfMemory => Some(SystemFailure::Memory),
        // A read of less than a page is not a failure of the disk.
        ErrorCode::SystemIoFailure if error.extended_code != ffi::SQLITE_IOERR_SHORT_READ => {
            Some(SystemFailure::Io)
        }
        ErrorCode::CannotOpen => Some(SystemFailure::Open),
        _ => None,
    }
}
