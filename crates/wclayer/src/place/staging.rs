//! Building a folder beside its destination, and putting it there whole.
//!
//! A [`Staging`] holds the lock of its destination and a fresh sibling folder. Dropped, it leaves
//! nothing behind. [`commit`](Staging::commit) flushes and renames; if flushing fails, it renames
//! back. Leftovers of a killed process are removed by the next process that gets the lock
//! ([`leftovers`]).

use std::ffi::OsString;
use std::fs::{self, File, Permissions};
use std::path::{Path, PathBuf};

use super::disk::{self, Disk, TemporaryFolder, flush_folder, rename};
use super::leftovers::{self, Leftover, REPLACED};
use super::lock::Lock;
use super::recognise::{is_any_layer, may_be_replaced};
use crate::error::{Error, Result, io_error};

/// The locked path of a layer: nobody else builds or removes a layer there.
pub(crate) struct Place {
    path: PathBuf,
    folder: PathBuf,
    prefix: OsString,
    cleared: Vec<Leftover>,
    _lock: Lock,
}

impl Place {
    /// Locks the path of a layer in an existing folder, and clears away the leftovers of killed
    /// processes beside it.
    pub(crate) fn lock(path: &Path) -> Result<Self> {
        let (path, folder, name) = parts(path)?;
        let lock = Lock::take(&path).map_err(io_error("lock", &path))?;
        let lock = lock.ok_or_else(|| Error::Busy { path: path.clone() })?;
        // Leftovers that cannot be removed do no harm.
        let cleared = leftovers::clear_place(&path, false).unwrap_or_default();
        Ok(Self {
            path,
            folder,
            prefix: leftovers::hidden(&name),
            cleared,
            _lock: lock,
        })
    }

    /// Returns the absolute path.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the folder above it.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Returns the leftovers of killed processes that were cleared away.
    pub(crate) fn cleared(&self) -> &[Leftover] {
        &self.cleared
    }

    /// Creates a hidden folder beside it, which is deleted on drop.
    pub(crate) fn sibling(&self) -> Result<TemporaryFolder> {
        let mut builder = tempfile::Builder::new();
        builder.prefix(&self.prefix).rand_bytes(leftovers::RANDOM);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            // A layer has the permissions of the user's other folders; the system applies the umask.
            builder.permissions(fs::Permissions::from_mode(0o777));
        }
        TemporaryFolder::make(&mut builder, &self.folder)
    }
}

/// Returns a path made absolute, the folder above it, and its name.
pub(crate) fn parts(path: &Path) -> Result<(PathBuf, PathBuf, OsString)> {
    let absolute = std::path::absolute(path).ok();
    let split = absolute.and_then(|absolute| {
        let folder = absolute.parent()?.to_owned();
        let name = absolute.file_name()?.to_owned();
        Some((absolute, folder, name))
    });
    split.ok_or_else(|| Error::Destination {
        path: path.to_owned(),
    })
}

/// A folder under construction.
pub(crate) struct Staging {
    // Declared before `place`, so dropped first, while the path is still locked.
    folder: TemporaryFolder,
    place: Place,
    replace: bool,
    disk: Disk,
    /// Folders that contain a new name since the destination's folder was created.
    changed: Vec<PathBuf>,
}

/// The files that have been written to a folder under construction.
pub(crate) enum Written {
    /// These files, with the handles that were opened before the first write.
    Files(Vec<(PathBuf, File)>),
    /// Too many to list: the whole disk is flushed.
    Many,
}

impl Staging {
    /// Locks `destination` and creates a sibling folder, and the folders above if needed.
    pub(crate) fn create(destination: &Path, replace: bool) -> Result<Self> {
        let (_, above, _) = parts(destination)?;
        let changed = disk::create_folders(&above)?;
        let place = Place::lock(destination)?;
        check_destination(place.path(), replace)?;
        let folder = place.sibling()?;
        Ok(Self {
            disk: Disk::of(folder.path())?,
            folder,
            place,
            replace,
            changed,
        })
    }

    /// Locks the path of an existing layer, even a damaged one, to replace it.
    pub(crate) fn over(layer: &Path) -> Result<Self> {
        let place = Place::lock(layer)?;
        let folder = place.sibling()?;
        Ok(Self {
            disk: Disk::of(folder.path())?,
            folder,
            place,
            replace: true,
            changed: Vec::new(),
        })
    }

