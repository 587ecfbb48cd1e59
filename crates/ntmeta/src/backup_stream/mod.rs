//! Backup streams: the format that `BackupRead` produces and `BackupWrite` consumes for one file.
//!
//! A backup stream is a sequence of streams, each with a header and a body:
//!
//! | bytes | field |
//! |---|---|
//! | 4 | stream ID, [`StreamId`] |
//! | 4 | stream attributes, [`StreamAttributes`] |
//! | 8 | size of the body, in bytes |
//! | 4 | size of the name, in bytes |
//! | name size | name in UTF-16LE; `:NAME:$DATA` for an alternate data stream |
//! | 8 | sparse blocks only: offset of the block in the file; counts towards the body size |
//!
//! All fields are little-endian, without padding. There are three ways to process a backup stream,
//! and none of them seeks: [`BackupStreamReader`] pulls from a `Read`, [`BackupStreamDecoder`]
//! accepts pieces of any length and returns bodies without copying them, and [`BackupStreamWriter`]
//! writes to a `Write` and checks that each body has the length its header promises.
//!
//! Headers are validated before they are used. The following input is rejected here although the
//! reference implementation accepts it: a name with an odd number of bytes (which is not UTF-16,
//! and whose last byte would be lost), a name longer than [`MAX_NAME_SIZE`], a body of 2^63 bytes
//! or more, a sparse block too short for its own offset, and input that ends right before that
//! offset.
//!
//! Source: `WIN32_STREAM_ID` (`winbase.h`) and the pages on `BackupRead` and `BackupWrite`;
//! go-winio `backup.go`, `BackupStreamReader` and `BackupStreamWriter`.

mod decoder;
mod header;
mod reader;
#[cfg(test)]
mod tests;
mod writer;

use std::io;

pub use self::decoder::{BackupStreamDecoder, StreamEvent};
pub use self::header::{HEADER_SIZE, MAX_NAME_SIZE, StreamAttributes, StreamHeader, StreamId};
pub use self::reader::BackupStreamReader;
pub use self::writer::BackupStreamWriter;

/// A backup stream that cannot be read or written; offsets are bytes from its start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackupStreamError {
    /// The input ends inside a header.
    #[error("backup stream ends at byte {offset}, inside a stream header")]
    TruncatedHeader {
        /// Offset of the end of the input.
        offset: u64,
    },
    /// The input ends inside a body.
    #[error(
        "backup stream ends at byte {offset}, {missing} bytes before the end of its {id} stream"
    )]
    TruncatedBody {
        /// Offset of the end of the input.
        offset: u64,
        /// The truncated stream.
        id: StreamId,
        /// Number of missing bytes.
        missing: u64,
    },
    /// A name is not a whole number of UTF-16 units.
    #[error("stream name size at byte {offset} of the backup stream is odd: {actual} bytes")]
    OddNameSize {
        /// Offset of the size field.
        offset: u64,
        /// The size, in bytes.
        actual: u32,
    },
    /// A name is longer than [`MAX_NAME_SIZE`].
    #[error(
        "stream name at byte {offset} of the backup stream has {actual} bytes, more than {limit}"
    )]
    NameTooLong {
        /// Offset of the size field.
        offset: u64,
        /// The size, in bytes.
        actual: u64,
        /// The largest accepted size, in bytes.
        limit: u64,
    },
    /// A body has 2^63 bytes or more.
    #[error("stream size at byte {offset} of the backup stream is out of range: {actual} bytes")]
    SizeOutOfRange {
        /// Offset of the size field.
        offset: u64,
        /// The size, in bytes.
        actual: u64,
    },
    /// A sparse block is too short for the offset it starts with.
    #[error("sparse block at byte {offset} of the backup stream has {actual} bytes, less than 8")]
    SparseBlockTooShort {
        /// Offset of the size field.
        offset: u64,
        /// The size, in bytes.
        actual: u64,
    },
    /// A header to write has a sparse offset but is not a sparse block, or the other way round.
    #[error("only a sparse block has a sparse offset: {id} stream at byte {offset}")]
    SparseOffsetMismatch {
        /// Offset at which the header would start.
        offset: u64,
        /// The kind of stream.
        id: StreamId,
    },
    /// A body ends before all of it was written.
    #[error("{missing} bytes of the {id} stream were not written by byte {offset}")]
    BodyTooShort {
        /// Number of bytes written so far.
        offset: u64,
        /// The incomplete stream.
        id: StreamId,
        /// Number of missing bytes.
        missing: u64,
    },
    /// A body exceeds the size in its header.
    #[error("{excess} bytes too many for the {id} stream at byte {offset}")]
    BodyTooLong {
        /// Number of bytes written so far.
        offset: u64,
        /// The stream that is too long.
        id: StreamId,
        /// Number of excess bytes.
        excess: u64,
    },
    /// Reading the input or writing the output failed.
    #[error("backup stream stops at byte {offset}")]
    Io {
        /// Number of bytes read or written before the failure.
        offset: u64,
        /// The cause.
        source: io::Error,
    },
}
