//! Extended attributes: small named values attached to a file.
//!
//! A backup stream stores them as a list of `FILE_FULL_EA_INFORMATION`, a layer tar as PAX records
//! named `MSWINDOWS.xattr.NAME`. The layout of a list entry, little-endian:
//!
//! | bytes | field |
//! |---|---|
//! | 4 | distance from the start of this entry to the next one, in bytes; 0 in the last entry |
//! | 1 | flags; 0x80 is `FILE_NEED_EA` |
//! | 1 | length of the name, in bytes |
//! | 2 | length of the value, in bytes |
//! | name length + 1 | name in the OEM code page, followed by a NUL |
//! | value length | value |
//!
//! Zeros pad every entry, including the last, to a multiple of 4.
//!
//! Decoding accepts every list that the reference implementation accepts, including unusual ones:
//! an empty name, a byte other than NUL after the name, no padding at the end, extra bytes between
//! and after entries (which are skipped), a last entry that points to the end of the list, and
//! unaligned entries. The one exception is an entry that points into itself. Its bytes would be
//! read twice, and a list of such entries would expand to thousands of times its size.
//!
//! Source: [MS-FSCC] 2.4.16 and `FILE_FULL_EA_INFORMATION` (`wdm.h`); go-winio `ea.go`,
//! `EncodeExtendedAttributes` and `DecodeExtendedAttributes`.

const HEADER_SIZE: usize = 8;
const ALIGNMENT: usize = 4;

/// A list of extended attributes that cannot be read or written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EaError {
    /// The list ends inside an entry.
    #[error(
        "extended attribute at byte {offset} of the list needs {expected} bytes, {actual} are left"
    )]
    Truncated {
        /// Offset of the entry, in bytes.
        offset: usize,
        /// Length of the entry, in bytes.
        expected: usize,
        /// Number of bytes from the start of the entry to the end of the list.
        actual: usize,
    },
    /// The distance to the next entry points outside the list or back into the same entry.
    #[error(
        "extended attribute at byte {offset} of the list gives a distance of {actual} bytes to the \
         next one, outside {minimum} to {maximum}"
    )]
    NextOffset {
        /// Offset of the entry, in bytes.
        offset: usize,
        /// The distance, in bytes.
        actual: u32,
        /// Length of the entry, in bytes.
        minimum: usize,
        /// Number of bytes from the start of the entry to the end of the list.
        maximum: usize,
    },
    /// A name is longer than 255 bytes.
    #[error(
        "name of extended attribute {index} has {actual} bytes, more than {}",
        u8::MAX
    )]
    NameTooLong {
        /// Index in the list of attributes, from 0.
        index: usize,
        /// Length of the name, in bytes.
        actual: usize,
    },
    /// A value is longer than 65535 bytes.
    #[error(
        "value of extended attribute {index} has {actual} bytes, more than {}",
        u16::MAX
    )]
    ValueTooLong {
        /// Index in the list of attributes, from 0.
        index: usize,
        /// Length of the value, in bytes.
        actual: usize,
    },
}

/// One extended attribute.
///
/// ```
/// use ntmeta::{ExtendedAttribute, ea};
///
/// let list = [ExtendedAttribute {
///     flags: 0,
///     name: b"FOO".to_vec(),
///     value: b"bar".to_vec(),
/// }];
/// let bytes = ea::encode_list(&list)?;
/// assert_eq!(bytes, b"\0\0\0\0\0\x03\x03\0FOO\0bar\0");
/// assert_eq!(ea::decode_list(&bytes)?, list);
/// # Ok::<(), ntmeta::EaError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct ExtendedAttribute {
    /// Flags; 0x80 (`FILE_NEED_EA`) marks an attribute without which the file cannot be
    /// interpreted.
    pub flags: u8,
    /// The name, at most 255 bytes, without the NUL.
    pub name: Vec<u8>,
    /// The value, at most 65535 bytes.
    pub value: Vec<u8>,
}

