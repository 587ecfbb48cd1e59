//! A layer on disk: its files, and a store for everything that a plain file cannot hold.
//!
//! The store, the folder `standin` in the layer, has a file for each entry that belongs to the
//! layer itself, named by the file ID of the entry below `Files`. Code that later links or removes
//! names there does not need to know about it. Each file holds four times, the attributes and the
//! backup stream.

use std::fs::{self, File, FileTimes, OpenOptions};
use std::io;
use std::os::windows::fs::{FileTimesExt, MetadataExt, OpenOptionsExt};
use std::os::windows::io::AsRawHandle;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::stream;

const STORE: &str = "standin";
const DIRECTORY: u32 = 0x10;
const READONLY: u32 = 0x1;
/// Also opens directories (`FILE_FLAG_BACKUP_SEMANTICS`).
const BACKUP_SEMANTICS: u32 = 0x0200_0000;
/// Ticks of 100 ns between 1601 and 1970.
const EPOCH: u64 = 116_444_736_000_000_000;

/// The layer's own record of one path.
#[derive(Clone, Default)]
pub(crate) struct Record {
    /// Creation, access, write and change time, in ticks.
    pub(crate) times: [u64; 4],
    pub(crate) attributes: u32,
    pub(crate) stream: Vec<u8>,
}

/// A layer's folder.
pub(crate) struct Layer {
    pub(crate) path: PathBuf,
}

impl Record {
    pub(crate) fn is_directory(&self) -> bool {
        self.attributes & DIRECTORY != 0
    }

    fn to_bytes(&self) -> Vec<u8> {
        let times = self.times.iter().flat_map(|time| time.to_le_bytes());
        let attributes = self.attributes.to_le_bytes();
        times
            .chain(attributes)
            .chain(self.stream.iter().copied())
            .collect()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (times, rest) = bytes.split_at_checked(32)?;
        let (attributes, stream) = rest.split_first_chunk()?;
        let mut record = Self {
            attributes: u32::from_le_bytes(*attributes),
            stream: stream.to_vec(),
            ..Self::default()
        };
        for (time, bytes) in record.times.iter_mut().zip(times.as_chunks::<8>().0) {
            *time = u64::from_le_bytes(*bytes);
        }
        Some(record)
    }
}

impl Layer {
    pub(crate) fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Creates the folder, with all files of the nearest parent as hard links.
    pub(crate) fn start(&self, parents: &[PathBuf]) -> io::Result<()> {
        fs::create_dir_all(self.path.join("Files"))?;
        fs::create_dir_all(self.path.join(STORE))?;
        for parent in parents {
            if !parent.join("Files").is_dir() {
                return Err(io::Error::from_raw_os_error(3));
            }
        }
        match parents.first() {
            Some(parent) => link_tree(&parent.join("Files"), &self.path.join("Files")),
            None => Ok(()),
        }
    }

    /// Puts an entry of the layer in place, replacing whatever exists there.
    pub(crate) fn put(&self, relative: &Path, record: &Record) -> io::Result<()> {
        let path = self.path.join(relative);
        if record.is_directory() {
            if !path.is_dir() {
                self.remove(relative)?;
                fs::create_dir(&path)?;
            }
        } else {
            self.remove(relative)?;
            fs::write(&path, stream::data(&record.stream)?)?;
        }
        set_times(&path, record.times)?;
        let stored = self.path.join(STORE).join(id(&path)?);
        fs::write(stored, record.to_bytes())
    }

    /// Gives an entry's file one more name.
    pub(crate) fn link(&self, existing: &Path, relative: &Path) -> io::Result<()> {
        self.remove(relative)?;
        fs::hard_link(self.path.join(existing), self.path.join(relative))
    }

    /// Deletes a path and everything below it; succeeds if it does not exist.
    pub(crate) fn remove(&self, relative: &Path) -> io::Result<()> {
        delete(&self.path.join(relative))
    }

    /// Returns the layer's own record of a path; `None` if the parent has it too.
    ///
    /// A name that exists only in this layer for a file of a parent is an entry of this layer.
    pub(crate) fn record(
        &self,
        relative: &Path,
        parents: &[PathBuf],
    ) -> io::Result<Option<Record>> {
        let path = self.path.join(relative);
        let id = id(&path)?;
        if let Ok(bytes) = fs::read(self.path.join(STORE).join(&id)) {
            return Ok(Record::from_bytes(&bytes));
        }
        let in_parent = parents
            .first()
            .is_some_and(|parent| parent.join(relative).exists());
        if in_parent {
            return Ok(None);
        }
        let stored = parents
            .iter()
            .find_map(|parent| fs::read(parent.join(STORE).join(&id)).ok());
        if let Some(bytes) = stored {
            return Ok(Record::from_bytes(&bytes));
        }
        plain_record(&path).map(Some)
    }
}

