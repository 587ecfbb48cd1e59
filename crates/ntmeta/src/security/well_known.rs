//! The names of well-known SIDs, which are the same on every Windows machine.
//!
//! Source: \[MS-DTYP\] 2.4.2.4 (well-known SIDs) and the English account names that
//! `LookupAccountSid` returns; service SIDs (`S-1-5-80-...`) are hashes of service names.

/// Returns the account name of a well-known SID.
pub(super) fn name(authority: u64, sub_authorities: &[u32]) -> Option<&'static str> {
    if let (5, [32, rid]) = (authority, sub_authorities) {
        return BUILTIN
            .iter()
            .find(|entry| entry.0 == *rid)
            .map(|entry| entry.1);
    }
    NAMES
        .iter()
        .find(|entry| entry.0 == authority && entry.1 == sub_authorities)
        .map(|entry| entry.2)
}

/// Returns the authority and sub-authorities of a name, with or without its domain.
pub(super) fn find(name: &str) -> Option<(u64, Vec<u32>)> {
    let is_it = |known: &str| {
        let bare = known.rsplit('\\').next().unwrap_or(known);
        [known, bare].iter().any(|at| at.eq_ignore_ascii_case(name))
    };
    let builtin = BUILTIN.iter().find(|entry| is_it(entry.1));
    let other = || NAMES.iter().find(|entry| is_it(entry.2));
    match builtin {
        Some((rid, _)) => Some((5, vec![32, *rid])),
        None => other().map(|(authority, rest, _)| (*authority, rest.to_vec())),
    }
}

/// RIDs below `S-1-5-32`.
const BUILTIN: &[(u32, &str)] = &[
    (544, "BUILTIN\\Administrators"),
    (545, "BUILTIN\\Users"),
    (546, "BUILTIN\\Guests"),
    (547, "BUILTIN\\Power Users"),
    (548, "BUILTIN\\Account Operators"),
    (549, "BUILTIN\\Server Operators"),
    (550, "BUILTIN\\Print Operators"),
    (551, "BUILTIN\\Backup Operators"),
    (552, "BUILTIN\\Replicator"),
    (554, "BUILTIN\\Pre-Windows 2000 Compatible Access"),
    (555, "BUILTIN\\Remote Desktop Users"),
    (556, "BUILTIN\\Network Configuration Operators"),
    (557, "BUILTIN\\Incoming Forest Trust Builders"),
    (558, "BUILTIN\\Performance Monitor Users"),
    (559, "BUILTIN\\Performance Log Users"),
    (560, "BUILTIN\\Windows Authorization Access Group"),
    (561, "BUILTIN\\Terminal Server License Servers"),
    (562, "BUILTIN\\Distributed COM Users"),
    (568, "BUILTIN\\IIS_IUSRS"),
    (569, "BUILTIN\\Cryptographic Operators"),
    (573, "BUILTIN\\Event Log Readers"),
    (574, "BUILTIN\\Certificate Service DCOM Access"),
    (575, "BUILTIN\\RDS Remote Access Servers"),
    (576, "BUILTIN\\RDS Endpoint Servers"),
    (577, "BUILTIN\\RDS Management Servers"),
    (578, "BUILTIN\\Hyper-V Administrators"),
    (579, "BUILTIN\\Access Control Assistance Operators"),
    (580, "BUILTIN\\Remote Management Users"),
    (581, "BUILTIN\\System Managed Accounts Group"),
    (582, "BUILTIN\\Storage Replica Administrators"),
    (583, "BUILTIN\\Device Owners"),
    (584, "BUILTIN\\User Mode Hardware Operators"),
];

