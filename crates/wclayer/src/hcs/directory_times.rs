//! [`DirectoryTimes`]: gives directories their own times back once nothing changes in them.
//!
//! Every name that is made or removed in a directory sets its times anew. Containers that compare
//! them (the servicing stack does) would rebuild their catalogues at every start, so the times of
//! the layer are applied again after everything else.
//!
//! Source: hcsshim `internal/wclayer/baselayerwriter.go`, `reapplyDirectoryTimes`; moby issue 41066.

use std::collections::BTreeMap;
use std::io;

use ntmeta::FileBasicInfo;

use crate::error::{Result, entry_error};
use crate::layout;
use crate::path::LayerPath;
use crate::volume::{Access, File, Root};

/// The times and attributes that directories are to have in the end.
#[derive(Debug, Default)]
pub(super) struct DirectoryTimes {
    directories: BTreeMap<LayerPath, FileBasicInfo>,
}

impl DirectoryTimes {
    /// Takes note of a directory; the last note of a path counts.
    pub(super) fn note(&mut self, path: &LayerPath, info: &FileBasicInfo) {
        self.directories.insert(path.clone(), *info);
    }

    /// Applies them below `root`, what lies deeper first, also to directories that are reparse
    /// points, which are not followed; what is not a directory any more is left alone.
    pub(super) fn reapply<R: Root>(&self, root: &R) -> Result<()> {
        self.reapply_where(root, |_| true)
    }

    /// Applies those of the utility VM once more: `ProcessUtilityImage` puts disks into it and
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
