//! Security descriptors in self-relative form.
//!
//! Layout: a 20-byte header (revision 1, resource manager byte, `u16` control flags, then `u32`
//! offsets of owner, group, SACL and DACL, 0 if absent) and the four parts in any order. The
//! control flags determine whether a list is present. A list that is present but has no offset is a
//! NULL ACL, which is not the same as an empty list.
//!
//! Two orders are common: owner, group, DACL, SACL, which [`SecurityDescriptor::to_bytes`] writes,
//! and SACL, DACL, owner, group. Keep the original bytes where the order matters.
//!
//! Source: \[MS-DTYP\] 2.4.6. The orders were observed in the output of
//! `ConvertStringSecurityDescriptorToSecurityDescriptor`: the former with Wine 8, the latter in
//! buffers that other projects recorded on Windows Server.

use super::bytes::{array, len_u32, pad_to_4, size_u32};
use super::{Acl, SecurityError, Sid};

/// The size of the header, in bytes.
const HEADER_SIZE: usize = 20;

/// The only known revision.
const REVISION: u8 = 1;

/// The positions of the offset fields in the header, in bytes.
const OWNER_FIELD: usize = 4;
const GROUP_FIELD: usize = 8;
const SACL_FIELD: usize = 12;
const DACL_FIELD: usize = 16;

bitflags::bitflags! {
    /// The control flags of a security descriptor.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
    pub struct ControlFlags: u16 {
        /// `SE_OWNER_DEFAULTED`.
        const OWNER_DEFAULTED = 0x0001;
        /// `SE_GROUP_DEFAULTED`.
        const GROUP_DEFAULTED = 0x0002;
        /// `SE_DACL_PRESENT`.
        const DACL_PRESENT = 0x0004;
        /// `SE_DACL_DEFAULTED`.
        const DACL_DEFAULTED = 0x0008;
        /// `SE_SACL_PRESENT`.
        const SACL_PRESENT = 0x0010;
        /// `SE_SACL_DEFAULTED`.
        const SACL_DEFAULTED = 0x0020;
        /// `SE_DACL_UNTRUSTED`.
        const DACL_UNTRUSTED = 0x0040;
        /// `SE_SERVER_SECURITY`.
        const SERVER_SECURITY = 0x0080;
        /// `SE_DACL_AUTO_INHERIT_REQ`.
        const DACL_AUTO_INHERIT_REQ = 0x0100;
        /// `SE_SACL_AUTO_INHERIT_REQ`.
        const SACL_AUTO_INHERIT_REQ = 0x0200;
        /// `SE_DACL_AUTO_INHERITED`.
        const DACL_AUTO_INHERITED = 0x0400;
        /// `SE_SACL_AUTO_INHERITED`.
        const SACL_AUTO_INHERITED = 0x0800;
        /// `SE_DACL_PROTECTED`: the DACL does not inherit entries.
        const DACL_PROTECTED = 0x1000;
        /// `SE_SACL_PROTECTED`: the SACL does not inherit entries.
        const SACL_PROTECTED = 0x2000;
        /// `SE_RM_CONTROL_VALID`: the resource manager byte is meaningful.
        const RM_CONTROL_VALID = 0x4000;
        /// `SE_SELF_RELATIVE`.
        const SELF_RELATIVE = 0x8000;
    }
}

/// One of the two lists of a descriptor.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum AclSlot {
    /// No list: the descriptor does not specify one.
    #[default]
    Absent,
    /// A NULL list: no access control, everything is allowed (`NO_ACCESS_CONTROL`).
    Null,
    /// A list; an empty one allows nothing.
    Present(Acl),
}

