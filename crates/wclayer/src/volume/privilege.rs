//! Rights that a process must switch on, as values: what needs one takes the guard.
//!
//! Source: Microsoft, "Privilege Constants"; hcsshim's callers of `EnableProcessPrivileges`.

use std::fmt;
use std::io;

/// A right of Windows that layers need.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
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

/// Privileges that are on. Dropped, those that were off before are switched off again.
pub struct Privileges {
    enabled: Vec<Privilege>,
    restore: Option<Box<dyn FnOnce() + Send>>,
}

impl Privileges {
    /// Wraps privileges that are on; `restore` is called in the end. For implementations of
    /// [`Volume`](super::Volume).
    pub fn new(
        enabled: impl Into<Vec<Privilege>>,
        restore: Option<Box<dyn FnOnce() + Send>>,
    ) -> Self {
        Self {
            enabled: enabled.into(),
            restore,
        }
    }

    /// Joins two guards into one.
    #[must_use]
    pub fn and(mut self, mut other: Self) -> Self {
        let mut enabled = std::mem::take(&mut self.enabled);
        enabled.append(&mut other.enabled);
        Self::new(enabled, Some(Box::new(move || drop((self, other)))))
    }

    /// Checks that all of `wanted` are on.
    ///
    /// # Errors
    ///
    /// [`PrivilegeError`] naming the first that is not.
    pub fn require(&self, wanted: &[Privilege]) -> Result<(), PrivilegeError> {
        match wanted.iter().find(|one| !self.enabled.contains(one)) {
            Some(missing) => Err(PrivilegeError::NotHeld(*missing)),
            None => Ok(()),
        }
    }
}

impl Drop for Privileges {
    fn drop(&mut self) {
        if let Some(restore) = self.restore.take() {
            restore();
        }
    }
}

impl fmt::Debug for Privileges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Privileges").field(&self.enabled).finish()
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
