//! Files and names that survive a crash: flushed, renamed, closed, and every result counts.
//!
//! Linux reports an I/O error of written pages once for each open file description, and a
//! description that is opened later may not see it. So the handle to flush is the one that was
//! opened before the first write. An error of `close` adds nothing for a file that was flushed. For
//! one that was not, [`close`] returns the errors that network file systems and quotas report only
//! then.

#[cfg(unix)]
use std::ffi::OsStr;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::error::{Result, io_error};

/// The pause before another attempt to rename a folder.
const RENAME_PAUSE: Duration = Duration::from_millis(100);

/// Flushes a file, or the names in a folder, to the disk.
pub(crate) fn flush(file: &File) -> io::Result<()> {
    let flushed = file.sync_all();
    // Network and FAT volumes do not support the stronger call of macOS.
    #[cfg(target_vendor = "apple")]
    let flushed = flushed.or_else(|_| Ok(rustix::fs::fsync(file)?));
    flushed
}

/// Flushes the names in a folder.
///
/// Some network file systems cannot flush folders, and a folder that is only writable cannot be
/// opened for that. Neither is an error of the disk.
///
/// Source: PostgreSQL `src/common/file_utils.c`, `fsync_fname`, for the same exceptions.
pub(crate) fn flush_folder(folder: &Path) -> Result<()> {
    // Windows cannot flush a folder; NTFS journals names on its own.
    if !cfg!(unix) {
        return Ok(());
    }
    let handle = match File::open(folder) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return Ok(()),
        handle => handle.map_err(io_error("open", folder))?,
    };
    match flush(&handle) {
        Err(error) if has_no_flush(&error) => Ok(()),
        flushed => flushed.map_err(io_error("flush", folder)),
    }
}

fn has_no_flush(error: &io::Error) -> bool {
    use io::ErrorKind::{InvalidInput, Unsupported};
    matches!(error.kind(), InvalidInput | Unsupported)
}

/// Closes a file that was written and not flushed.
pub(crate) fn close(file: File) -> io::Result<()> {
    #[cfg(unix)]
    {
        match nix::unistd::close(file) {
            // Linux closes the file anyway, and nothing is lost.
            Ok(()) | Err(nix::errno::Errno::EINTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
    #[cfg(windows)]
    {
        drop(file);
        Ok(())
    }
}

/// Creates a folder and those above it that are missing. Returns the folders that contain new names,
/// for the caller to flush.
pub(crate) fn create_folders(folder: &Path) -> Result<Vec<PathBuf>> {
    let missing = |folder: &&Path| !folder.as_os_str().is_empty() && !folder.exists();
    let changed = folder.ancestors().take_while(missing);
    let changed = changed.filter_map(|made| made.parent().map(Path::to_owned));
    let changed = changed.collect();
    fs::create_dir_all(folder).map_err(io_error("create", folder))?;
    Ok(changed)
}

/// The disk that holds a folder, for flushing more files than can be held open.
///
/// It must be opened before the first of them is written: Linux (from 5.8 on) reports every page
/// that could not be written since then.
pub(crate) struct Disk {
    folder: PathBuf,
    #[cfg(any(target_os = "linux", target_os = "android"))]
    handle: File,
}

impl Disk {
    pub(crate) fn of(folder: &Path) -> Result<Self> {
        Ok(Self {
            folder: folder.to_owned(),
            #[cfg(any(target_os = "linux", target_os = "android"))]
            handle: File::open(folder).map_err(io_error("open", folder))?,
        })
    }

    pub(crate) fn flush(&self) -> Result<()> {
        #[cfg(any(target_os = "linux", target_os = "android"))]
        let flushed = rustix::fs::syncfs(&self.handle).map_err(io::Error::from);
        // `sync` returns no result, so each file is flushed.
        #[cfg(all(unix, not(any(target_os = "linux", target_os = "android"))))]
        let flushed = flush_tree(&self.folder);
        // Only administrators may flush a disk on Windows.
        #[cfg(windows)]
        let flushed = Ok(());
        flushed.map_err(io_error("flush", &self.folder))
    }
}

/// Flushes every file and folder below a folder.
#[cfg(all(unix, any(test, not(any(target_os = "linux", target_os = "android")))))]
fn flush_tree(folder: &Path) -> io::Result<()> {
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for name in names_in(&folder, usize::MAX)? {
            let path = folder.join(name);
            let kind = fs::symlink_metadata(&path)?.file_type();
            if kind.is_dir() {
                folders.push(path);
            } else if kind.is_file() {
                flush(&File::open(path)?)?;
            }
        }
        flush(&File::open(&folder)?)?;
    }
    Ok(())
}

/// Lists up to `most` names in a folder, in no particular order.
///
/// The standard library aborts the program if a folder that it has listed cannot be closed.
pub(crate) fn names_in(folder: &Path, most: usize) -> io::Result<Vec<OsString>> {
    #[cfg(unix)]
    {
        use std::os::unix::ffi::OsStrExt;

        use rustix::fs::{Dir, Mode, OFlags};
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let folder = rustix::fs::open(folder, flags, Mode::empty())?;
        let names = Dir::read_from(folder)?.map(|entry| {
            let entry = entry?;
            Ok(OsStr::from_bytes(entry.file_name().to_bytes()).to_owned())
        });
        let is_real = |name: &io::Result<OsString>| {
            !name.as_ref().is_ok_and(|name| name == "." || name == "..")
        };
        names.filter(is_real).take(most).collect()
    }
    #[cfg(windows)]
    {
        let names = fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.file_name()));
        names.take(most).collect()
    }
}

