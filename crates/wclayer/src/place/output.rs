//! [`NewFile`]: a file that appears at its path complete and flushed, or not at all.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use tempfile::TempPath;

use super::{disk, leftovers, lock};
use crate::error::{Error, Result, io_error};

/// How often to create a file again if another process clears it away before it is locked.
const TRIES: usize = 16;

/// A hidden file beside a path, which it replaces once it is complete.
///
/// Dropped before that, it disappears. Files that killed processes left in the same folder are
/// deleted when the next one is created there.
#[derive(Debug)]
pub struct NewFile {
    file: File,
    hidden: TempPath,
    path: PathBuf,
}

impl NewFile {
    /// Creates an empty file with the usual permissions of new files.
    ///
    /// # Errors
    ///
    /// Returns [`Error::Io`] if the folder is not writable.
    pub fn beside(path: &Path) -> Result<Self> {
        let folder = folder_of(path);
        leftovers::clear_outputs(folder);
        let mut builder = tempfile::Builder::new();
        builder
            .prefix(leftovers::OUTPUT)
            .rand_bytes(leftovers::RANDOM);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            // The system applies the umask.
            builder.permissions(fs::Permissions::from_mode(0o666));
        }
        for _ in 0..TRIES {
            let made = builder.tempfile_in(folder);
            let (file, hidden) = made.map_err(io_error("create", path))?.into_parts();
            if lock::own(&file, &hidden) {
                return Ok(Self {
                    file,
                    hidden,
                    path: path.to_owned(),
                });
            }
        }
        Err(Error::Io {
            action: "create",
            path: path.to_owned(),
            source: io::ErrorKind::ResourceBusy.into(),
        })
    }

    /// Returns the file to write to.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Returns the path that it will have.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Flushes the file, renames it to its path, and flushes the folder.
    ///
    /// # Errors
    ///
    /// Returns [`Error::Io`]. The path then has its old content again, unless the folder cannot be
    /// flushed on a system that cannot swap two files: then it has the new one.
    pub fn commit(self) -> Result<()> {
        self.commit_with(disk::flush_folder)
    }

    /// Same as [`commit`](Self::commit), but replaces nothing.
    ///
    /// # Errors
    ///
    /// Returns [`Error::Exists`] if the path exists, and [`Error::Io`].
    pub fn commit_new(self) -> Result<()> {
        let Self { file, hidden, path } = self;
        disk::flush(&file).map_err(io_error("flush", &path))?;
        if let Err(failure) = hidden.persist_noclobber(&path) {
            return Err(match failure.error.kind() {
                io::ErrorKind::AlreadyExists => Error::Exists {
                    path,
                    is_layer: false,
                },
                _ => io_error("create", &path)(failure.error),
            });
        }
        disk::flush_folder(folder_of(&path)).inspect_err(|_| {
            let _ = fs::remove_file(&path);
        })
    }

    fn commit_with(self, flush_folder: impl Fn(&Path) -> Result<()>) -> Result<()> {
        let Self { file, hidden, path } = self;
        // The handle of the first write, which sees every page that could not be written.
        disk::flush(&file).map_err(io_error("flush", &path))?;
        let is_there = fs::symlink_metadata(&path).is_ok_and(|there| there.is_file());
        if is_there && disk::exchange(&hidden, &path).is_ok() {
            // The old file has the hidden name now, and is deleted with it.
            return flush_folder(folder_of(&path)).inspect_err(|_| {
                if disk::exchange(&hidden, &path).is_ok() {
                    // The old state is back; another flush may well fail, too.
                    let _ = flush_folder(folder_of(&path));
                }
            });
        }
        let put = hidden.persist(&path);
        put.map_err(|failure| io_error("replace", &path)(failure.error))?;
        flush_folder(folder_of(&path)).inspect_err(|_| {
            if !is_there {
                let _ = fs::remove_file(&path);
            }
        })
    }
}

fn folder_of(path: &Path) -> &Path {
    let folder = path.parent();
    let folder = folder.filter(|folder| !folder.as_os_str().is_empty());
    folder.unwrap_or(Path::new("."))
}

/// Closes a file that was written and not flushed, and returns whether that worked: network file
/// systems and quotas report only then that the disk is full. On Windows it always works.
///
/// # Errors
///
/// Returns the system's error.
pub fn close(file: File) -> io::Result<()> {
    disk::close(file)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn fails(folder: &Path) -> Result<()> {
        Err(io_error("flush", folder)(io::Error::other("injected")))
    }

    fn new_file(path: &Path) -> NewFile {
        let new = NewFile::beside(path).expect("made");
        new.file().write_all(b"new").expect("written");
        new
    }

    #[test]
    fn a_folder_that_cannot_be_flushed_leaves_what_was_there() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("out.tar");
        let names = || fs::read_dir(folder.path()).expect("a folder").count();
        new_file(&path).commit_with(fails).expect_err("injected");
        assert_eq!(names(), 0);
        fs::write(&path, b"old").expect("written");
        new_file(&path).commit_with(fails).expect_err("injected");
        if cfg!(any(target_os = "linux", target_os = "macos")) {
            assert_eq!(fs::read(&path).expect("there"), b"old");
        }
        assert_eq!(names(), 1);
        new_file(&path).commit().expect("put there");
        assert_eq!(fs::read(&path).expect("there"), b"new");
        assert_eq!(names(), 1);
    }

    #[test]
    fn what_others_write_beside_it_stays() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("out.tar");
        let living = new_file(&folder.path().join("other.tar"));
        fs::write(folder.path().join(".wclayer-export-a1b2c3"), b"left").expect("written");
        let foreign = ["", "a1b2c", "a1b2c3d", "a1b2c-", "a1b2c3.tar"];
        for name in foreign {
            fs::write(folder.path().join(format!(".wclayer-export-{name}")), b"x").expect(name);
        }
        fs::create_dir(folder.path().join(".wclayer-export-folder")).expect("made");
        new_file(&path).commit().expect("put there");
        let names = fs::read_dir(folder.path()).expect("a folder");
        // The foreign files, the folder, the file still in use, and the new one.
        assert_eq!(names.count(), foreign.len() + 3);
        living.commit().expect("put there");
        assert_eq!(
            fs::read(folder.path().join("other.tar")).expect("there"),
            b"new"
        );
    }
}