    /// Returns the folder to build in.
    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Returns the path that the folder will have.
    pub(crate) fn destination(&self) -> &Path {
        self.place.path()
    }

    /// Creates a file, to be listed in [`Written::Files`].
    pub(crate) fn create_file(&self, name: &str) -> Result<(PathBuf, File)> {
        let path = self.path().join(name);
        let file = File::options()
            .read(true)
            .write(true)
            .create_new(true)
            .open(&path);
        let file = file.map_err(io_error("create", &path))?;
        Ok((path, file))
    }

    /// Flushes the files and renames the folder to its destination, which it returns.
    ///
    /// On an error, the destination is as it was before.
    pub(crate) fn commit(self, written: Written) -> Result<PathBuf> {
        self.commit_with(written, flush_folder)
    }

    fn commit_with(
        self,
        written: Written,
        flush_folder: impl Fn(&Path) -> Result<()>,
    ) -> Result<PathBuf> {
        let Self {
            folder,
            place,
            replace,
            disk,
            changed,
        } = self;
        match written {
            // Each is closed here: Windows cannot rename a folder with an open file in it.
            Written::Files(files) => files.into_iter().try_for_each(|(path, file)| {
                disk::flush(&file).map_err(io_error("flush", &path))
            })?,
            Written::Many => disk.flush()?,
        }
        drop(disk);
        flush_folder(folder.path())?;
        changed.iter().try_for_each(|folder| flush_folder(folder))?;
        let put = Put::new(folder, &place, replace)?;
        match flush_folder(place.folder()) {
            Ok(()) => {
                put.keep();
                Ok(place.path().to_owned())
            }
            Err(error) => {
                put.undo(place.path());
                // The old state is back; another flush may well fail, too.
                let _ = flush_folder(place.folder());
                Err(error)
            }
        }
    }
}

/// Refuses a destination that exists, except an empty folder, and a layer on request.
fn check_destination(destination: &Path, replace: bool) -> Result<()> {
    let Ok(metadata) = fs::symlink_metadata(destination) else {
        return Ok(());
    };
    if metadata.is_dir() && is_empty(destination) {
        return Ok(());
    }
    let is_layer = metadata.is_dir() && may_be_replaced(destination);
    if is_layer && replace {
        return Ok(());
    }
    Err(Error::Exists {
        path: destination.to_owned(),
        is_layer,
    })
}

fn is_empty(folder: &Path) -> bool {
    disk::names_in(folder, 1).is_ok_and(|names| names.is_empty())
}

/// A folder at its destination, while that can still be undone.
enum Put {
    /// The destination did not exist, or was an empty folder with these permissions.
    Moved(TemporaryFolder, Option<Permissions>),
    /// The old layer has the hidden name.
    Swapped(TemporaryFolder),
    /// The old layer is in the second folder.
    Aside(TemporaryFolder, TemporaryFolder),
}

impl Put {
    fn new(folder: TemporaryFolder, place: &Place, replace: bool) -> Result<Self> {
        let (new, old) = (folder.path(), place.path());
        let there = fs::symlink_metadata(old).ok();
        if !(replace && there.is_some()) {
            put_in_place(new, old)?;
            return Ok(Self::Moved(folder, there.map(|there| there.permissions())));
        }
        if disk::exchange(new, old).is_ok() {
            return Ok(Self::Swapped(folder));
        }
        // Without an atomic exchange, the old layer is moved aside first, and back on failure.
        let aside = place.sibling()?;
        let kept = aside.path().join(REPLACED);
        rename(old, &kept).map_err(io_error("rename", old))?;
        match put_in_place(new, old) {
            Ok(()) => Ok(Self::Aside(folder, aside)),
            Err(error) => {
                put_back(aside, old);
                Err(error)
            }
        }
    }

    /// Keeps the new folder and deletes the old one.
    fn keep(self) {
        if let Self::Moved(folder, _) | Self::Aside(folder, _) = self {
            // It was renamed, so there is nothing to delete.
            folder.keep();
        }
    }

