//! Errors of layer tars, with the position in bytes.

use std::io;

use ntmeta::security::SddlError;
use ntmeta::{AttributesError, BackupStreamError, EaError, ReparseError, TimeError};

use crate::error::{ErrorKind, io_kind};
use crate::foreign::{Foreign, ImageArchive};
use crate::path::PathError;
use crate::rules::place;

/// A problem with one entry of a layer tar.
#[derive(Debug, thiserror::Error)]
#[error("{}", place(entry, Some(*offset)))]
pub struct TarError {
    /// The entry's name as the tar has it; empty if it was not known yet.
    pub entry: String,
    /// Where its first header block starts, in bytes from the start of the uncompressed tar.
    pub offset: u64,
    /// The problem.
    #[source]
    pub problem: TarProblem,
}

/// A problem of an entry of a layer tar.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TarProblem {
    /// Reading failed, or the compressed data is damaged.
    #[error("cannot continue reading")]
    Io(#[source] io::Error),
    /// The input is empty.
    #[error("the input is empty")]
    Empty,
    /// The input is not a tar.
    #[error("the input is not a tar: it is {0}")]
    NotATar(Foreign),
    /// The input holds the layers of an image.
    #[error("the input is {0}")]
    ImageArchive(ImageArchive),
    /// The input ends inside a header block.
    #[error("the tar ends inside a header")]
    TruncatedHeader,
    /// The input ends inside the content of an entry.
    #[error("the tar ends {missing} bytes before the end of the entry's content")]
    TruncatedContent {
        /// How many bytes are missing, padding not counted.
        missing: u64,
    },
    /// A block of zeros is not followed by another one.
    #[error("a block of zeros is followed by more entries")]
    LoneZeroBlock,
    /// The header's checksum is wrong.
    #[error(
        "the header's checksum is {computed:o} but {stored:o} is stored (octal): this is not a tar, or it is damaged"
    )]
    Checksum {
        /// The number in the header.
        stored: i64,
        /// The sum of the header's bytes.
        computed: i64,
    },
    /// A number of the header cannot be read.
    #[error("the header's field `{field}` is not a number, or too large")]
    Number {
        /// The field's name.
        field: &'static str,
    },
    /// A record of an extended header is malformed.
    #[error("the extended header has a malformed record at its byte {at}")]
    PaxRecord {
        /// Offset in the extended header's content, in bytes.
        at: u64,
    },
    /// An extended header, or the data that would have to go into one, is too large.
    #[error("an extended header of {size} bytes is larger than {limit} bytes")]
    ExtendedHeaderTooLarge {
        /// Its size in bytes.
        size: u64,
        /// The limit in bytes.
        limit: u64,
    },
    /// An extended header is not followed by an entry.
    #[error("an extended header is not followed by an entry")]
    DanglingExtendedHeader,
    /// A header of a type without content announces some.
    #[error("it is {kind} with {size} bytes of content, which nothing can hold")]
    UnexpectedContent {
        /// What it is.
        kind: &'static str,
        /// The number of bytes in its header.
        size: u64,
    },
    /// The map of a sparse file is malformed.
    #[error("the map of a sparse file is malformed")]
    SparseMap,
    /// A sparse file is too large, or all of them together are.
    #[error("sparse files of {size} bytes are larger than {limit} bytes")]
    SparseTooLarge {
        /// The logical size, or the size of all holes so far, in bytes.
        size: u64,
        /// The limit in bytes.
        limit: u64,
    },
    /// No layer can hold the name, or the name of the stream.
    #[error("the name is not a path of a layer")]
    Path(#[source] PathError),
    /// A link's target is not a path of a layer.
    #[error("the link's target `{target}` is not a path of a layer")]
    LinkTarget {
        /// The target as the tar has it.
        target: String,
        /// The rule it breaks.
        source: PathError,
    },
    /// A whiteout does not name anything.
    #[error("the whiteout names nothing that could be removed")]
    Whiteout,
    /// A name would be read as a whiteout.
    #[error("a name that starts with `.wh.` would be read as a whiteout")]
    ReservedName,
    /// The entry is a device, a FIFO or of a vendor type, which Windows file systems do not have.
    #[error("an entry of type `{}` has no meaning in a Windows layer", char::from(*type_flag))]
    Type {
        /// The header's type byte.
        type_flag: u8,
    },
    /// An alternate data stream does not follow its file.
    #[error("an alternate stream of `{file}` must follow that file, but it follows {previous}")]
    StrayStream {
        /// The file that the stream belongs to.
        file: String,
        /// The entry before it.
        previous: String,
    },
    /// A time is not a decimal number, or has more seconds than 64 bits hold.
    #[error("the time `{key}` cannot be used")]
    Time {
        /// The PAX key or header field.
        key: &'static str,
        /// Why.
        source: TimeError,
    },
    /// The attributes are not a 32-bit decimal number.
    #[error("`MSWINDOWS.fileattr` cannot be used")]
    Attributes(#[source] AttributesError),
    /// A record is not valid base64.
    #[error("`{key}` is not base64")]
    Base64 {
        /// The PAX key.
        key: String,
        /// The position and the reason.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The text form of the security descriptor is malformed.
    #[error("`MSWINDOWS.sd` cannot be used")]
    Sddl(#[source] SddlError),
    /// Extended attributes are malformed.
    #[error("the extended attributes cannot be used")]
    Ea(#[source] EaError),
    /// A reparse point is malformed, or cannot be made from a link's target.
    #[error("the reparse point cannot be used")]
    Reparse(#[source] ReparseError),
    /// A backup stream (of the vendor record, or given to the writer) is malformed.
    #[error("the backup stream cannot be used")]
    BackupStream(#[source] BackupStreamError),
    /// The streams of a backup stream contradict each other.
    #[error("the backup stream is inconsistent: {what}")]
    Streams {
        /// The contradiction.
        what: &'static str,
    },
    /// The data of a file does not have the announced size.
    #[error("the file has {announced} bytes, but its data stream has {actual}")]
    SizeMismatch {
        /// The size of the entry.
        announced: u64,
        /// The size of the stream.
        actual: u64,
    },
}

impl TarError {
    pub(crate) fn new(entry: &[u8], offset: u64, problem: TarProblem) -> Self {
        Self {
            entry: ntmeta::wide::display(entry).into_owned(),
            offset,
            problem,
        }
    }

    /// Returns the kind of failure.
    pub fn kind(&self) -> ErrorKind {
        match &self.problem {
            TarProblem::Io(error) => io_kind(error),
            _ => ErrorKind::InvalidLayer,
        }
    }
}
