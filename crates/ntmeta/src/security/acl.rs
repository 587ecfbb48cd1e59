//! Access control lists: an 8-byte header followed by an ordered list of entries.
//!
//! Layout: revision byte, zero byte, `u16` size of the whole list, `u16` entry count, `u16` zero,
//! the entries, and often unused bytes up to the size, since Windows reserves generous space.
//!
//! Source: \[MS-DTYP\] 2.4.5.

use super::bytes::{array, len_u16, size_u16, take};
use super::{Ace, SecurityError};

/// The size of a list's header, in bytes.
const HEADER_SIZE: usize = 8;

/// An access control list.
///
/// ```
/// use ntmeta::security::{Ace, AceFlags, AceType, Acl, AclSlot, SecurityDescriptor, Sid};
///
/// let system: Sid = "S-1-5-18".parse()?;
/// let full_control = Ace::new(AceType::ACCESS_ALLOWED, AceFlags::empty(), 0x001f_01ff, system);
/// let descriptor = SecurityDescriptor {
///     dacl: AclSlot::Present(Acl::new(vec![full_control])),
///     ..SecurityDescriptor::default()
/// };
/// assert_eq!(descriptor.to_sddl()?, "D:(A;;FA;;;SY)");
/// # Ok::<(), ntmeta::SddlError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acl {
    /// The revision, 2 to 4; see [`Acl::REVISION`] and [`Acl::REVISION_DS`].
    pub revision: u8,
    /// The first reserved field.
    pub reserved1: u8,
    /// The second reserved field.
    pub reserved2: u16,
    /// The entries, in the order in which Windows applies them.
    pub aces: Vec<Ace>,
    /// The bytes between the last entry and the end of the list.
    pub slack: Vec<u8>,
}

impl Acl {
    /// The revision of a list without object entries.
    pub const REVISION: u8 = 2;
    /// The revision of a list with object entries.
    pub const REVISION_DS: u8 = 4;

    /// Creates a list of `aces`, with the revision they require.
    #[must_use]
    pub fn new(aces: Vec<Ace>) -> Self {
        let object = aces.iter().any(|ace| ace.ace_type.is_object());
        let revision = if object {
            Self::REVISION_DS
        } else {
            Self::REVISION
        };
        Self {
            revision,
            reserved1: 0,
            reserved2: 0,
            aces,
            slack: Vec::new(),
        }
    }

    /// Parses the list at byte `offset` of `data`.
    pub(super) fn parse_at(data: &[u8], offset: usize) -> Result<Self, SecurityError> {
        let [revision, reserved1, _, _, _, _, reserved2 @ ..] =
            array::<HEADER_SIZE>(data, offset, "ACL")?;
        if !(Self::REVISION..=Self::REVISION_DS).contains(&revision) {
            return Err(SecurityError::Revision {
                structure: "ACL",
                offset,
                actual: revision,
            });
        }
        let size = size_u16(data, offset + 2, "ACL")?;
        if size < HEADER_SIZE {
            let (actual, minimum) = (size, HEADER_SIZE);
            return Err(SecurityError::SizeTooSmall {
                structure: "ACL",
                offset,
                actual,
                minimum,
            });
        }
        take(data, offset, size, "ACL")?;
        let count = size_u16(data, offset + 4, "ACL")?;
        let data = &data[..offset + size];
        let mut next = offset + HEADER_SIZE;
        let mut aces = Vec::new();
        for _ in 0..count {
            let (ace, size) = Ace::parse_at(data, next)?;
            aces.push(ace);
            next += size;
        }
        let slack = data[next..].to_vec();
        let reserved2 = u16::from_le_bytes(reserved2);
        Ok(Self {
            revision,
            reserved1,
            reserved2,
            aces,
            slack,
        })
    }

    /// Returns the binary form.
    ///
    /// # Errors
    ///
    /// Returns [`SecurityError`] if the list exceeds 65,535 bytes or entries, or an entry cannot be
    /// encoded.
    pub fn to_bytes(&self) -> Result<Vec<u8>, SecurityError> {
        let count = u16::try_from(self.aces.len()).map_err(|_| SecurityError::TooManyAces {
            actual: self.aces.len(),
        })?;
        let mut out = vec![self.revision, self.reserved1, 0, 0];
        out.extend_from_slice(&count.to_le_bytes());
        out.extend_from_slice(&self.reserved2.to_le_bytes());
        for ace in &self.aces {
            ace.encode(&mut out)?;
            len_u16(out.len(), "ACL")?;
        }
        out.extend_from_slice(&self.slack);
        let size = len_u16(out.len(), "ACL")?;
        out[2..4].copy_from_slice(&size.to_le_bytes());
        Ok(out)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::super::ace::tests::any_ace;
    use super::super::{AceFlags, AceType, Sid};
    use super::*;

    /// Any list of a few entries.
    pub(crate) fn any_acl() -> impl Strategy<Value = Acl> {
        let aces = proptest::collection::vec(any_ace(), 0..5);
        let slack = proptest::collection::vec(any::<u8>(), 0..9);
        (2u8..=4, any::<u8>(), any::<u16>(), aces, slack).prop_map(
            |(revision, reserved1, reserved2, aces, slack)| Acl {
                revision,
                reserved1,
                reserved2,
                aces,
                slack,
            },
        )
    }

    #[test]
    fn slack_and_reserved_fields_are_kept() {
        let bytes = [2, 9, 12, 0, 0, 0, 7, 8, 0xde, 0xad, 0xbe, 0xef];
        let acl = Acl::parse_at(&bytes, 0).unwrap();
        assert_eq!((acl.reserved1, acl.reserved2), (9, 0x0807));
        assert_eq!(acl.slack, [0xde, 0xad, 0xbe, 0xef]);
        assert_eq!(acl.to_bytes().unwrap(), bytes);
    }

    #[test]
    fn malformed_lists_are_rejected() {
        let cases: [&[u8]; 5] = [
            &[2, 0, 8, 0],
            &[1, 0, 8, 0, 0, 0, 0, 0],
            &[2, 0, 7, 0, 0, 0, 0, 0],
            &[2, 0, 9, 0, 0, 0, 0, 0],
            // The count is one, but there is no entry.
            &[2, 0, 8, 0, 1, 0, 0, 0],
        ];
        for bytes in cases {
            assert!(Acl::parse_at(bytes, 0).is_err(), "{bytes:?}");
        }
    }

    #[test]
    fn list_above_64_kib_is_rejected_on_encode() {
        let everyone = Sid::new(1, &[0]).unwrap();
        let ace = Ace::new(AceType::ACCESS_ALLOWED, AceFlags::empty(), 1, everyone);
        // 20 bytes an entry: 3276 entries take 65,520 bytes, and 65,528 with the header.
        assert_eq!(
            Acl::new(vec![ace.clone(); 3276]).to_bytes().unwrap().len(),
            65_528
        );
        let expected = SecurityError::TooLarge {
            structure: "ACL",
            actual: 65_548,
        };
        assert_eq!(Acl::new(vec![ace; 3277]).to_bytes(), Err(expected));
    }

    proptest! {
        #[test]
        fn encode_then_parse_is_lossless(acl in any_acl()) {
            let bytes = acl.to_bytes().unwrap();
            prop_assert_eq!(Acl::parse_at(&bytes, 0).unwrap(), acl);
        }
    }
}