    /// Restores the old state and deletes the new folder.
    fn undo(self, place: &Path) {
        match self {
            Self::Moved(folder, permissions) => {
                if rename(place, folder.path()).is_ok()
                    && let Some(permissions) = permissions
                    && fs::create_dir(place).is_ok()
                {
                    let _ = fs::set_permissions(place, permissions);
                }
            }
            Self::Swapped(folder) => {
                if disk::exchange(folder.path(), place).is_err() {
                    // Better two layers than none: the next command at this path clears it.
                    folder.keep();
                }
            }
            Self::Aside(folder, aside) => {
                if rename(place, folder.path()).is_ok() {
                    put_back(aside, place);
                }
            }
        }
    }
}

/// Puts a layer back that was moved aside.
fn put_back(aside: TemporaryFolder, place: &Path) {
    if rename(&aside.path().join(REPLACED), place).is_err() {
        // Kept, it is restored by the next command at the same path.
        aside.keep();
    }
}

fn put_in_place(folder: &Path, destination: &Path) -> Result<()> {
    // Windows cannot rename a folder to an empty folder.
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

#[cfg(test)]
mod tests {
    use std::io::{self, Write};

    use super::*;

    fn staged(destination: &Path, replace: bool) -> (Staging, Written) {
        let staging = Staging::create(destination, replace).expect("a place");
        let (path, mut file) = staging.create_file("layer.json").expect("made");
        file.write_all(b"new").expect("written");
        (staging, Written::Files(vec![(path, file)]))
    }

    /// Fails only for the folder above the destination.
    fn fails_for(folder: &Path) -> impl Fn(&Path) -> Result<()> {
        move |flushed| match flushed == folder {
            true => Err(io_error("flush", flushed)(io::Error::other("injected"))),
            false => Ok(()),
        }
    }

    fn names(folder: &Path) -> Vec<OsString> {
        let entries = fs::read_dir(folder).expect("a folder");
        entries
            .map(|entry| entry.expect("a name").file_name())
            .collect()
    }

    #[test]
    fn a_rename_that_cannot_be_flushed_is_undone() {
        let temporary = tempfile::tempdir().expect("a folder");
        let (root, place) = (temporary.path(), temporary.path().join("x"));
        let (staging, written) = staged(&place, false);
        let failed = staging.commit_with(written, fails_for(root));
        failed.expect_err("injected");
        assert_eq!(names(root), [] as [&str; 0], "nothing was there");

        fs::create_dir(&place).expect("made");
        let (staging, written) = staged(&place, false);
        let failed = staging.commit_with(written, fails_for(root));
        failed.expect_err("injected");
        assert_eq!((names(root), names(&place)), (vec!["x".into()], vec![]));
    }

    #[test]
    fn a_layer_whose_replacement_cannot_be_flushed_is_back() {
        let temporary = tempfile::tempdir().expect("a folder");
        let (root, place) = (temporary.path(), temporary.path().join("x"));
        fs::create_dir(&place).expect("made");
        let old = br#"{"format": "wclayer.portable"}"#;
        fs::write(place.join("layer.json"), old).expect("written");
        let (staging, written) = staged(&place, true);
        let failed = staging.commit_with(written, fails_for(root));
        failed.expect_err("injected");
        assert_eq!(names(root), ["x"]);
        assert_eq!(fs::read(place.join("layer.json")).expect("there"), old);

        let (staging, written) = staged(&place, true);
        staging.commit(written).expect("put there");
        assert_eq!(names(root), ["x"]);
        assert_eq!(fs::read(place.join("layer.json")).expect("there"), b"new");
    }

    #[test]
    fn folders_that_are_made_on_the_way_are_flushed() {
        let temporary = tempfile::tempdir().expect("a folder");
        let (root, place) = (temporary.path(), temporary.path().join("a/b/x"));
        let (staging, written) = staged(&place, false);
        let flushed = std::cell::RefCell::new(Vec::new());
        let flush = |folder: &Path| {
            flushed.borrow_mut().push(folder.to_owned());
            Ok(())
        };
        staging.commit_with(written, flush).expect("put there");
        for folder in [root, &root.join("a"), &root.join("a/b")] {
            assert!(flushed.borrow().iter().any(|it| it == folder));
        }
    }
}