/// A security descriptor.
///
/// ```
/// use ntmeta::security::{AclSlot, SecurityDescriptor};
///
/// let descriptor = SecurityDescriptor::from_sddl("O:BAG:SYD:(A;;FA;;;SY)")?;
/// let bytes = descriptor.to_bytes()?;
/// let again = SecurityDescriptor::parse(&bytes)?;
/// assert_eq!(again, descriptor);
/// assert!(matches!(&again.dacl, AclSlot::Present(acl) if acl.aces.len() == 1));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecurityDescriptor {
    /// The control flags. [`SELF_RELATIVE`](ControlFlags::SELF_RELATIVE) and the two flags for the
    /// presence of a list are derived from the other fields when the descriptor is encoded.
    pub control: ControlFlags,
    /// The byte called `Sbz1` in the header: resource manager control bits.
    pub resource_manager_control: u8,
    /// The owner.
    pub owner: Option<Sid>,
    /// The primary group.
    pub group: Option<Sid>,
    /// The system list: audit rules, labels and attributes.
    pub sacl: AclSlot,
    /// The discretionary list, which grants and denies access.
    pub dacl: AclSlot,
}

impl Default for SecurityDescriptor {
    /// Creates a descriptor without any parts.
    fn default() -> Self {
        Self {
            control: ControlFlags::SELF_RELATIVE,
            resource_manager_control: 0,
            owner: None,
            group: None,
            sacl: AclSlot::Absent,
            dacl: AclSlot::Absent,
        }
    }
}

impl SecurityDescriptor {
    /// Parses a self-relative descriptor. Parts may be in any order, share bytes, and have unused
    /// bytes around them.
    ///
    /// # Errors
    ///
    /// Returns [`SecurityError`] with the byte offset for descriptors that Windows rejects too:
    /// an absolute descriptor, an offset into the header, a part outside `data`, a malformed part.
    pub fn parse(data: &[u8]) -> Result<Self, SecurityError> {
        let [revision, resource_manager_control, control @ ..] =
            array::<4>(data, 0, "security descriptor")?;
        array::<HEADER_SIZE>(data, 0, "security descriptor")?;
        if revision != REVISION {
            let structure = "security descriptor";
            return Err(SecurityError::Revision {
                structure,
                offset: 0,
                actual: revision,
            });
        }
        let control = ControlFlags::from_bits_retain(u16::from_le_bytes(control));
        if !control.contains(ControlFlags::SELF_RELATIVE) {
            return Err(SecurityError::NotSelfRelative {
                control: control.bits(),
            });
        }
        let sid = |field, structure| -> Result<Option<Sid>, SecurityError> {
            let offset = part_offset(data, field, structure)?;
            offset.map(|offset| Sid::parse_at(data, offset)).transpose()
        };
        let acl = |present, field, structure| -> Result<AclSlot, SecurityError> {
            if !control.contains(present) {
                // In this case, Windows ignores the offset.
                return Ok(AclSlot::Absent);
            }
            match part_offset(data, field, structure)? {
                Some(offset) => Acl::parse_at(data, offset).map(AclSlot::Present),
                None => Ok(AclSlot::Null),
            }
        };
        Ok(Self {
            owner: sid(OWNER_FIELD, "owner")?,
            group: sid(GROUP_FIELD, "group")?,
            sacl: acl(ControlFlags::SACL_PRESENT, SACL_FIELD, "SACL")?,
            dacl: acl(ControlFlags::DACL_PRESENT, DACL_FIELD, "DACL")?,
            control,
            resource_manager_control,
        })
    }

    /// Returns the self-relative form: header, owner, group, DACL, SACL, each aligned to 4 bytes.
    ///
    /// A parsed descriptor loses only the order of its parts and the bytes that belong to none of
    /// them.
    ///
    /// # Errors
    ///
    /// Returns [`SecurityError`] if a list exceeds 65,535 bytes or contains an entry that cannot be
    /// encoded.
    pub fn to_bytes(&self) -> Result<Vec<u8>, SecurityError> {
        let mut control = self.control | ControlFlags::SELF_RELATIVE;
        control.set(ControlFlags::SACL_PRESENT, self.sacl != AclSlot::Absent);
        control.set(ControlFlags::DACL_PRESENT, self.dacl != AclSlot::Absent);
        let mut out = vec![0; HEADER_SIZE];
        out[..2].copy_from_slice(&[REVISION, self.resource_manager_control]);
        out[2..4].copy_from_slice(&control.bits().to_le_bytes());
        for (field, sid) in [(OWNER_FIELD, &self.owner), (GROUP_FIELD, &self.group)] {
            if let Some(sid) = sid {
                push_part(&mut out, field, &sid.to_bytes())?;
            }
        }
        for (field, slot) in [(DACL_FIELD, &self.dacl), (SACL_FIELD, &self.sacl)] {
            if let AclSlot::Present(acl) = slot {
                push_part(&mut out, field, &acl.to_bytes()?)?;
            }
        }
        Ok(out)
    }
}

