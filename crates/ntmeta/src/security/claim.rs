//! Claims: named lists of values, the application data of resource attribute entries.
//!
//! Layout (`CLAIM_SECURITY_ATTRIBUTE_RELATIVE_V1`): `u32` offset of the name, `u16` value type,
//! `u16` reserved, `u32` flags, `u32` value count, then a `u32` offset for each value. Offsets are
//! relative to the start of the claim. Integers and booleans take 8 bytes; strings, including the
//! name, are UTF-16LE with a NUL; SIDs and octet strings are bytes after a `u32` size. Windows
//! writes the name and the values packed and in order, and so does [`Claim::encode`].
//!
//! Source: \[MS-DTYP\] 2.4.10.1; the packing was observed in descriptors made by Windows.

use super::bytes::{array, len_u32, pad_to_4, push_utf16, size_u32, take, u32_at, utf16};
use super::{SecurityError, Sid};

/// The size of a claim without value offsets, in bytes.
const HEADER_SIZE: usize = 16;

/// A claim: the attribute of a resource.
///
/// ```
/// use ntmeta::security::{Claim, ClaimValues};
///
/// let claim = Claim {
///     name: "Project".to_owned(),
///     reserved: 0,
///     flags: 0,
///     values: ClaimValues::String(vec!["Windows".to_owned(), "SQL".to_owned()]),
/// };
/// let bytes = claim.encode()?;
/// assert_eq!(Claim::decode(&bytes)?, claim);
/// # Ok::<(), ntmeta::SecurityError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// The attribute's name.
    pub name: String,
    /// The reserved field.
    pub reserved: u16,
    /// The flags (`CLAIM_SECURITY_ATTRIBUTE_*` of `winnt.h`); the upper half belongs to the owner.
    pub flags: u32,
    /// The values.
    pub values: ClaimValues,
}

/// The values of a claim, all of one type.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClaimValues {
    /// Signed integers, `TI`.
    Int64(Vec<i64>),
    /// Unsigned integers, `TU`.
    Uint64(Vec<u64>),
    /// Strings, `TS`.
    String(Vec<String>),
    /// SIDs, `TD`.
    Sid(Vec<Sid>),
    /// Booleans, `TB`; zero is false.
    Boolean(Vec<u64>),
    /// Octet strings, `TX`.
    Octets(Vec<Vec<u8>>),
}

impl ClaimValues {
    /// Returns the value type of the binary form.
    fn value_type(&self) -> u16 {
        match self {
            Self::Int64(_) => 0x01,
            Self::Uint64(_) => 0x02,
            Self::String(_) => 0x03,
            Self::Sid(_) => 0x05,
            Self::Boolean(_) => 0x06,
            Self::Octets(_) => 0x10,
        }
    }

    /// Returns the binary form of each value.
    fn encode(&self) -> Result<Vec<Vec<u8>>, SecurityError> {
        match self {
            Self::Int64(values) => Ok(values.iter().map(|v| v.to_le_bytes().to_vec()).collect()),
            Self::Uint64(values) | Self::Boolean(values) => {
                Ok(values.iter().map(|v| v.to_le_bytes().to_vec()).collect())
            }
            Self::String(values) => Ok(values.iter().map(|text| terminated(text)).collect()),
            Self::Sid(values) => values.iter().map(|sid| sized(&sid.to_bytes())).collect(),
            Self::Octets(values) => values.iter().map(|bytes| sized(bytes)).collect(),
        }
    }
}

