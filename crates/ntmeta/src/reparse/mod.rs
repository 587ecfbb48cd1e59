//! Reparse points: the tagged buffer on a file that a driver gives a meaning.
//!
//! Symbolic links and mount points (junctions) are two of the tags; every other one is carried as
//! it is. All little-endian:
//!
//! | bytes | field | in |
//! |---|---|---|
//! | 4 | tag, [`ReparseTag`] | all |
//! | 2 | length of what follows the next field (and the GUID), in bytes | all |
//! | 2 | reserved, 0 | all |
//! | 16 | GUID of the owner | tags that are not Microsoft's |
//! | 2 + 2 | substitute name: offset in the name area and length, in bytes | symlink, mount point |
//! | 2 + 2 | print name: the same | symlink, mount point |
//! | 4 | flags; 1: the target is relative | symlink |
//! | | name area, in UTF-16LE | symlink, mount point |
//!
//! The substitute name is what Windows follows; the print name is for display. In a layer tar the
//! target is one text, the link name of the entry: [`ReparsePoint::from_target`] makes both names
//! of it, [`ReparsePoint::target`] makes the text. The text is the print name when that says the
//! same as the substitute name, which is the case for every link that an ordinary tool makes; else
//! it is made from the substitute name, so the link keeps its meaning and loses only its print
//! name.
//!
//! Compared with go-winio, which reads only the print name and only these two tags:
//!
//! | buffer | go-winio | here |
//! |---|---|---|
//! | names that differ | print name | target from the substitute name |
//! | empty print name | empty target | target from the substitute name |
//! | unpaired surrogate | U+FFFD | kept, see [`crate::wide`] |
//! | substitute name of odd length | not looked at | error: what it names is uncertain |
//! | print name of odd length | last byte dropped | same |
//! | name outside of the buffer, buffer cut off | panic | error |
//! | last terminator cut off, bytes after the names | accepted | same |
//! | length field wrong | accepted | same for these two tags, error for all others |
//! | any other tag | error | carried |
//! | encoding that needs more than 16 bits | wraps round, broken buffer | error |
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

/// A reparse point that cannot be read or written; offsets are bytes from the start of the buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReparseError {
    /// The buffer ends before a field that its tag demands.
    #[error("reparse point has {actual} bytes, its fixed fields alone need {expected}")]
    Truncated {
        /// Bytes that the fields need.
        expected: usize,
        /// Bytes that the buffer has.
        actual: usize,
    },
    /// The data length field and the buffer do not agree.
    #[error("reparse point {tag} says it has {expected} bytes of data, its buffer has {actual}")]
    DataLength {
        /// The tag.
        tag: ReparseTag,
        /// The length field, in bytes.
        expected: usize,
        /// The data in the buffer, in bytes.
        actual: usize,
    },
    /// A name is not inside the buffer.
    #[error("reparse point has a name at bytes {offset} to {end}, its buffer has {actual}")]
    NameOutOfBounds {
        /// Where the name starts.
        offset: usize,
        /// Where the name ends.
        end: usize,
        /// Bytes that the buffer has.
        actual: usize,
    },
    /// The substitute name is not a whole number of UTF-16 units.
    #[error("substitute name at byte {offset} of the reparse point has an odd length: {actual}")]
    OddSubstituteName {
        /// Where the name starts.
        offset: usize,
        /// Its length, in bytes.
        actual: usize,
    },
    /// The data does not fit the 16 bits of its length field.
    #[error("reparse point {tag} has {actual} bytes of data, more than {limit}")]
    TooLong {
        /// The tag.
        tag: ReparseTag,
        /// Length of the data, in bytes.
        actual: usize,
        /// The longest that fits, in bytes.
        limit: usize,
    },
    /// A tag that is not Microsoft's has no GUID, or one of Microsoft's has one.
    #[error("reparse point {tag} {}", if *.expected { "needs a GUID" } else { "has no GUID" })]
    Guid {
        /// The tag.
        tag: ReparseTag,
        /// Whether a GUID belongs there.
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
        /// The owner, as stored; present for tags that are not Microsoft's.
        guid: Option<[u8; 16]>,
        /// What the owner has stored.
        data: Vec<u8>,
    },
}

impl ReparsePoint {
    /// Makes a symbolic link or mount point from the target as a tar has it, in WTF-8.
    ///
    /// `\\?\PATH`, `\\SERVER\SHARE` and `C:PATH` are absolute and get a substitute name that
    /// starts with `\??\`; all others, `\PATH` included, are relative. Nothing else in the text is
    /// changed, slashes neither.
    ///
    /// # Errors
    ///
    /// [`ReparseError::TooLong`], from about 16370 units on.
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

    /// Returns the target in the form that [`from_target`](Self::from_target) takes, in WTF-8;
    /// `None` for tags other than symlink and mount point.
    ///
    /// The text keeps what Windows follows, not always the print name: compare
    /// `from_target(target)` with `self` to know whether it says all. A symbolic link whose flags
    /// contradict its name (a relative `C:\x`) has no text of its own and gets its name.
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

    /// Reads the whole buffer of a reparse point.
    ///
    /// # Errors
    ///
    /// [`ReparseError`] for a buffer that is cut off, a name that is not inside it or not whole,
    /// and, for tags other than symlink and mount point, a length field that is wrong.
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

    /// Writes the whole buffer.
    ///
    /// The names of a link come as the reference writes them: substitute name first, a NUL after
    /// each. A buffer that has them in another way is not given back byte for byte.
    ///
    /// # Errors
    ///
    /// [`ReparseError::TooLong`]; [`ReparseError::Guid`] when the GUID does not suit the tag.
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

/// Starts a buffer that is to have `data_length` bytes of data.
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
