//! Places on the host: directories opened name by name, below one handle, through no link.
//!
//! Every call names one component in an open directory, so that nothing that stands in the way,
//! or is put there meanwhile, leads out of the folder. What was there before is told from what
//! this extraction made by the time of its making, compared with that of a file made at the start.

use std::borrow::Cow;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use cap_fs_ext::{DirExt, FollowSymlinks, OpenOptionsFollowExt};
use cap_std::ambient_authority;
use cap_std::fs::{Dir, File, Metadata, OpenOptions};
use ntmeta::upcase;

use super::names::{NameRules, host_name, other_name};
use super::report::Extracted;
use crate::error::{Error, Result, io_error};
use crate::path::LayerPath;

/// The folder that is extracted to; shared by all threads.
#[derive(Debug)]
pub(super) struct Ground {
    folder: PathBuf,
    /// The change time of what was made first.
    start: Stamp,
    pub(super) rules: NameRules,
    replaced: AtomicU64,
}

/// Seconds and nanoseconds.
type Stamp = (i64, u32);

impl Ground {
    /// Makes the folder, where it is missing, and opens it.
    pub(super) fn open(folder: &Path) -> Result<(Arc<Self>, Arc<Dir>)> {
        std::fs::create_dir_all(folder).map_err(io_error("create", folder))?;
        let dir = Dir::open_ambient_dir(folder, ambient_authority());
        let dir = dir.map_err(io_error("open", folder))?;
        let start = start_of(&dir).map_err(io_error("write to", folder))?;
        let ground = Self {
            folder: folder.to_owned(),
            start,
            rules: NameRules::of_this_system(),
            replaced: AtomicU64::new(0),
        };
        Ok((Arc::new(ground), Arc::new(dir)))
    }

    /// Makes the error of a path of the layer.
    pub(super) fn error<'a>(
        &'a self,
        action: &'static str,
        path: &'a LayerPath,
    ) -> impl FnOnce(io::Error) -> Error + use<'a> {
        move |source| {
            let names = path
                .components()
                .map(|name| host_name(name, self.rules).into_owned());
            Error::Io {
                action,
                path: self.folder.join(names.collect::<PathBuf>()),
                source,
            }
        }
    }

    /// Returns whether this extraction made something.
    pub(super) fn is_ours(&self, metadata: &Metadata) -> bool {
        stamp(metadata) >= self.start
    }

    /// Returns how much of what was there before was replaced.
    pub(super) fn replaced(&self) -> u64 {
        self.replaced.load(Ordering::Relaxed)
    }

    /// Frees the place of a path, and returns the name to use there: another one when the host
    /// takes two names of the layer for one.
    pub(super) fn free(&self, dir: &Dir, path: &LayerPath) -> io::Result<String> {
        let name = host_name(path.file_name(), self.rules).into_owned();
        match self.clear(dir, &name)? {
            true => Ok(name),
            false => {
                let other = other_name(path.file_name(), self.rules);
                match self.clear(dir, &other)? {
                    true => Ok(other),
                    false => Err(io::ErrorKind::AlreadyExists.into()),
                }
            }
        }
    }

    /// Deletes what was there before; `false` when it is of this extraction.
    fn clear(&self, dir: &Dir, name: &str) -> io::Result<bool> {
        let there = match dir.symlink_metadata(name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(true),
            there => there?,
        };
        if there.is_dir() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        if self.is_ours(&there) {
            return Ok(false);
        }
        remove(dir, name)?;
        self.replaced.fetch_add(1, Ordering::Relaxed);
        Ok(true)
    }

    /// Makes a file that was not there, and gives its name.
    pub(super) fn create(&self, dir: &Dir, path: &LayerPath) -> io::Result<(File, String)> {
        let mut options = OpenOptions::new();
        options
            .write(true)
            .create_new(true)
            .follow(FollowSymlinks::No);
        let name = host_name(path.file_name(), self.rules);
        match dir.open_with(&*name, &options) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                let name = self.free(dir, path)?;
                Ok((dir.open_with(&name, &options)?, name))
            }
            created => Ok((created?, name.into_owned())),
        }
    }
}

/// Opens directories of the layer on the host, and makes those that are missing.
pub(super) struct Places {
    ground: Arc<Ground>,
    root: Arc<Dir>,
    /// The directories of the last path, outermost first.
    open: Vec<(Vec<u8>, Arc<Dir>)>,
}

impl Places {
    pub(super) fn new(ground: Arc<Ground>, root: Arc<Dir>) -> Self {
        Self {
            ground,
            root,
            open: Vec::new(),
        }
    }

    /// Opens the directory that holds a path, and makes it where it is missing.
    pub(super) fn parent(&mut self, path: &LayerPath, report: &mut Extracted) -> Result<Arc<Dir>> {
        match path.parent() {
            Some(parent) => self.directory(&parent, report),
            None => Ok(Arc::clone(&self.root)),
        }
    }

