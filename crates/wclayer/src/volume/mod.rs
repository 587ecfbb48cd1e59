//! A file system as layers need it: files with all that Windows knows of them, opened by names
//! below a root that no reparse point can lead out of.
//!
//! [`Volume`] gives [`Root`]s, a root gives [`File`]s. The formats that are folders ([`crate::hcs`],
//! `crate::transport`) see disks only through these traits. Implementations: `windows/volume`
//! (the real one), [`host`] (Linux and macOS, keeps what such a system can), and a fake in memory
//! that tests use.
//!
//! Every name is a [`LayerPath`], so it is relative, without `..` and without streams. Names are
//! compared without case, whatever the disk does. What is on the way to a name must be plain
//! directories; what is at the name itself is opened as it is: a reparse point is never followed.
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

/// The disks of a machine. Paths given to it are the user's own and trusted.
///
/// ```
/// use wclayer::source::Disks;
/// use wclayer::volume::{Privilege, Root, Volume};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # if cfg!(windows) { return Ok(()) } // needs a privilege there
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
    /// [`PrivilegeError`] when one is not held.
    fn enable(&self, wanted: &[Privilege]) -> Result<Privileges, PrivilegeError>;

    /// As [`enable`](Self::enable) for what is `needed`, and of what is `helpful` enables those that
    /// are held.
    ///
    /// # Errors
    ///
    /// [`PrivilegeError`] when one that is needed is not held.
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

    /// Opens a folder that exists. Reading what is below it needs [`Privilege::Backup`], which is
    /// why this takes the guard; writing needs [`Privilege::Restore`] too.
    ///
    /// # Errors
    ///
    /// When it does not exist, or is no directory.
    fn open_root(&self, folder: &Path, privileges: &Privileges) -> io::Result<Self::Root>;

    /// Returns what is at a path, following nothing; `None` when nothing is.
    ///
    /// # Errors
    ///
    /// When that cannot be found out.
    fn attributes(&self, path: &Path) -> io::Result<Option<FileAttributes>>;

    /// Makes a folder, with the folders above it; one that exists is fine.
    ///
    /// # Errors
    ///
    /// As the system says.
    fn create_folder(&self, folder: &Path) -> io::Result<()>;

    /// Makes a new empty folder with a name that nobody else has, inside `inside` or, without it,
    /// where the system puts temporary files.
    ///
    /// # Errors
    ///
    /// As the system says.
    fn temporary_folder(&self, inside: Option<&Path>) -> io::Result<PathBuf>;

    /// Deletes an empty folder, or whatever else is at the path itself; a reparse point is deleted,
    /// not followed.
    ///
    /// # Errors
    ///
    /// As the system says; also for a folder that is not empty.
    fn delete(&self, path: &Path) -> io::Result<()>;

    /// Reads a small trusted file whole, at most `limit` bytes.
    ///
    /// # Errors
    ///
    /// As the system says; `InvalidData` when it is longer.
    fn read_small(&self, path: &Path, limit: u64) -> io::Result<Vec<u8>>;

    /// Writes a small file whole, replacing what was there.
    ///
    /// # Errors
    ///
    /// As the system says.
    fn write_small(&self, path: &Path, content: &[u8]) -> io::Result<()>;

    /// Returns the bytes that are free for the caller where `folder` is.
    ///
    /// # Errors
    ///
    /// As the system says.
    fn free_space(&self, folder: &Path) -> io::Result<u64>;

    /// Takes the lock of the place of a layer, whose folder need not exist: only one process can
    /// work there. `None` when another one does. The lock ends with the value, or the process.
    ///
    /// # Errors
    ///
    /// As the system says, also when the folder above does not exist.
    fn lock(&self, place: &Path) -> io::Result<Option<Box<dyn Send>>>;

    /// Makes a volume (`\\?\Volume{…}`, with or without a backslash behind it) appear at an empty
    /// folder.
    ///
    /// # Errors
    ///
    /// As the system says; `Unsupported` where there are no such volumes.
    fn mount(&self, volume_path: &str, target: &Path) -> io::Result<()>;

    /// Ends what [`mount`](Self::mount) did.
    ///
    /// # Errors
    ///
    /// As for [`mount`](Self::mount).
    fn unmount(&self, target: &Path) -> io::Result<()>;
}

