//! Enabled privileges as values: a function that needs privileges takes the guard.
//!
//! Source: Microsoft, "Privilege Constants"; hcsshim's callers of `EnableProcessPrivileges`.

use std::fmt;

use crate::error::{Privilege, PrivilegeError};

/// Enabled privileges. Dropping it disables those that were disabled before.
pub struct Privileges {
    enabled: Vec<Privilege>,
    restore: Option<Box<dyn FnOnce() + Send>>,
}

impl Privileges {
    /// Wraps enabled privileges; `restore` is called on drop. For implementations of
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

    /// Combines two guards.
    #[must_use]
    pub fn and(mut self, mut other: Self) -> Self {
        let mut enabled = std::mem::take(&mut self.enabled);
        enabled.append(&mut other.enabled);
        Self::new(enabled, Some(Box::new(move || drop((self, other)))))
    }

    /// Checks that all of `wanted` are enabled.
    ///
    /// # Errors
    ///
    /// Returns [`PrivilegeError`] with the first one that is not enabled.
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
