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

use std::collections::HashMap;
use std::io;

use ntmeta::backup_stream::{BackupStreamDecoder, StreamEvent, StreamId};
use ntmeta::{FileAttributes, FileBasicInfo};

use crate::error::{Error, Result, entry_error};
use crate::hcs::{HcsError, HcsRule};
use crate::hub::FileEntry;
use crate::layout;
use crate::path::LayerPath;
use crate::volume::{BufferedFile, File, Form, Kind, Root, Scope};

/// Encodes entries of `Files` and `Hives` as files of a transport folder.
///
/// Nothing is cleaned up when it is dropped: the folder is the caller's.
pub struct TransportFiles<R: Root> {
    root: R,
    added: HashMap<LayerPath, State>,
    made: Vec<LayerPath>,
    current: Option<Current<R::File>>,
}

/// What an entry was added as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Added {
    /// A file, a reparse point that is no directory, or a link.
    File,
    /// A directory that names can lie in.
    Directory,
    /// A directory that is a reparse point.
    DirectoryReparsePoint,
}

struct State {
    added: Added,
    has_children: bool,
}

/// The entry whose backup stream is being written.
struct Current<F: File> {
    path: LayerPath,
    file: BufferedFile<F>,
    times: FileBasicInfo,
    is_directory: bool,
    decoder: BackupStreamDecoder,
    has_reparse_data: bool,
}

impl<R: Root> TransportFiles<R> {
    /// Starts in an empty folder.
    pub fn new(root: R) -> Self {
        Self {
            root,
            added: HashMap::new(),
            made: Vec::new(),
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
    /// [`HcsError::Entry`] for an entry that clashes with an earlier one or takes a name that the
    /// format needs itself; [`Error::Io`] when it cannot be written. No method but
    /// [`end_entry`](Self::end_entry) can be used after an error; this holds for all of them.
    pub fn add(&mut self, file: &FileEntry) -> Result<()> {
        self.end_entry()?;
        self.make_missing(&file.path, &file.basic_info)?;
        self.start(file)
    }

    /// Takes the next bytes of the backup stream of the entry added last.
    ///
    /// # Errors
    ///
    /// [`Error::NoCurrentFile`] without one; [`HcsError::Stream`] for what is no backup stream.
    pub fn write(&mut self, backup_stream: &[u8]) -> Result<()> {
        let current = self.current.as_mut().ok_or(Error::NoCurrentFile)?;
        current.look_for_reparse_data(backup_stream)?;
        let written = current.file.write(backup_stream);
        written.map_err(entry_error("write", self.root.path(), &current.path))
    }

    /// Ends the current entry, if there is one, and closes its file, whatever happens.
    ///
    /// # Errors
    ///
    /// [`HcsError::Stream`] when its backup stream is cut off; [`Error::Io`].
    pub fn end_entry(&mut self) -> Result<()> {
        let Some(mut current) = self.current.take() else {
            return Ok(());
        };
        current
            .decoder
            .finish()
            .map_err(|error| stream_error(&current.path, error))?;
        // Last, because on some systems every write sets the times anew.
        current
            .file
            .flush()
            .and_then(|file| file.set_basic_info(&current.times))
            .and_then(|()| current.file.close())
            .map_err(entry_error("write", self.root.path(), &current.path))?;
        if current.is_directory && current.has_reparse_data {
            self.become_reparse_point(&current.path)?;
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
        self.make_missing(path, info)?;
        check_name(path)?;
        if self.replace(path, Added::File)? {
            self.delete(path)?;
        }
        self.register(path, Added::File);
        Ok(())
    }

    /// Returns whether this path was added before, in any case of letters.
    pub fn contains(&self, path: &LayerPath) -> bool {
        self.added.contains_key(path)
    }

    /// Returns what this path was added as.
    pub fn added(&self, path: &LayerPath) -> Option<Added> {
        self.added.get(path).map(|state| state.added)
    }

    /// Returns the directories above a path that no entry has brought so far, outermost first.
    ///
    /// # Errors
    ///
    /// [`HcsError::Entry`] when a file or a reparse point is among those that have come.
    pub fn missing(&self, path: &LayerPath) -> Result<Vec<LayerPath>> {
        let mut missing = Vec::new();
        let mut next = path.parent();
        while let Some(directory) = next {
            match self.added(&directory) {
                Some(Added::Directory) => break,
                Some(Added::File) => {
                    return Err(HcsRule::FileInWay { path: directory }.broken_by(path));
                }
                Some(Added::DirectoryReparsePoint) => {
                    return Err(HcsRule::ReparsePointInWay { path: directory }.broken_by(path));
                }
                None => next = directory.parent(),
            }
            missing.push(directory);
        }
        missing.reverse();
        Ok(missing)
    }

    /// Returns the directories that were made because an entry lies in them, in that order.
    pub fn made(&self) -> &[LayerPath] {
        &self.made
    }

    /// Ends the last entry and makes the directories that were left out.
    ///
    /// # Errors
    ///
    /// As for [`end_entry`](Self::end_entry).
    pub fn finish(&mut self) -> Result<()> {
        self.end_entry()?;
        let left_out = self.added.iter().filter_map(|(path, state)| {
            (state.added == Added::DirectoryReparsePoint).then_some(path)
        });
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
            self.made.push(directory);
        }
        Ok(())
    }

    /// Starts an entry whose directory is there.
    fn start(&mut self, entry: &FileEntry) -> Result<()> {
        let path = &entry.path;
        check_name(path)?;
        let attributes = entry.basic_info.attributes;
        let is_directory = attributes.contains(FileAttributes::DIRECTORY);
        let (name, added) = if is_directory {
            (directory_file(path)?, Added::Directory)
        } else {
            (path.clone(), Added::File)
        };
        let was = self.added(path);
        if self.replace(path, added)? {
            self.delete(&name)?;
        }
        if is_directory && was != Some(Added::Directory) {
            make_directory(&self.root, path)?;
        }
        let file = self.root.create(&name, Kind::File);
        let file = file.map_err(entry_error("create", self.root.path(), &name))?;
        self.register(path, added);
        let is_hive = is_below(path, layout::HIVES);
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
            path: path.clone(),
            file,
            times: FileBasicInfo {
                attributes: FileAttributes::empty(),
                ..entry.basic_info
            },
            is_directory,
            decoder: BackupStreamDecoder::new(),
            has_reparse_data: false,
        });
        Ok(())
    }

