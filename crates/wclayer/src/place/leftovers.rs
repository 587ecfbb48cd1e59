//! The leftovers of killed processes, and their removal.
//!
//! | Name | Content | Its owner holds |
//! |---|---|---|
//! | `.NAME.wclayer-XXXXXX/` | a layer that is being made, replaced or removed at `NAME` | the lock of the path, `.NAME.lock` |
//! | `.wclayer-export-XXXXXX` | the output of `export` and `squash` before it is complete | a lock on the file |
//! | `wclayer-view-XXXXXX/`, `wclayer-validate-XXXXXX/` | the index of a layer tar, in the temporary folder | a lock on the folder |
//!
//! `XXXXXX` are six ASCII letters or digits. Nothing else is touched: no longer name, no link, no
//! file where a folder should be, no folder of an index that contains anything else. Whatever a
//! living process owns is locked and left alone; locks end with their process. The next command at
//! the same path clears that path, and [`collect`] clears a whole folder.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::disk::{self, rename};
use super::lock::{self, Lock};
use super::{INDEX_FILE, TAR_FILE, may_be_replaced};
use crate::error::{Error, Result, io_error};

/// Between the name of a layer and the random letters.
pub(crate) const OF_PLACE: &str = ".wclayer-";
/// Before the random letters of an output file.
pub(crate) const OUTPUT: &str = ".wclayer-export-";
/// Before the random letters of the folder for a view.
pub(crate) const VIEW: &str = "wclayer-view-";
/// Before the random letters of the folder for a check.
pub(crate) const CHECK: &str = "wclayer-validate-";
/// The number of random letters.
pub(crate) const RANDOM: usize = 6;
/// The name of a layer that was moved aside for the one that replaces it.
pub(crate) const REPLACED: &str = "replaced";
/// The number of names in the temporary folder to look at; it may hold any number of others.
const MOST_TEMPORARY: usize = 10_000;

/// Something that a killed process left.
#[derive(Debug)]
pub struct Leftover {
    /// Its path.
    pub path: PathBuf,
    /// What it is.
    pub kind: LeftoverKind,
    /// The total size of its files, in bytes.
    pub size: u64,
    /// What happened to it.
    pub fate: Fate,
}

/// The kinds of leftovers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum LeftoverKind {
    /// A layer that was being made, replaced or removed.
    Layer,
    /// The output of an export or a squash.
    Output,
    /// The index, and perhaps the content, of a layer tar.
    View,
    /// The lock file of a path.
    Lock,
}

/// What happened to a leftover, or would happen.
#[derive(Debug)]
#[non_exhaustive]
pub enum Fate {
    /// It was removed.
    Removed,
    /// A layer that was being replaced is back at its path; the rest was removed.
    Restored(PathBuf),
    /// A living process owns it.
    InUse,
    /// It could not be removed.
    Failed(Error),
}

/// Removes the leftovers in a folder that no living process owns; with `dry_run`, only lists them.
/// Does not look into layers and folders below.
///
/// # Errors
///
/// Returns [`Error::NotFound`] or [`Error::Io`] if the folder cannot be read. Leftovers that cannot
/// be removed are in the result.
pub fn collect(given: &Path, dry_run: bool) -> Result<Vec<Leftover>> {
    // Locks are beside absolute paths.
    let folder = &std::path::absolute(given).map_err(io_error("resolve", given))?;
    let mut names = match all_names(folder) {
        Err(Error::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            return Err(Error::NotFound {
                name: given.display().to_string(),
            });
        }
        names => names?,
    };
    names.sort();
    let mut found = Vec::new();
    let mut places = BTreeSet::new();
    for name in &names {
        if is_random(name, OUTPUT) {
            found.extend(clear_output(&folder.join(name), dry_run));
        } else if is_random(name, VIEW) || is_random(name, CHECK) {
            found.extend(clear_view(&folder.join(name), dry_run));
        } else {
            places.extend(place_of(name));
        }
    }
    for name in &names {
        // Other programs have such files, too: it is one of ours only beside a layer.
        if let Some(place) = lock_of(name)
            && may_be_replaced(&folder.join(&place))
            && is_empty_file(&folder.join(name))
        {
            places.insert(place);
        }
    }
    for place in places {
        found.extend(collect_place(folder, &place, dry_run));
    }
    Ok(found)
}

fn collect_place(folder: &Path, name: &OsStr, dry_run: bool) -> Vec<Leftover> {
    let place = folder.join(name);
    let lock_file = lock::path_of(&place).filter(|file| is_empty_file(file));
    // Releasing the lock deletes its file.
    let lock = match dry_run {
        true => Lock::is_taken(&place).map(|taken| (!taken).then_some(None)),
        false => Lock::take(&place).map(|lock| lock.map(Some)),
    };
    let is_free = matches!(lock, Ok(Some(_)));
    let found = match lock {
        Ok(Some(_lock)) => clear_place(&place, dry_run),
        Ok(None) => names_of_place(folder, name).map(|names| {
            let in_use = |path| Leftover::layer(path, Fate::InUse);
            names.into_iter().map(in_use).collect()
        }),
        Err(error) => Err(io_error("lock", &place)(error)),
    };
    match (found, lock_file) {
        (Ok(found), Some(path)) if is_free && found.is_empty() => vec![Leftover {
            path,
            kind: LeftoverKind::Lock,
            size: 0,
            fate: Fate::Removed,
        }],
        (Ok(found), _) => found,
        (Err(error), _) => vec![Leftover {
            path: place,
            kind: LeftoverKind::Layer,
            size: 0,
            fate: Fate::Failed(error),
        }],
    }
}

