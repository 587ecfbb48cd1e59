//! Building a folder beside its destination, and putting it there whole.
//!
//! A [`Staging`] holds the lock of its destination and a fresh sibling folder. Dropped, it leaves
//! nothing behind; [`commit`](Staging::commit) flushes and renames. What a killed process left is
//! removed by the next one that gets the lock.

use std::ffi::OsString;
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::descriptor;
use super::error::PortableError;
use super::{DESCRIPTOR_FILE, INDEX_FILE, TAR_FILE};
use crate::error::{Error, Result, io_error};
use crate::layout;

/// How many random letters follow the prefix of a hidden folder.
const RANDOM_NAME: usize = 6;

/// The place of a layer, locked: nobody else builds or removes there.
pub(super) struct Place {
    path: PathBuf,
    folder: PathBuf,
    prefix: OsString,
    _lock: Lock,
}

impl Place {
    /// Locks the place of a layer in a folder that exists, and clears away what killed processes
    /// left beside it.
    pub(super) fn lock(path: &Path) -> Result<Self> {
        let (path, folder, name) = parts(path)?;
        let lock = Lock::take(&path, &hidden(&name, ".lock"))?;
        let prefix = hidden(&name, ".wclayer-");
        remove_left_overs(&folder, &prefix);
        Ok(Self {
            path,
            folder,
            prefix,
            _lock: lock,
        })
    }

    /// Returns the absolute path of the place.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the folder that it lies in.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Makes a hidden folder beside it, which goes away when it is dropped.
    pub(super) fn sibling(&self) -> Result<TempDir> {
        tempfile::Builder::new()
            .prefix(&self.prefix)
            .rand_bytes(RANDOM_NAME)
            .tempdir_in(&self.folder)
            .map_err(io_error("create a folder in", &self.folder))
    }
}

/// Splits a path into itself made absolute, the folder it lies in and its name.
fn parts(path: &Path) -> Result<(PathBuf, PathBuf, OsString)> {
    let absolute = std::path::absolute(path).ok();
    let split = absolute.and_then(|absolute| {
        let folder = absolute.parent()?.to_owned();
        let name = absolute.file_name()?.to_owned();
        Some((absolute, folder, name))
    });
    split.ok_or_else(|| {
        PortableError::Destination {
            path: path.to_owned(),
        }
        .into()
    })
}

/// A folder under construction.
pub(super) struct Staging {
    // Declared before the place: dropped first, while the place is still locked.
    folder: TempDir,
    place: Place,
    replace: bool,
}

impl Staging {
    /// Locks `destination` and makes a sibling folder; the folders above are made as needed.
    pub(super) fn create(destination: &Path, replace: bool) -> Result<Self> {
        let (_, above, _) = parts(destination)?;
        fs::create_dir_all(&above).map_err(io_error("create", &above))?;
        let place = Place::lock(destination)?;
        check_destination(place.path(), replace)?;
        let folder = place.sibling()?;
        open_to_others(folder.path());
        Ok(Self {
            folder,
            place,
            replace,
        })
    }

    /// Returns the folder to build in.
    pub(super) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Returns where the folder will be.
    pub(super) fn destination(&self) -> &Path {
        self.place.path()
    }

    /// Flushes the folder and puts it in place; returns the destination.
    pub(super) fn commit(self) -> Result<PathBuf> {
        let Self {
            folder,
            place,
            replace,
        } = self;
        let destination = place.path();
        for name in [TAR_FILE, INDEX_FILE, DESCRIPTOR_FILE, layout::LAYER_CHAIN] {
            let path = folder.path().join(name);
            let file = File::options()
                .write(true)
                .open(&path)
                .map_err(io_error("open", &path))?;
            file.sync_all().map_err(io_error("flush", &path))?;
        }
        sync_folder(folder.path())?;
        if replace && destination.exists() {
            exchange(folder.path(), &place)?;
        } else {
            put_in_place(folder.path(), destination)?;
            // The folder has moved: there is nothing left to clean up.
            let _ = folder.keep();
        }
        sync_folder(place.folder())?;
        Ok(destination.to_owned())
    }
}

/// Names a hidden sibling of the destination.
fn hidden(name: &std::ffi::OsStr, suffix: &str) -> OsString {
    let mut hidden = OsString::from(".");
    hidden.push(name);
    hidden.push(suffix);
    hidden
}

/// Refuses to touch what is there already, but for an empty folder, or a layer on request.
fn check_destination(destination: &Path, replace: bool) -> Result<()> {
    let Ok(metadata) = fs::symlink_metadata(destination) else {
        return Ok(());
    };
    if metadata.is_dir() && is_empty(destination) {
        return Ok(());
    }
    let is_layer = metadata.is_dir() && descriptor::is_layer(destination);
    if is_layer && replace {
        return Ok(());
    }
    Err(Error::Exists {
        path: destination.to_owned(),
        is_layer,
    })
}

