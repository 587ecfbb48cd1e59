//! The strings of SDDL: account aliases, access rights, entry types and entry flags.
//!
//! Source: `sddl.h` of the Windows SDK; \[MS-DTYP\] 2.5.1.1 and 2.4.2.4 for their values.

use super::super::{AceFlags, AceType, Sid};

/// The meaning of a two-letter account alias.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Account {
    /// A well-known SID: authority and sub-authorities.
    Fixed(u64, &'static [u32]),
    /// A RID below `S-1-5-32`.
    Builtin(u32),
    /// A RID below the SID of the machine or domain.
    Domain(u32),
}

use Account::{Builtin, Domain, Fixed};

/// The account aliases, in alphabetical order.
const ACCOUNTS: &[(&str, Account)] = &[
    ("AA", Builtin(579)),
    ("AC", Fixed(15, &[2, 1])),
    ("AN", Fixed(5, &[7])),
    ("AO", Builtin(548)),
    ("AP", Domain(525)),
    ("AS", Fixed(18, &[1])),
    ("AU", Fixed(5, &[11])),
    ("BA", Builtin(544)),
    ("BG", Builtin(546)),
    ("BO", Builtin(551)),
    ("BU", Builtin(545)),
    ("CA", Domain(517)),
    ("CD", Builtin(574)),
    ("CG", Fixed(3, &[1])),
    ("CN", Domain(522)),
    ("CO", Fixed(3, &[0])),
    ("CY", Builtin(569)),
    ("DA", Domain(512)),
    ("DC", Domain(515)),
    ("DD", Domain(516)),
    ("DG", Domain(514)),
    ("DU", Domain(513)),
    ("EA", Domain(519)),
    ("ED", Fixed(5, &[9])),
    ("EK", Domain(527)),
    ("ER", Builtin(573)),
    ("ES", Builtin(576)),
    ("HA", Builtin(578)),
    ("HI", Fixed(16, &[12288])),
    ("HO", Builtin(584)),
    ("IS", Builtin(568)),
    ("IU", Fixed(5, &[4])),
    ("KA", Domain(526)),
    ("LA", Domain(500)),
    ("LG", Domain(501)),
    ("LS", Fixed(5, &[19])),
    ("LU", Builtin(559)),
    ("LW", Fixed(16, &[4096])),
    ("ME", Fixed(16, &[8192])),
    ("MP", Fixed(16, &[8448])),
    ("MS", Builtin(577)),
    ("MU", Builtin(558)),
    ("NO", Builtin(556)),
    ("NS", Fixed(5, &[20])),
    ("NU", Fixed(5, &[2])),
    ("OW", Fixed(3, &[4])),
    ("PA", Domain(520)),
    ("PO", Builtin(550)),
    ("PS", Fixed(5, &[10])),
    ("PU", Builtin(547)),
    ("RA", Builtin(575)),
    ("RC", Fixed(5, &[12])),
    ("RD", Builtin(555)),
    ("RE", Builtin(552)),
    ("RM", Builtin(580)),
    ("RO", Domain(498)),
    ("RS", Domain(553)),
    ("RU", Builtin(554)),
    ("SA", Domain(518)),
    ("SI", Fixed(16, &[16384])),
    ("SO", Builtin(549)),
    ("SS", Fixed(18, &[2])),
    ("SU", Fixed(5, &[6])),
    ("SY", Fixed(5, &[18])),
    ("UD", Fixed(5, &[84, 0, 0, 0, 0, 0])),
    ("WD", Fixed(1, &[0])),
    ("WR", Fixed(5, &[33])),
];

/// Finds an account alias, ignoring case.
pub(super) fn account(alias: &str) -> Option<(&'static str, Account)> {
    ACCOUNTS
        .iter()
        .find(|entry| entry.0.eq_ignore_ascii_case(alias))
        .copied()
}

/// Returns the alias of a SID.
pub(super) fn account_alias(sid: &Sid, domain: Option<&Sid>) -> Option<&'static str> {
    let parts = (sid.authority(), sid.sub_authorities());
    let domain_rid = domain.and_then(|domain| match parts.1.split_last() {
        Some((rid, rest)) if (parts.0, rest) == (domain.authority(), domain.sub_authorities()) => {
            Some(*rid)
        }
        _ => None,
    });
    let matches = |account| match account {
        Fixed(authority, sub_authorities) => parts == (authority, sub_authorities),
        Builtin(rid) => parts == (5, &[32, rid]),
        Domain(rid) => domain_rid == Some(rid),
    };
    ACCOUNTS
        .iter()
        .find(|entry| matches(entry.1))
        .map(|entry| entry.0)
}

