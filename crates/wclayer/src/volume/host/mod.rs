//! The disks of Linux and macOS: [`HostVolume`].
//!
//! Names below a root are opened one component at a time, relative to the directory before, and no
//! symbolic link is followed. A symbolic link at the path itself is listed as a reparse point that
//! has no meaning on Windows: its metadata can be read and it can be deleted, but its content
//! cannot be read. A name is first looked up as spelled, then without case in the listing of its
//! directory. Listings are cached (`names`), as are some of the directories on the way to the last
//! name. Therefore, while a volume is in use, no other program may change anything below its roots;
//! otherwise names may be missed.
//!
//! Metadata of Windows files that these systems do not support is stored in extended attributes:
//!
//! | attribute | content |
//! |---|---|
//! | `user.wclayer.basic_info` | `FILE_BASIC_INFO`, 40 bytes; then the resulting modification time of the file: `i64` seconds, `u32` nanoseconds, little-endian |
//! | `user.wclayer.metadata` | all streams of the backup stream except the data: security, extended attributes, reparse data, alternate data streams |
//! | `user.wclayer.reparse_tag` | the reparse tag of a reparse point, little-endian |
//!
//! The modification and access times are also set on the file itself. If the file's modification
//! time differs from the stored one, another program has written to the file: then the file's own
//! times are used, and only the creation time and the attributes are taken from the extended
//! attribute. On a file system without extended attributes, every time except the access time
//! equals the modification time; metadata that cannot be stored there is an error of the kind
//! `Unsupported`, never silently lost. Sparse files have holes on the disk. They are read with the
//! holes that the disk has: in whole blocks, and only if they add up to at least 64 KiB.
//!
//! There are no privileges to enable.

mod file;
mod holes;
mod metadata;
mod names;
#[cfg(test)]
mod tests;

use std::fs;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use ntmeta::{FileAttributes, wide};
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags};

use self::names::Names;
use super::{Access, Kind, Listed, Privilege, PrivilegeError, Privileges, Root, Stat, Volume};
use crate::path::LayerPath;
use crate::place::lock::Lock;
use crate::place::way::Way;

pub use self::file::HostFile;

/// The disks of this host. Roots of a volume and of its clones notice each other's changes.
#[derive(Debug, Clone, Default)]
pub struct HostVolume {
    names: Arc<Names>,
}

impl HostVolume {
    /// Returns the disks of this host.
    pub fn new() -> Self {
        Self::default()
    }
}

impl Volume for HostVolume {
    type Root = HostRoot;

    fn enable(&self, wanted: &[Privilege]) -> Result<Privileges, PrivilegeError> {
        Ok(Privileges::new(wanted, None))
    }

    fn open_root(&self, folder: &Path, _: &Privileges) -> io::Result<HostRoot> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(HostRoot {
            folder: Arc::new(rustix::fs::open(folder, flags, Mode::empty())?),
            path: folder.to_owned(),
            names: Arc::clone(&self.names),
            way: Mutex::default(),
        })
    }

    fn attributes(&self, path: &Path) -> io::Result<Option<FileAttributes>> {
        match fs::symlink_metadata(path) {
            Ok(metadata) if metadata.is_dir() => Ok(Some(FileAttributes::DIRECTORY)),
            Ok(metadata) if metadata.is_symlink() => Ok(Some(FileAttributes::REPARSE_POINT)),
            Ok(_) => Ok(Some(FileAttributes::ARCHIVE)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn create_folder(&self, folder: &Path) -> io::Result<()> {
        fs::create_dir_all(folder)
    }

    fn temporary_folder(&self, inside: Option<&Path>) -> io::Result<PathBuf> {
        let mut builder = tempfile::Builder::new();
        builder.prefix("wclayer-");
        let folder = match inside {
            Some(inside) => builder.tempdir_in(inside),
            None => builder.tempdir(),
        };
        folder.map(tempfile::TempDir::keep)
    }

    fn delete(&self, path: &Path) -> io::Result<()> {
        if fs::symlink_metadata(path)?.is_dir() {
            fs::remove_dir(path)
        } else {
            fs::remove_file(path)
        }
    }

    fn read_small(&self, path: &Path, limit: u64) -> io::Result<Vec<u8>> {
        let mut content = Vec::new();
        // Opening a FIFO must not block.
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let file = fs::File::from(rustix::fs::open(path, flags, Mode::empty())?);
        if !file.metadata()?.is_file() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "not a regular file",
            ));
        }
        file.take(limit.saturating_add(1))
            .read_to_end(&mut content)?;
        if content.len() as u64 > limit {
            return Err(io::ErrorKind::InvalidData.into());
        }
        Ok(content)
    }

    fn write_small(&self, path: &Path, content: &[u8]) -> io::Result<()> {
        fs::write(path, content)
    }

    fn free_space(&self, folder: &Path) -> io::Result<u64> {
        let disk = rustix::fs::statvfs(folder)?;
        Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
    }

    fn lock(&self, place: &Path) -> io::Result<Option<Box<dyn Send>>> {
        let lock = Lock::take(&std::path::absolute(place)?)?;
        Ok(lock.map(|lock| Box::new(lock) as Box<dyn Send>))
    }

    fn mount(&self, _: &str, _: &Path) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn unmount(&self, _: &Path) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// A folder on Linux or macOS.
