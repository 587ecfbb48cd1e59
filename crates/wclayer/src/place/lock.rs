//! Locks on the paths that a living process works on.
//!
//! The lock of a path is a file beside it, which exists while somebody works on the path. A
//! temporary file or folder is locked itself ([`own`]). The system keeps the locks, so they end with
//! the process that holds them, however it ends. A lock file that remains locks nothing.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

/// A file that only one process can lock, deleted with the lock.
pub(crate) struct Lock {
    path: PathBuf,
    file: File,
}

impl Lock {
    /// Takes the lock of an absolute path; `None` if another process has it.
    pub(crate) fn take(place: &Path) -> io::Result<Option<Self>> {
        let path = path_of(place).ok_or(io::ErrorKind::InvalidInput)?;
        Ok(open_locked(&path)?.map(|file| Self { path, file }))
    }

    /// Returns whether the lock of a path is taken, without taking it or changing anything.
    pub(crate) fn is_taken(place: &Path) -> io::Result<bool> {
        let path = path_of(place).ok_or(io::ErrorKind::InvalidInput)?;
        let opened = File::open(path);
        match opened {
            // Nobody else can open it on Windows.
            Err(error) if error.raw_os_error() == Some(32) && cfg!(windows) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
            Ok(file) => Ok(matches!(file.try_lock(), Err(fs::TryLockError::WouldBlock))),
        }
    }
}

/// Returns the lock file of a path: hidden, beside it, with its name.
pub(crate) fn path_of(place: &Path) -> Option<PathBuf> {
    let mut name = OsString::from(".");
    name.push(place.file_name()?);
    name.push(".lock");
    Some(place.with_file_name(name))
}

impl Drop for Lock {
    fn drop(&mut self) {
        // On Windows the system deletes the file, and nobody else can. A file with content existed
        // before and belongs to another program. A lock file that remains does no harm.
        if cfg!(unix) && self.file.metadata().is_ok_and(|file| file.len() == 0) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Locks a new temporary file or folder while it is open. Returns `false` if it is too late: a
/// process that clears away leftovers has taken or deleted it in the meantime.
///
/// On file systems without locks, nobody clears away leftovers either.
pub(crate) fn own(file: &File, path: &Path) -> bool {
    match file.try_lock() {
        Ok(()) => is_at(file, path),
        Err(fs::TryLockError::WouldBlock) => false,
        Err(fs::TryLockError::Error(_)) => true,
    }
}

/// Takes over a temporary file or folder that no living process owns. Returns `false` if one does,
/// or if that cannot be determined.
pub(crate) fn take_over(file: &File, path: &Path) -> bool {
    file.try_lock().is_ok() && is_at(file, path)
}

/// Opens the file with an advisory lock on it; `None` if another process has the lock.
#[cfg(unix)]
fn open_locked(path: &Path) -> io::Result<Option<File>> {
    use std::os::unix::fs::OpenOptionsExt;
    loop {
        // Follows no link, and does not wait for a pipe.
        let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .custom_flags(flags.bits() as i32)
            .open(path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => return Ok(None),
            Err(fs::TryLockError::Error(error)) => return Err(error),
        }
        // Between opening and locking, the last owner may have deleted the file.
        if is_at(&file, path) {
            return Ok(Some(file));
        }
    }
}

#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let id = |metadata: &fs::Metadata| (metadata.dev(), metadata.ino());
    matches!((file.metadata(), fs::symlink_metadata(path)), (Ok(a), Ok(b)) if id(&a) == id(&b))
}

/// Files have no identity here, so a name that exists is taken for the same file.
#[cfg(windows)]
fn is_at(_: &File, path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok()
}

/// Opens the file so that nobody else can; `None` if another process has it open.
#[cfg(windows)]
fn open_locked(path: &Path) -> io::Result<Option<File>> {
    use std::os::windows::fs::OpenOptionsExt;
    // Source: `winbase.h`, `winerror.h`.
    const FILE_FLAG_DELETE_ON_CLOSE: u32 = 0x0400_0000;
    const FILE_FLAG_OPEN_REPARSE_POINT: u32 = 0x0020_0000;
    const ERROR_SHARING_VIOLATION: i32 = 32;
    let opened = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .share_mode(0)
        .custom_flags(FILE_FLAG_DELETE_ON_CLOSE | FILE_FLAG_OPEN_REPARSE_POINT)
        .open(path);
    match opened {
        Err(error) if error.raw_os_error() == Some(ERROR_SHARING_VIOLATION) => Ok(None),
        opened => opened.map(Some),
    }
}
