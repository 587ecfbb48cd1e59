//! GUIDs: 16 bytes, whose first three fields are little-endian, and their text form.
//!
//! Object ACEs use them to identify directory object types. Source: \[MS-DTYP\] 2.3.4.2 (packet
//! form) and 2.3.4.3 (text form, here without braces as in SDDL).

use std::fmt;
use std::str::FromStr;

use super::SddlError;

/// A GUID in its binary form.
///
/// ```
/// use ntmeta::security::Guid;
///
/// let guid: Guid = "bf967aba-0de6-11d0-a285-00aa003049e2".parse()?;
/// assert_eq!(guid.0[..4], [0xba, 0x7a, 0x96, 0xbf]);
/// # Ok::<(), ntmeta::SddlError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Guid(
    /// The 16 bytes: `u32`, `u16`, `u16` (all little-endian), then 8 bytes in text order.
    pub [u8; 16],
);

/// The byte of the binary form for each pair of digits in the text form.
const TEXT_ORDER: [usize; 16] = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15];

/// The lengths of the groups in the text form, in digits.
const GROUPS: [usize; 5] = [8, 4, 4, 4, 12];

impl fmt::Display for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, &byte) in TEXT_ORDER.iter().enumerate() {
            if matches!(index, 4 | 6 | 8 | 10) {
                f.write_str("-")?;
            }
            write!(f, "{:02x}", self.0[byte])?;
        }
        Ok(())
    }
}

impl FromStr for Guid {
    type Err = SddlError;

    /// Parses `bf967aba-0de6-11d0-a285-00aa003049e2`, in either case and without braces.
    fn from_str(text: &str) -> Result<Self, SddlError> {
        let error = || SddlError::InvalidGuid {
            offset: 0,
            text: text.to_owned(),
        };
        if !text.split('-').map(str::len).eq(GROUPS) {
            return Err(error());
        }
        let digits = text.chars().filter(|&c| c != '-').map(|c| c.to_digit(16));
        let digits: Vec<u32> = digits.collect::<Option<_>>().ok_or_else(error)?;
        let mut bytes = [0; 16];
        for (pair, &byte) in digits.chunks_exact(2).zip(&TEXT_ORDER) {
            bytes[byte] = (pair[0] * 16 + pair[1]) as u8;
        }
        Ok(Self(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_three_fields_are_little_endian() {
        let guid: Guid = "bf967ABA-0de6-11d0-a285-00aa003049e2".parse().unwrap();
        assert_eq!(
            guid.0[..8],
            [0xba, 0x7a, 0x96, 0xbf, 0xe6, 0x0d, 0xd0, 0x11]
        );
        assert_eq!(guid.0[8..10], [0xa2, 0x85]);
        assert_eq!(guid.to_string(), "bf967aba-0de6-11d0-a285-00aa003049e2");
    }

    #[test]
    fn other_forms_are_rejected() {
        for text in [
            "",
            "{bf967aba-0de6-11d0-a285-00aa003049e2}",
            "bf967aba0de611d0a28500aa003049e2",
            "bf967aba-0de6-11d0-a285-00potato49e2",
            "bf967abaé0de6-11d0-a285-00aa003049e2",
            "bf967aba-0de-611d0-a285-00aa003049e2",
        ] {
            assert!(text.parse::<Guid>().is_err(), "{text}");
        }
    }
}
