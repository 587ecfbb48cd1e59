//! Security identifiers: the numbers that identify users, groups and services.
//!
//! Layout: revision byte (1), count of sub-authorities (at most 15), a 48-bit *big-endian*
//! authority, then the sub-authorities as little-endian `u32`.
//!
//! Source: \[MS-DTYP\] 2.4.2.2 (packet form) and 2.4.2.1 (text form).

use std::fmt;
use std::str::FromStr;

use super::bytes::{array, take};
use super::{SddlError, SecurityError, well_known};

/// The only known revision.
const REVISION: u8 = 1;

/// The size of a SID without sub-authorities, in bytes.
const HEADER_SIZE: usize = 8;

/// The maximum number of sub-authorities.
const MAX_SUB_AUTHORITIES: usize = 15;

/// One more than the largest authority.
const AUTHORITY_LIMIT: u64 = 1 << 48;

/// A security identifier.
///
/// ```
/// use ntmeta::security::Sid;
///
/// let sid: Sid = "S-1-5-32-544".parse()?;
/// assert_eq!(sid.to_bytes(), [1, 2, 0, 0, 0, 0, 0, 5, 32, 0, 0, 0, 32, 2, 0, 0]);
/// assert_eq!(sid.well_known_name(), Some("BUILTIN\\Administrators"));
/// # Ok::<(), ntmeta::security::SddlError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Sid {
    authority: u64,
    sub_authorities: Vec<u32>,
}

impl Sid {
    /// Creates a SID from its authority and sub-authorities.
    ///
    /// # Errors
    ///
    /// Returns [`SecurityError::Authority`] if the authority does not fit into 48 bits, and
    /// [`SecurityError::SubAuthorityCount`] if there are more than 15 sub-authorities.
    pub fn new(authority: u64, sub_authorities: &[u32]) -> Result<Self, SecurityError> {
        if authority >= AUTHORITY_LIMIT {
            return Err(SecurityError::Authority { actual: authority });
        }
        if sub_authorities.len() > MAX_SUB_AUTHORITIES {
            let actual = sub_authorities.len();
            return Err(SecurityError::SubAuthorityCount { offset: 0, actual });
        }
        Ok(Self {
            authority,
            sub_authorities: sub_authorities.to_vec(),
        })
    }

    /// Parses the SID at the start of `data`; bytes after it are ignored.
    ///
    /// # Errors
    ///
    /// Returns [`SecurityError`] for a revision other than 1, more than 15 sub-authorities, or too
    /// few bytes.
    pub fn parse(data: &[u8]) -> Result<Self, SecurityError> {
        Self::parse_at(data, 0)
    }

    /// Parses the SID at byte `offset` of `data`.
    pub(super) fn parse_at(data: &[u8], offset: usize) -> Result<Self, SecurityError> {
        let [revision, count, authority @ ..] = array::<HEADER_SIZE>(data, offset, "SID")?;
        if revision != REVISION {
            return Err(SecurityError::Revision {
                structure: "SID",
                offset,
                actual: revision,
            });
        }
        let count = usize::from(count);
        if count > MAX_SUB_AUTHORITIES {
            return Err(SecurityError::SubAuthorityCount {
                offset,
                actual: count,
            });
        }
        let (words, _) =
            take(data, offset, HEADER_SIZE + 4 * count, "SID")?[HEADER_SIZE..].as_chunks::<4>();
        Ok(Self {
            authority: authority
                .iter()
                .fold(0, |value, &byte| value << 8 | u64::from(byte)),
            sub_authorities: words.iter().map(|&word| u32::from_le_bytes(word)).collect(),
        })
    }

    /// Returns the 48-bit identifier authority; 5 is NT AUTHORITY.
    #[must_use]
    pub fn authority(&self) -> u64 {
        self.authority
    }

    /// Returns the sub-authorities; the last one is the relative identifier (RID).
    #[must_use]
    pub fn sub_authorities(&self) -> &[u32] {
        &self.sub_authorities
    }

    /// Returns the size of the binary form, in bytes.
    #[must_use]
    pub fn encoded_len(&self) -> usize {
        HEADER_SIZE + 4 * self.sub_authorities.len()
    }

    /// Returns the binary form.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        // `new` and `parse` keep the count below 16.
        let mut out = vec![REVISION, self.sub_authorities.len() as u8];
        out.extend_from_slice(&self.authority.to_be_bytes()[2..]);
        out.extend(
            self.sub_authorities
                .iter()
                .flat_map(|value| value.to_le_bytes()),
        );
        out
    }

    /// Returns the account name that an English Windows shows for a well-known SID,
    /// `DOMAIN\Name` or just `Name`; `None` for a SID that depends on the machine or domain.
    #[must_use]
    pub fn well_known_name(&self) -> Option<&'static str> {
        well_known::name(self.authority, &self.sub_authorities)
    }

    /// Finds a well-known SID by name, in any case, with or without the domain: `BUILTIN\Users` or
    /// `users`. This is the reverse of [`well_known_name`](Self::well_known_name).
    #[must_use]
    pub fn from_well_known_name(name: &str) -> Option<Self> {
        let (authority, sub_authorities) = well_known::find(name)?;
        Self::new(authority, &sub_authorities).ok()
    }
}

