//! Rights of the process that could not be had.
//!
//! Source: Microsoft, "Privilege Constants".

use std::fmt;
use std::io;

/// A right of Windows that layers need.
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
    /// Returns the name by which Windows looks it up.
    pub fn name(self) -> &'static str {
        match self {
            Self::Backup => "SeBackupPrivilege",
            Self::Restore => "SeRestorePrivilege",
            Self::Security => "SeSecurityPrivilege",
            Self::ManageVolume => "SeManageVolumePrivilege",
            Self::CreateSymbolicLink => "SeCreateSymbolicLinkPrivilege",
        }
    }

    /// Returns what administrators see in the local security policy.
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

/// Why a privilege could not be enabled.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PrivilegeError {
    /// The user does not have the right, or the process runs without it.
    #[error("the process does not hold {0} ({title})", title = .0.title())]
    NotHeld(Privilege),
    /// The system refused for another reason.
    #[error("cannot enable {privilege}")]
    System {
        /// The privilege.
        privilege: Privilege,
        /// What the system said.
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
