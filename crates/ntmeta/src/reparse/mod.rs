//! Reparse points: tagged data on a file that a driver interprets.
//!
//! Symbolic links and mount points (junctions) are two of the tags and are decoded; the data of all
//! other tags is kept as it is. The layout, little-endian:
//!
//! | bytes | field | in |
//! |---|---|---|
//! | 4 | tag, [`ReparseTag`] | all |
//! | 2 | length of the data after the next field (and the GUID), in bytes | all |
//! | 2 | reserved, 0 | all |
//! | 16 | GUID of the owner | non-Microsoft tags |
//! | 2 + 2 | substitute name: offset in the name area and length, in bytes | symlink, mount point |
//! | 2 + 2 | print name: offset and length | symlink, mount point |
//! | 4 | flags; 1: the target is relative | symlink |
//! | | name area, in UTF-16LE | symlink, mount point |
//!
//! Windows follows the substitute name; the print name is for display. A layer tar has only one
//! string for both, the link name of the entry: [`ReparsePoint::from_target`] derives both names
//! from it, and [`ReparsePoint::target`] returns it. The string is the print name if that means the
//! same as the substitute name, as it does in every link created by an ordinary tool. Otherwise, it
//! is derived from the substitute name, so the link keeps its meaning and loses only its print
//! name.
//!
//! Differences from go-winio, which reads only the print name and supports only these two tags:
//!
//! | buffer | go-winio | here |
//! |---|---|---|
//! | names that differ | print name | target from the substitute name |
//! | empty print name | empty target | target from the substitute name |
//! | unpaired surrogate | U+FFFD | kept, see [`crate::wide`] |
//! | substitute name of odd length | ignored | error: its meaning is uncertain |
//! | print name of odd length | last byte dropped | same |
//! | name outside the buffer, buffer truncated | panic | error |
//! | last terminator missing, bytes after the names | accepted | same |
//! | wrong length field | accepted | same for these two tags, error for all others |
//! | any other tag | error | kept |
//! | encoding that needs more than 16 bits | wraps around, invalid buffer | error |
//!
//! Source: [MS-FSCC] 2.1.2 and `REPARSE_DATA_BUFFER` (`ntifs.h`), `REPARSE_GUID_DATA_BUFFER`
//! (`winnt.h`); go-winio `reparse.go`, `DecodeReparsePoint` and `EncodeReparsePoint`.

mod explain;
mod link;
mod tag;
#[cfg(test)]
mod tests;

pub use self::explain::{AppExecLink, ExplainedReparse};
pub use self::link::{MountPoint, Symlink};
pub use self::tag::ReparseTag;

const HEADER_SIZE: usize = 8;
const GUID_SIZE: usize = 16;

/// A reparse point that cannot be decoded or encoded; offsets are bytes from the start of the
/// buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReparseError {
    /// The buffer ends before a field that its tag requires.
    #[error("reparse point has {actual} bytes, but its fixed fields alone need {expected}")]
    Truncated {
        /// Number of bytes that the fields need.
        expected: usize,
        /// Length of the buffer, in bytes.
        actual: usize,
    },
    /// The data length field does not match the buffer.
    #[error("reparse point {tag} declares {expected} bytes of data, but its buffer has {actual}")]
    DataLength {
        /// The tag.
        tag: ReparseTag,
        /// The value of the length field, in bytes.
        expected: usize,
        /// Length of the data in the buffer, in bytes.
        actual: usize,
    },
    /// A name is outside the buffer.
    #[error("reparse point has a name at bytes {offset} to {end}, but its buffer has {actual}")]
    NameOutOfBounds {
        /// Offset of the start of the name.
        offset: usize,
        /// Offset of the end of the name.
        end: usize,
        /// Length of the buffer, in bytes.
        actual: usize,
    },
    /// The substitute name is not a whole number of UTF-16 units.
    #[error("substitute name at byte {offset} of the reparse point has an odd length: {actual}")]
    OddSubstituteName {
        /// Offset of the name.
        offset: usize,
        /// Length of the name, in bytes.
        actual: usize,
    },
    /// The data is too long for its 16-bit length field.
    #[error("reparse point {tag} has {actual} bytes of data, more than {limit}")]
    TooLong {
        /// The tag.
        tag: ReparseTag,
        /// Length of the data, in bytes.
        actual: usize,
        /// The maximum, in bytes.
        limit: usize,
    },
    /// A non-Microsoft tag lacks its GUID, or a Microsoft tag has one.
    #[error("reparse point {tag} {}", if *.expected { "needs a GUID" } else { "must not have a GUID" })]
    Guid {
        /// The tag.
        tag: ReparseTag,
        /// Whether the tag requires a GUID.
        expected: bool,
    },
}

/// A reparse point of any tag.
///
/// ```
/// use ntmeta::ReparsePoint;
///
/// let junction = ReparsePoint::from_target(br"C:\data", true)?;
/// let bytes = junction.encode()?;
/// let read = ReparsePoint::decode(&bytes)?;
/// assert_eq!(read.target().as_deref(), Some(&br"C:\data"[..]));
/// # Ok::<(), ntmeta::ReparseError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ReparsePoint {
    /// A symbolic link.
    Symlink(Symlink),
    /// A mount point or junction.
    MountPoint(MountPoint),
    /// Any other tag.
    Other {
        /// The tag.
        tag: ReparseTag,
        /// The owner as stored; present for non-Microsoft tags only.
        guid: Option<[u8; 16]>,
        /// The data that the owner stored.
        data: Vec<u8>,
    },
}

