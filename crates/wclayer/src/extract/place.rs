//! Directories on the host, opened name by name below one handle and never through a link.
//!
//! Every call names one component in an open directory, so that nothing that is in the way, or
//! appears there meanwhile, leads out of the folder.

use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use cap_fs_ext::{DirExt, FollowSymlinks, OpenOptionsFollowExt};
use cap_std::ambient_authority;
use cap_std::fs::{Dir, File, Metadata, OpenOptions};
use ntmeta::upcase;

use super::made::{Made, Place, lock};
use super::names::{NameRules, host_name, other_name};
use super::report::Extracted;
use crate::error::{Error, Result, io_error};
use crate::path::LayerPath;

/// How often to try a name that other processes take at the same time.
const TRIES: u32 = 8;
/// The longest path in an error, in characters.
const SHOWN_PATH: usize = 400;

/// The target folder; shared by all threads.
#[derive(Debug)]
pub(super) struct Ground {
    folder: PathBuf,
    pub(super) made: Made,
    pub(super) rules: NameRules,
    replaced: AtomicU64,
    /// The report of the threads that have ended.
    pub(super) report: Mutex<Extracted>,
}

/// An open directory on the host.
#[derive(Debug)]
pub(super) struct Folder {
    pub(super) dir: Dir,
    pub(super) place: Place,
    /// The names in it when one was first in the way. Locked while a name is cleared.
    there: Mutex<Option<HashSet<Place>>>,
}

impl Folder {
    pub(super) fn new(dir: Dir, place: Place) -> Self {
        Self {
            dir,
            place,
            there: Mutex::default(),
        }
    }
}

impl Ground {
    /// Creates the folder if necessary, and opens it.
    pub(super) fn open(folder: &Path) -> Result<(Arc<Self>, Arc<Folder>)> {
        std::fs::create_dir_all(folder).map_err(io_error("create", folder))?;
        let dir = Dir::open_ambient_dir(folder, ambient_authority());
        let dir = dir.map_err(io_error("open", folder))?;
        let ground = Self {
            folder: folder.to_owned(),
            made: Made::new(),
            rules: NameRules::of_this_system(),
            replaced: AtomicU64::new(0),
            report: Mutex::default(),
        };
        let top = Folder::new(dir, ground.made.top());
        Ok((Arc::new(ground), Arc::new(top)))
    }