#[derive(Debug)]
pub struct HostRoot {
    folder: Arc<OwnedFd>,
    path: PathBuf,
    names: Arc<Names>,
    way: Mutex<KnownWay>,
}

/// The path to the directory that was used last.
#[derive(Debug, Default)]
struct KnownWay {
    way: Way<OwnedFd>,
    /// The number of directories that the volume had deleted at that time.
    deleted: u64,
    /// The number of directories that have been opened.
    #[cfg(test)]
    opened: usize,
}

/// The location of a name, whether or not it exists.
struct Place {
    folder: Arc<OwnedFd>,
    name: Vec<u8>,
    /// The metadata of the name itself, not of a link's target.
    found: Option<rustix::fs::Stat>,
}

impl Place {
    fn exists(self) -> io::Result<(Arc<OwnedFd>, Vec<u8>, rustix::fs::Stat)> {
        let stat = self.found.ok_or(io::ErrorKind::NotFound)?;
        Ok((self.folder, self.name, stat))
    }

    fn free(self) -> io::Result<(Arc<OwnedFd>, Vec<u8>)> {
        match self.found {
            Some(_) => Err(io::ErrorKind::AlreadyExists.into()),
            None => Ok((self.folder, self.name)),
        }
    }
}

impl HostRoot {
    /// Finds a name through plain directories only.
    fn locate(&self, path: &LayerPath) -> io::Result<Place> {
        let (folder, last) = (self.folder_of(path)?, path.file_name());
        let found = match stat_at(&folder, last)? {
            Some(stat) => Some((last.to_owned(), stat)),
            None => self.names.find(&folder, last)?,
        };
        let (name, found) = match found {
            Some((name, stat)) => (name, Some(stat)),
            None => (last.to_owned(), None),
        };
        Ok(Place {
            folder,
            name,
            found,
        })
    }

    /// Opens the directory that contains a path.
    fn folder_of(&self, path: &LayerPath) -> io::Result<Arc<OwnedFd>> {
        let mut known = self.way.lock().unwrap_or_else(PoisonError::into_inner);
        let deleted = self.names.deleted();
        if deleted != known.deleted {
            // Another root of the volume may have deleted one of these.
            known.way.keep(0);
            known.deleted = deleted;
        }
        let mut names = path.components();
        names.next_back();
        #[cfg(test)]
        let mut opened = 0;
        let folder = known.way.go(&self.folder, names, |folder, name| {
            #[cfg(test)]
            {
                opened += 1;
            }
            match open_folder(folder, name) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    let found = self.names.find(folder, name)?;
                    let (name, _) = found.ok_or(io::ErrorKind::NotFound)?;
                    open_folder(folder, &name)
                }
                opened => opened,
            }
        })?;
        #[cfg(test)]
        {
            known.opened += opened;
        }
        if path.parent().is_some() {
            // It may have become a reparse point since it was opened. The directories above it
            // cannot have, because they are not empty.
            refuse_reparse_point(&folder)?;
        }
        Ok(folder)
    }

    /// Records that a directory was deleted through this root.
    fn forget_way_to(&self, path: &LayerPath) {
        let mut known = self.way.lock().unwrap_or_else(PoisonError::into_inner);
        known.way.keep(path.components().count() - 1);
        let deleted = self.names.directory_deleted();
        // Otherwise another root has also deleted a directory.
        if known.deleted == deleted {
            known.deleted += 1;
        }
    }

    fn open_directory(&self, directory: Option<&LayerPath>) -> io::Result<OwnedFd> {
        let Some(path) = directory else {
            return open_folder(&self.folder, b".");
        };
        let (folder, name, _) = self.locate(path)?.exists()?;
        open_folder(&folder, &name)
    }
}

impl Root for HostRoot {
    type File = HostFile;

    fn path(&self) -> &Path {
        &self.path
    }

