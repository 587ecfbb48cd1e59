//! [`DirectoryTimes`]: restores the times of directories once nothing in them changes any more.
//!
//! Creating or removing a name in a directory changes the directory's times. Containers that
//! compare them (the servicing stack does) would rebuild their catalogues at every start, so the
//! times of the layer are applied again after everything else.
//!
//! Source: hcsshim `internal/wclayer/baselayerwriter.go`, `reapplyDirectoryTimes`; moby issue
//! 41066.

use std::collections::BTreeMap;
use std::io;

use ntmeta::FileBasicInfo;

use crate::error::{Result, entry_error};
use crate::layout;
use crate::path::LayerPath;
use crate::volume::{Access, File, Root};

/// The final times and attributes of directories.
#[derive(Debug, Default)]
pub(super) struct DirectoryTimes {
    directories: BTreeMap<LayerPath, FileBasicInfo>,
}

impl DirectoryTimes {
    /// Records a directory; the last record of a path counts.
    pub(super) fn note(&mut self, path: &LayerPath, info: &FileBasicInfo) {
        self.directories.insert(path.clone(), *info);
    }

    /// Applies the times below `root`, children first. This includes directories that are reparse
    /// points, which are not followed; paths that are no longer directories are skipped.
    pub(super) fn reapply<R: Root>(&self, root: &R) -> Result<()> {
        self.reapply_where(root, |_| true)
    }

    /// Applies the times of the utility VM again: `ProcessUtilityImage` creates disks in it and
    /// changes its boot files.
    pub(super) fn reapply_utility_vm<R: Root>(&self, root: &R) -> Result<()> {
        let top = layout::UTILITY_VM;
        self.reapply_where(root, |path| layout::is_in(path, top))
    }

    fn reapply_where<R: Root>(&self, root: &R, wanted: impl Fn(&LayerPath) -> bool) -> Result<()> {
        let wanted = |(path, _): &(&LayerPath, _)| wanted(path);
        for (path, info) in self.directories.iter().rev().filter(wanted) {
            apply(root, path, info).map_err(entry_error("set the times of", root.path(), path))?;
        }
        Ok(())
    }
}

fn apply<R: Root>(root: &R, path: &LayerPath, info: &FileBasicInfo) -> io::Result<()> {
    let directory = match root.open(Some(path), Access::Info) {
        Ok(directory) => directory,
        Err(error) if super::is_absent(&error) => return Ok(()),
        Err(error) => return Err(error),
    };
    if directory.stat()?.is_directory() {
        directory.set_basic_info(info)?;
    }
    directory.close()
}
