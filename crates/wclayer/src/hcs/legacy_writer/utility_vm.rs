//! [`UtilityVmWriter`]: the utility VM of a layer with parents.
//!
//! It starts as a clone of the parent's, and what the layer brings is written over that at once:
//! `ImportLayer` has no part in it.

use std::io;

use ntmeta::{FileAttributes, FileBasicInfo};

use super::copy::clone_tree;
use super::parents::{list, look, plain_directory, walk};
use crate::error::{Result, entry_error};
use crate::hub::FileEntry;
use crate::layout;
use crate::path::LayerPath;
use crate::rules::Breach;
use crate::transport::{Added, AddedPaths, EntryFile};
use crate::volume::{Access, BufferedFile, File, Form, Kind, Root, Scope, Stat, delete_tree};

/// Writes below `UtilityVM` of a layer's folder.
pub(super) struct UtilityVmWriter<F: File> {
    is_started: bool,
    added: AddedPaths,
    current: Option<EntryFile<F>>,
    /// Directories that no entry brought and no parent had.
    pub(super) made: Vec<LayerPath>,
}

impl<F: File> UtilityVmWriter<F> {
    pub(super) fn new() -> Self {
        Self {
            is_started: false,
            added: AddedPaths::default(),
            current: None,
            made: Vec::new(),
        }
    }

    /// Returns whether the layer has a utility VM.
    pub(super) fn is_started(&self) -> bool {
        self.is_started
    }

    /// Returns what a path was added as.
    pub(super) fn added(&self, path: &LayerPath) -> Option<Added> {
        self.added.get(path)
    }

    /// Clones the parent's utility VM, unless that has been done.
    pub(super) fn start<R: Root<File = F>>(
        &mut self,
        parent: Option<&R>,
        layer: &R,
        entry: &LayerPath,
    ) -> Result<()> {
        if self.is_started {
            return Ok(());
        }
        let files = layout::path(layout::UTILITY_VM_FILES);
        // A writer of this kind has parents.
        let Some(parent) = parent else {
            return Err(Breach::UtilityVmMissing.broken_by(entry));
        };
        if plain_directory(parent, &files)?.is_none() {
            return Err(Breach::ParentUtilityVmMissing.broken_by(entry));
        }
        let top = layout::path(layout::UTILITY_VM);
        layer
            .create(&top, Kind::Directory)
            .and_then(File::close)
            .map_err(entry_error("create", layer.path(), &top))?;
        self.added.insert(&top, true);
        self.added.disown(&top);
        clone_tree(parent, layer, &files)?;
        self.is_started = true;
        Ok(())
    }

    /// Starts an entry at or below `UtilityVM`, replacing what the parent has there.
    pub(super) fn add<R: Root<File = F>>(&mut self, layer: &R, entry: &FileEntry) -> Result<()> {
        let (path, info) = (&entry.path, &entry.basic_info);
        self.check_place(path)?;
        self.make_missing(layer, path, info)?;
        let is_directory = info.attributes.contains(FileAttributes::DIRECTORY);
        self.added.is_replaced(path, is_directory)?;
        let file = replace(layer, path, info);
        let file = file.map_err(entry_error("create", layer.path(), path))?;
        file.set_basic_info(info)
            .map_err(entry_error("set the times of", layer.path(), path))?;
        self.added.insert(path, is_directory);
        let form = Form::BackupStream(Scope::WithSecurity);
        let file = BufferedFile::new(file, form);
        self.current = Some(EntryFile::new(layer.path(), path, file));
        Ok(())
    }

    /// Takes the next bytes of the entry's backup stream; `None` without an entry.
    pub(super) fn write(&mut self, backup_stream: &[u8]) -> Option<Result<()>> {
        let current = self.current.as_mut()?;
        Some(current.write(backup_stream))
    }

    /// Ends the entry, if there is one, and closes its file, whatever happens.
    pub(super) fn end_entry(&mut self) -> Result<()> {
        let Some(current) = self.current.take() else {
            return Ok(());
        };
        let path = current.path().clone();
        let is_reparse_point = current.close(None)?;
        self.added.end(&path, is_reparse_point)
    }