/// An opened folder. Names below it are resolved without following reparse points.
pub trait Root {
    /// An opened file, directory or reparse point.
    type File: File;

    /// Returns the folder's path, for messages and for calls that take nothing else.
    fn path(&self) -> &Path;

    /// Opens what is at a path; `None` is the folder itself.
    ///
    /// # Errors
    ///
    /// `NotFound` when nothing is there; others as the system says, among them for a reparse point
    /// on the way.
    fn open(&self, path: Option<&LayerPath>, access: Access) -> io::Result<Self::File>;

    /// Makes a file or a directory and opens it for writing.
    ///
    /// # Errors
    ///
    /// `AlreadyExists` when the name is taken (in any case); `NotFound` when the directory it is to
    /// lie in does not exist.
    fn create(&self, path: &LayerPath, kind: Kind) -> io::Result<Self::File>;

    /// Makes the name `new` below this root for the file `existing` below `from`, which may be this
    /// root or another one of the same volume.
    ///
    /// # Errors
    ///
    /// As for [`create`](Self::create); also when `existing` is a directory.
    fn link(&self, from: &Self, existing: &LayerPath, new: &LayerPath) -> io::Result<()>;

    /// Deletes a file, a reparse point or an empty directory, read-only ones too.
    ///
    /// # Errors
    ///
    /// `NotFound` when nothing is there, `DirectoryNotEmpty`, others as the system says.
    fn delete(&self, path: &LayerPath) -> io::Result<()>;

    /// Lists a directory, sorted by name byte by byte; `None` is the folder itself. A reparse point
    /// is an error.
    ///
    /// # Errors
    ///
    /// As for [`open`](Self::open); `InvalidData` for a name that is no [`LayerPath`].
    fn list(&self, directory: Option<&LayerPath>) -> io::Result<Vec<Listed>>;

    /// Returns what is known of a path without its content; `None` when nothing is there.
    ///
    /// # Errors
    ///
    /// As for [`open`](Self::open), but for what is not there.
    fn look(&self, path: &LayerPath) -> io::Result<Option<Stat>> {
        match self.open(Some(path), Access::Look) {
            Ok(file) => file.stat().map(Some),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// An opened file, directory or reparse point. Dropped, it is closed.
pub trait File {
    /// Returns what is known of it without its content.
    ///
    /// # Errors
    ///
    /// As the system says; so for all methods.
    fn stat(&self) -> io::Result<Stat>;

    /// Sets its four times and its attributes. A time of 0 is left as it is, and so are all
    /// attributes when none are given: [`NORMAL`](FileAttributes::NORMAL) takes them away.
    /// Attributes that say what it is (directory, reparse point, sparse, …) never change. So does
    /// Windows.
    ///
    /// # Errors
    ///
    /// As the system says.
    fn set_basic_info(&self, info: &FileBasicInfo) -> io::Result<()>;

    /// Reads the next bytes of its data; 0 at the end.
    ///
    /// # Errors
    ///
    /// As the system says.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize>;

    /// Leaves out the next bytes of its data; beyond the end nothing is read any more.
    ///
    /// # Errors
    ///
    /// As the system says.
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
    /// As the system says.
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Reads the next bytes of its backup stream (`BackupRead`); 0 at the end. The scope must be
    /// the same in all calls, and the data is not read with [`read`](Self::read) as well.
    ///
    /// # Errors
    ///
    /// As the system says.
    fn backup_read(&mut self, buffer: &mut [u8], scope: Scope) -> io::Result<usize>;

    /// Takes the next bytes of a backup stream (`BackupWrite`), in pieces of any size. With
    /// [`Scope::WithoutSecurity`] security descriptors are skipped.
    ///
    /// # Errors
    ///
    /// `InvalidData` for bytes that are no backup stream; others as the system says.
    fn backup_write(&mut self, bytes: &[u8], scope: Scope) -> io::Result<()>;

    /// Completes what was written and closes; dropping alone would hide the error.
    ///
    /// # Errors
    ///
    /// As the system says; `UnexpectedEof` when a backup stream ended in the middle.
    fn close(self) -> io::Result<()>;
}

/// What an object is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// [`File::stat`] only.
    Look,
    /// [`File::stat`] and [`File::set_basic_info`].
    Info,
    /// Reading data or the backup stream.
    Read,
    /// Reading, and writing data or the backup stream, with security.
    Write,
}

/// What [`Root::create`] makes.
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
    /// It does.
    WithSecurity,
    /// It does not.
    WithoutSecurity,
}

/// What is known of an object without its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stat {
    /// Its times and attributes.
    pub basic_info: FileBasicInfo,
    /// Length of its unnamed data stream in bytes; 0 for a directory.
    pub size: u64,
    /// How many names it has.
    pub links: u32,
    /// Its id on the volume.
    pub id: FileId,
    /// Its reparse tag, when it is a reparse point.
    pub reparse_tag: Option<ReparseTag>,
}