/// Authority, sub-authorities and name of all other well-known SIDs.
const NAMES: &[(u64, &[u32], &str)] = &[
    (0, &[0], "NULL SID"),
    (1, &[0], "Everyone"),
    (2, &[0], "LOCAL"),
    (2, &[1], "CONSOLE LOGON"),
    (3, &[0], "CREATOR OWNER"),
    (3, &[1], "CREATOR GROUP"),
    (3, &[2], "CREATOR OWNER SERVER"),
    (3, &[3], "CREATOR GROUP SERVER"),
    (3, &[4], "OWNER RIGHTS"),
    (5, &[1], "NT AUTHORITY\\DIALUP"),
    (5, &[2], "NT AUTHORITY\\NETWORK"),
    (5, &[3], "NT AUTHORITY\\BATCH"),
    (5, &[4], "NT AUTHORITY\\INTERACTIVE"),
    (5, &[6], "NT AUTHORITY\\SERVICE"),
    (5, &[7], "NT AUTHORITY\\ANONYMOUS LOGON"),
    (5, &[8], "NT AUTHORITY\\PROXY"),
    (5, &[9], "NT AUTHORITY\\ENTERPRISE DOMAIN CONTROLLERS"),
    (5, &[10], "NT AUTHORITY\\SELF"),
    (5, &[11], "NT AUTHORITY\\Authenticated Users"),
    (5, &[12], "NT AUTHORITY\\RESTRICTED"),
    (5, &[13], "NT AUTHORITY\\TERMINAL SERVER USER"),
    (5, &[14], "NT AUTHORITY\\REMOTE INTERACTIVE LOGON"),
    (5, &[15], "NT AUTHORITY\\This Organization"),
    (5, &[17], "NT AUTHORITY\\IUSR"),
    (5, &[18], "NT AUTHORITY\\SYSTEM"),
    (5, &[19], "NT AUTHORITY\\LOCAL SERVICE"),
    (5, &[20], "NT AUTHORITY\\NETWORK SERVICE"),
    (5, &[33], "NT AUTHORITY\\WRITE RESTRICTED"),
    (5, &[64, 10], "NT AUTHORITY\\NTLM Authentication"),
    (5, &[64, 14], "NT AUTHORITY\\SChannel Authentication"),
    (5, &[64, 21], "NT AUTHORITY\\Digest Authentication"),
    (5, &[80, 0], "NT SERVICE\\ALL SERVICES"),
    (
        5,
        &[
            80,
            956_008_885,
            3_418_522_649,
            1_831_038_044,
            1_853_292_631,
            2_271_478_464,
        ],
        "NT SERVICE\\TrustedInstaller",
    ),
    (5, &[83, 0], "NT VIRTUAL MACHINE\\Virtual Machines"),
    (5, &[84, 0, 0, 0, 0, 0], "NT AUTHORITY\\USER MODE DRIVERS"),
    (5, &[90, 0], "Window Manager\\Window Manager Group"),
    // The two accounts of processes in a container.
    (5, &[93, 2, 1], "User Manager\\ContainerAdministrator"),
    (5, &[93, 2, 2], "User Manager\\ContainerUser"),
    (5, &[113], "NT AUTHORITY\\Local account"),
    (
        5,
        &[114],
        "NT AUTHORITY\\Local account and member of Administrators group",
    ),
    (
        15,
        &[2, 1],
        "APPLICATION PACKAGE AUTHORITY\\ALL APPLICATION PACKAGES",
    ),
    (
        15,
        &[2, 2],
        "APPLICATION PACKAGE AUTHORITY\\ALL RESTRICTED APPLICATION PACKAGES",
    ),
    (16, &[0], "Mandatory Label\\Untrusted Mandatory Level"),
    (16, &[4096], "Mandatory Label\\Low Mandatory Level"),
    (16, &[8192], "Mandatory Label\\Medium Mandatory Level"),
    (16, &[8448], "Mandatory Label\\Medium Plus Mandatory Level"),
    (16, &[12288], "Mandatory Label\\High Mandatory Level"),
    (16, &[16384], "Mandatory Label\\System Mandatory Level"),
    (18, &[1], "Authentication authority asserted identity"),
    (18, &[2], "Service asserted identity"),
];

#[cfg(test)]
mod tests {
    use crate::security::Sid;

    #[test]
    fn names_require_the_whole_sid() {
        for (sid, expected) in [
            ("S-1-1-0", Some("Everyone")),
            ("S-1-5-18", Some("NT AUTHORITY\\SYSTEM")),
            ("S-1-5-32-545", Some("BUILTIN\\Users")),
            ("S-1-5-93-2-1", Some("User Manager\\ContainerAdministrator")),
            (
                "S-1-5-80-956008885-3418522649-1831038044-1853292631-2271478464",
                Some("NT SERVICE\\TrustedInstaller"),
            ),
            ("S-1-5-32-544-1", None),
            ("S-1-5-32", None),
            ("S-1-5-21-1-2-3-500", None),
        ] {
            assert_eq!(
                sid.parse::<Sid>().unwrap().well_known_name(),
                expected,
                "{sid}"
            );
        }
    }

    #[test]
    fn each_name_belongs_to_one_sid() {
        let builtin = super::BUILTIN.iter().map(|entry| entry.1);
        let names: Vec<_> = builtin
            .chain(super::NAMES.iter().map(|entry| entry.2))
            .collect();
        for name in names {
            let bare = name.rsplit('\\').next().unwrap().to_lowercase();
            for spelling in [name, &bare] {
                let sid = Sid::from_well_known_name(spelling).expect(spelling);
                assert_eq!(sid.well_known_name(), Some(name));
            }
        }
        for wrong in ["", "BUILTIN", "BUILTIN\\", "nobody", "NT AUTHORITY\\Users"] {
            assert_eq!(Sid::from_well_known_name(wrong), None, "{wrong}");
        }
    }
}