/// Encodes a list; an empty list encodes to no bytes.
///
/// # Errors
///
/// Returns [`EaError::NameTooLong`] or [`EaError::ValueTooLong`] if a name or value does not fit
/// its length field.
pub fn encode_list(attributes: &[ExtendedAttribute]) -> Result<Vec<u8>, EaError> {
    let mut bytes = Vec::new();
    for (index, attribute) in attributes.iter().enumerate() {
        let ExtendedAttribute { flags, name, value } = attribute;
        let name_length = u8::try_from(name.len()).map_err(|_| EaError::NameTooLong {
            index,
            actual: name.len(),
        })?;
        let value_length = u16::try_from(value.len()).map_err(|_| EaError::ValueTooLong {
            index,
            actual: value.len(),
        })?;
        let length = (HEADER_SIZE + name.len() + 1 + value.len()).next_multiple_of(ALIGNMENT);
        let is_last = index + 1 == attributes.len();
        // An entry is shorter than 2^17 bytes.
        let next_offset = if is_last { 0 } else { length as u32 };

        let end = bytes.len() + length;
        bytes.extend_from_slice(&next_offset.to_le_bytes());
        bytes.extend_from_slice(&[*flags, name_length]);
        bytes.extend_from_slice(&value_length.to_le_bytes());
        bytes.extend_from_slice(name);
        bytes.push(0);
        bytes.extend_from_slice(value);
        bytes.resize(end, 0);
    }
    Ok(bytes)
}

/// Decodes a list. The order is preserved, and so are attributes with equal names.
///
/// # Errors
///
/// Returns [`EaError::Truncated`] if the list ends inside an entry, and [`EaError::NextOffset`] if
/// the distance to the next entry is invalid.
pub fn decode_list(bytes: &[u8]) -> Result<Vec<ExtendedAttribute>, EaError> {
    let mut attributes = Vec::new();
    let mut offset = 0;
    let mut rest = bytes;
    while !rest.is_empty() {
        let (attribute, length, next_offset) = decode_entry(rest, offset)?;
        attributes.push(attribute);
        if next_offset == 0 {
            break;
        }
        let step = usize::try_from(next_offset)
            .ok()
            .filter(|step| (length..=rest.len()).contains(step))
            .ok_or(EaError::NextOffset {
                offset,
                actual: next_offset,
                minimum: length,
                maximum: rest.len(),
            })?;
        offset += step;
        rest = rest.get(step..).unwrap_or_default();
    }
    Ok(attributes)
}

