//! [`TemporaryFolder`]: a folder that is gone afterwards, whatever happened in between.
//!
//! What lies in it came out of a layer: files that nobody may touch, reparse points that lead
//! anywhere. It is therefore emptied by handle with the backup privileges, and nothing is followed.

use std::path::{Path, PathBuf};

use crate::error::Privilege;
use crate::error::{Result, io_error};
use crate::volume::{Privileges, Volume, delete_contents};

/// A folder with a name of its own. Dropped, it is deleted with all that is in it; only
/// [`delete`](Self::delete) tells whether that worked. Files in it must be closed before.
pub(crate) struct TemporaryFolder<'a, V: Volume> {
    volume: &'a V,
    privileges: &'a Privileges,
    path: PathBuf,
    deleted: bool,
}

impl<'a, V: Volume> TemporaryFolder<'a, V> {
    /// Makes one where the system puts temporary files.
    pub(crate) fn new(volume: &'a V, privileges: &'a Privileges) -> Result<Self> {
        let path = volume.temporary_folder(None).map_err(io_error(
            "create a folder in",
            Path::new("the temporary folder"),
        ))?;
        Ok(Self {
            volume,
            privileges,
            path,
            deleted: false,
        })
    }

    /// Returns where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Opens it.
    pub(crate) fn open(&self) -> Result<V::Root> {
        self.volume
            .open_root(&self.path, self.privileges)
            .map_err(io_error("open", &self.path))
    }

    /// Deletes it. When that fails, it is tried once more, with the right to restore where that is
    /// held.
    pub(crate) fn delete(mut self) -> Result<()> {
        self.delete_now()
    }

    fn delete_now(&mut self) -> Result<()> {
        if self.deleted {
            return Ok(());
        }
        let root = self.open()?;
        let emptied = delete_contents(&root, None).or_else(|_| {
            // Reading a layer takes less than deleting what it denies to everybody.
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
        // The error that led here is the one to report.
        let _ = self.delete_now();
    }
}