/// Deletes a folder and everything in it. Follows no link.
pub(crate) fn remove_tree(folder: &Path) -> io::Result<()> {
    // As above: the standard library aborts the program if a folder cannot be closed.
    #[cfg(unix)]
    if let (Some(above), Some(name)) = (folder.parent(), folder.file_name()) {
        let above = match above.as_os_str().is_empty() {
            true => Path::new("."),
            false => above,
        };
        let above = cap_std::fs::Dir::open_ambient_dir(above, cap_std::ambient_authority())?;
        return above.remove_dir_all(name);
    }
    fs::remove_dir_all(folder)
}

/// A folder that is deleted on drop.
#[derive(Debug)]
pub(crate) struct TemporaryFolder(Option<PathBuf>);

impl TemporaryFolder {
    /// Creates a folder with a unique name.
    pub(crate) fn make(builder: &mut tempfile::Builder<'_, '_>, inside: &Path) -> Result<Self> {
        let made = builder.tempdir_in(inside);
        let made = made.map_err(io_error("create a folder in", inside))?;
        Ok(Self(Some(made.keep())))
    }

    /// Returns its path.
    pub(crate) fn path(&self) -> &Path {
        self.0.as_deref().unwrap_or(Path::new(""))
    }

    /// Keeps the folder.
    pub(crate) fn keep(mut self) {
        self.0 = None;
    }

    /// Deletes the folder and returns whether that worked.
    pub(crate) fn delete(mut self) -> io::Result<()> {
        remove_tree(self.path())?;
        self.0 = None;
        Ok(())
    }
}

impl Drop for TemporaryFolder {
    fn drop(&mut self) {
        if let Some(path) = self.0.take() {
            // What remains after a second attempt is cleared by the next command at the same path.
            let _ = remove_tree(&path).or_else(|_| remove_tree(&path));
        }
    }
}

/// Renames a folder.
///
/// On Windows this fails while anything in it is open, and virus scanners and indexers open every
/// new file for a moment. So it is tried again for two seconds.
pub(crate) fn rename(from: &Path, to: &Path) -> io::Result<()> {
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

/// Swaps two files or two folders in one step.
///
/// # Errors
///
/// Returns `Unsupported` if the system cannot do that.
pub(crate) fn exchange(a: &Path, b: &Path) -> io::Result<()> {
    #[cfg(any(target_os = "linux", target_os = "macos"))]
    {
        use rustix::fs::{CWD, RenameFlags, renameat_with};
        Ok(renameat_with(CWD, a, CWD, b, RenameFlags::EXCHANGE)?)
    }
    #[cfg(not(any(target_os = "linux", target_os = "macos")))]
    {
        let _ = (a, b);
        Err(io::ErrorKind::Unsupported.into())
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn the_folders_that_get_a_new_name_are_known() {
        let temporary = tempfile::tempdir().expect("a folder");
        let root = temporary.path();
        let changed = create_folders(&root.join("a/b/c")).expect("made");
        assert_eq!(changed, [root.join("a/b"), root.join("a"), root.to_owned()]);
        assert_eq!(
            create_folders(&root.join("a/b")).expect("there"),
            [] as [PathBuf; 0]
        );
    }

    #[test]
    fn a_tree_is_flushed_without_following_links() {
        let temporary = tempfile::tempdir().expect("a folder");
        create_folders(&temporary.path().join("a/b")).expect("made");
        fs::write(temporary.path().join("a/file"), b"x").expect("written");
        std::os::unix::fs::symlink("/nowhere", temporary.path().join("a/link")).expect("a link");
        flush_tree(temporary.path()).expect("flushed");
    }

    #[test]
    fn only_a_missing_flush_of_folders_is_no_error() {
        // EINVAL; EIO, ENOSPC.
        for (code, is_missing) in [(22, true), (5, false), (28, false)] {
            let error = io::Error::from_raw_os_error(code);
            assert_eq!(has_no_flush(&error), is_missing, "{error}");
        }
        flush_folder(Path::new("/nowhere at all")).expect_err("not there");
    }

    #[test]
    fn a_file_is_closed_with_a_result() {
        let file = tempfile::tempfile().expect("a file");
        close(file).expect("closed");
    }
}
