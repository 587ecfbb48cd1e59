//! [`LiveFiles`]: entries of the utility VM, which lie in a transport folder as they are to be.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use ntmeta::{FileAttributes, FileBasicInfo};

use super::added::{Added, AddedPaths, Counts};
use super::entry_file::EntryFile;
use super::sums::FolderSummary;
use crate::error::{Error, Result, entry_error};
use crate::hub::FileEntry;
use crate::path::LayerPath;
use crate::volume::{Access, BufferedFile, File, Form, Kind, Root, Scope};

/// Writes files with their metadata, security included. Nothing is cleaned up when it is dropped.
pub(super) struct LiveFiles<R: Root> {
    root: R,
    added: AddedPaths,
    current: Option<(EntryFile<R::File>, FileBasicInfo)>,
    /// What the directories are to be, once everything is in them; parents come first.
    directories: BTreeMap<LayerPath, FileBasicInfo>,
    made: BTreeSet<LayerPath>,
}

impl<R: Root> LiveFiles<R> {
    pub(super) fn new(root: R) -> Self {
        Self {
            root,
            added: AddedPaths::default(),
            current: None,
            directories: BTreeMap::new(),
            made: BTreeSet::new(),
        }
    }

    /// Starts an entry; directories that are missing above it are made with its times.
    pub(super) fn add(&mut self, entry: &FileEntry) -> Result<()> {
        self.end_entry()?;
        self.make_missing(&entry.path, &entry.basic_info)?;
        self.made.remove(&entry.path);
        self.start(&entry.path, &entry.basic_info)?;
        self.added.set_counts(&entry.path, Counts::of(entry));
        Ok(())
    }

    pub(super) fn write(&mut self, backup_stream: &[u8]) -> Result<()> {
        let (file, _) = self.current.as_mut().ok_or(Error::NoCurrentFile)?;
        file.write(backup_stream)
    }

    /// Takes note of a further name of a file, which the caller makes.
    pub(super) fn add_link(&mut self, path: &LayerPath, info: &FileBasicInfo) -> Result<()> {
        self.end_entry()?;
        self.make_missing(path, info)?;
        self.added.is_replaced_by_link(path)?;
        self.added.insert_link(path);
        Ok(())
    }

    /// Returns the length of the unnamed data of a file that was added, in bytes.
    pub(super) fn size(&self, path: &LayerPath) -> u64 {
        self.added.counts(path).unwrap_or_default().size
    }

    /// Adds up what was added.
    pub(super) fn add_to(&self, sums: &mut FolderSummary) {
        self.added.add_to(sums);
    }

    /// Forgets a link, in whose place the caller makes a file.
    pub(super) fn forget_link(&mut self, path: &LayerPath) {
        self.added.forget(path);
    }

    pub(super) fn end_entry(&mut self) -> Result<()> {
        let Some((file, info)) = self.current.take() else {
            return Ok(());
        };
        let path = file.path().clone();
        let is_reparse_point = file.close(Some(&info))?;
        if is_reparse_point {
            // The disk sets the attribute, even if the entry does not have it.
            self.added.count_as_reparse_point(&path);
        }
        self.added.end(&path, is_reparse_point)
    }

    pub(super) fn added(&self, path: &LayerPath) -> Option<Added> {
        self.added.get(path)
    }

    /// Iterates over the directories that no entry has brought.
    pub(super) fn made(&self) -> impl Iterator<Item = &LayerPath> {
        self.made.iter()
    }

    /// Iterates over the paths that entries have brought, in no order.
    pub(super) fn entries(&self) -> impl Iterator<Item = &LayerPath> {
        self.added.entries()
    }

    /// Gives the directories their times, what is inside first.
    pub(super) fn finish(&mut self) -> Result<()> {
        self.end_entry()?;
        for (path, info) in self.directories.iter().rev() {
            let opened = self.root.open(Some(path), Access::Info);
            opened
                .and_then(|directory| {
                    directory.set_basic_info(info)?;
                    directory.close()
                })
                .map_err(entry_error("set the times of", self.root.path(), path))?;
        }
        Ok(())
    }

    fn make_missing(&mut self, path: &LayerPath, info: &FileBasicInfo) -> Result<()> {
        for directory in self.added.missing(path)? {
            let info = FileBasicInfo {
                attributes: FileAttributes::DIRECTORY,
                ..*info
            };
            self.start(&directory, &info)?;
            self.end_entry()?;
            self.added.disown(&directory);
            self.made.insert(directory);
        }
        Ok(())
    }

    fn start(&mut self, path: &LayerPath, info: &FileBasicInfo) -> Result<()> {
        let is_directory = info.attributes.contains(FileAttributes::DIRECTORY);
        let was_there = self.added.is_replaced(path, is_directory)?;
        if was_there && !is_directory {
            self.delete(path)?;
        }
        let opened = match (is_directory, was_there) {
            (true, true) => self.root.open(Some(path), Access::Write),
            (true, false) => self.root.create(path, Kind::Directory),
            (false, _) => self.root.create(path, Kind::File),
        };
        let file = opened.map_err(entry_error("create", self.root.path(), path))?;
        self.added.insert(path, is_directory);
        if is_directory {
            self.directories.insert(path.clone(), *info);
        }
        let file = BufferedFile::new(file, Form::BackupStream(Scope::WithSecurity));
        self.current = Some((EntryFile::new(self.root.path(), path, file), *info));
        Ok(())
    }

    /// Deletes what an earlier entry left; a link has left nothing.
    fn delete(&self, path: &LayerPath) -> Result<()> {
        match self.root.delete(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(entry_error("delete", self.root.path(), path)(error))
            }
            _ => Ok(()),
        }
    }
}