/// Names of sets of rights. `KX` is the same set as `KR`, and `KR` is written.
const RIGHT_SETS: &[(&str, u32)] = &[
    ("FA", 0x001f_01ff),
    ("FR", 0x0012_0089),
    ("FW", 0x0012_0116),
    ("FX", 0x0012_00a0),
    ("KA", 0x000f_003f),
    ("KR", 0x0002_0019),
    ("KW", 0x0002_0006),
    ("KX", 0x0002_0019),
];

/// Names of single rights, in output order.
const RIGHTS: &[(&str, u32)] = &[
    ("CC", 0x0000_0001),
    ("DC", 0x0000_0002),
    ("LC", 0x0000_0004),
    ("SW", 0x0000_0008),
    ("RP", 0x0000_0010),
    ("WP", 0x0000_0020),
    ("DT", 0x0000_0040),
    ("LO", 0x0000_0080),
    ("CR", 0x0000_0100),
    ("SD", 0x0001_0000),
    ("RC", 0x0002_0000),
    ("WD", 0x0004_0000),
    ("WO", 0x0008_0000),
    ("GA", 0x1000_0000),
    ("GX", 0x2000_0000),
    ("GW", 0x4000_0000),
    ("GR", 0x8000_0000),
];

/// Names of the policy bits of a mandatory label.
const LABEL_POLICIES: &[(&str, u32)] = &[("NW", 1), ("NR", 2), ("NX", 4)];

/// Finds the name of a right or of a set of rights, ignoring case.
pub(super) fn right(name: &str) -> Option<u32> {
    let tables = [RIGHT_SETS, RIGHTS, LABEL_POLICIES];
    let mut entries = tables.into_iter().flatten();
    entries
        .find(|entry| entry.0.eq_ignore_ascii_case(name))
        .map(|entry| entry.1)
}

/// Formats an access mask as Windows does: the name of a set, the names of all bits, or a
/// hexadecimal number if a bit has no name; nothing for an empty mask.
pub(super) fn rights_text(ace_type: AceType, mask: u32) -> String {
    let (sets, bits) = if ace_type == AceType::SYSTEM_MANDATORY_LABEL {
        (&[][..], LABEL_POLICIES)
    } else {
        (RIGHT_SETS, RIGHTS)
    };
    if let Some(set) = sets.iter().find(|set| set.1 == mask) {
        return set.0.to_owned();
    }
    if bits.iter().fold(0, |all, bit| all | bit.1) & mask != mask {
        return format!("{mask:#x}");
    }
    bits.iter()
        .filter(|bit| mask & bit.1 != 0)
        .map(|bit| bit.0)
        .collect()
}

/// The entry types that have a name.
const ACE_TYPES: &[(&str, AceType)] = &[
    ("A", AceType::ACCESS_ALLOWED),
    ("D", AceType::ACCESS_DENIED),
    ("AU", AceType::SYSTEM_AUDIT),
    ("AL", AceType::SYSTEM_ALARM),
    ("OA", AceType::ACCESS_ALLOWED_OBJECT),
    ("OD", AceType::ACCESS_DENIED_OBJECT),
    ("OU", AceType::SYSTEM_AUDIT_OBJECT),
    ("OL", AceType::SYSTEM_ALARM_OBJECT),
    ("XA", AceType::ACCESS_ALLOWED_CALLBACK),
    ("XD", AceType::ACCESS_DENIED_CALLBACK),
    ("XU", AceType::SYSTEM_AUDIT_CALLBACK),
    ("ZA", AceType::ACCESS_ALLOWED_CALLBACK_OBJECT),
    ("ML", AceType::SYSTEM_MANDATORY_LABEL),
    ("RA", AceType::SYSTEM_RESOURCE_ATTRIBUTE),
    ("SP", AceType::SYSTEM_SCOPED_POLICY_ID),
    ("TL", AceType::SYSTEM_PROCESS_TRUST_LABEL),
    ("FL", AceType::SYSTEM_ACCESS_FILTER),
];

