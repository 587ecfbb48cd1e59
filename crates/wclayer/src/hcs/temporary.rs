//! [`TemporaryFolder`]: a folder that is always deleted after use.
//!
//! Its content comes from a layer: files that nobody may access, and reparse points that lead
//! anywhere. Therefore it is deleted by handle with the backup privileges, and nothing is followed.

use std::path::{Path, PathBuf};

use crate::error::Privilege;
use crate::error::{Result, io_error};
use crate::volume::{Privileges, Volume, delete_contents};

/// A folder with a unique name. Dropping it deletes it with its content, but only
/// [`delete`](Self::delete) reports a failure. Files in it must be closed first.
pub(crate) struct TemporaryFolder<'a, V: Volume> {
    volume: &'a V,
    privileges: &'a Privileges,
    path: PathBuf,
    deleted: bool,
}

impl<'a, V: Volume> TemporaryFolder<'a, V> {
    /// Creates a folder among the temporary files of the host.
    pub(crate) fn new(volume: &'a V, privileges: &'a Privileges) -> Result<Self> {
        let path = volume
            .temporary_folder(None)
            .map_err(io_error("create a folder in", &std::env::temp_dir()))?;
        Ok(Self {
            volume,
            privileges,
            path,
            deleted: false,
        })
    }

    /// Returns the path of the folder.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Opens the folder.
    pub(crate) fn open(&self) -> Result<V::Root> {
        self.volume
            .open_root(&self.path, self.privileges)
            .map_err(io_error("open", &self.path))
    }

    /// Deletes the folder. If this fails, it tries again with the restore privilege, if the process
    /// holds it.
    pub(crate) fn delete(mut self) -> Result<()> {
        self.delete_now()
    }

    fn delete_now(&mut self) -> Result<()> {
        if self.deleted {
            return Ok(());
        }
        let root = self.open()?;
        let emptied = delete_contents(&root, None).or_else(|_| {
            // Deleting files that deny access to everybody takes more rights than reading them.
            let _more = self.volume.enable(&[Privilege::Restore]);
            delete_contents(&root, None)
        });
        drop(root);
        emptied
            .and_then(|()| self.volume.delete(&self.path))
            .map_err(io_error("delete", &self.path))?;
        self.deleted = true;
        Ok(())
    }
}

impl<V: Volume> Drop for TemporaryFolder<'_, V> {
    fn drop(&mut self) {
        // The earlier error is the one to report.
        let _ = self.delete_now();
    }
}
