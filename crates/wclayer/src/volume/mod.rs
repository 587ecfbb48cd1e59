//! A file system as layers need it: files with all their Windows metadata, opened by names below a
//! root that no reparse point can escape.
//!
//! A [`Volume`] opens [`Root`]s, and a root opens [`File`]s. The formats that are folders
//! ([`crate::hcs`], `crate::transport`) access disks only through these traits. Implementations:
//! `windows/volume` for Windows, [`host`] for Linux and macOS, which keeps what these systems can
//! store, and an implementation in memory for tests.
//!
//! Every name is a [`LayerPath`], so it is relative and has neither `..` nor stream names. Names
//! are compared without case on every disk. Everything above a name must be a plain directory. The
//! object at the name itself is opened as it is: a reparse point is never followed.
//!
//! Source of the rules: hcsshim `internal/safefile`.

mod buffered;
#[cfg(unix)]
pub mod host;
mod link_tracker;
mod privilege;

use std::io;
use std::path::{Path, PathBuf};

use ntmeta::{FileAttributes, FileBasicInfo, ReparseTag, wide};

use crate::error::{Error, Result};
use crate::path::LayerPath;

pub use crate::error::{Privilege, PrivilegeError};
pub(crate) use buffered::{BufferedFile, Form};
pub use link_tracker::{FileId, LinkTracker};
pub use privilege::Privileges;

/// The disks of a host. Paths given to it come from the user and are trusted.
///
/// ```
/// use wclayer::source::Disks;
/// use wclayer::volume::{Privilege, Root, Volume};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # if cfg!(windows) { return Ok(()) } // requires a privilege there
/// let folder = tempfile::tempdir()?;
/// std::fs::write(folder.path().join("Hello.txt"), "hello")?;
///
/// let disks = Disks::new();
/// let privileges = disks.enable(&[Privilege::Backup])?;
/// let root = disks.open_root(folder.path(), &privileges)?;
/// // Names are compared without case, as on Windows.
/// let stat = root.look(&"HELLO.TXT".parse()?)?.expect("the file");
/// assert_eq!((stat.is_directory(), stat.size), (false, 5));
/// # Ok(())
/// # }
/// ```
pub trait Volume: Send + Sync {
    /// An opened folder.
    type Root: Root;

    /// Enables privileges until the guard is dropped.
    ///
    /// # Errors
    ///
    /// Returns [`PrivilegeError`] if the process does not hold one of them.
    fn enable(&self, wanted: &[Privilege]) -> Result<Privileges, PrivilegeError>;

    /// Enables all privileges in `needed`, and those in `helpful` that the process holds, until the
    /// guard is dropped.
    ///
    /// # Errors
    ///
    /// Returns [`PrivilegeError`] if the process does not hold one of the needed privileges.
    fn enable_with(
        &self,
        needed: &[Privilege],
        helpful: &[Privilege],
    ) -> Result<Privileges, PrivilegeError> {
        let mut enabled = self.enable(needed)?;
        for privilege in helpful {
            if let Ok(more) = self.enable(std::slice::from_ref(privilege)) {
                enabled = enabled.and(more);
            }
        }
        Ok(enabled)
    }

    /// Opens an existing folder. Reading below it requires [`Privilege::Backup`], which is why this
    /// takes the guard; writing also requires [`Privilege::Restore`].
    ///
    /// # Errors
    ///
    /// Returns an error if the folder does not exist or is not a directory.
    fn open_root(&self, folder: &Path, privileges: &Privileges) -> io::Result<Self::Root>;

    /// Returns the attributes of a path without following links; `None` if nothing is there.
    ///
    /// # Errors
    ///
    /// Returns an error if the attributes cannot be determined.
    fn attributes(&self, path: &Path) -> io::Result<Option<FileAttributes>>;

    /// Creates a folder and the missing folders above it; an existing folder is accepted.
    ///
    /// # Errors
    ///
    /// Returns the error of the system.
    fn create_folder(&self, folder: &Path) -> io::Result<()>;