/// Removes the leftovers of a path, and puts back a layer that was being replaced. The caller holds
/// the lock of the path.
pub(crate) fn clear_place(place: &Path, dry_run: bool) -> Result<Vec<Leftover>> {
    let (Some(folder), Some(name)) = (place.parent(), place.file_name()) else {
        return Ok(Vec::new());
    };
    let names = names_of_place(folder, name)?;
    let clear = |path: PathBuf| {
        let mut leftover = Leftover::layer(path, Fate::Removed);
        leftover.fate = clear_folder_of_place(&leftover.path, place, dry_run);
        leftover
    };
    Ok(names.into_iter().map(clear).collect())
}

fn clear_folder_of_place(path: &Path, place: &Path, dry_run: bool) -> Fate {
    let replaced = path.join(REPLACED);
    let is_free = fs::symlink_metadata(place).is_err();
    let goes_back = is_free && is_folder(&replaced);
    if !dry_run {
        // If it cannot be put back, it stays: nothing is lost.
        if goes_back && let Err(error) = rename(&replaced, place) {
            return Fate::Failed(io_error("rename", &replaced)(error));
        }
        if let Err(error) = disk::remove_tree(path) {
            return Fate::Failed(io_error("delete", path)(error));
        }
    }
    match goes_back {
        true => Fate::Restored(place.to_owned()),
        false => Fate::Removed,
    }
}

/// Returns whether a killed process left anything of a path, even if only a lock file.
pub(crate) fn has_any(place: &Path) -> bool {
    let (Some(folder), Some(name)) = (place.parent(), place.file_name()) else {
        return false;
    };
    lock::path_of(place).is_some_and(|file| is_empty_file(&file))
        || names_of_place(folder, name).is_ok_and(|names| !names.is_empty())
}

/// Finds the hidden folders of a path.
fn names_of_place(folder: &Path, name: &OsStr) -> Result<Vec<PathBuf>> {
    let prefix = hidden(name);
    let mut found = all_names(folder)?;
    // The exact form only: a longer name belongs to a layer with a longer name.
    found.retain(|name| is_random(name, &prefix) && is_folder(&folder.join(name)));
    found.sort();
    Ok(found.iter().map(|name| folder.join(name)).collect())
}

fn all_names(folder: &Path) -> Result<Vec<OsString>> {
    disk::names_in(folder, usize::MAX).map_err(io_error("read", folder))
}

/// Removes the output files of killed processes from a folder.
pub(crate) fn clear_outputs(folder: &Path) {
    for name in all_names(folder).unwrap_or_default() {
        if is_random(&name, OUTPUT) {
            clear_output(&folder.join(name), false);
        }
    }
}

/// Removes the views of killed processes from the temporary folder.
pub(crate) fn clear_views(folder: &Path) {
    for name in disk::names_in(folder, MOST_TEMPORARY).unwrap_or_default() {
        if is_random(&name, VIEW) || is_random(&name, CHECK) {
            clear_view(&folder.join(name), false);
        }
    }
}

/// Removes an output file; `None` if it is something else.
fn clear_output(path: &Path, dry_run: bool) -> Option<Leftover> {
    let file = open_nothing_followed(path, false).ok()?;
    let found = file.metadata().ok().filter(fs::Metadata::is_file)?;
    let fate = match lock::take_over(&file, path) {
        false => Fate::InUse,
        true if dry_run => Fate::Removed,
        true => removed(path, fs::remove_file(path)),
    };
    Some(Leftover {
        path: path.to_owned(),
        kind: LeftoverKind::Output,
        size: found.len(),
        fate,
    })
}

/// Removes the folder of a view; `None` if it is something else.
fn clear_view(path: &Path, dry_run: bool) -> Option<Leftover> {
    let folder = open_nothing_followed(path, true).ok()?;
    let is_ours = |name: &OsString| {
        let is_named = [INDEX_FILE, TAR_FILE].iter().any(|ours| name == *ours);
        is_named && fs::symlink_metadata(path.join(name)).is_ok_and(|found| found.is_file())
    };
    let mut names = disk::names_in(path, 3).ok()?;
    if !names.iter().all(is_ours) {
        return None;
    }
    // The index comes first: where folders cannot be locked, an open index cannot be deleted.
    names.sort();
    let size = size_of_files(path);
    let fate = match is_owned(&folder, path, &names) {
        true => Fate::InUse,
        false if dry_run => Fate::Removed,
        false => removed(path, delete_view(&folder, path, &names)),
    };
    Some(Leftover {
        path: path.to_owned(),
        kind: LeftoverKind::View,
        size,
        fate,
    })
}