    /// Takes note of a link that is made in the end.
    pub(super) fn add_link<R: Root<File = F>>(
        &mut self,
        layer: &R,
        path: &LayerPath,
        info: &FileBasicInfo,
    ) -> Result<()> {
        self.check_place(path)?;
        self.make_missing(layer, path, info)?;
        self.added.is_replaced_by_link(path)?;
        self.added.insert_link(path);
        Ok(())
    }

    /// Removes what the parent has at a path. What this layer itself put there stays.
    pub(super) fn remove<R: Root>(&self, layer: &R, path: &LayerPath) -> Result<()> {
        match self.added.get(path) {
            Some(Added::Directory) => self.remove_contents(layer, path),
            Some(_) => Ok(()),
            None if walk(layer, path)?.is_none() => Err(Breach::RemovalOfNothing.broken_by(path)),
            None => delete_tree(layer, path).map_err(entry_error("delete", layer.path(), path)),
        }
    }

    /// Removes what the parent has in a directory. What this layer itself put there stays.
    pub(super) fn remove_contents<R: Root>(&self, layer: &R, directory: &LayerPath) -> Result<()> {
        if plain_directory(layer, directory)?.is_none() {
            return Ok(());
        }
        let mut directories = vec![directory.clone()];
        while let Some(directory) = directories.pop() {
            for (path, _) in list(layer, &directory)? {
                match self.added.get(&path) {
                    Some(Added::Directory) => directories.push(path),
                    Some(_) => {}
                    None => delete_tree(layer, &path).map_err(entry_error(
                        "delete",
                        layer.path(),
                        &path,
                    ))?,
                }
            }
        }
        Ok(())
    }

    fn check_place(&self, path: &LayerPath) -> Result<()> {
        let files = layout::UTILITY_VM_FILES;
        if !self.is_started {
            return Err(Breach::UtilityVmMissing.broken_by(path));
        }
        let is_inside = layout::is_in(path, files);
        if !is_inside && !layout::is(path, layout::UTILITY_VM) {
            return Err(Breach::OutsideUtilityVmFiles.broken_by(path));
        }
        Ok(())
    }

    /// Makes the directories above a path that neither an entry nor the parent brought.
    fn make_missing<R: Root<File = F>>(
        &mut self,
        layer: &R,
        path: &LayerPath,
        info: &FileBasicInfo,
    ) -> Result<()> {
        for directory in self.added.missing(path)? {
            match look(layer, &directory)? {
                Some(stat) => check_directory(&directory, stat, path)?,
                None => {
                    make_directory(layer, &directory, info).map_err(entry_error(
                        "create",
                        layer.path(),
                        &directory,
                    ))?;
                    self.made.push(directory.clone());
                }
            }
            self.added.insert(&directory, true);
            self.added.disown(&directory);
        }
        Ok(())
    }
}

/// Refuses an entry below anything but a plain directory.
fn check_directory(directory: &LayerPath, stat: Stat, entry: &LayerPath) -> Result<()> {
    match Breach::below(directory, stat.is_directory(), stat.is_reparse_point()) {
        Some(breach) => Err(breach.broken_by(entry)),
        None => Ok(()),
    }
}

fn make_directory<R: Root>(layer: &R, path: &LayerPath, info: &FileBasicInfo) -> io::Result<()> {
    let directory = layer.create(path, Kind::Directory)?;
    directory.set_basic_info(&FileBasicInfo {
        attributes: FileAttributes::DIRECTORY,
        ..*info
    })?;
    directory.close()
}

/// Makes the file or directory of an entry. A plain directory stays when it is to be one; all else
/// goes, a further name of a parent's file among it.
fn replace<R: Root>(layer: &R, path: &LayerPath, info: &FileBasicInfo) -> io::Result<R::File> {
    let is_directory = info.attributes.contains(FileAttributes::DIRECTORY);
    let is_reparse_point = info.attributes.contains(FileAttributes::REPARSE_POINT);
    if let Some(was) = layer.look(path)? {
        if was.is_plain_directory() && is_directory && !is_reparse_point {
            return layer.open(Some(path), Access::Write);
        }
        delete_tree(layer, path)?;
    }
    let kind = if is_directory {
        Kind::Directory
    } else {
        Kind::File
    };
    layer.create(path, kind)
}