impl Stat {
    /// Returns whether it is a directory, which a directory reparse point is as well.
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

    /// Returns whether names can lie below it.
    pub fn is_plain_directory(&self) -> bool {
        self.is_directory() && !self.is_reparse_point()
    }
}

/// One name in a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The name, one component, as WTF-8.
    pub name: Vec<u8>,
    /// The attributes of what it names.
    pub attributes: FileAttributes,
}

impl Listed {
    /// Returns its path, given the directory it is listed in; `None` is the root's folder.
    ///
    /// # Errors
    ///
    /// [`Error::Path`] when there is none.
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

    /// Returns whether names can lie below it.
    pub fn is_plain_directory(&self) -> bool {
        self.attributes.contains(FileAttributes::DIRECTORY)
            && !self.attributes.contains(FileAttributes::REPARSE_POINT)
    }
}

/// Enables what writing files of layers needs. Audit lists (SACLs) need no more: a file that is
/// opened with backup intent may be given them by virtue of these two. Symbolic links need one more,
/// which not every user who may write layers holds; most layers have none.
pub(crate) fn enable_to_write<V: Volume>(volume: &V) -> Result<Privileges, PrivilegeError> {
    let needed = [Privilege::Backup, Privilege::Restore];
    volume.enable_with(&needed, &[Privilege::CreateSymbolicLink])
}

/// Deletes whatever is at a path, with all that lies below it. Reparse points are deleted, not
/// followed. Interrupted, it can be started again.
///
/// # Errors
///
/// `NotFound` when nothing is there; the first thing that cannot be deleted.
pub fn delete_tree<R: Root>(root: &R, path: &LayerPath) -> io::Result<()> {
    let stat = root.look(path)?.ok_or(io::ErrorKind::NotFound)?;
    if stat.is_plain_directory() {
        delete_contents(root, Some(path))?;
    }
    root.delete(path)
}

/// Deletes all that lies in a directory; `None` is the root's folder. No recursion: a tree may be
/// deeper than a stack.
///
/// # Errors
///
/// As for [`delete_tree`].
pub fn delete_contents<R: Root>(root: &R, directory: Option<&LayerPath>) -> io::Result<()> {
    let mut open = vec![(directory.cloned(), root.list(directory)?)];
    while let Some((directory, names)) = open.last_mut() {
        let Some(listed) = names.pop() else {
            let emptied = directory.take();
            open.pop();
            // The first one is the caller's.
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

/// Says at which path below the one that was asked for an error happened.
fn at(path: &LayerPath, error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("`{path}`: {error}"))
}
