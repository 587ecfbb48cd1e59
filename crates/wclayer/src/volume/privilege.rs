//! Rights that a process must switch on, as values: what needs one takes the guard.
//!
//! Source: Microsoft, "Privilege Constants"; hcsshim's callers of `EnableProcessPrivileges`.

use std::fmt;

use crate::error::{Privilege, PrivilegeError};

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
