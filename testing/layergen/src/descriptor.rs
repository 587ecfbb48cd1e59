//! Security descriptors in self-relative form, built from their parts.
//!
//! Source: MS-DTYP 2.4 (SID, ACE, ACL, SECURITY_DESCRIPTOR). Numbers are little-endian, except the
//! 48-bit authority of a SID, which is big-endian.

/// An access control entry that allows access.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ace {
    /// The SID of the account.
    pub sid: Vec<u8>,
    /// Access mask.
    pub mask: u32,
    /// Inheritance flags: 1 objects, 2 containers, 8 inherit only, 0x10 inherited.
    pub flags: u8,
}

/// Builds a SID from its authority and sub-authorities.
pub fn sid(authority: u8, subauthorities: &[u32]) -> Vec<u8> {
    let mut sid = vec![1, subauthorities.len() as u8, 0, 0, 0, 0, 0, authority];
    sid.extend(subauthorities.iter().flat_map(|sub| sub.to_le_bytes()));
    sid
}

/// Builds a descriptor from owner, group and DACL, which follow the header in this order;
/// `control` is added to SELF_RELATIVE and DACL_PRESENT.
pub fn security_descriptor(owner: &[u8], group: &[u8], dacl: &[Ace], control: u16) -> Vec<u8> {
    let at_group = 20 + owner.len() as u32;
    let at_dacl = at_group + group.len() as u32;
    let mut bytes = vec![1, 0];
    bytes.extend_from_slice(&(0x8004 | control).to_le_bytes());
    for offset in [20, at_group, 0, at_dacl] {
        bytes.extend_from_slice(&offset.to_le_bytes());
    }
    bytes.extend_from_slice(owner);
    bytes.extend_from_slice(group);
    let size = 8 + dacl.iter().map(|ace| 8 + ace.sid.len()).sum::<usize>();
    bytes.extend_from_slice(&[2, 0]);
    bytes.extend_from_slice(&(size as u16).to_le_bytes());
    bytes.extend_from_slice(&(dacl.len() as u32).to_le_bytes());
    for ace in dacl {
        bytes.extend_from_slice(&[0, ace.flags]);
        bytes.extend_from_slice(&(8 + ace.sid.len() as u16).to_le_bytes());
        bytes.extend_from_slice(&ace.mask.to_le_bytes());
        bytes.extend_from_slice(&ace.sid);
    }
    bytes
}

const FULL: u32 = 0x001f_01ff;
const MODIFY: u32 = 0x0013_01bf;
const READ_EXECUTE: u32 = 0x0012_00a9;
const PROTECTED: u16 = 0x1000;

/// Returns twelve distinct descriptors like those of Windows files: 0 to 5 for files, 6 to 11 for
/// directories (their entries are inherited).
pub fn standard_descriptors() -> Vec<Vec<u8>> {
    let system = sid(5, &[18]);
    let administrators = sid(5, &[32, 544]);
    let users = sid(5, &[32, 545]);
    let authenticated = sid(5, &[11]);
    let network_service = sid(5, &[20]);
    let packages = sid(15, &[2, 1]);
    let installer = sid(
        5,
        &[
            80,
            956_008_885,
            3_418_522_649,
            1_831_038_044,
            1_853_292_631,
            2_271_478_464,
        ],
    );
    let mut descriptors = Vec::new();
    for flags in [0, 3] {
        let ace = |sid: &Vec<u8>, mask| Ace {
            sid: sid.clone(),
            mask,
            flags,
        };
        let allow_admins = [ace(&system, FULL), ace(&administrators, FULL)];
        let os = [
            ace(&installer, FULL),
            ace(&administrators, READ_EXECUTE),
            ace(&system, READ_EXECUTE),
            ace(&users, READ_EXECUTE),
            ace(&packages, READ_EXECUTE),
        ];
        let and = |more: &[Ace]| [&allow_admins[..], more].concat();
        let with_users = and(&[ace(&users, READ_EXECUTE)]);
        descriptors.push(security_descriptor(&installer, &installer, &os, PROTECTED));
        descriptors.push(security_descriptor(
            &installer,
            &installer,
            &os[..4],
            PROTECTED,
        ));
        descriptors.push(security_descriptor(&system, &system, &with_users, 0x400));
        descriptors.push(security_descriptor(
            &administrators,
            &system,
            &allow_admins,
            PROTECTED,
        ));
        descriptors.push(security_descriptor(
            &administrators,
            &system,
            &and(&[ace(&authenticated, MODIFY)]),
            0,
        ));
        descriptors.push(security_descriptor(
            &system,
            &system,
            &and(&[ace(&network_service, MODIFY), ace(&users, READ_EXECUTE)]),
            PROTECTED,
        ));
    }
    descriptors
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_layout_is_header_owner_group_dacl() {
        let system = sid(5, &[18]);
        let ace = Ace {
            sid: system.clone(),
            mask: 0x0102_0304,
            flags: 3,
        };
        let bytes = security_descriptor(&system, &system, &[ace], 0x1000);
        let expected = [
            &[
                1, 0, 4, 0x90, 20, 0, 0, 0, 32, 0, 0, 0, 0, 0, 0, 0, 44, 0, 0, 0,
            ][..],
            &system,
            &system,
            &[2, 0, 28, 0, 1, 0, 0, 0],
            &[0, 3, 20, 0, 4, 3, 2, 1],
            &system,
        ];
        assert_eq!(bytes, expected.concat());
        assert_eq!(system, [1, 1, 0, 0, 0, 0, 0, 5, 18, 0, 0, 0]);
    }

    #[test]
    fn the_twelve_are_distinct() {
        let mut descriptors = standard_descriptors();
        descriptors.sort();
        descriptors.dedup();
        assert_eq!(descriptors.len(), 12);
    }
}
