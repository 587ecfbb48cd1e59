//! Describes the access control entries of files in words.
//!
//! The names of common rights are those of the Security page of Windows Explorer; the others are
//! the constants of `winnt.h` without `FILE_`.
//!
//! Sources: \[MS-DTYP\] 2.4.3 (access masks), 2.4.4 (entries); `winnt.h` (`FILE_*`).

use std::fmt;

use super::{Ace, AceBody, AceFlags, AceType, Sid};

/// Rights that combine several bits, the largest first.
const GENERIC_NAMES: [(u32, &str); 6] = [
    (0x001F_01FF, "full control"),
    (0x0013_01BF, "modify"),
    (0x0012_00A9, "read and execute"),
    (0x0012_0089, "read"),
    (0x0012_0116, "write"),
    (0x0012_00A0, "execute"),
];

/// Single rights: bit, name for a file, name for a directory.
const RIGHTS: [(u32, &str, &str); 19] = [
    (0x0000_0001, "read data", "list directory"),
    (0x0000_0002, "write data", "add file"),
    (0x0000_0004, "append data", "add subdirectory"),
    (0x0000_0008, "read EA", "read EA"),
    (0x0000_0010, "write EA", "write EA"),
    (0x0000_0020, "execute", "traverse"),
    (0x0000_0040, "delete child", "delete child"),
    (0x0000_0080, "read attributes", "read attributes"),
    (0x0000_0100, "write attributes", "write attributes"),
    (0x0001_0000, "delete", "delete"),
    (0x0002_0000, "read control", "read control"),
    (0x0004_0000, "write DACL", "write DACL"),
    (0x0008_0000, "write owner", "write owner"),
    (0x0010_0000, "synchronize", "synchronize"),
    (
        0x0100_0000,
        "access system security",
        "access system security",
    ),
    (0x1000_0000, "generic all", "generic all"),
    (0x2000_0000, "generic execute", "generic execute"),
    (0x4000_0000, "generic write", "generic write"),
    (0x8000_0000, "generic read", "generic read"),
];

/// The rights in an access mask.
#[must_use]
pub fn rights(mask: u32, is_directory: bool) -> String {
    let mut left = mask;
    let mut names: Vec<String> = Vec::new();
    let whole = GENERIC_NAMES.iter().find(|(bits, _)| mask & bits == *bits);
    if let Some((bits, name)) = whole {
        names.push((*name).to_owned());
        left &= !bits;
    }
    for (bit, file, directory) in RIGHTS {
        if left & bit != 0 {
            names.push(if is_directory { directory } else { file }.to_owned());
            left &= !bit;
        }
    }
    if left != 0 {
        names.push(format!("{left:#x}"));
    }
    match names.is_empty() {
        true => "nothing".to_owned(),
        false => names.join(", "),
    }
}

/// The name of a well-known SID, or the text form of any other.
#[must_use]
pub fn account(sid: &Sid) -> String {
    match sid.well_known_name() {
        Some(name) => name.to_owned(),
        None => sid.to_string(),
    }
}

/// An access control entry in words; see [`Ace::explain`].
#[derive(Debug, Clone, Copy)]
pub struct Explained<'a> {
    ace: &'a Ace,
    is_directory: bool,
}

impl Ace {
    /// Describes the entry of a file or directory: `allow BUILTIN\Users: read and execute
    /// (inherited)`.
    #[must_use]
    pub fn explain(&self, is_directory: bool) -> Explained<'_> {
        Explained {
            ace: self,
            is_directory,
        }
    }
}

impl fmt::Display for Explained<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = self.ace.ace_type;
        match &self.ace.body {
            AceBody::Raw(bytes) => {
                write!(f, "entry of type {:#04x}, {} bytes", kind.0, bytes.len())?;
            }
            AceBody::Trustee { mask, sid, .. } => match kind {
                AceType::SYSTEM_MANDATORY_LABEL => {
                    write!(f, "label {}: policy {mask:#x}", account(sid))?;
                }
                AceType::SYSTEM_RESOURCE_ATTRIBUTE => write!(f, "resource attribute")?,
                AceType::SYSTEM_SCOPED_POLICY_ID => write!(f, "policy {sid}")?,
                AceType::SYSTEM_PROCESS_TRUST_LABEL => write!(f, "trust label {sid}")?,
                _ => write!(
                    f,
                    "{} {}: {}",
                    verb(kind),
                    account(sid),
                    rights(*mask, self.is_directory)
                )?,
            },
        }
        let notes = notes(self.ace);
        match notes.is_empty() {
            true => Ok(()),
            false => write!(f, " ({})", notes.join(", ")),
        }
    }
}

