//! The lock of a place: a file beside it, there as long as somebody works at the place.
//!
//! The system keeps the lock, so that it ends with the process that holds it, however that ends. A
//! file that is left all the same locks nothing.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use super::error::PortableError;
use crate::error::{Result, io_error};

/// A file that only one process can lock, deleted with the lock.
pub(super) struct Lock {
    path: PathBuf,
    _file: File,
}

impl Lock {
    /// Takes the lock `name` beside `place`, or fails at once.
    pub(super) fn take(place: &Path, name: &OsStr) -> Result<Self> {
        let path = place.with_file_name(name);
        match open_locked(&path).map_err(io_error("lock", &path))? {
            Some(file) => Ok(Self { path, _file: file }),
            None => Err(PortableError::Busy {
                path: place.to_owned(),
            }
            .into()),
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // On Windows the system deletes the file, and nobody else can.
        if cfg!(unix) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Opens the file with an advisory lock on it; `None` when another process has that.
#[cfg(unix)]
fn open_locked(path: &Path) -> io::Result<Option<File>> {
    use std::os::unix::fs::OpenOptionsExt;
    loop {
        // A link in its place is not followed, a pipe not waited for.
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
    matches!((file.metadata(), fs::metadata(path)), (Ok(a), Ok(b)) if id(&a) == id(&b))
}

/// Opens the file so that nobody else can; `None` when another process has it open.
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