/// Reads the offset at `field` of the header; 0 means that the part is absent.
fn part_offset(
    data: &[u8],
    field: usize,
    structure: &'static str,
) -> Result<Option<usize>, SecurityError> {
    match size_u32(data, field, structure)? {
        0 => Ok(None),
        actual if actual < HEADER_SIZE => Err(SecurityError::OffsetInHeader { structure, actual }),
        offset => Ok(Some(offset)),
    }
}

/// Appends a part and stores its offset at `field` of the header.
fn push_part(out: &mut Vec<u8>, field: usize, part: &[u8]) -> Result<(), SecurityError> {
    pad_to_4(out);
    let offset = len_u32(out.len(), "security descriptor")?;
    out[field..field + 4].copy_from_slice(&offset.to_le_bytes());
    out.extend_from_slice(part);
    Ok(())
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::super::acl::tests::any_acl;
    use super::super::sid::tests::any_sid;
    use super::*;

    fn any_slot() -> impl Strategy<Value = AclSlot> {
        prop_oneof![
            1 => Just(AclSlot::Absent),
            1 => Just(AclSlot::Null),
            3 => any_acl().prop_map(AclSlot::Present),
        ]
    }

    /// Any descriptor whose control flags agree with its lists.
    pub(crate) fn any_descriptor() -> impl Strategy<Value = SecurityDescriptor> {
        let sid = || proptest::option::of(any_sid());
        (
            any::<u16>(),
            any::<u8>(),
            sid(),
            sid(),
            any_slot(),
            any_slot(),
        )
            .prop_map(
                |(control, resource_manager_control, owner, group, sacl, dacl)| {
                    let mut control = ControlFlags::from_bits_retain(control);
                    control.insert(ControlFlags::SELF_RELATIVE);
                    control.set(ControlFlags::SACL_PRESENT, sacl != AclSlot::Absent);
                    control.set(ControlFlags::DACL_PRESENT, dacl != AclSlot::Absent);
                    SecurityDescriptor {
                        control,
                        resource_manager_control,
                        owner,
                        group,
                        sacl,
                        dacl,
                    }
                },
            )
    }

    fn header(control: u16, offsets: [u32; 4]) -> Vec<u8> {
        let mut bytes = vec![1, 0];
        bytes.extend(control.to_le_bytes());
        bytes.extend(offsets.iter().flat_map(|offset| offset.to_le_bytes()));
        bytes
    }

    #[test]
    fn absent_null_and_empty_lists_differ() {
        let absent = SecurityDescriptor::parse(&header(0x8000, [0; 4])).unwrap();
        assert_eq!(absent.dacl, AclSlot::Absent);
        let null = SecurityDescriptor::parse(&header(0x8004, [0; 4])).unwrap();
        assert_eq!(null.dacl, AclSlot::Null);
        let mut bytes = header(0x8004, [0, 0, 0, 20]);
        bytes.extend([2, 0, 8, 0, 0, 0, 0, 0]);
        let empty = SecurityDescriptor::parse(&bytes).unwrap();
        assert_eq!(empty.dacl, AclSlot::Present(Acl::new(Vec::new())));
        for descriptor in [absent, null, empty] {
            let bytes = descriptor.to_bytes().unwrap();
            assert_eq!(SecurityDescriptor::parse(&bytes).unwrap(), descriptor);
        }
    }

    #[test]
    fn parts_may_come_in_any_order_and_share_bytes() {
        let mut bytes = header(0x8004, [32, 32, 0, 20]);
        bytes.extend([2, 0, 8, 0, 0, 0, 0, 0]);
        bytes.extend([0xff; 4]);
        bytes.extend([1, 1, 0, 0, 0, 0, 0, 5, 18, 0, 0, 0]);
        let descriptor = SecurityDescriptor::parse(&bytes).unwrap();
        assert_eq!(descriptor.owner, descriptor.group);
        let canonical = descriptor.to_bytes().unwrap();
        assert_eq!(
            canonical[4..20],
            [20, 0, 0, 0, 32, 0, 0, 0, 0, 0, 0, 0, 44, 0, 0, 0]
        );
        assert_eq!(SecurityDescriptor::parse(&canonical).unwrap(), descriptor);
    }

    #[test]
    fn offset_of_an_absent_list_is_ignored() {
        let descriptor = SecurityDescriptor::parse(&header(0x8000, [0, 0, 999, 3])).unwrap();
        assert_eq!(descriptor, SecurityDescriptor::default());
    }

    #[test]
    fn malformed_headers_are_rejected() {
        let parse = |bytes: &[u8]| SecurityDescriptor::parse(bytes).unwrap_err();
        assert!(matches!(
            parse(&[]),
            SecurityError::Truncated { offset: 0, .. }
        ));
        assert!(matches!(
            parse(&header(0x8000, [0; 4])[..19]),
            SecurityError::Truncated { .. }
        ));
        assert_eq!(
            parse(&header(0x0004, [0; 4])),
            SecurityError::NotSelfRelative { control: 4 }
        );
        assert_eq!(
            parse(&header(0x8000, [19, 0, 0, 0])),
            SecurityError::OffsetInHeader {
                structure: "owner",
                actual: 19
            }
        );
        assert!(matches!(
            parse(&header(0x8000, [0, u32::MAX, 0, 0])),
            SecurityError::Truncated {
                structure: "SID",
                ..
            }
        ));
        let mut bytes = header(0x8000, [0; 4]);
        bytes[0] = 2;
        assert!(matches!(
            parse(&bytes),
            SecurityError::Revision { actual: 2, .. }
        ));
    }

    proptest! {
        #[test]
        fn encode_then_parse_is_lossless(descriptor in any_descriptor()) {
            let bytes = descriptor.to_bytes().unwrap();
            prop_assert_eq!(SecurityDescriptor::parse(&bytes).unwrap(), descriptor);
        }

        #[test]
        fn parsed_descriptors_survive_a_round_trip(
            mut bytes in proptest::collection::vec(any::<u8>(), 20..200),
            offsets in any::<[u8; 4]>(),
        ) {
            // Garbage with a plausible header gets past the first checks.
            let offsets = offsets.map(|offset| u32::from(offset % 64));
            bytes[..20].copy_from_slice(&header(0x8014, offsets));
            for offset in offsets {
                if let Some(byte) = bytes.get_mut(offset as usize..).and_then(<[u8]>::first_mut) {
                    *byte = 1 + *byte % 2;
                }
            }
            if let Ok(descriptor) = SecurityDescriptor::parse(&bytes) {
                let again = descriptor.to_bytes().unwrap();
                prop_assert_eq!(SecurityDescriptor::parse(&again).unwrap(), descriptor);
            }
        }

        #[test]
        fn garbage_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = SecurityDescriptor::parse(&bytes);
        }

        #[test]
        fn damaged_descriptors_never_panic(
            descriptor in any_descriptor(),
            damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        ) {
            let mut bytes = descriptor.to_bytes().unwrap();
            for (index, value) in damage {
                let index = index.index(bytes.len());
                bytes[index] = value;
            }
            if let Ok(descriptor) = SecurityDescriptor::parse(&bytes) {
                let again = descriptor.to_bytes().unwrap();
                let again = SecurityDescriptor::parse(&again).unwrap();
                prop_assert_eq!(again, descriptor);
            }
        }
    }
}