    /// Creates a new empty folder with a unique name, in `inside` or, without it, among the
    /// temporary files of the host.
    ///
    /// # Errors
    ///
    /// Returns the error of the system.
    fn temporary_folder(&self, inside: Option<&Path>) -> io::Result<PathBuf>;

    /// Deletes an empty folder or any other object at the path itself; a reparse point is deleted,
    /// not followed.
    ///
    /// # Errors
    ///
    /// Returns the error of the system, also if the folder is not empty.
    fn delete(&self, path: &Path) -> io::Result<()>;

    /// Reads the whole content of a small trusted file of at most `limit` bytes.
    ///
    /// # Errors
    ///
    /// Returns `InvalidData` if the file is larger, or the error of the system.
    fn read_small(&self, path: &Path, limit: u64) -> io::Result<Vec<u8>>;

    /// Writes a small file, replacing an existing one.
    ///
    /// # Errors
    ///
    /// Returns the error of the system.
    fn write_small(&self, path: &Path, content: &[u8]) -> io::Result<()>;

    /// Returns the free space, in bytes, that is available to the caller on the disk of `folder`.
    ///
    /// # Errors
    ///
    /// Returns the error of the system.
    fn free_space(&self, folder: &Path) -> io::Result<u64>;

    /// Locks the path of a layer, whose folder need not exist, so that only one process works on
    /// it. Returns `None` if another process holds the lock. The lock ends with the returned value
    /// or the process.
    ///
    /// # Errors
    ///
    /// Returns the error of the system, also if the parent folder does not exist.
    fn lock(&self, place: &Path) -> io::Result<Option<Box<dyn Send>>>;

    /// Mounts a volume (`\\?\Volume{…}`, with or without a trailing backslash) at an empty folder.
    ///
    /// # Errors
    ///
    /// Returns the error of the system; `Unsupported` if the system has no such volumes.
    fn mount(&self, volume_path: &str, target: &Path) -> io::Result<()>;

    /// Undoes [`mount`](Self::mount).
    ///
    /// # Errors
    ///
    /// Returns the errors of [`mount`](Self::mount).
    fn unmount(&self, target: &Path) -> io::Result<()>;
}

/// An opened folder. Names below it are resolved without following reparse points.
pub trait Root {
    /// An opened file, directory or reparse point.
    type File: File;

    /// Returns the folder's path, for messages and for calls that require a path.
    fn path(&self) -> &Path;

    /// Opens the object at a path; `None` is the folder itself.
    ///
    /// # Errors
    ///
    /// Returns `NotFound` if nothing is there, or the error of the system, for example if there is
    /// a reparse point above it.
    fn open(&self, path: Option<&LayerPath>, access: Access) -> io::Result<Self::File>;

    /// Creates a file or a directory and opens it for writing.
    ///
    /// # Errors
    ///
    /// Returns `AlreadyExists` if the name exists in any case, and `NotFound` if the directory that
    /// would contain it does not exist.
    fn create(&self, path: &LayerPath, kind: Kind) -> io::Result<Self::File>;

    /// Creates a hard link: the name `new` below this root for the file `existing` below `from`,
    /// which may be this root or another one of the same volume.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`create`](Self::create), and an error if `existing` is a directory.
    fn link(&self, from: &Self, existing: &LayerPath, new: &LayerPath) -> io::Result<()>;

    /// Deletes a file, a reparse point or an empty directory, even if it is read-only.
    ///
    /// # Errors
    ///
    /// Returns `NotFound` if nothing is there, `DirectoryNotEmpty` if the directory is not empty,
    /// or the error of the system.
    fn delete(&self, path: &LayerPath) -> io::Result<()>;

    /// Lists a directory, sorted by name in byte order; `None` is the folder itself.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`open`](Self::open), an error for a reparse point, and `InvalidData`
    /// if a name is not a valid [`LayerPath`].
    fn list(&self, directory: Option<&LayerPath>) -> io::Result<Vec<Listed>>;

