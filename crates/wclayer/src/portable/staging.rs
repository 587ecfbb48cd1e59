//! Building a folder beside its destination, and putting it there whole.
//!
//! A [`Staging`] holds the lock of its destination and a fresh sibling folder. Dropped, it leaves
//! nothing behind; [`commit`](Staging::commit) flushes and renames. What a killed process left is
//! removed by the next one that gets the lock.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;

use super::descriptor::is_layer as is_portable;
use super::error::PortableError;
use crate::error::{Error, Result, io_error};
use crate::lock::Lock;

/// How many random letters follow the prefix of a hidden folder.
const RANDOM_NAME: usize = 6;
/// How long to wait before a folder is renamed once more.
const RENAME_PAUSE: Duration = Duration::from_millis(100);
/// The name of a layer that stepped aside for the one that replaces it.
const REPLACED: &str = "replaced";

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
        let lock = Lock::take(&path).map_err(io_error("lock", &path))?;
        let lock = lock.ok_or_else(|| PortableError::Busy { path: path.clone() })?;
        let prefix = hidden(&name, ".wclayer-");
        remove_left_overs(&path, &folder, &prefix);
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
        let mut builder = tempfile::Builder::new();
        builder.prefix(&self.prefix).rand_bytes(RANDOM_NAME);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            // A layer is as open as the user's other folders: the umask takes its part away.
            builder.permissions(fs::Permissions::from_mode(0o777));
        }
        builder
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
pub(crate) struct Staging {
    // Declared before the place: dropped first, while the place is still locked.
    folder: TempDir,
    place: Place,
    replace: bool,
}

impl Staging {
    /// Locks `destination` and makes a sibling folder; the folders above are made as needed.
    pub(crate) fn create(destination: &Path, replace: bool) -> Result<Self> {
        let (_, above, _) = parts(destination)?;
        fs::create_dir_all(&above).map_err(io_error("create", &above))?;
        let place = Place::lock(destination)?;
        check_destination(place.path(), replace)?;
        let folder = place.sibling()?;
        Ok(Self {
            folder,
            place,
            replace,
        })
    }

    /// Locks the place of a layer, be it damaged, that a new one is to take the place of.
    pub(super) fn over(layer: &Path) -> Result<Self> {
        let place = Place::lock(layer)?;
        Ok(Self {
            folder: place.sibling()?,
            place,
            replace: true,
        })
    }

    /// Returns the folder to build in.
    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Returns where the folder will be.
    pub(super) fn destination(&self) -> &Path {
        self.place.path()
    }

    /// Flushes the files of these names, or all of the disk when there are too many to name, and
    /// puts the folder in place; returns the destination.
    pub(crate) fn commit(self, files: Option<&[&str]>) -> Result<PathBuf> {
        let Self {
            folder,
            place,
            replace,
        } = self;
        let destination = place.path();
        for name in files.unwrap_or_default() {
            let path = folder.path().join(name);
            let file = File::options()
                .write(true)
                .open(&path)
                .map_err(io_error("open", &path))?;
            flush(&file).map_err(io_error("flush", &path))?;
        }
        if files.is_none() {
            flush_disk(folder.path())?;
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
    let is_layer = metadata.is_dir() && is_any_layer(destination);
    if is_layer && replace {
        return Ok(());
    }
    Err(Error::Exists {
        path: destination.to_owned(),
        is_layer,
    })
}

/// Returns whether a folder is a layer of a kind that is built in this way.
fn is_any_layer(folder: &Path) -> bool {
    is_portable(folder) || crate::transport::is_layer(folder)
}

fn is_empty(folder: &Path) -> bool {
    fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_none())
}

/// Removes what killed processes at the same place left, and puts a layer back that was just being
/// replaced; the caller holds the lock.
fn remove_left_overs(place: &Path, folder: &Path, prefix: &OsString) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let random = name
            .as_encoded_bytes()
            .strip_prefix(prefix.as_encoded_bytes());
        // Exactly our own names: a longer one belongs to a place with a longer name.
        if random.is_some_and(|random| random.len() == RANDOM_NAME) {
            let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
            let replaced = entry.path().join(REPLACED);
            let is_free = fs::symlink_metadata(place).is_err();
            // What stepped aside may be a damaged layer, for a repaired one.
            let is_kept = fs::symlink_metadata(&replaced).is_ok_and(|kept| kept.is_dir());
            if is_folder && is_free && is_kept {
                let _ = rename(&replaced, place);
            }
            // What cannot be removed is in nobody's way.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

fn put_in_place(folder: &Path, destination: &Path) -> Result<()> {
    // Windows does not rename onto an empty folder.
    #[cfg(windows)]
    let _ = fs::remove_dir(destination);
    rename(folder, destination).map_err(|source| {
        if fs::symlink_metadata(destination).is_ok() {
            let is_layer = is_any_layer(destination);
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
    let kept = aside.path().join(REPLACED);
    rename(old, &kept).map_err(io_error("rename", old))?;
    put_in_place(new, old).inspect_err(|_| {
        if rename(&kept, old).is_err() {
            // Left there, it comes back with the next import to the same place.
            let _ = aside.keep();
        }
    })
}

/// Renames a folder.
///
/// On Windows that fails while anything in it is open, and virus scanners and indexers open every
/// new file for a moment: it is tried again for two seconds.
pub(super) fn rename(from: &Path, to: &Path) -> io::Result<()> {
    // Access denied, sharing violation. Source: `winerror.h`.
    const IN_USE: [Option<i32>; 2] = [Some(5), Some(32)];
    let mut tries = if cfg!(windows) { 20 } else { 0 };
    loop {
        match fs::rename(from, to) {
            Err(error)
                if tries > 0
                    && IN_USE.contains(&error.raw_os_error())
                    && fs::symlink_metadata(to).is_err() => {}
            renamed => return renamed,
        }
        tries -= 1;
        std::thread::sleep(RENAME_PAUSE);
    }
}

pub(super) fn sync_folder(folder: &Path) -> Result<()> {
    // Windows has no handle of a folder to flush; NTFS journals names by itself.
    if cfg!(unix) {
        let handle = File::open(folder).map_err(io_error("open", folder))?;
        flush(&handle).map_err(io_error("flush", folder))?;
    }
    Ok(())
}

/// Flushes everything on the disk of a folder.
fn flush_disk(folder: &Path) -> Result<()> {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    {
        let handle = File::open(folder).map_err(io_error("open", folder))?;
        rustix::fs::syncfs(&handle).map_err(|error| io_error("flush", folder)(error.into()))?;
    }
    #[cfg(all(unix, not(any(target_os = "linux", target_os = "android"))))]
    rustix::fs::sync();
    // Windows flushes a disk for administrators only.
    #[cfg(windows)]
    let _ = folder;
    Ok(())
}

fn flush(file: &File) -> io::Result<()> {
    let flushed = file.sync_all();
    // Network and FAT volumes do not know the strong call of macOS.
    #[cfg(target_vendor = "apple")]
    let flushed = flushed.or_else(|_| Ok(rustix::fs::fsync(file)?));
    flushed
}