/// Returns the record of a file without one, from the file itself.
fn plain_record(path: &Path) -> io::Result<Record> {
    let metadata = fs::metadata(path)?;
    Ok(Record {
        times: times_of(&metadata),
        attributes: metadata.file_attributes(),
        stream: if metadata.is_dir() {
            Vec::new()
        } else {
            stream::of_data(&fs::read(path)?)
        },
    })
}

/// Returns the four times of a file; this call does not return the last, so it equals the third.
pub(crate) fn times_of(metadata: &fs::Metadata) -> [u64; 4] {
    let written = metadata.last_write_time();
    [
        metadata.creation_time(),
        metadata.last_access_time(),
        written,
        written,
    ]
}

/// Sets the first three of four times.
pub(crate) fn set_times(path: &Path, times: [u64; 4]) -> io::Result<()> {
    let [created, accessed, written, _] = times.map(system_time);
    let times = FileTimes::new()
        .set_created(created)
        .set_accessed(accessed)
        .set_modified(written);
    open(path, 0x100)?.set_times(times) // FILE_WRITE_ATTRIBUTES
}

/// Times before 1970 become 1970 in test files.
fn system_time(ticks: u64) -> SystemTime {
    let ticks = ticks.saturating_sub(EPOCH);
    let nanoseconds = (ticks % 10_000_000 * 100) as u32;
    SystemTime::UNIX_EPOCH + Duration::new(ticks / 10_000_000, nanoseconds)
}

fn open(path: &Path, access: u32) -> io::Result<File> {
    OpenOptions::new()
        .access_mode(access)
        .custom_flags(BACKUP_SEMANTICS)
        .open(path)
}

/// `BY_HANDLE_FILE_INFORMATION`: 13 words; the last two are the file ID.
#[repr(C)]
#[derive(Default)]
struct FileInformation([u32; 13]);

#[link(name = "kernel32")]
unsafe extern "system" {
    fn GetFileInformationByHandle(file: *mut std::ffi::c_void, out: *mut FileInformation) -> i32;
}

/// Returns the ID of a file as text.
pub(crate) fn id(path: &Path) -> io::Result<String> {
    let file = open(path, 0x80)?; // FILE_READ_ATTRIBUTES
    let mut information = FileInformation::default();
    // SAFETY: the handle is open, and the output is as large as Windows requires.
    let done = unsafe { GetFileInformationByHandle(file.as_raw_handle(), &raw mut information) };
    if done == 0 {
        return Err(io::Error::last_os_error());
    }
    let [.., high, low] = information.0;
    Ok(format!("{high:08x}{low:08x}"))
}

/// Returns the names in a folder, sorted by bytes; empty if it is not a folder.
pub(crate) fn names(folder: &Path) -> io::Result<Vec<std::ffi::OsString>> {
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let mut names: Vec<_> = fs::read_dir(folder)?
        .map(|entry| entry.map(|entry| entry.file_name()))
        .collect::<io::Result<_>>()?;
    names.sort_by(|a, b| a.as_encoded_bytes().cmp(b.as_encoded_bytes()));
    Ok(names)
}

fn link_tree(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for name in names(from)? {
        let (from, to) = (from.join(&name), to.join(&name));
        if from.is_dir() {
            link_tree(&from, &to)?;
        } else {
            fs::hard_link(from, to)?;
        }
    }
    Ok(())
}

/// Deletes a path and everything below it, read-only or not; succeeds if it does not exist.
pub(crate) fn delete(path: &Path) -> io::Result<()> {
    let Ok(metadata) = fs::symlink_metadata(path) else {
        return Ok(());
    };
    if metadata.is_dir() {
        for name in names(path)? {
            delete(&path.join(name))?;
        }
        return fs::remove_dir(path);
    }
    if metadata.file_attributes() & READONLY != 0 {
        let mut permissions = metadata.permissions();
        #[expect(
            clippy::permissions_set_readonly_false,
            reason = "Windows, where it is correct"
        )]
        permissions.set_readonly(false);
        fs::set_permissions(path, permissions)?;
    }
    fs::remove_file(path)
}