impl Claim {
    /// Decodes the application data of a resource attribute entry.
    ///
    /// # Errors
    ///
    /// Returns [`SecurityError`] with the byte offset in `data` for an unknown value type, a string
    /// without NUL, overlapping values, and anything that extends past the end.
    pub fn decode(data: &[u8]) -> Result<Self, SecurityError> {
        let name = text_at(data, size_u32(data, 0, "claim")?, "claim name")?.0;
        let value_type = u16::from_le_bytes(array(data, 4, "claim")?);
        let reserved = u16::from_le_bytes(array(data, 6, "claim")?);
        let flags = u32_at(data, 8, "claim")?;
        let count = size_u32(data, 12, "claim")?;
        let offsets_size = count.saturating_mul(4);
        let offsets: Vec<usize> = take(data, HEADER_SIZE, offsets_size, "claim value offsets")?
            .chunks_exact(4)
            .map(|offset| size_u32(offset, 0, "claim"))
            .collect::<Result<_, _>>()?;
        let mut reader = ValueReader {
            data,
            offsets: &offsets,
            budget: data.len(),
        };
        let values = match value_type {
            0x01 => ClaimValues::Int64(reader.read(|data, offset| {
                Ok((i64::from_le_bytes(array(data, offset, "claim integer")?), 8))
            })?),
            0x02 => ClaimValues::Uint64(reader.read(uint_at)?),
            0x03 => ClaimValues::String(
                reader.read(|data, offset| text_at(data, offset, "claim string"))?,
            ),
            0x05 => ClaimValues::Sid(reader.read(sid_at)?),
            0x06 => ClaimValues::Boolean(reader.read(uint_at)?),
            0x10 => ClaimValues::Octets(reader.read(|data, offset| {
                let bytes = sized_at(data, offset)?;
                Ok((bytes.to_vec(), 4 + bytes.len()))
            })?),
            _ => {
                let (structure, actual) = ("claim value type", value_type.into());
                return Err(SecurityError::InvalidValue {
                    structure,
                    offset: 4,
                    actual,
                });
            }
        };
        Ok(Self {
            name,
            reserved,
            flags,
            values,
        })
    }

    /// Encodes the claim, padded with zeros to a multiple of 4 bytes.
    ///
    /// # Errors
    ///
    /// Returns [`SecurityError::TooLarge`] if the claim is too large for its 32-bit offsets.
    pub fn encode(&self) -> Result<Vec<u8>, SecurityError> {
        let name = terminated(&self.name);
        let values = self.values.encode()?;
        let mut next = HEADER_SIZE + 4 * values.len();
        let mut out = len_u32(next, "claim")?.to_le_bytes().to_vec();
        out.extend_from_slice(&self.values.value_type().to_le_bytes());
        out.extend_from_slice(&self.reserved.to_le_bytes());
        out.extend_from_slice(&self.flags.to_le_bytes());
        out.extend_from_slice(&len_u32(values.len(), "claim")?.to_le_bytes());
        next += name.len();
        for value in &values {
            out.extend_from_slice(&len_u32(next, "claim")?.to_le_bytes());
            next += value.len();
        }
        out.extend(name);
        out.extend(values.into_iter().flatten());
        pad_to_4(&mut out);
        Ok(out)
    }
}

/// Reads the values at their offsets.
struct ValueReader<'a> {
    data: &'a [u8],
    offsets: &'a [usize],
    /// How many more bytes the values may take. Without this limit, offsets that refer to the same
    /// bytes many times would make a small claim decode to a large one.
    budget: usize,
}

impl ValueReader<'_> {
    fn read<T>(
        &mut self,
        value: impl Fn(&[u8], usize) -> Result<(T, usize), SecurityError>,
    ) -> Result<Vec<T>, SecurityError> {
        let mut values = Vec::new();
        for (index, &offset) in self.offsets.iter().enumerate() {
            let (value, size) = value(self.data, offset)?;
            self.budget = self
                .budget
                .checked_sub(size)
                .ok_or(SecurityError::ClaimOverlap { index })?;
            values.push(value);
        }
        Ok(values)
    }
}

fn uint_at(data: &[u8], offset: usize) -> Result<(u64, usize), SecurityError> {
    Ok((u64::from_le_bytes(array(data, offset, "claim integer")?), 8))
}

fn sid_at(data: &[u8], offset: usize) -> Result<(Sid, usize), SecurityError> {
    let bytes = sized_at(data, offset)?;
    let sid = Sid::parse(bytes)?;
    if sid.encoded_len() != bytes.len() {
        let actual = bytes.len() as u64;
        return Err(SecurityError::InvalidValue {
            structure: "size of a SID",
            offset,
            actual,
        });
    }
    Ok((sid, 4 + bytes.len()))
}

/// Returns the bytes after the `u32` size at `offset`.
fn sized_at(data: &[u8], offset: usize) -> Result<&[u8], SecurityError> {
    let size = size_u32(data, offset, "claim value")?;
    take(data, offset.saturating_add(4), size, "claim value")
}

/// Returns the NUL-terminated text at `offset` and its size in bytes, including the NUL.
fn text_at(
    data: &[u8],
    offset: usize,
    structure: &'static str,
) -> Result<(String, usize), SecurityError> {
    let rest = data.get(offset..).unwrap_or_default();
    let (units, _) = rest.as_chunks::<2>();
    let length = units.iter().position(|unit| *unit == [0, 0]);
    let length = 2 * length.ok_or(SecurityError::InvalidString { structure, offset })?;
    Ok((utf16(&rest[..length], offset, structure)?, length + 2))
}