impl fmt::Display for Sid {
    /// Writes `S-1-5-32-544`. An authority of 2^32 or more is written as upper-case hexadecimal
    /// without leading zeros, as `ConvertSidToStringSid` does.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.authority > u64::from(u32::MAX) {
            write!(f, "S-1-0x{:X}", self.authority)?;
        } else {
            write!(f, "S-1-{}", self.authority)?;
        }
        self.sub_authorities
            .iter()
            .try_for_each(|value| write!(f, "-{value}"))
    }
}

impl FromStr for Sid {
    type Err = SddlError;

    /// Parses `S-1-5-32-544`; every number except the revision may be hexadecimal (`0x220`).
    ///
    /// The two-letter aliases of SDDL are not accepted here; see [`sddl`](super::sddl). A number
    /// that Windows would clamp to its largest value is an error.
    fn from_str(text: &str) -> Result<Self, SddlError> {
        parse_text(text).ok_or_else(|| SddlError::InvalidSid {
            offset: 0,
            text: text.to_owned(),
        })
    }
}

/// Parses the text form of a SID.
fn parse_text(text: &str) -> Option<Sid> {
    let numbers = text
        .strip_prefix("S-1-")
        .or_else(|| text.strip_prefix("s-1-"))?;
    let mut numbers = numbers.split('-').map(number);
    let authority = numbers.next()??;
    let sub_authorities: Vec<u32> = numbers
        .map(|value| u32::try_from(value?).ok())
        .collect::<Option<_>>()?;
    Sid::new(authority, &sub_authorities).ok()
}

/// Parses a decimal or `0x` hexadecimal number without a sign.
fn number(text: &str) -> Option<u64> {
    let hex = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"));
    let (digits, radix) = hex.map_or((text, 10), |hex| (hex, 16));
    // `from_str_radix` accepts a sign.
    let all_digits = digits.chars().all(|c| c.is_digit(radix));
    all_digits
        .then(|| u64::from_str_radix(digits, radix).ok())
        .flatten()
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Any SID, biased towards the authorities that occur in practice.
    pub(crate) fn any_sid() -> impl Strategy<Value = Sid> {
        let authority = prop_oneof![3 => 0u64..20, 1 => 0..AUTHORITY_LIMIT];
        let subs = proptest::collection::vec(prop_oneof![0u32..600, any::<u32>()], 0..=15);
        (authority, subs).prop_map(|(authority, subs)| Sid::new(authority, &subs).unwrap())
    }

    #[test]
    fn text_forms_are_equal() {
        for (text, expected) in [
            ("S-1-5-18", "S-1-5-18"),
            ("s-1-1-0", "S-1-1-0"),
            ("S-1-5", "S-1-5"),
            ("S-1-5-21-0x1-0x2-513", "S-1-5-21-1-2-513"),
            ("S-1-0x20-3-4", "S-1-32-3-4"),
            ("S-1-4294967295-0", "S-1-4294967295-0"),
            ("S-1-5000000000-30-40", "S-1-0x12A05F200-30-40"),
            ("S-1-0x12a05f200-30", "S-1-0x12A05F200-30"),
        ] {
            assert_eq!(text.parse::<Sid>().unwrap().to_string(), expected);
        }
    }

    #[test]
    fn malformed_text_is_rejected() {
        for text in [
            "",
            "S",
            "S-",
            "S-1",
            "S-1-",
            "S-2-5-18",
            "S-1-5-",
            "S-1-5-18 ",
            "S-1-+5-18",
            "S-1-5--18",
            "S-1-5-4294967296",
            "S-1-0x1000000000000-1",
            "S-1-0x-1",
            "BA",
            "S-1-5-1-2-3-4-5-6-7-8-9-10-11-12-13-14-15-16",
        ] {
            assert!(text.parse::<Sid>().is_err(), "{text}");
        }
    }

    #[test]
    fn authority_is_big_endian() {
        let sid = Sid::new(0x0102_0304_0506, &[0x0708_090a]).unwrap();
        assert_eq!(sid.to_bytes(), [1, 1, 1, 2, 3, 4, 5, 6, 0x0a, 9, 8, 7]);
    }

    #[test]
    fn malformed_bytes_are_rejected_with_their_offset() {
        let error = Sid::parse_at(&[0, 0, 2, 0, 0, 0, 0, 0, 0, 0], 2).unwrap_err();
        assert_eq!(
            error,
            SecurityError::Revision {
                structure: "SID",
                offset: 2,
                actual: 2
            }
        );
        let error = Sid::parse(&[1, 16, 0, 0, 0, 0, 0, 5]).unwrap_err();
        assert_eq!(
            error,
            SecurityError::SubAuthorityCount {
                offset: 0,
                actual: 16
            }
        );
        assert!(Sid::parse(&[1, 1, 0, 0, 0, 0, 0, 5, 18, 0, 0]).is_err());
        assert!(Sid::parse(&[1, 1, 0, 0]).is_err());
    }

    proptest! {
        #[test]
        fn bytes_and_text_are_lossless(sid in any_sid()) {
            let bytes = sid.to_bytes();
            prop_assert_eq!(bytes.len(), sid.encoded_len());
            prop_assert_eq!(&Sid::parse(&bytes).unwrap(), &sid);
            prop_assert_eq!(&sid.to_string().parse::<Sid>().unwrap(), &sid);
        }
    }
}
