//! Backup streams: what `BackupRead` yields and `BackupWrite` takes for one file.
//!
//! A backup stream is a sequence of streams, each a header and a body:
//!
//! | bytes | field |
//! |---|---|
//! | 4 | stream id, [`StreamId`] |
//! | 4 | stream attributes, [`StreamAttributes`] |
//! | 8 | size of the body, in bytes |
//! | 4 | size of the name, in bytes |
//! | name size | name in UTF-16LE, of alternate data streams `:NAME:$DATA` |
//! | 8 | only of a sparse block: where it starts in the file; counted in the size of the body |
//!
//! all little-endian, without padding. Three ways to handle one, none of which seeks:
//! [`BackupStreamReader`] pulls from a `Read`, [`BackupStreamDecoder`] is pushed pieces of any
//! length and hands bodies on uncopied, [`BackupStreamWriter`] writes to a `Write` and checks that
//! bodies have the length that their header promises.
//!
//! What a header says is checked before it is used. Compared with the reference, which reads such
//! input on, these are refused: a name of an odd number of bytes (it is no UTF-16, and its last
//! byte would be lost), a name above [`MAX_NAME_SIZE`], a body of 2^63 bytes or more, a sparse
//! block too short for its own offset, and an end of input right before that offset.
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
pub enum BackupStreamError {
    /// The input ends inside a header.
    #[error("backup stream ends at byte {offset}, inside a stream header")]
    TruncatedHeader {
        /// Where the input ends.
        offset: u64,
    },
    /// The input ends inside a body.
    #[error(
        "backup stream ends at byte {offset}, {missing} bytes before the end of its {id} stream"
    )]
    TruncatedBody {
        /// Where the input ends.
        offset: u64,
        /// Which stream is cut off.
        id: StreamId,
        /// How many bytes of the body are missing.
        missing: u64,
    },
    /// A name is not a whole number of UTF-16 units.
    #[error("stream name size at byte {offset} of the backup stream is odd: {actual} bytes")]
    OddNameSize {
        /// Where the size stands.
        offset: u64,
        /// The size, in bytes.
        actual: u32,
    },
    /// A name is longer than [`MAX_NAME_SIZE`].
    #[error(
        "stream name at byte {offset} of the backup stream has {actual} bytes, more than {limit}"
    )]
    NameTooLong {
        /// Where the size stands.
        offset: u64,
        /// The size, in bytes.
        actual: u64,
        /// The largest size that is accepted, in bytes.
        limit: u64,
    },
    /// A body has 2^63 bytes or more.
    #[error("stream size at byte {offset} of the backup stream is out of range: {actual} bytes")]
    SizeOutOfRange {
        /// Where the size stands.
        offset: u64,
        /// The size, in bytes.
        actual: u64,
    },
    /// A sparse block is too short for the offset it starts with.
    #[error("sparse block at byte {offset} of the backup stream has {actual} bytes, less than 8")]
    SparseBlockTooShort {
        /// Where the size stands.
        offset: u64,
        /// The size, in bytes.
        actual: u64,
    },
    /// A header to be written has an offset and is no sparse block, or the other way round.
    #[error("only a sparse block has a sparse offset: {id} stream at byte {offset}")]
    SparseOffsetMismatch {
        /// Where the header would start.
        offset: u64,
        /// The kind of stream in the header.
        id: StreamId,
    },
    /// A body is finished before all of it was written.
    #[error("{missing} bytes of the {id} stream were not written by byte {offset}")]
    BodyTooShort {
        /// How much was written so far.
        offset: u64,
        /// Which stream is too short.
        id: StreamId,
        /// How many bytes are missing.
        missing: u64,
    },
    /// A body gets more bytes than its header promises.
    #[error("{excess} bytes too many for the {id} stream at byte {offset}")]
    BodyTooLong {
        /// How much was written so far.
        offset: u64,
        /// Which stream is too long.
        id: StreamId,
        /// How many bytes are too many.
        excess: u64,
    },
    /// The input could not be read or the output not be written.
    #[error("backup stream stops at byte {offset}")]
    Io {
        /// How much was read or written before.
        offset: u64,
        /// What happened.
        source: io::Error,
    },
}