    /// Returns the metadata of a path; `None` if nothing is there.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`open`](Self::open), except `NotFound`.
    fn look(&self, path: &LayerPath) -> io::Result<Option<Stat>> {
        match self.open(Some(path), Access::Look) {
            Ok(file) => file.stat().map(Some),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// An opened file, directory or reparse point. Dropping it closes it.
pub trait File {
    /// Returns its metadata.
    ///
    /// # Errors
    ///
    /// Returns the error of the system.
    fn stat(&self) -> io::Result<Stat>;

    /// Sets its four times and its attributes. As on Windows, a time of 0 keeps the current one,
    /// and empty attributes keep all current ones; [`NORMAL`](FileAttributes::NORMAL) clears them.
    /// Attributes that describe the kind of object (directory, reparse point, sparse, …) never
    /// change.
    ///
    /// # Errors
    ///
    /// Returns the error of the system.
    fn set_basic_info(&self, info: &FileBasicInfo) -> io::Result<()>;

    /// Reads the next bytes of its data; returns 0 at the end.
    ///
    /// # Errors
    ///
    /// Returns the error of the system.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize>;

    /// Skips the next bytes of its data; beyond the end, reading returns nothing.
    ///
    /// # Errors
    ///
    /// Returns the error of the system.
    fn skip(&mut self, count: u64) -> io::Result<()> {
        let mut piece = [0; 8192];
        let mut left = count;
        while left > 0 {
            let wanted = piece
                .len()
                .min(usize::try_from(left).unwrap_or(piece.len()));
            match self.read(&mut piece[..wanted])? {
                0 => break,
                read => left -= read as u64,
            }
        }
        Ok(())
    }

    /// Writes the next bytes of its data.
    ///
    /// # Errors
    ///
    /// Returns the error of the system.
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Reads the next bytes of its backup stream (`BackupRead`); returns 0 at the end. The scope
    /// must be the same in all calls, and [`read`](Self::read) must not be used on the same object.
    ///
    /// # Errors
    ///
    /// Returns the error of the system.
    fn backup_read(&mut self, buffer: &mut [u8], scope: Scope) -> io::Result<usize>;

    /// Writes the next bytes of a backup stream (`BackupWrite`), in pieces of any size.
    /// [`Scope::WithoutSecurity`] skips security descriptors.
    ///
    /// # Errors
    ///
    /// Returns `InvalidData` if the bytes are not a valid backup stream, or the error of the
    /// system.
    fn backup_write(&mut self, bytes: &[u8], scope: Scope) -> io::Result<()>;

    /// Completes the writing and closes the object; merely dropping it would hide the error.
    ///
    /// # Errors
    ///
    /// Returns `UnexpectedEof` if a backup stream is incomplete, or the error of the system.
    fn close(self) -> io::Result<()>;
}

/// The purpose of opening an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// [`File::stat`] only.
    Look,
    /// [`File::stat`] and [`File::set_basic_info`].
    Info,
    /// Reading data or the backup stream.
    Read,
    /// Reading and writing data or the backup stream, including security descriptors.
    Write,
}

/// The kind of object that [`Root::create`] creates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A file.
    File,
    /// A directory.
    Directory,
}

/// Whether a backup stream includes the security descriptor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// It includes the security descriptor.
    WithSecurity,
    /// It does not include the security descriptor.
    WithoutSecurity,
}

/// The metadata of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stat {
    /// Its times and attributes.
    pub basic_info: FileBasicInfo,
    /// The length of its unnamed data stream in bytes; 0 for a directory.
    pub size: u64,
    /// The number of its names.
    pub links: u32,
    /// Its id on the volume.
    pub id: FileId,
    /// Its reparse tag, if it is a reparse point.
    pub reparse_tag: Option<ReparseTag>,
}

