//! Windows file metadata formats, portable to any host.
//!
//! Each module covers one format: it parses bytes into plain values and encodes those values again.
//! A round trip preserves every byte unless the module's documentation lists an exception. Nothing
//! here opens a file or knows about container layers.
//!
//! | module | format |
//! |---|---|
//! | [`backup_stream`] | the streams of `BackupRead` and `BackupWrite` |
//! | [`basic_info`] | `FILE_BASIC_INFO`: four times and the attributes |
//! | [`attributes`] | the `FILE_ATTRIBUTE_*` bits |
//! | [`time`] | file times, and their spelling in a tar |
//! | [`reparse`] | reparse points: symbolic links, junctions, and other tags |
//! | [`ea`] | lists of extended attributes |
//! | [`security`] | security descriptors, in binary form and as SDDL |
//! | [`hive`] | registry hives: validity checks, and empty hives |
//! | [`wide`] | UTF-16 to WTF-8 and back |
//! | [`upcase`] | case-insensitive comparison of NTFS names |
//!
//! Each module that can fail has a precise error type of its own; [`Error`] combines them all. Error
//! types are non-exhaustive, because new checks may be added, and so are the claim types, literals and
//! operators in [`security`], because Windows may add some. Enums that already cover every input,
//! such as [`ReparsePoint`] or [`security::AceBody`], are exhaustive.
//!
//! ```
//! use ntmeta::backup_stream::{BackupStreamReader, StreamHeader, StreamId};
//! use ntmeta::SecurityDescriptor;
//! use std::io::Read;
//!
//! // What `BackupRead` returns for a file, cut down to its security descriptor.
//! let descriptor = SecurityDescriptor::from_sddl("O:BAG:SYD:(A;;FA;;;SY)")?.to_bytes()?;
//! let mut stream = Vec::new();
//! StreamHeader::new(StreamId::SECURITY_DATA, descriptor.len() as u64).encode(&mut stream);
//! stream.extend_from_slice(&descriptor);
//!
//! let mut reader = BackupStreamReader::new(&stream[..]);
//! let header = reader.next_header()?.expect("one stream");
//! assert_eq!(header.id, StreamId::SECURITY_DATA);
//! let mut body = Vec::new();
//! reader.read_to_end(&mut body)?;
//! assert_eq!(SecurityDescriptor::parse(&body)?.to_sddl()?, "O:BAG:SYD:(A;;FA;;;SY)");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

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

/// Runs the example of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
