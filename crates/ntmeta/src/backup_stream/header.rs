//! Stream headers: their fields, encoding and validation.

use std::fmt;

use super::BackupStreamError;

/// Size of a header without name and sparse offset, in bytes.
pub const HEADER_SIZE: usize = 20;

/// Longest accepted name, in bytes. NTFS allows stream names of 255 units, 2 bytes each.
pub const MAX_NAME_SIZE: usize = 64 * 1024;

const SPARSE_OFFSET_SIZE: u64 = 8;
const SIZE_FIELD: u64 = 8;
const NAME_SIZE_FIELD: u64 = 16;
const DATA_TYPE: [u16; 6] = [0x3a, 0x24, 0x44, 0x41, 0x54, 0x41]; // `:$DATA`

/// The kind of a stream, the field `dwStreamId`; values without a name are kept.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct StreamId(pub u32);

impl StreamId {
    /// The unnamed data stream, which holds the content of the file.
    pub const DATA: Self = Self(1);
    /// Extended attributes; see [`crate::ea`].
    pub const EA_DATA: Self = Self(2);
    /// A self-relative security descriptor; see [`crate::security`].
    pub const SECURITY_DATA: Self = Self(3);
    /// A named data stream.
    pub const ALTERNATE_DATA: Self = Self(4);
    /// The name of a hard link.
    pub const LINK: Self = Self(5);
    /// Properties.
    pub const PROPERTY_DATA: Self = Self(6);
    /// The object ID of the file.
    pub const OBJECT_ID: Self = Self(7);
    /// A reparse point; see [`crate::reparse`].
    pub const REPARSE_DATA: Self = Self(8);
    /// One allocated range of a sparse file.
    pub const SPARSE_BLOCK: Self = Self(9);
    /// Transactional NTFS data.
    pub const TXFS_DATA: Self = Self(10);

    /// Returns the name from `winbase.h`, without `BACKUP_`.
    pub const fn name(self) -> Option<&'static str> {
        Some(match self {
            Self::DATA => "DATA",
            Self::EA_DATA => "EA_DATA",
            Self::SECURITY_DATA => "SECURITY_DATA",
            Self::ALTERNATE_DATA => "ALTERNATE_DATA",
            Self::LINK => "LINK",
            Self::PROPERTY_DATA => "PROPERTY_DATA",
            Self::OBJECT_ID => "OBJECT_ID",
            Self::REPARSE_DATA => "REPARSE_DATA",
            Self::SPARSE_BLOCK => "SPARSE_BLOCK",
            Self::TXFS_DATA => "TXFS_DATA",
            _ => return None,
        })
    }
}

/// Writes the name, or the number in hexadecimal.
impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "{:#x}", self.0),
        }
    }
}

impl fmt::Debug for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StreamId({self})")
    }
}

bitflags::bitflags! {
    /// Properties of a stream, the field `dwStreamAttributes`; unknown bits are kept.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
    pub struct StreamAttributes: u32 {
        /// The data may change when it is read.
        const MODIFIED_WHEN_READ = 1;
        /// The stream holds security data.
        const CONTAINS_SECURITY = 2;
        /// The stream holds properties.
        const CONTAINS_PROPERTIES = 4;
        /// The stream belongs to a sparse file.
        const SPARSE = 8;
        const _ = !0;
    }
}

/// The header of one stream.
///
/// ```
/// use ntmeta::{StreamHeader, StreamId};
///
/// let name: Vec<u16> = "Zone.Identifier".encode_utf16().collect();
/// let header = StreamHeader::alternate_data(&name, 26);
/// assert_eq!(header.id, StreamId::ALTERNATE_DATA);
/// assert_eq!(String::from_utf16_lossy(&header.name), ":Zone.Identifier:$DATA");
/// assert_eq!(header.stream_name(), Some(&name[..]));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct StreamHeader {
    /// The kind of stream.
    pub id: StreamId,
    /// The properties of the stream.
    pub attributes: StreamAttributes,
    /// Length of the body in bytes, not counting the 8-byte offset of a sparse block.
    pub size: u64,
    /// The name as stored, in UTF-16 units: `:NAME:$DATA` for an alternate data stream.
    pub name: Vec<u16>,
    /// Offset of a sparse block in the file, in bytes; set for sparse blocks only.
    pub sparse_offset: Option<i64>,
}

impl StreamHeader {
    /// Creates the header of an unnamed stream.
    pub fn new(id: StreamId, size: u64) -> Self {
        Self {
            id,
            size,
            ..Self::default()
        }
    }

    /// Creates the header of the alternate data stream `stream_name`, stored as `:NAME:$DATA`.
    pub fn alternate_data(stream_name: &[u16], size: u64) -> Self {
        let mut name = Vec::with_capacity(stream_name.len() + DATA_TYPE.len() + 1);
        name.push(u16::from(b':'));
        name.extend_from_slice(stream_name);
        name.extend_from_slice(&DATA_TYPE);
        Self {
            name,
            ..Self::new(StreamId::ALTERNATE_DATA, size)
        }
    }

    /// Creates the header of one range of a sparse file: `size` bytes at `offset`.
    pub fn sparse_block(offset: i64, size: u64) -> Self {
        Self {
            attributes: StreamAttributes::SPARSE,
            sparse_offset: Some(offset),
            ..Self::new(StreamId::SPARSE_BLOCK, size)
        }
    }

    /// Returns the name up to its first NUL. The reference implementation ignores the rest.
    pub fn name_until_nul(&self) -> &[u16] {
        self.name
            .split(|&unit| unit == 0)
            .next()
            .unwrap_or_default()
    }