impl Stat {
    /// Returns whether it is a directory, including a directory reparse point.
    pub fn is_directory(&self) -> bool {
        self.basic_info
            .attributes
            .contains(FileAttributes::DIRECTORY)
    }

    /// Returns whether it is a reparse point.
    pub fn is_reparse_point(&self) -> bool {
        self.basic_info
            .attributes
            .contains(FileAttributes::REPARSE_POINT)
    }

    /// Returns whether it is a directory that is not a reparse point.
    pub fn is_plain_directory(&self) -> bool {
        self.is_directory() && !self.is_reparse_point()
    }
}

/// A name in a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The name: a single component, in WTF-8.
    pub name: Vec<u8>,
    /// The attributes of the named object.
    pub attributes: FileAttributes,
}

impl Listed {
    /// Returns its path, given the directory that contains it; `None` is the root's folder.
    ///
    /// # Errors
    ///
    /// Returns [`Error::Path`] if the name is not valid in a path.
    pub(crate) fn path_in(&self, directory: Option<&LayerPath>) -> Result<LayerPath> {
        let path = match directory {
            Some(directory) => directory.join(&self.name),
            None => LayerPath::parse(&self.name),
        };
        path.map_err(|source| {
            let name = wide::display(&self.name);
            Error::Path {
                path: directory.map_or_else(|| name.to_string(), |above| format!("{above}/{name}")),
                source,
            }
        })
    }

    /// Returns whether it is a directory that is not a reparse point.
    pub fn is_plain_directory(&self) -> bool {
        self.attributes.contains(FileAttributes::DIRECTORY)
            && !self.attributes.contains(FileAttributes::REPARSE_POINT)
    }
}

/// Enables the privileges for writing files of layers. Audit lists (SACLs) require no more: these
/// two also permit setting them on a file that is opened with backup intent. Symbolic links require
/// a further privilege, which is optional because most layers have none and not every user holds
/// it.
pub(crate) fn enable_to_write<V: Volume>(volume: &V) -> Result<Privileges, PrivilegeError> {
    let needed = [Privilege::Backup, Privilege::Restore];
    volume.enable_with(&needed, &[Privilege::CreateSymbolicLink])
}

/// Deletes the object at a path with everything below it. Reparse points are deleted, not followed.
/// An interrupted deletion can be started again.
///
/// # Errors
///
/// Returns `NotFound` if nothing is there, or the error for the first object that cannot be
/// deleted.
pub fn delete_tree<R: Root>(root: &R, path: &LayerPath) -> io::Result<()> {
    let stat = root.look(path)?.ok_or(io::ErrorKind::NotFound)?;
    if stat.is_plain_directory() {
        delete_contents(root, Some(path))?;
    }
    root.delete(path)
}

/// Deletes the content of a directory; `None` is the root's folder. This does not recurse, because
/// a tree may be too deep for the stack.
///
/// # Errors
///
/// Returns the errors of [`delete_tree`].
pub fn delete_contents<R: Root>(root: &R, directory: Option<&LayerPath>) -> io::Result<()> {
    let mut open = vec![(directory.cloned(), root.list(directory)?)];
    while let Some((directory, names)) = open.last_mut() {
        let Some(listed) = names.pop() else {
            let emptied = directory.take();
            open.pop();
            // The first directory is the caller's own and is kept.
            if let Some(path) = emptied.filter(|_| !open.is_empty()) {
                root.delete(&path).map_err(|error| at(&path, error))?;
            }
            continue;
        };
        let path = listed.path_in(directory.as_ref());
        let path = path.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        if listed.is_plain_directory() {
            let names = root.list(Some(&path));
            let names = names.map_err(|error| at(&path, error))?;
            open.push((Some(path), names));
        } else {
            root.delete(&path).map_err(|error| at(&path, error))?;
        }
    }
    Ok(())
}

/// Adds the path at which an error occurred.
fn at(path: &LayerPath, error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("`{path}`: {error}"))
}