impl ReparsePoint {
    /// Creates a symbolic link or mount point from a target as spelled in a tar, in WTF-8.
    ///
    /// `\\?\PATH`, `\\SERVER\SHARE` and `C:PATH` are absolute and get a substitute name that
    /// starts with `\??\`; everything else, including `\PATH`, is relative. The text is not changed
    /// in any other way; slashes stay slashes.
    ///
    /// # Errors
    ///
    /// Returns [`ReparseError::TooLong`] for targets of more than about 16370 units.
    pub fn from_target(target: &[u8], is_mount_point: bool) -> Result<Self, ReparseError> {
        let print_name = crate::wide::from_wtf8(target);
        if is_mount_point {
            let mount_point = MountPoint::from_print_name(print_name);
            mount_point.check_length()?;
            Ok(Self::MountPoint(mount_point))
        } else {
            let symlink = Symlink::from_print_name(print_name);
            symlink.check_length()?;
            Ok(Self::Symlink(symlink))
        }
    }

    /// Returns the target in the form that [`from_target`](Self::from_target) accepts, in WTF-8;
    /// `None` for tags other than symlink and mount point.
    ///
    /// The text preserves the location that Windows follows, which is not always the print name.
    /// To find out whether it preserves everything, compare `from_target(target)` with `self`. A
    /// symbolic link whose flags contradict its name (a relative `C:\x`) cannot be expressed; the
    /// result is its name.
    pub fn target(&self) -> Option<Vec<u8>> {
        let units = match self {
            Self::Symlink(symlink) => symlink.target(),
            Self::MountPoint(mount_point) => mount_point.target(),
            Self::Other { .. } => return None,
        };
        Some(crate::wide::to_wtf8(&units))
    }

    /// Returns the tag.
    pub fn tag(&self) -> ReparseTag {
        match self {
            Self::Symlink(_) => ReparseTag::SYMLINK,
            Self::MountPoint(_) => ReparseTag::MOUNT_POINT,
            Self::Other { tag, .. } => *tag,
        }
    }

    /// Decodes the whole buffer of a reparse point.
    ///
    /// # Errors
    ///
    /// Returns [`ReparseError`] if the buffer is truncated, if a name is outside the buffer or the
    /// substitute name has an odd length, and, for tags other than symlink and mount point, if the
    /// length field is wrong.
    pub fn decode(bytes: &[u8]) -> Result<Self, ReparseError> {
        let Some((&[t0, t1, t2, t3, l0, l1, _, _], data)) = bytes.split_first_chunk() else {
            return Err(ReparseError::Truncated {
                expected: HEADER_SIZE,
                actual: bytes.len(),
            });
        };
        let tag = ReparseTag(u32::from_le_bytes([t0, t1, t2, t3]));
        match tag {
            ReparseTag::SYMLINK => return Symlink::decode(bytes).map(Self::Symlink),
            ReparseTag::MOUNT_POINT => return MountPoint::decode(bytes).map(Self::MountPoint),
            _ => {}
        }
        let (guid, data) = if tag.is_microsoft() {
            (None, data)
        } else {
            let (guid, data) = data.split_first_chunk().ok_or(ReparseError::Truncated {
                expected: HEADER_SIZE + GUID_SIZE,
                actual: bytes.len(),
            })?;
            (Some(*guid), data)
        };
        let expected = usize::from(u16::from_le_bytes([l0, l1]));
        if expected != data.len() {
            let actual = data.len();
            return Err(ReparseError::DataLength {
                tag,
                expected,
                actual,
            });
        }
        let data = data.to_vec();
        Ok(Self::Other { tag, guid, data })
    }

    /// Encodes the whole buffer.
    ///
    /// The names of a link are laid out as in the reference implementation: substitute name first,
    /// a NUL after each. A buffer with another layout does not survive a round trip byte for byte.
    ///
    /// # Errors
    ///
    /// Returns [`ReparseError::TooLong`] if the data does not fit its length field, and
    /// [`ReparseError::Guid`] if the tag lacks a required GUID or must not have one.
    pub fn encode(&self) -> Result<Vec<u8>, ReparseError> {
        match self {
            Self::Symlink(symlink) => symlink.encode(),
            Self::MountPoint(mount_point) => mount_point.encode(),
            Self::Other { tag, guid, data } => {
                let (tag, expected) = (*tag, !tag.is_microsoft());
                if guid.is_some() != expected {
                    return Err(ReparseError::Guid { tag, expected });
                }
                let mut bytes = encode_header(tag, data.len())?;
                bytes.extend(guid.iter().flatten());
                bytes.extend_from_slice(data);
                Ok(bytes)
            }
        }
    }
}

/// Starts a buffer for `data_length` bytes of data.
fn encode_header(tag: ReparseTag, data_length: usize) -> Result<Vec<u8>, ReparseError> {
    let length = check_data_length(tag, data_length)?;
    let mut bytes = Vec::with_capacity(HEADER_SIZE + GUID_SIZE + data_length);
    bytes.extend_from_slice(&tag.0.to_le_bytes());
    bytes.extend_from_slice(&length.to_le_bytes());
    bytes.extend_from_slice(&[0; 2]);
    Ok(bytes)
}

fn check_data_length(tag: ReparseTag, actual: usize) -> Result<u16, ReparseError> {
    u16::try_from(actual).map_err(|_| ReparseError::TooLong {
        tag,
        actual,
        limit: usize::from(u16::MAX),
    })
}