    /// Returns whether a path was added before and can be replaced by an entry of this kind.
    fn replace(&self, path: &LayerPath, by: Added) -> Result<bool> {
        match (self.added(path), by) {
            (None, _) => Ok(false),
            (Some(Added::File), Added::File) => Ok(true),
            (Some(was), Added::Directory) if was != Added::File => Ok(true),
            _ => Err(HcsRule::DuplicateOfOtherKind.broken_by(path)),
        }
    }

    fn register(&mut self, path: &LayerPath, added: Added) {
        if let Some(parent) = path.parent()
            && let Some(state) = self.added.get_mut(&parent)
        {
            state.has_children = true;
        }
        let has_children = self.added.get(path).is_some_and(|was| was.has_children);
        let state = State {
            added,
            has_children,
        };
        self.added.insert(path.clone(), state);
    }

    /// Takes the directory away again, so that nothing can be put into it.
    fn become_reparse_point(&mut self, path: &LayerPath) -> Result<()> {
        if let Some(state) = self.added.get_mut(path) {
            if state.has_children {
                return Err(HcsRule::DuplicateOfOtherKind.broken_by(path));
            }
            state.added = Added::DirectoryReparsePoint;
        }
        self.delete(path)
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

impl<F: File> Current<F> {
    fn look_for_reparse_data(&mut self, mut bytes: &[u8]) -> Result<()> {
        loop {
            match self.decoder.decode(&mut bytes) {
                Ok(Some(StreamEvent::Header(header))) => {
                    self.has_reparse_data |= header.id == StreamId::REPARSE_DATA;
                }
                Ok(Some(StreamEvent::Body(_))) => {}
                Ok(None) => return Ok(()),
                Err(error) => return Err(stream_error(&self.path, error)),
            }
        }
    }
}

/// Returns the name of the file that describes a directory.
fn directory_file(path: &LayerPath) -> Result<LayerPath> {
    let name = [path.as_bytes(), layout::DIRECTORY_SUFFIX.as_bytes()].concat();
    LayerPath::parse(&name).map_err(|source| Error::Path {
        path: path.to_string(),
        source,
    })
}

/// Refuses names that the format needs for itself.
fn check_name(path: &LayerPath) -> Result<()> {
    let name = path.file_name();
    let suffix = layout::DIRECTORY_SUFFIX.as_bytes();
    let describes_directory = name.len() >= suffix.len()
        && name[name.len() - suffix.len()..].eq_ignore_ascii_case(suffix);
    let is_tombstones = path.parent().is_none() && is(path, layout::TOMBSTONES);
    if describes_directory || is_tombstones {
        return Err(HcsRule::ReservedName.broken_by(path));
    }
    Ok(())
}

fn make_directory<R: Root>(root: &R, path: &LayerPath) -> Result<()> {
    root.create(path, Kind::Directory)
        .and_then(File::close)
        .map_err(entry_error("create", root.path(), path))
}

/// Returns whether a path is this well-known one.
fn is(path: &LayerPath, name: &str) -> bool {
    path.as_bytes().eq_ignore_ascii_case(name.as_bytes())
}

/// Returns whether a path lies below this well-known one.
fn is_below(path: &LayerPath, directory: &str) -> bool {
    let (path, directory) = (path.as_bytes(), directory.as_bytes());
    path.len() > directory.len()
        && path[directory.len()] == b'/'
        && path[..directory.len()].eq_ignore_ascii_case(directory)
}

fn stream_error(entry: &LayerPath, error: ntmeta::backup_stream::BackupStreamError) -> Error {
    HcsError::Stream {
        entry: entry.clone(),
        source: error.into(),
    }
    .into()
}