/// Returns `text` as UTF-16LE with a NUL.
fn terminated(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    push_utf16(&mut out, text);
    out.extend_from_slice(&[0, 0]);
    out
}

/// Returns `bytes` preceded by their size as a `u32`.
fn sized(bytes: &[u8]) -> Result<Vec<u8>, SecurityError> {
    let mut out = len_u32(bytes.len(), "claim value")?.to_le_bytes().to_vec();
    out.extend_from_slice(bytes);
    Ok(out)
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::super::sid::tests::any_sid;
    use super::*;

    /// Any claim that has a text form.
    pub(crate) fn any_claim() -> impl Strategy<Value = Claim> {
        let values = prop_oneof![
            vec(any::<i64>(), 0..4).prop_map(ClaimValues::Int64),
            vec(any::<u64>(), 0..4).prop_map(ClaimValues::Uint64),
            vec("[^\0\"]{0,6}", 0..4).prop_map(ClaimValues::String),
            vec(any_sid(), 0..4).prop_map(ClaimValues::Sid),
            vec(0u64..=1, 0..4).prop_map(ClaimValues::Boolean),
            vec(vec(any::<u8>(), 0..6), 0..4).prop_map(ClaimValues::Octets),
        ];
        ("[^\0]{1,8}", any::<u32>(), values).prop_map(|(name, flags, values)| Claim {
            name,
            reserved: 0,
            flags,
            values,
        })
    }

    #[test]
    fn name_and_values_are_packed_after_the_offsets() {
        let claim = Claim {
            name: "c".to_owned(),
            reserved: 0,
            flags: 2,
            values: ClaimValues::String(vec!["x".to_owned(), String::new()]),
        };
        let expected = [
            24, 0, 0, 0, 3, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0, // header
            28, 0, 0, 0, 32, 0, 0, 0, // offsets
            b'c', 0, 0, 0, b'x', 0, 0, 0, 0, 0, 0, 0, // name, values, padding
        ];
        assert_eq!(claim.encode().unwrap(), expected);
    }

    #[test]
    fn malformed_claims_are_rejected() {
        let claim = |name: u32, value_type: u16, count: u32, rest: &[u8]| {
            let mut bytes = name.to_le_bytes().to_vec();
            bytes.extend(value_type.to_le_bytes());
            bytes.extend([0; 6]);
            bytes.extend(count.to_le_bytes());
            bytes.extend_from_slice(rest);
            Claim::decode(&bytes).unwrap_err()
        };
        use SecurityError as E;
        assert!(matches!(
            claim(16, 4, 0, &[0, 0]),
            E::InvalidValue {
                offset: 4,
                actual: 4,
                ..
            }
        ));
        assert!(matches!(
            claim(16, 1, 0, &[1, 0]),
            E::InvalidString { offset: 16, .. }
        ));
        assert!(matches!(
            claim(999, 1, 0, &[1, 0]),
            E::InvalidString { offset: 999, .. }
        ));
        assert!(matches!(
            claim(16, 1, u32::MAX, &[0, 0]),
            E::Truncated { .. }
        ));
        assert!(matches!(
            claim(20, 1, 1, &[99, 0, 0, 0, 0, 0]),
            E::Truncated { .. }
        ));
    }

    #[test]
    fn values_that_share_bytes_are_bounded() {
        let mut bytes = vec![0; 4];
        bytes.extend([1, 0, 0, 0, 0, 0, 0, 0, 100, 0, 0, 0]);
        bytes.extend([0; 400]);
        assert!(matches!(
            Claim::decode(&bytes),
            Err(SecurityError::ClaimOverlap { index: 52 })
        ));
    }

    proptest! {
        #[test]
        fn encode_then_decode_is_lossless(claim in any_claim()) {
            let bytes = claim.encode().unwrap();
            prop_assert_eq!(bytes.len() % 4, 0);
            prop_assert_eq!(Claim::decode(&bytes).unwrap(), claim);
        }

        #[test]
        fn garbage_never_panics(
            value_type in 0u8..20,
            mut bytes in vec(0u8..32, 0..80),
        ) {
            if let Some(byte) = bytes.get_mut(4) {
                *byte = value_type;
            }
            let _ = Claim::decode(&bytes);
        }
    }
}