    /// Opens a directory, and makes it where it is missing.
    pub(super) fn directory(
        &mut self,
        path: &LayerPath,
        report: &mut Extracted,
    ) -> Result<Arc<Dir>> {
        let known = self.open.iter().map(|(name, _)| &name[..]);
        let known = known
            .zip(path.components())
            .take_while(|(a, b)| a == b)
            .count();
        self.open.truncate(known);
        for (depth, name) in path.components().enumerate().skip(known) {
            let last = self.open.last().map_or(&self.root, |(_, dir)| dir);
            let (dir, is_new) = enter(&self.ground, last, name)
                .map_err(self.ground.error("make the directory", path))?;
            if is_new && let Cow::Owned(host) = host_name(name, self.ground.rules) {
                let above = path.ancestors();
                report.renamed(above.get(depth).unwrap_or(path), &host);
            }
            report.directories += u64::from(is_new);
            self.open.push((name.to_owned(), Arc::new(dir)));
        }
        let last = self.open.last().map_or(&self.root, |(_, dir)| dir);
        Ok(Arc::clone(last))
    }

    /// Opens the directory that holds a path, if it is there.
    pub(super) fn find_parent(&self, path: &LayerPath) -> io::Result<Dir> {
        let mut dir = self.root.try_clone()?;
        for name in path.parent().iter().flat_map(LayerPath::components) {
            dir = dir.open_dir_nofollow(&*host_name(name, self.ground.rules))?;
        }
        Ok(dir)
    }

    /// Finds how names are spelt on the host that tells cases apart: the path is from a link.
    /// What is not there stays as it is. Every listing costs of `budget`.
    pub(super) fn spelling(&self, path: &LayerPath, budget: &mut u64) -> Vec<String> {
        let names = path
            .components()
            .map(|name| host_name(name, self.ground.rules).into_owned());
        let mut names: Vec<String> = names.collect();
        let mut dir = self.root.try_clone().ok();
        for name in &mut names {
            let Some(here) = dir.take() else { break };
            if here.symlink_metadata(&*name).is_err()
                && let Some(spelt) = any_case(&here, name, budget)
            {
                *name = spelt;
            }
            dir = here.open_dir_nofollow(&*name).ok();
        }
        names
    }
}

/// Looks for a name in any case of letters.
fn any_case(dir: &Dir, name: &str, budget: &mut u64) -> Option<String> {
    let wanted: Vec<u16> = name.encode_utf16().collect();
    for entry in dir.entries().ok()? {
        *budget = budget.checked_sub(1)?;
        let Ok(found) = entry.ok()?.file_name().into_string() else {
            continue;
        };
        let units: Vec<u16> = found.encode_utf16().collect();
        if upcase::eq_ignore_case(&units, &wanted) {
            return Some(found);
        }
    }
    None
}

/// Opens a directory in another one, and makes it where it is missing. A link or file that was
/// there before is replaced, as `tar` does.
fn enter(ground: &Ground, dir: &Dir, name: &[u8]) -> io::Result<(Dir, bool)> {
    let name = host_name(name, ground.rules);
    match dir.open_dir_nofollow(&*name) {
        Ok(opened) => return Ok((opened, false)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => match dir.symlink_metadata(&*name) {
            Ok(there) if !there.is_dir() && !ground.is_ours(&there) => {
                remove(dir, &name)?;
                ground.replaced.fetch_add(1, Ordering::Relaxed);
            }
            _ => return Err(error),
        },
    }
    dir.create_dir(&*name)?;
    Ok((dir.open_dir_nofollow(&*name)?, true))
}

/// Deletes a file or a link, of either kind on Windows.
fn remove(dir: &Dir, name: &str) -> io::Result<()> {
    dir.remove_file_or_symlink(name)
}

/// Waits for the file system's clock, which moves in steps, to move on: what was there before is
/// older then than what is made from now on. A clock with long steps is not waited for.
fn start_of(dir: &Dir) -> io::Result<Stamp> {
    let first = probe(dir)?;
    for _ in 0..20 {
        let next = probe(dir)?;
        if next > first {
            return Ok(next);
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(first)
}

/// Makes a file, looks at its time and deletes it.
fn probe(dir: &Dir) -> io::Result<Stamp> {
    let mut options = OpenOptions::new();
    options
        .write(true)
        .create_new(true)
        .follow(FollowSymlinks::No);
    for number in 0..1000_u32 {
        let name = format!(".wclayer-extract-{}-{number}", std::process::id());
        match dir.open_with(&name, &options) {
            Ok(file) => {
                let stamp = file.metadata().map(|metadata| stamp(&metadata));
                drop(file);
                dir.remove_file(&name)?;
                return stamp;
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

/// Returns when a file was made, which nothing here sets. Linux has file systems that do not tell;
/// macOS moves that time when others are set: there it is the last change.
fn stamp(metadata: &Metadata) -> Stamp {
    let created = metadata
        .created()
        .ok()
        .filter(|_| !cfg!(target_vendor = "apple"));
    let since = created.map(|time| time.into_std().duration_since(SystemTime::UNIX_EPOCH));
    match since {
        Some(Ok(since)) => (
            since.as_secs().try_into().unwrap_or(i64::MAX),
            since.subsec_nanos(),
        ),
        Some(Err(_)) => (0, 0),
        None => changed(metadata),
    }
}

#[cfg(unix)]
fn changed(metadata: &Metadata) -> Stamp {
    use cap_std::fs::MetadataExt;
    let nanoseconds = u32::try_from(metadata.ctime_nsec()).unwrap_or(0);
    (metadata.ctime(), nanoseconds)
}

#[cfg(not(unix))]
fn changed(_: &Metadata) -> Stamp {
    (0, 0)
}
