//! Privileges, and errors of enabling them.
//!
//! Source: Microsoft, "Privilege Constants".

use std::fmt;
use std::io;

/// A privilege of Windows that layers need.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Privilege {
    /// `SeBackupPrivilege`: read any file with its metadata.
    Backup,
    /// `SeRestorePrivilege`: write any file with its metadata.
    Restore,
    /// `SeSecurityPrivilege`: read and write audit lists (SACLs).
    Security,
    /// `SeManageVolumePrivilege`: attach the disks of scratch layers.
    ManageVolume,
    /// `SeCreateSymbolicLinkPrivilege`: make symbolic links.
    CreateSymbolicLink,
}

impl Privilege {
    /// Returns the name that Windows uses for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Backup => "SeBackupPrivilege",
            Self::Restore => "SeRestorePrivilege",
            Self::Security => "SeSecurityPrivilege",
            Self::ManageVolume => "SeManageVolumePrivilege",
            Self::CreateSymbolicLink => "SeCreateSymbolicLinkPrivilege",
        }
    }

    /// Returns the name that administrators see in the local security policy.
    pub fn title(self) -> &'static str {
        match self {
            Self::Backup => "Back up files and directories",
            Self::Restore => "Restore files and directories",
            Self::Security => "Manage auditing and security log",
            Self::ManageVolume => "Perform volume maintenance tasks",
            Self::CreateSymbolicLink => "Create symbolic links",
        }
    }
}

impl fmt::Display for Privilege {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The reason why a privilege could not be enabled.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PrivilegeError {
    /// The user does not have the privilege, or the process runs without it.
    #[error("the process does not hold {0} ({title})", title = .0.title())]
    NotHeld(Privilege),
    /// The system refused for another reason.
    #[error("cannot enable {privilege}")]
    System {
        /// The privilege.
        privilege: Privilege,
        /// The error of the system.
        source: io::Error,
    },
}

impl PrivilegeError {
    /// Returns the privilege.
    pub fn privilege(&self) -> Privilege {
        let (Self::NotHeld(privilege) | Self::System { privilege, .. }) = self;
        *privilege
    }
}