    /// Returns an error about a path of the layer.
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
                path: self.folder.join(shortened(names.collect())),
                source,
            }
        }
    }

    /// Returns how many existing files and links were replaced.
    pub(super) fn replaced(&self) -> u64 {
        self.replaced.load(Ordering::Relaxed)
    }

    /// Frees a name for a path and returns it: not the usual one if the host does not distinguish
    /// it from another name of the layer.
    pub(super) fn free(&self, folder: &Folder, path: &LayerPath) -> io::Result<String> {
        self.take_name(folder, path, |name| self.clear(folder, name))
    }

    /// Creates a new file and returns it with its name.
    pub(super) fn create(&self, folder: &Folder, path: &LayerPath) -> io::Result<(File, String)> {
        let mut options = OpenOptions::new();
        options
            .write(true)
            .create_new(true)
            .follow(FollowSymlinks::No);
        let mut made = None;
        let name = self.take_name(folder, path, |name| {
            for _ in 0..TRIES {
                match folder.dir.open_with(name, &options) {
                    Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                        if !self.clear(folder, name)? {
                            return Ok(false);
                        }
                    }
                    file => {
                        made = Some(file?);
                        return Ok(true);
                    }
                }
            }
            Ok(false)
        })?;
        let file = made.ok_or(io::ErrorKind::AlreadyExists)?;
        Ok((file, name))
    }

    /// Claims the first name of a path for which `take` succeeds.
    fn take_name(
        &self,
        folder: &Folder,
        path: &LayerPath,
        mut take: impl FnMut(&str) -> io::Result<bool>,
    ) -> io::Result<String> {
        let real = path.file_name();
        let name = host_name(real, self.rules);
        let mut take = |name: &str| {
            let place = self.made.place(folder.place, name);
            Ok::<_, io::Error>(self.made.claim(place) && take(name)?)
        };
        let name = match take(&name)? {
            true => name.into_owned(),
            false => {
                let other = other_name(real, self.rules);
                match take(&other)? {
                    true => other,
                    false => return Err(io::ErrorKind::AlreadyExists.into()),
                }
            }
        };
        self.made.note(folder.place, real, &name);
        Ok(name)
    }

    /// Deletes a previous file or link under a name that the caller has just claimed; returns
    /// `false` if the host takes the name for that of something that this extraction has created.
    fn clear(&self, folder: &Folder, name: &str) -> io::Result<bool> {
        let mut listed = lock(&folder.there);
        let there = match folder.dir.symlink_metadata(name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(true),
            there => there?,
        };
        if there.is_dir() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        let place = |name: &str| self.made.place(folder.place, name);
        let listed = match &mut *listed {
            Some(listed) => listed,
            none => none.insert(names_in(&folder.dir)?.map(|it| place(&it)).collect()),
        };
        // The claim is new, so nothing has been created under exactly this name. The existing name
        // has another spelling, or appeared later.
        if !listed.remove(&place(name)) {
            match spelling_of(&folder.dir, name, &there)? {
                Some(spelt) if spelt == name => {}
                Some(spelt) if !self.made.is_claimed(place(&spelt)) => {
                    listed.remove(&place(&spelt));
                }
                _ => return Ok(false),
            }
        }
        match folder.dir.remove_file_or_symlink(name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            removed => removed?,
        }
        self.replaced.fetch_add(1, Ordering::Relaxed);
        Ok(true)
    }

    /// Opens a directory in another one, and creates it if necessary; returns whether it did. A
    /// previous link or file is replaced, as `tar` does.
    pub(super) fn enter(&self, folder: &Folder, name: &str) -> io::Result<(Dir, bool)> {
        let dir = &folder.dir;
        let mut is_ours = None;
        for _ in 0..TRIES {
            match dir.open_dir_nofollow(name) {
                Ok(opened) => return Ok((opened, false)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => match dir.symlink_metadata(name) {
                    Ok(there) if !there.is_dir() => {
                        let place = self.made.place(folder.place, name);
                        let is_ours = *is_ours.get_or_insert_with(|| !self.made.claim(place));
                        if is_ours || !self.clear(folder, name)? {
                            return Err(error);
                        }
                    }
                    _ => return Err(error),
                },
            }
            match dir.create_dir(name) {
                Ok(()) => return Ok((dir.open_dir_nofollow(name)?, true)),
                // Another thread or process was faster.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
        Err(io::ErrorKind::AlreadyExists.into())
    }
}

/// Returns the names in a directory, except those that are not text.
fn names_in(dir: &Dir) -> io::Result<impl Iterator<Item = String> + use<>> {
    let entries = dir.entries()?;
    Ok(entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()))
}

/// Returns the spelling of a name that the host found; `None` if it cannot be determined.
fn spelling_of(dir: &Dir, name: &str, found: &Metadata) -> io::Result<Option<String>> {
    let wanted: Vec<u16> = name.encode_utf16().collect();
    let mut spelt = None;
    for there in names_in(dir)? {
        if there == name {
            return Ok(Some(there));
        }
        let units: Vec<u16> = there.encode_utf16().collect();
        if upcase::eq_ignore_case(&units, &wanted) {
            spelt = Some(there);
        }
    }
    if spelt.is_some() {
        return Ok(spelt);
    }
    let Some(wanted) = identity(found) else {
        return Ok(None);
    };
    Ok(names_in(dir)?.find(|there| {
        let there = dir.symlink_metadata(there).ok();
        there.as_ref().and_then(identity) == Some(wanted)
    }))
}

/// Looks for a name in any letter case. Every name that is read reduces `budget`.
pub(super) fn any_case(dir: &Dir, name: &str, budget: &mut u64) -> Option<String> {
    let wanted: Vec<u16> = name.encode_utf16().collect();
    for there in names_in(dir).ok()? {
        *budget = budget.checked_sub(1)?;
        let units: Vec<u16> = there.encode_utf16().collect();
        if upcase::eq_ignore_case(&units, &wanted) {
            return Some(there);
        }
    }
    None
}

/// Returns the device and number of a file, if the system has them. If they are equal at the same
/// time, the file is the same.
pub(super) fn identity(metadata: &Metadata) -> Option<(u64, u64)> {
    #[cfg(unix)]
    {
        use cap_std::fs::MetadataExt;
        Some((metadata.dev(), metadata.ino()))
    }
    #[cfg(not(unix))]
    {
        let _ = metadata;
        None
    }
}

/// Leaves out the middle of a very long path.
fn shortened(names: PathBuf) -> PathBuf {
    let text = names.to_string_lossy();
    let count = text.chars().count();
    if count <= SHOWN_PATH {
        return names;
    }
    let start: String = text.chars().take(SHOWN_PATH / 2).collect();
    let end: String = text.chars().skip(count - SHOWN_PATH / 2).collect();
    format!("{start}…{end}").into()
}