fn is_empty(folder: &Path) -> bool {
    fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_none())
}

/// Removes what killed processes at the same place left; the caller holds the lock.
fn remove_left_overs(parent: &Path, prefix: &OsString) {
    let Ok(entries) = fs::read_dir(parent) else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let random = name
            .as_encoded_bytes()
            .strip_prefix(prefix.as_encoded_bytes());
        // Exactly our own names: a longer one belongs to a place with a longer name.
        if random.is_some_and(|random| random.len() == RANDOM_NAME) {
            // What cannot be removed is in nobody's way.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// A temporary folder is private; a layer is as open as the user's other folders.
#[cfg(unix)]
fn open_to_others(folder: &Path) {
    use std::os::unix::fs::PermissionsExt;
    let umask = rustix::process::umask(rustix::fs::Mode::empty());
    rustix::process::umask(umask);
    let mode = 0o777 & !u32::from(umask.bits() as u16);
    // A private folder works as well.
    let _ = fs::set_permissions(folder, fs::Permissions::from_mode(mode));
}

#[cfg(not(unix))]
fn open_to_others(_folder: &Path) {}

fn put_in_place(folder: &Path, destination: &Path) -> Result<()> {
    // Windows does not rename onto an empty folder.
    #[cfg(windows)]
    let _ = fs::remove_dir(destination);
    fs::rename(folder, destination).map_err(|source| {
        if fs::symlink_metadata(destination).is_ok() {
            let is_layer = descriptor::is_layer(destination);
            Error::Exists {
                path: destination.to_owned(),
                is_layer,
            }
        } else {
            io_error("rename the finished layer to", destination)(source)
        }
    })
}

/// Swaps the new folder with the old one, which then goes away as the temporary folder does.
fn exchange(new: &Path, place: &Place) -> Result<()> {
    let old = place.path();
    #[cfg(any(target_os = "linux", target_os = "macos"))]
    {
        use rustix::fs::{CWD, RenameFlags, renameat_with};
        if renameat_with(CWD, new, CWD, old, RenameFlags::EXCHANGE).is_ok() {
            return Ok(());
        }
    }
    // Without an atomic exchange the old layer steps aside first, and comes back on failure.
    let aside = place.sibling()?;
    let kept = aside.path().join("layer");
    fs::rename(old, &kept).map_err(io_error("rename", old))?;
    put_in_place(new, old).inspect_err(|_| {
        let _ = fs::rename(&kept, old);
    })
}

pub(super) fn sync_folder(folder: &Path) -> Result<()> {
    // Windows has no handle of a folder to flush; NTFS journals names by itself.
    if cfg!(unix) {
        let handle = File::open(folder).map_err(io_error("open", folder))?;
        handle.sync_all().map_err(io_error("flush", folder))?;
    }
    Ok(())
}

/// The lock of a destination: a locked file beside it that goes away with the lock.
struct Lock {
    path: PathBuf,
    _file: File,
}

impl Lock {
    fn take(destination: &Path, name: &OsString) -> Result<Self> {
        let path = destination.with_file_name(name);
        loop {
            let file = open_lock(&path).map_err(io_error("create", &path))?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => {
                    return Err(PortableError::Busy {
                        path: destination.to_owned(),
                    }
                    .into());
                }
                Err(TryLockError::Error(source)) => return Err(io_error("lock", &path)(source)),
            }
            // Between opening and locking, the last owner may have removed the file.
            if is_at(&file, &path) {
                return Ok(Self { path, _file: file });
            }
        }
    }
}

/// Opens or makes the lock file; a link in its place is not followed, a pipe not waited for.
fn open_lock(path: &Path) -> std::io::Result<File> {
    let mut options = File::options();
    options.create(true).truncate(false).write(true);
    #[cfg(unix)]
    {
        use rustix::fs::OFlags;
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
        std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, flags.bits() as i32);
    }
    #[cfg(windows)]
    {
        const FILE_FLAG_OPEN_REPARSE_POINT: u32 = 0x0020_0000;
        let flags = FILE_FLAG_OPEN_REPARSE_POINT;
        std::os::windows::fs::OpenOptionsExt::custom_flags(&mut options, flags);
    }
    options.open(path)
}

impl Drop for Lock {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let id = |metadata: &fs::Metadata| (metadata.dev(), metadata.ino());
    matches!((file.metadata(), fs::metadata(path)), (Ok(a), Ok(b)) if id(&a) == id(&b))
}

#[cfg(not(unix))]
fn is_at(_file: &File, path: &Path) -> bool {
    path.exists()
}