    fn open(&self, path: Option<&LayerPath>, access: Access) -> io::Result<HostFile> {
        let Some(path) = path else {
            return HostFile::open(&self.folder, b".", FileType::Directory, Access::Info);
        };
        let (folder, name, stat) = self.locate(path)?.exists()?;
        let kind = FileType::from_raw_mode(stat.st_mode);
        let opened = match kind {
            FileType::RegularFile | FileType::Directory => {
                HostFile::open(&folder, &name, kind, access)
            }
            _ if access == Access::Look => return Ok(HostFile::unopened(&stat)),
            FileType::Symlink => Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "a symbolic link of the host has no meaning on Windows",
            )),
            _ => Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "neither a file nor a directory",
            )),
        };
        match opened {
            Err(error)
                if access == Access::Look && error.kind() == io::ErrorKind::PermissionDenied =>
            {
                Ok(HostFile::unopened(&stat))
            }
            opened => opened,
        }
    }

    fn create(&self, path: &LayerPath, kind: Kind) -> io::Result<HostFile> {
        let (folder, name) = self.locate(path)?.free()?;
        let file = match kind {
            Kind::File => HostFile::create(&folder, &name)?,
            Kind::Directory => {
                rustix::fs::mkdirat(&folder, &name[..], Mode::from_raw_mode(0o777))?;
                let created = open_folder(&folder, &name)?;
                self.names.created(&created)?;
                HostFile::from_new_directory(created)
            }
        };
        self.names.add(&folder, &name)?;
        Ok(file)
    }

    fn link(&self, from: &Self, existing: &LayerPath, new: &LayerPath) -> io::Result<()> {
        let (from_folder, from_name, stat) = from.locate(existing)?.exists()?;
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => {}
            FileType::Directory => return Err(io::ErrorKind::IsADirectory.into()),
            _ => {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidInput,
                    "not a regular file",
                ));
            }
        }
        let (folder, name) = self.locate(new)?.free()?;
        let (old, new) = (&from_name[..], &name[..]);
        rustix::fs::linkat(&from_folder, old, &folder, new, AtFlags::empty())?;
        self.names.add(&folder, &name)
    }

    fn delete(&self, path: &LayerPath) -> io::Result<()> {
        let (folder, name, stat) = self.locate(path)?.exists()?;
        let flags = match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => AtFlags::REMOVEDIR,
            _ => AtFlags::empty(),
        };
        rustix::fs::unlinkat(&folder, &name[..], flags)?;
        if flags == AtFlags::REMOVEDIR {
            self.forget_way_to(path);
        }
        self.names.remove(&folder, &name, &stat)
    }

    fn list(&self, directory: Option<&LayerPath>) -> io::Result<Vec<Listed>> {
        let folder = self.open_directory(directory)?;
        let mut listed = Vec::new();
        for name in names_in(&folder)? {
            if !is_windows_name(&name) {
                let shown = String::from_utf8_lossy(&name).into_owned();
                return Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    format!("`{shown}` is not a valid name for a Windows file"),
                ));
            }
            // A name that disappears in the meantime does not exist.
            if let Some(stat) = stat_at(&folder, &name)? {
                let attributes = attributes_at(&folder, &name, &stat)?;
                listed.push(Listed { name, attributes });
            }
        }
        listed.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(listed)
    }
}

/// Opens a plain directory.
fn open_folder(folder: &OwnedFd, name: &[u8]) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match rustix::fs::openat(folder, name, flags, Mode::empty()) {
        Ok(opened) => refuse_reparse_point(&opened).map(|()| opened),
        Err(rustix::io::Errno::LOOP | rustix::io::Errno::NOTDIR) => Err(io::Error::new(
            io::ErrorKind::NotADirectory,
            "a file or a symbolic link where a directory is required",
        )),
        Err(error) => Err(error.into()),
    }
}

fn refuse_reparse_point(folder: &OwnedFd) -> io::Result<()> {
    match metadata::reparse_tag(folder.as_fd())? {
        None => Ok(()),
        Some(_) => Err(io::Error::new(
            io::ErrorKind::NotADirectory,
            "a reparse point, which is never followed",
        )),
    }
}

fn stat_at(folder: &OwnedFd, name: &[u8]) -> io::Result<Option<rustix::fs::Stat>> {
    match rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(Some(stat)),
        Err(rustix::io::Errno::NOENT) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn attributes_at(
    folder: &OwnedFd,
    name: &[u8],
    stat: &rustix::fs::Stat,
) -> io::Result<FileAttributes> {
    let kind = FileType::from_raw_mode(stat.st_mode);
    let known = file::unopened_stat(stat).basic_info.attributes;
    if !matches!(kind, FileType::RegularFile | FileType::Directory) {
        return Ok(known);
    }
    let opened = HostFile::open(folder, name, kind, Access::Look);
    match opened.and_then(|file| super::File::stat(&file)) {
        Ok(Stat { basic_info, .. }) => Ok(basic_info.attributes),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(known),
        Err(error) => Err(error),
    }
}

/// Lists the names in a directory, in no particular order.
fn names_in(folder: &OwnedFd) -> io::Result<Vec<Vec<u8>>> {
    let mut names = Vec::new();
    for entry in Dir::read_from(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if !matches!(name, b"." | b"..") {
            names.push(name.to_owned());
        }
    }
    Ok(names)
}

/// Returns whether a name survives the conversion to [`LayerPath`] unchanged.
fn is_windows_name(name: &[u8]) -> bool {
    wide::is_wtf8(name) && LayerPath::parse(name).is_ok_and(|path| path.as_bytes() == name)
}