    /// Returns the `NAME` of `:NAME:$DATA`, up to the first NUL.
    ///
    /// Without a final `:$DATA`, this is everything after the first colon. Returns `None` if the
    /// name does not start with a colon.
    pub fn stream_name(&self) -> Option<&[u16]> {
        let (&first, name) = self.name_until_nul().split_first()?;
        let name = name.strip_suffix(&DATA_TYPE).unwrap_or(name);
        (first == u16::from(b':')).then_some(name)
    }

    /// Returns the number of bytes that [`encode`](Self::encode) appends.
    pub fn encoded_len(&self) -> usize {
        let offset = if self.is_sparse_block() { 8 } else { 0 };
        HEADER_SIZE + self.name.len() * 2 + offset
    }

    /// Appends the header to `out`, including the offset of a sparse block (0 if not set).
    ///
    /// This does not validate the header, unlike
    /// [`BackupStreamWriter::begin`](super::BackupStreamWriter::begin).
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.reserve(self.encoded_len());
        out.extend_from_slice(&self.id.0.to_le_bytes());
        out.extend_from_slice(&self.attributes.bits().to_le_bytes());
        out.extend_from_slice(&self.stored_size().to_le_bytes());
        out.extend_from_slice(&((self.name.len() * 2) as u32).to_le_bytes());
        out.extend(self.name.iter().flat_map(|unit| unit.to_le_bytes()));
        if self.is_sparse_block() {
            out.extend_from_slice(&self.sparse_offset.unwrap_or(0).to_le_bytes());
        }
    }

    /// Checks that the header, at byte `offset` of a backup stream, can be written and read back.
    pub(super) fn check(&self, offset: u64) -> Result<(), BackupStreamError> {
        if self.sparse_offset.is_some() != self.is_sparse_block() {
            return Err(BackupStreamError::SparseOffsetMismatch {
                offset,
                id: self.id,
            });
        }
        check_name_size((self.name.len() as u64).saturating_mul(2), offset)?;
        check_size(self.stored_size(), offset)
    }

    /// Returns the size as stored in the header, which includes the offset of a sparse block.
    fn stored_size(&self) -> u64 {
        let extra = if self.is_sparse_block() {
            SPARSE_OFFSET_SIZE
        } else {
            0
        };
        self.size.saturating_add(extra)
    }

    fn is_sparse_block(&self) -> bool {
        self.id == StreamId::SPARSE_BLOCK
    }
}

/// The outcome of parsing the bytes available so far.
pub(super) enum Parsed {
    /// The header is incomplete; retry once this many bytes are available in total.
    Needs(usize),
    /// The header and its length in bytes.
    Header(StreamHeader, usize),
}

/// Parses the header at the start of `bytes`, which is at byte `offset` of the backup stream.
pub(super) fn parse(bytes: &[u8], offset: u64) -> Result<Parsed, BackupStreamError> {
    let Some((fixed, rest)) = bytes.split_first_chunk::<HEADER_SIZE>() else {
        return Ok(Parsed::Needs(HEADER_SIZE));
    };
    let [id, attributes, size_low, size_high, name_size] =
        [0, 4, 8, 12, 16].map(|at| u32_at(fixed, at));
    let id = StreamId(id);
    let stored_size = u64::from(size_high) << 32 | u64::from(size_low);
    check_size(stored_size, offset)?;
    if name_size % 2 != 0 {
        return Err(BackupStreamError::OddNameSize {
            offset: offset.saturating_add(NAME_SIZE_FIELD),
            actual: name_size,
        });
    }
    check_name_size(u64::from(name_size), offset)?;
    let is_sparse_block = id == StreamId::SPARSE_BLOCK;
    let (size, extra) = match stored_size.checked_sub(SPARSE_OFFSET_SIZE) {
        _ if !is_sparse_block => (stored_size, 0),
        Some(size) => (size, SPARSE_OFFSET_SIZE as usize),
        None => {
            return Err(BackupStreamError::SparseBlockTooShort {
                offset: offset.saturating_add(SIZE_FIELD),
                actual: stored_size,
            });
        }
    };

    let name_size = name_size as usize;
    let length = HEADER_SIZE + name_size + extra;
    let Some((name, rest)) = rest.split_at_checked(name_size) else {
        return Ok(Parsed::Needs(length));
    };
    let sparse_offset = match rest.first_chunk::<8>() {
        _ if !is_sparse_block => None,
        Some(bytes) => Some(i64::from_le_bytes(*bytes)),
        None => return Ok(Parsed::Needs(length)),
    };
    let (units, _) = name.as_chunks::<2>();
    let header = StreamHeader {
        id,
        attributes: StreamAttributes::from_bits_retain(attributes),
        size,
        name: units.iter().map(|unit| u16::from_le_bytes(*unit)).collect(),
        sparse_offset,
    };
    Ok(Parsed::Header(header, length))
}

fn check_size(actual: u64, header_offset: u64) -> Result<(), BackupStreamError> {
    if i64::try_from(actual).is_ok() {
        return Ok(());
    }
    Err(BackupStreamError::SizeOutOfRange {
        offset: header_offset.saturating_add(SIZE_FIELD),
        actual,
    })
}

fn check_name_size(actual: u64, header_offset: u64) -> Result<(), BackupStreamError> {
    let limit = MAX_NAME_SIZE as u64;
    if actual <= limit {
        return Ok(());
    }
    Err(BackupStreamError::NameTooLong {
        offset: header_offset.saturating_add(NAME_SIZE_FIELD),
        actual,
        limit,
    })
}

fn u32_at(bytes: &[u8; HEADER_SIZE], at: usize) -> u32 {
    let mut word = [0; 4];
    word.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(word)
}
