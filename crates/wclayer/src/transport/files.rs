//! [`TransportFiles`]: entries of `Files` and `Hives` become files of a transport folder.
//!
//! A file of `Files` gets its attributes as four bytes and then its backup stream; its own times
//! are those of the entry, its own attributes stay plain. A directory is a directory with such a
//! file beside it. What lies in `Hives` is written as data. A directory that is a reparse point
//! leaves no directory behind until the end, so that nothing can be put into it.
//!
//! Beyond the reference: a directory that is missing above an entry is made, an entry that comes
//! twice replaces the first when it is of the same kind, and what would lie below a file or a
//! reparse point is refused at once.
//!
//! Source: hcsshim `internal/wclayer/legacy.go`, `legacyLayerWriter`.

use std::collections::BTreeSet;
use std::io;

use ntmeta::{FileAttributes, FileBasicInfo};

use crate::error::{Error, Result, entry_error};
use crate::hub::FileEntry;
use crate::layout;
use crate::path::LayerPath;
use crate::rules::Breach;
use crate::volume::{BufferedFile, File, Form, Kind, Root, Scope};

use super::added::{Added, AddedPaths, Counts};
use super::entry_file::EntryFile;
use super::sums::FolderSummary;

/// Encodes entries of `Files` and `Hives` as files of a transport folder.
///
/// Nothing is cleaned up when it is dropped: the folder is the caller's.
pub struct TransportFiles<R: Root> {
    root: R,
    added: AddedPaths,
    made: BTreeSet<LayerPath>,
    /// The files of the recycle bin that have a name outside of it.
    recycled: BTreeSet<LayerPath>,
    current: Option<Current<R::File>>,
}

/// The entry whose backup stream is being written.
struct Current<F: File> {
    file: EntryFile<F>,
    times: FileBasicInfo,
    is_directory: bool,
}

impl<R: Root> TransportFiles<R> {
    /// Starts in an empty folder.
    pub fn new(root: R) -> Self {
        Self {
            root,
            added: AddedPaths::default(),
            made: BTreeSet::new(),
            recycled: BTreeSet::new(),
            current: None,
        }
    }

    /// Returns the folder.
    pub fn root(&self) -> &R {
        &self.root
    }

    /// Starts a file, directory or reparse point; ends the entry before.
    ///
    /// Directories that are missing above it are made with its times ([`made`](Self::made)).
    ///
    /// # Errors
    ///
    /// Returns [`Error::Rule`] if the entry clashes with an earlier one or has a name that the format
    /// uses itself, and [`Error::Io`] if it cannot be written. After an error, of this method or
    /// another, only [`end_entry`](Self::end_entry) can be used.
    pub fn add(&mut self, file: &FileEntry) -> Result<()> {
        self.end_entry()?;
        check_name(&file.path)?;
        self.make_missing(&file.path, &file.basic_info)?;
        self.made.remove(&file.path);
        self.start(file)
    }

    /// Takes the next bytes of the backup stream of the entry added last.
    ///
    /// # Errors
    ///
    /// [`Error::NoCurrentFile`] without one; [`HcsError::Stream`](crate::error::HcsError::Stream) for what is no backup stream.
    pub fn write(&mut self, backup_stream: &[u8]) -> Result<()> {
        let current = self.current.as_mut().ok_or(Error::NoCurrentFile)?;
        current.file.write(backup_stream)
    }

    /// Ends the current entry, if there is one, and closes its file, whatever happens.
    ///
    /// # Errors
    ///
    /// [`HcsError::Stream`](crate::error::HcsError::Stream) when its backup stream is cut off; [`Error::Io`].
    pub fn end_entry(&mut self) -> Result<()> {
        let Some(current) = self.current.take() else {
            return Ok(());
        };
        let path = current.file.path().clone();
        let has_reparse_data = current.file.close(Some(&current.times))?;
        self.added.end(&path, has_reparse_data)?;
        if current.is_directory && has_reparse_data {
            // Nothing can be put into a directory that is not there.
            self.delete(&path)?;
        }
        Ok(())
    }

    /// Takes note of a further name of a file, which the caller makes: it counts as a file.
    ///
    /// # Errors
    ///
    /// As for [`add`](Self::add).
    pub fn add_link(&mut self, path: &LayerPath, info: &FileBasicInfo) -> Result<()> {
        self.end_entry()?;
        check_name(path)?;
        self.make_missing(path, info)?;
        self.added.is_replaced_by_link(path)?;
        self.added.insert_link(path);
        Ok(())
    }

    /// Takes note that a link has been made. The recycle bin is not read back: the first name of a
    /// file outside of it is the file then.
    pub(crate) fn linked(&mut self, existing: &LayerPath, new: &LayerPath) {
        let is_recycled = |path| layout::is_below(path, layout::RECYCLE_BIN);
        let is_outside = is_recycled(existing) && !is_recycled(new);
        if is_outside && self.recycled.insert(existing.clone()) {
            self.added.count_as(new, existing);
        }
    }