#[cfg(unix)]
fn is_owned(folder: &File, path: &Path, _: &[OsString]) -> bool {
    !lock::take_over(folder, path)
}

/// A folder cannot be locked here, and one without an index may have just been created.
#[cfg(windows)]
fn is_owned(_: &File, _: &Path, names: &[OsString]) -> bool {
    names.is_empty()
}

/// Deletes through the handle of the folder: whatever has its path by now is not touched.
#[cfg(unix)]
fn delete_view(folder: &File, path: &Path, names: &[OsString]) -> std::io::Result<()> {
    for name in names {
        rustix::fs::unlinkat(folder, name, rustix::fs::AtFlags::empty())?;
    }
    fs::remove_dir(path)
}

#[cfg(windows)]
fn delete_view(_: &File, path: &Path, names: &[OsString]) -> std::io::Result<()> {
    for name in names {
        fs::remove_file(path.join(name))?;
    }
    fs::remove_dir(path)
}

fn removed(path: &Path, deleted: std::io::Result<()>) -> Fate {
    match deleted {
        Ok(()) => Fate::Removed,
        Err(error) => Fate::Failed(io_error("delete", path)(error)),
    }
}

#[cfg(unix)]
pub(crate) fn open_nothing_followed(path: &Path, folder: bool) -> std::io::Result<File> {
    use rustix::fs::{Mode, OFlags};
    let kind = match folder {
        true => OFlags::DIRECTORY,
        // Does not wait for a pipe.
        false => OFlags::NONBLOCK,
    };
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | kind;
    Ok(rustix::fs::open(path, flags, Mode::empty())?.into())
}

#[cfg(windows)]
pub(crate) fn open_nothing_followed(path: &Path, folder: bool) -> std::io::Result<File> {
    use std::os::windows::fs::OpenOptionsExt;
    // Source: `winbase.h`.
    const FILE_FLAG_OPEN_REPARSE_POINT: u32 = 0x0020_0000;
    const FILE_FLAG_BACKUP_SEMANTICS: u32 = 0x0200_0000;
    if fs::symlink_metadata(path)?.is_dir() != folder {
        return Err(std::io::ErrorKind::InvalidInput.into());
    }
    File::options()
        .read(true)
        .custom_flags(FILE_FLAG_OPEN_REPARSE_POINT | FILE_FLAG_BACKUP_SEMANTICS)
        .open(path)
}

/// Returns the prefix of the hidden folders of a layer with this name.
pub(crate) fn hidden(name: &OsStr) -> OsString {
    let mut hidden = OsString::from(".");
    hidden.push(name);
    hidden.push(OF_PLACE);
    hidden
}

/// Returns whether a name consists of a prefix and random letters of ours.
fn is_random(name: &OsStr, prefix: impl AsRef<OsStr>) -> bool {
    let prefix = prefix.as_ref().as_encoded_bytes();
    let random = name.as_encoded_bytes().strip_prefix(prefix);
    random.is_some_and(|random| {
        random.len() == RANDOM && random.iter().all(u8::is_ascii_alphanumeric)
    })
}

/// Returns the name of the layer that a hidden folder belongs to.
fn place_of(name: &OsStr) -> Option<OsString> {
    let bytes = name.as_encoded_bytes().strip_prefix(b".")?;
    let end = bytes.len().checked_sub(OF_PLACE.len() + RANDOM)?;
    let place = os_string(bytes.get(..end).filter(|place| !place.is_empty())?)?;
    is_random(name, hidden(&place)).then_some(place)
}

/// Returns the name of the layer that a file may be the lock of.
fn lock_of(name: &OsStr) -> Option<OsString> {
    let bytes = name.as_encoded_bytes().strip_prefix(b".")?;
    os_string(bytes.strip_suffix(b".lock")?)
}

#[cfg(unix)]
fn os_string(bytes: &[u8]) -> Option<OsString> {
    use std::os::unix::ffi::OsStrExt;
    Some(OsStr::from_bytes(bytes).to_owned())
}

#[cfg(windows)]
fn os_string(bytes: &[u8]) -> Option<OsString> {
    std::str::from_utf8(bytes).ok().map(OsString::from)
}

fn is_folder(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|found| found.is_dir())
}

fn is_empty_file(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|found| found.is_file() && found.len() == 0)
}

/// Returns the total size of all files in a folder. Follows no link.
pub(crate) fn size_of_files(folder: &Path) -> u64 {
    let mut size = 0;
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for name in disk::names_in(&folder, usize::MAX).unwrap_or_default() {
            let path = folder.join(name);
            match fs::symlink_metadata(&path) {
                Ok(found) if found.is_dir() => folders.push(path),
                Ok(found) if found.is_file() => size += found.len(),
                _ => {}
            }
        }
    }
    size
}

impl Leftover {
    fn layer(path: PathBuf, fate: Fate) -> Self {
        Self {
            size: size_of_files(&path),
            path,
            kind: LeftoverKind::Layer,
            fate,
        }
    }
}

#[cfg(test)]
mod tests;
