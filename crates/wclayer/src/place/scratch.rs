//! [`Scratch`]: files in the temporary folder that nobody else sees, and that disappear with the
//! process.

use std::env;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use super::disk::{TemporaryFolder, remove_tree};
use super::{leftovers, lock};
use crate::error::{Error, Result, io_error};

/// How often to create a folder again if another process clears it away before it is locked.
const TRIES: usize = 16;

/// A temporary folder, deleted on drop.
pub(crate) struct Scratch {
    path: PathBuf,
    /// `None` once it has been deleted.
    folder: Option<TemporaryFolder>,
    /// Locked, which marks the folder as in use.
    _own: Option<File>,
}

impl Scratch {
    /// Creates a folder with a prefix of [`leftovers`], and clears away those of killed processes.
    pub(crate) fn new(prefix: &str) -> Result<Self> {
        let temporary = env::temp_dir();
        leftovers::clear_views(&temporary);
        Self::inside(&temporary, prefix)
    }

    fn inside(temporary: &Path, prefix: &str) -> Result<Self> {
        let mut builder = tempfile::Builder::new();
        builder.prefix(prefix).rand_bytes(leftovers::RANDOM);
        for _ in 0..TRIES {
            let folder = TemporaryFolder::make(&mut builder, temporary)?;
            if let Some(own) = own(folder.path())? {
                return Ok(Self {
                    path: folder.path().to_owned(),
                    folder: Some(folder),
                    _own: own,
                });
            }
        }
        Err(Error::Io {
            action: "create a folder in",
            path: temporary.to_owned(),
            source: io::ErrorKind::ResourceBusy.into(),
        })
    }

    /// Returns the path of the folder, which may be deleted by now.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Removes the names of the open files in it, on systems where that does not close them: from
    /// then on the system deletes their content, however the process ends.
    pub(crate) fn hide(&mut self) {
        // What cannot be deleted now is deleted on drop.
        if cfg!(unix)
            && remove_tree(&self.path).is_ok()
            && let Some(folder) = self.folder.take()
        {
            folder.keep();
        }
    }
}

/// A file for this process alone, in a folder of its own.
pub(crate) struct ScratchFile {
    // Closed before its folder is removed, as Windows requires.
    file: File,
    _folder: Scratch,
}

impl ScratchFile {
    /// Creates a file in a folder with a prefix of [`leftovers`].
    pub(crate) fn create(prefix: &str, name: &str) -> Result<Self> {
        let mut folder = Scratch::new(prefix)?;
        let path = folder.path().join(name);
        let mut options = File::options();
        let file = options.read(true).write(true).create_new(true).open(&path);
        let file = file.map_err(io_error("create", &path))?;
        folder.hide();
        Ok(Self {
            file,
            _folder: folder,
        })
    }

    /// Returns the open file.
    pub(crate) fn file(&self) -> &File {
        &self.file
    }
}

/// Locks the folder; `None` if another process has cleared it away. Windows cannot lock a folder,
/// but keeps the open files in it.
fn own(folder: &Path) -> Result<Option<Option<File>>> {
    if cfg!(windows) {
        return Ok(Some(None));
    }
    match leftovers::open_nothing_followed(folder, true) {
        Ok(file) => Ok(lock::own(&file, folder).then_some(Some(file))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(io_error("open", folder)(error)),
    }
}

// Windows cannot lock a folder: there only what SQLite has open stays.
#[cfg(all(test, unix))]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn what_a_living_process_uses_stays_and_the_rest_goes() {
        let temporary = tempfile::tempdir().expect("a folder");
        let used = Scratch::inside(temporary.path(), leftovers::VIEW).expect("made");
        fs::write(used.path().join("index.sqlite"), b"x").expect("written");
        let left = temporary.path().join("wclayer-view-a1b2c3");
        fs::create_dir(&left).expect("made");
        fs::write(left.join("index.sqlite"), b"x").expect("written");
        leftovers::clear_views(temporary.path());
        assert!(used.path().join("index.sqlite").exists());
        assert!(!left.exists());
        let path = used.path().to_owned();
        drop(used);
        assert!(!path.exists());
    }

    #[test]
    fn an_open_file_outlives_its_name() {
        use std::io::Read;
        let temporary = tempfile::tempdir().expect("a folder");
        let mut scratch = Scratch::inside(temporary.path(), leftovers::VIEW).expect("made");
        let path = scratch.path().join("file");
        fs::write(&path, b"content").expect("written");
        let mut file = File::open(&path).expect("there");
        scratch.hide();
        assert_eq!(fs::read_dir(temporary.path()).expect("a folder").count(), 0);
        let mut content = Vec::new();
        file.read_to_end(&mut content).expect("readable");
        assert_eq!(content, b"content");
    }
}