    /// Returns the length of the unnamed data of a file that was added, in bytes.
    pub(crate) fn size(&self, path: &LayerPath) -> u64 {
        self.added.counts(path).unwrap_or_default().size
    }

    /// Adds up what was added.
    pub(crate) fn add_to(&self, sums: &mut FolderSummary) {
        self.added.add_to(sums);
    }

    /// Forgets a link, in whose place the caller makes a file.
    pub(crate) fn forget_link(&mut self, path: &LayerPath) {
        self.added.forget(path);
    }

    /// Takes note that a directory which was added is not one of the layer's own: an entry that
    /// replaces it may be a reparse point.
    pub(crate) fn disown(&mut self, directory: &LayerPath) {
        self.added.disown(directory);
    }

    /// Returns whether this path was added before, in any case of letters.
    pub fn contains(&self, path: &LayerPath) -> bool {
        self.added.get(path).is_some()
    }

    /// Returns what this path was added as.
    pub fn added(&self, path: &LayerPath) -> Option<Added> {
        self.added.get(path)
    }

    /// Returns the directories above a path that no entry has brought so far, outermost first.
    ///
    /// # Errors
    ///
    /// Returns [`Error::Rule`] if one of them was added as a file or a reparse point.
    pub fn missing(&self, path: &LayerPath) -> Result<Vec<LayerPath>> {
        self.added.missing(path)
    }

    /// Iterates over the directories that were made because an entry lies in them, and that no
    /// entry has brought since.
    pub fn made(&self) -> impl Iterator<Item = &LayerPath> {
        self.made.iter()
    }

    /// Iterates over the paths that entries have brought, in no order.
    pub(super) fn entries(&self) -> impl Iterator<Item = &LayerPath> {
        self.added.entries()
    }

    /// Ends the last entry and makes the directories that were left out.
    ///
    /// # Errors
    ///
    /// As for [`end_entry`](Self::end_entry).
    pub fn finish(&mut self) -> Result<()> {
        self.end_entry()?;
        let left_out = self
            .added
            .iter()
            .filter_map(|(path, added)| (added == Added::DirectoryReparsePoint).then_some(path));
        let mut left_out: Vec<_> = left_out.collect();
        left_out.sort();
        for path in left_out {
            make_directory(&self.root, path)?;
        }
        Ok(())
    }

    fn make_missing(&mut self, path: &LayerPath, info: &FileBasicInfo) -> Result<()> {
        for directory in self.missing(path)? {
            self.start(&FileEntry {
                path: directory.clone(),
                basic_info: FileBasicInfo {
                    attributes: FileAttributes::DIRECTORY,
                    ..*info
                },
                size: 0,
                metadata_first: true,
            })?;
            self.end_entry()?;
            self.added.disown(&directory);
            self.made.insert(directory);
        }
        Ok(())
    }

    /// Starts an entry whose directory is there.
    fn start(&mut self, entry: &FileEntry) -> Result<()> {
        let path = &entry.path;
        check_name(path)?;
        let attributes = entry.basic_info.attributes;
        let is_directory = attributes.contains(FileAttributes::DIRECTORY);
        let name = if is_directory {
            layout::directory_file(path)?
        } else {
            path.clone()
        };
        if self.added.is_replaced(path, is_directory)? {
            self.delete(&name)?;
        }
        if is_directory && self.added(path) != Some(Added::Directory) {
            make_directory(&self.root, path)?;
        }
        let file = self.root.create(&name, Kind::File);
        let file = file.map_err(entry_error("create", self.root.path(), &name))?;
        self.added.insert(path, is_directory);
        self.added.set_counts(path, Counts::of(entry));
        let is_hive = layout::is_below(path, layout::HIVES);
        let form = if is_hive {
            Form::BackupStream(Scope::WithoutSecurity)
        } else {
            Form::Data
        };
        let mut file = BufferedFile::new(file, form);
        if !is_hive {
            file.write(&attributes.bits().to_le_bytes())
                .map_err(entry_error("write", self.root.path(), &name))?;
        }
        self.current = Some(Current {
            file: EntryFile::new(self.root.path(), path, file),
            times: FileBasicInfo {
                attributes: FileAttributes::empty(),
                ..entry.basic_info
            },
            is_directory,
        });
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

/// Refuses names that the format needs for itself.
fn check_name(path: &LayerPath) -> Result<()> {
    let describes_directory = layout::describes_directory(path.file_name());
    let is_tombstones = path.parent().is_none() && layout::is(path, layout::TOMBSTONES);
    if describes_directory || is_tombstones {
        return Err(Breach::ReservedName.broken_by(path));
    }
    Ok(())
}

fn make_directory<R: Root>(root: &R, path: &LayerPath) -> Result<()> {
    root.create(path, Kind::Directory)
        .and_then(File::close)
        .map_err(entry_error("create", root.path(), path))
}