fn verb(kind: AceType) -> &'static str {
    match kind {
        AceType::ACCESS_ALLOWED
        | AceType::ACCESS_ALLOWED_OBJECT
        | AceType::ACCESS_ALLOWED_CALLBACK
        | AceType::ACCESS_ALLOWED_CALLBACK_OBJECT => "allow",
        AceType::ACCESS_DENIED
        | AceType::ACCESS_DENIED_OBJECT
        | AceType::ACCESS_DENIED_CALLBACK
        | AceType::ACCESS_DENIED_CALLBACK_OBJECT => "deny",
        AceType::SYSTEM_AUDIT
        | AceType::SYSTEM_AUDIT_OBJECT
        | AceType::SYSTEM_AUDIT_CALLBACK
        | AceType::SYSTEM_AUDIT_CALLBACK_OBJECT => "audit",
        AceType::SYSTEM_ACCESS_FILTER => "filter",
        _ => "alarm",
    }
}

/// Conditions and inheritance of the entry.
fn notes(ace: &Ace) -> Vec<&'static str> {
    let flags = ace.flags;
    let is_audit = verb(ace.ace_type) == "audit";
    [
        (ace.ace_type.is_conditional(), "on a condition"),
        (flags.contains(AceFlags::INHERITED), "inherited"),
        (flags.contains(AceFlags::OBJECT_INHERIT), "for files in it"),
        (
            flags.contains(AceFlags::CONTAINER_INHERIT),
            "for directories in it",
        ),
        (flags.contains(AceFlags::INHERIT_ONLY), "not for itself"),
        (
            flags.contains(AceFlags::NO_PROPAGATE_INHERIT),
            "one level only",
        ),
        (
            is_audit && flags.contains(AceFlags::SUCCESSFUL_ACCESS),
            "on success",
        ),
        (
            is_audit && flags.contains(AceFlags::FAILED_ACCESS),
            "on failure",
        ),
    ]
    .into_iter()
    .filter_map(|(is_so, note)| is_so.then_some(note))
    .collect()
}

#[cfg(test)]
mod tests {
    use crate::security::{AclSlot, SecurityDescriptor};

    fn explained(sddl: &str, is_directory: bool) -> Vec<String> {
        let descriptor = SecurityDescriptor::from_sddl(sddl).expect(sddl);
        let lists = [descriptor.dacl, descriptor.sacl];
        let aces = lists.iter().flat_map(|list| match list {
            AclSlot::Present(acl) => acl.aces.clone(),
            _ => Vec::new(),
        });
        aces.map(|ace| ace.explain(is_directory).to_string())
            .collect()
    }

    #[test]
    fn entries_are_described_with_account_and_rights() {
        for (sddl, text) in [
            (
                "D:(A;;FA;;;BA)",
                "allow BUILTIN\\Administrators: full control",
            ),
            ("D:(A;;0x1301bf;;;SY)", "allow NT AUTHORITY\\SYSTEM: modify"),
            (
                "D:(A;ID;0x1200a9;;;BU)",
                "allow BUILTIN\\Users: read and execute (inherited)",
            ),
            ("D:(D;;0x2;;;WD)", "deny Everyone: write data"),
            (
                "D:(A;;0x1200ab;;;WD)",
                "allow Everyone: read and execute, write data",
            ),
            ("D:(A;;0x0;;;WD)", "allow Everyone: nothing"),
            (
                "D:(A;;0x200;;;S-1-5-21-1-2-3-4)",
                "allow S-1-5-21-1-2-3-4: 0x200",
            ),
            (
                "S:(AU;FA;0x10000;;;WD)",
                "audit Everyone: delete (on failure)",
            ),
        ] {
            assert_eq!(explained(sddl, false), [text], "{sddl}");
        }
        assert_eq!(
            explained("D:(A;OICIIO;0x2;;;WD)", true),
            ["allow Everyone: add file (for files in it, for directories in it, not for itself)"]
        );
    }
}