/// Decodes the entry at the start of `rest`; also returns its length and the distance to the next.
fn decode_entry(rest: &[u8], offset: usize) -> Result<(ExtendedAttribute, usize, u32), EaError> {
    let truncated = |expected| EaError::Truncated {
        offset,
        expected,
        actual: rest.len(),
    };
    let (header, body) = rest
        .split_first_chunk::<HEADER_SIZE>()
        .ok_or(truncated(HEADER_SIZE))?;
    let [n0, n1, n2, n3, flags, name_length, v0, v1] = *header;
    let name_length = usize::from(name_length);
    let value_length = usize::from(u16::from_le_bytes([v0, v1]));
    let length = HEADER_SIZE + name_length + 1 + value_length;
    let body = body.get(..length - HEADER_SIZE).ok_or(truncated(length))?;
    let (name, value) = body.split_at(name_length);
    let attribute = ExtendedAttribute {
        flags,
        name: name.to_vec(),
        value: value[1..].to_vec(),
    };
    Ok((attribute, length, u32::from_le_bytes([n0, n1, n2, n3])))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    fn attribute(flags: u8, name: &[u8], value: &[u8]) -> ExtendedAttribute {
        ExtendedAttribute {
            flags,
            name: name.to_vec(),
            value: value.to_vec(),
        }
    }

    #[test]
    fn entries_are_padded_to_four_bytes() {
        let list = [
            attribute(0, b"FOO", b"bar"),
            attribute(0x80, b"FIZZ", b"buzz"),
        ];
        let bytes = b"\x10\0\0\0\0\x03\x03\0FOO\0bar\0\0\0\0\0\x80\x04\x04\0FIZZ\0buzz\0\0\0";
        assert_eq!(encode_list(&list).unwrap(), bytes);
        assert_eq!(decode_list(bytes).unwrap(), list);
        assert_eq!(encode_list(&[]).unwrap(), b"");
        assert_eq!(decode_list(b"").unwrap(), []);
    }

    #[test]
    fn unusual_lists_are_read_like_the_reference_reads_them() {
        let foo = attribute(0, b"FOO", b"bar");
        for (bytes, expected) in [
            (&b"\0\0\0\0\0\x03\x03\0FOO\0bar"[..], foo.clone()),
            (b"\x10\0\0\0\0\x03\x03\0FOO\0bar\0", foo.clone()),
            (b"\0\0\0\0\0\x03\x03\0FOOXbar\0", foo.clone()),
            (b"\0\0\0\0\0\x03\x03\0FOO\0bar\0\x01\x02\x03\x04\x05", foo),
            (b"\0\0\0\0\0\0\0\0\0", attribute(0, b"", b"")),
        ] {
            assert_eq!(decode_list(bytes).unwrap(), [expected]);
        }
    }

    #[test]
    fn malformed_lists_are_rejected_with_the_offset_of_the_entry() {
        let truncated = |offset, expected, actual| EaError::Truncated {
            offset,
            expected,
            actual,
        };
        let next_offset = |actual, minimum, maximum| EaError::NextOffset {
            offset: 0,
            actual,
            minimum,
            maximum,
        };
        for (bytes, expected) in [
            (&b"\0\0\0\0\0\x03\x03"[..], truncated(0, 8, 7)),
            (b"\0\0\0\0\0\0\0\0", truncated(0, 9, 8)),
            (b"\0\0\0\0\0\x03\x03\0FOO\0b", truncated(0, 15, 13)),
            (b"\x10\0\0\0\0\x03\x03\0FOO\0bar\0\0\0", truncated(16, 8, 2)),
            (
                b"\xc8\0\0\0\0\x03\x03\0FOO\0bar\0",
                next_offset(200, 15, 16),
            ),
            (
                b"\0\0\0\x80\0\x03\x03\0FOO\0bar\0",
                next_offset(1 << 31, 15, 16),
            ),
            (b"\x01\0\0\0\0\0\0\0\0\0\0\0", next_offset(1, 9, 12)),
        ] {
            assert_eq!(decode_list(bytes), Err(expected), "{bytes:x?}");
        }
    }

    #[test]
    fn lengths_that_do_not_fit_are_rejected() {
        let fits = attribute(0, &[b'n'; 255], &[7; 65_535]);
        assert_eq!(
            decode_list(&encode_list(std::slice::from_ref(&fits)).unwrap()),
            Ok(vec![fits])
        );
        let good = attribute(0, b"A", b"");
        assert_eq!(
            encode_list(&[good.clone(), attribute(0, &[b'n'; 256], b"")]),
            Err(EaError::NameTooLong {
                index: 1,
                actual: 256
            })
        );
        assert_eq!(
            encode_list(&[good, attribute(0, b"n", &[7; 65_536])]),
            Err(EaError::ValueTooLong {
                index: 1,
                actual: 65_536
            })
        );
    }

    proptest! {
        #[test]
        fn lists_survive(
            list in vec((any::<u8>(), vec(any::<u8>(), 0..20), vec(any::<u8>(), 0..20)), 0..6),
        ) {
            let list: Vec<_> = list
                .into_iter()
                .map(|(flags, name, value)| ExtendedAttribute { flags, name, value })
                .collect();
            let bytes = encode_list(&list).unwrap();
            prop_assert_eq!(decode_list(&bytes), Ok(list));
        }

        #[test]
        fn garbage_neither_panics_nor_expands(
            bytes in vec(prop_oneof![Just(0_u8), 0..20_u8, any::<u8>()], 0..80),
        ) {
            if let Ok(list) = decode_list(&bytes) {
                let total: usize = list.iter().map(|ea| 9 + ea.name.len() + ea.value.len()).sum();
                prop_assert!(total <= bytes.len());
            }
        }
    }
}