/// Finds the name of an entry type, ignoring case.
pub(super) fn ace_type(name: &str) -> Option<AceType> {
    ACE_TYPES
        .iter()
        .find(|entry| entry.0.eq_ignore_ascii_case(name))
        .map(|entry| entry.1)
}

/// Returns the name of an entry type.
pub(super) fn ace_type_name(ace_type: AceType) -> Option<&'static str> {
    ACE_TYPES
        .iter()
        .find(|entry| entry.1 == ace_type)
        .map(|entry| entry.0)
}

/// The flag written as `TP` in an access filter and as `SA` elsewhere.
const TRUST_PROTECTED_FILTER: &str = "TP";

/// The flags of entries, in output order.
const ACE_FLAGS: &[(&str, AceFlags)] = &[
    ("OI", AceFlags::OBJECT_INHERIT),
    ("CI", AceFlags::CONTAINER_INHERIT),
    ("NP", AceFlags::NO_PROPAGATE_INHERIT),
    ("IO", AceFlags::INHERIT_ONLY),
    ("ID", AceFlags::INHERITED),
    ("CR", AceFlags::CRITICAL),
    ("SA", AceFlags::SUCCESSFUL_ACCESS),
    ("FA", AceFlags::FAILED_ACCESS),
];

/// Finds the name of an entry flag, ignoring case.
pub(super) fn ace_flag(name: &str) -> Option<AceFlags> {
    if name.eq_ignore_ascii_case(TRUST_PROTECTED_FILTER) {
        return Some(AceFlags::SUCCESSFUL_ACCESS);
    }
    ACE_FLAGS
        .iter()
        .find(|entry| entry.0.eq_ignore_ascii_case(name))
        .map(|entry| entry.1)
}

/// Returns the flags of an entry as text.
pub(super) fn ace_flags_text(ace_type: AceType, flags: AceFlags) -> String {
    let name = |entry: &(&'static str, AceFlags)| {
        let filter = ace_type == AceType::SYSTEM_ACCESS_FILTER;
        if filter && entry.1 == AceFlags::SUCCESSFUL_ACCESS {
            TRUST_PROTECTED_FILTER
        } else {
            entry.0
        }
    };
    ACE_FLAGS
        .iter()
        .filter(|entry| flags.contains(entry.1))
        .map(name)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aliases_are_unique_and_sorted() {
        assert!(ACCOUNTS.windows(2).all(|pair| pair[0].0 < pair[1].0));
        for (index, entry) in ACCOUNTS.iter().enumerate() {
            assert!(
                ACCOUNTS[..index].iter().all(|other| other.1 != entry.1),
                "{}",
                entry.0
            );
        }
    }

    #[test]
    fn rights_are_written_as_set_as_letters_or_as_number() {
        for (mask, expected) in [
            (0, ""),
            (0x1f_01ff, "FA"),
            (0x1200a0, "FX"),
            (0x20019, "KR"),
            (0xff, "CCDCLCSWRPWPDTLO"),
            (0xf_01ff, "CCDCLCSWRPWPDTLOCRSDRCWDWO"),
            (0xe00f_0000, "SDRCWDWOGXGWGR"),
            (0x1000_0000, "GA"),
            (0x1200a9, "0x1200a9"),
            (0x201f_01ff, "0x201f01ff"),
        ] {
            assert_eq!(rights_text(AceType::ACCESS_ALLOWED, mask), expected);
        }
        assert_eq!(rights_text(AceType::SYSTEM_MANDATORY_LABEL, 7), "NWNRNX");
        assert_eq!(rights_text(AceType::SYSTEM_MANDATORY_LABEL, 9), "0x9");
    }

    #[test]
    fn the_name_of_bit_0x40_depends_on_the_entry_type() {
        let flags = AceFlags::SUCCESSFUL_ACCESS | AceFlags::FAILED_ACCESS;
        assert_eq!(ace_flags_text(AceType::SYSTEM_AUDIT, flags), "SAFA");
        assert_eq!(ace_flags_text(AceType::SYSTEM_ACCESS_FILTER, flags), "TPFA");
    }
}
