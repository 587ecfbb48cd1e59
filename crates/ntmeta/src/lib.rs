//! Formats of Windows file metadata, on any host.
//!
//! Each module is one format: it turns bytes into plain values and values back into the same
//! bytes. Nothing here opens a file or knows what a container layer is.

#![forbid(unsafe_code)]

pub mod attributes;
pub mod backup_stream;
pub mod basic_info;
pub mod ea;
mod error;
pub mod hive;
pub mod reparse;
pub mod security;
pub mod time;
pub mod upcase;
pub mod wide;

pub use self::attributes::{AttributesError, FileAttributes};
pub use self::backup_stream::{
    BackupStreamDecoder, BackupStreamError, BackupStreamReader, BackupStreamWriter,
    StreamAttributes, StreamEvent, StreamHeader, StreamId,
};
pub use self::basic_info::FileBasicInfo;
pub use self::ea::{EaError, ExtendedAttribute};
pub use self::error::Error;
pub use self::hive::HiveError;
pub use self::reparse::{MountPoint, ReparseError, ReparsePoint, ReparseTag, Symlink};
pub use self::security::{SddlError, SecurityDescriptor, SecurityError, Sid};
pub use self::time::{FileTime, TimeError};
