//! Finds names without case on case-sensitive disks.
//!
//! The listing of a directory is read once, with its names folded like NTFS folds them, and updated
//! by everything that is created and deleted through the volume. Creating many files in a directory
//! costs only one map lookup each.

use std::collections::HashMap;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use ntmeta::{upcase, wide};
use rustix::fs::{FileType, Stat};

use super::{names_in, stat_at};
use crate::steps;

/// The minimum number of directories that are cached, however many names they have.
const MIN_DIRECTORIES: usize = 64;
/// The maximum number of cached names if more directories than that are cached. It exceeds the size
/// of a large layer, so that no order of entries makes the volume read listings repeatedly.
const MAX_NAMES: usize = 1 << 19;

/// The listings of the directories that were used last.
#[derive(Debug, Default)]
pub(super) struct Names {
    listings: Mutex<Remembered>,
    /// The number of directories that have been deleted.
    deleted: AtomicU64,
}

#[derive(Debug, Default)]
struct Remembered {
    directories: HashMap<Key, Directory>,
    /// The total number of cached names.
    names: usize,
    uses: u64,
}

/// The device and inode of a directory.
type Key = (u64, u64);

#[derive(Debug, Default)]
struct Directory {
    last_used: u64,
    /// The names as they are on the disk, by folded name.
    names: HashMap<Vec<u16>, Vec<u8>>,
    /// Whether some names differ only in case; then the first one in byte order is found.
    is_ambiguous: bool,
}

impl Names {
    /// Finds a name without case, with its metadata.
    pub(super) fn find(
        &self,
        folder: &OwnedFd,
        name: &[u8],
    ) -> io::Result<Option<(Vec<u8>, Stat)>> {
        let (key, folded) = (key_of(folder)?, fold(name));
        steps::add(1);
        let mut remembered = self.lock();
        let known = remembered.directory(key, folder)?.names.get(&folded);
        let Some(known) = known.cloned() else {
            return Ok(None);
        };
        if let Some(stat) = stat_at(folder, &known)? {
            return Ok(Some((known, stat)));
        }
        // Another program has deleted it.
        remembered.forget(key);
        let known = remembered.directory(key, folder)?.names.get(&folded);
        match known.cloned() {
            Some(known) => Ok(stat_at(folder, &known)?.map(|stat| (known, stat))),
            None => Ok(None),
        }
    }

    /// Records a new, empty directory.
    pub(super) fn created(&self, folder: &OwnedFd) -> io::Result<()> {
        let key = key_of(folder)?;
        self.lock().remember(key, Directory::default());
        Ok(())
    }

    /// Records a new name.
    pub(super) fn add(&self, folder: &OwnedFd, name: &[u8]) -> io::Result<()> {
        let key = key_of(folder)?;
        let mut remembered = self.lock();
        if let Some(directory) = remembered.directories.get_mut(&key) {
            let before = directory.names.len();
            directory.insert(name.to_owned());
            let more = directory.names.len() - before;
            remembered.names += more;
        }
        Ok(())
    }

    /// Records that a name, and the object that it named, was deleted.
    pub(super) fn remove(&self, folder: &OwnedFd, name: &[u8], was: &Stat) -> io::Result<()> {
        let key = key_of(folder)?;
        let mut remembered = self.lock();
        if FileType::from_raw_mode(was.st_mode) == FileType::Directory {
            remembered.forget(key_of_stat(was));
        }
        match remembered.directories.get_mut(&key) {
            // A different name may match now.
            Some(directory) if directory.is_ambiguous => remembered.forget(key),
            Some(directory) => {
                let less = usize::from(directory.names.remove(&fold(name)).is_some());
                remembered.names -= less;
            }
            None => {}
        }
        Ok(())
    }

    /// Returns the number of directories that have been deleted.
    pub(super) fn deleted(&self) -> u64 {
        self.deleted.load(Ordering::SeqCst)
    }

    /// Counts a deleted directory; returns the previous count.
    pub(super) fn directory_deleted(&self) -> u64 {
        self.deleted.fetch_add(1, Ordering::SeqCst)
    }

    fn lock(&self) -> MutexGuard<'_, Remembered> {
        // After a panic, at worst a listing is read again.
        self.listings.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Remembered {
    fn directory(&mut self, key: Key, folder: &OwnedFd) -> io::Result<&mut Directory> {
        if !self.directories.contains_key(&key) {
            let directory = Directory::read(folder)?;
            self.remember(key, directory);
        }
        self.uses += 1;
        let directory = self.directories.entry(key).or_default();
        directory.last_used = self.uses;
        Ok(directory)
    }

    fn remember(&mut self, key: Key, mut directory: Directory) {
        self.forget(key);
        while self.directories.len() >= MIN_DIRECTORIES
            && self.names + self.directories.len() > MAX_NAMES
        {
            let oldest = self.directories.iter().min_by_key(|(_, one)| one.last_used);
            let Some(oldest) = oldest.map(|(key, _)| *key) else {
                break;
            };
            self.forget(oldest);
        }
        self.uses += 1;
        directory.last_used = self.uses;
        self.names += directory.names.len();
        self.directories.insert(key, directory);
    }

    fn forget(&mut self, key: Key) {
        if let Some(directory) = self.directories.remove(&key) {
            self.names -= directory.names.len();
        }
    }
}

impl Directory {
    fn read(folder: &OwnedFd) -> io::Result<Self> {
        let mut directory = Self::default();
        let mut names = names_in(folder)?;
        steps::add(names.len());
        names.sort();
        // Other bytes cannot be a Windows name in any form.
        names.retain(|name| wide::is_wtf8(name));
        names.into_iter().for_each(|name| directory.insert(name));
        Ok(directory)
    }

    fn insert(&mut self, name: Vec<u8>) {
        let known = self
            .names
            .entry(fold(&name))
            .or_insert_with(|| name.clone());
        self.is_ambiguous |= *known != name;
    }
}

fn key_of(folder: &OwnedFd) -> io::Result<Key> {
    Ok(key_of_stat(&rustix::fs::fstat(folder)?))
}

#[allow(clippy::unnecessary_cast)] // the types differ from system to system
fn key_of_stat(stat: &Stat) -> Key {
    (stat.st_dev as u64, stat.st_ino as u64)
}

fn fold(name: &[u8]) -> Vec<u16> {
    let mut units = wide::from_wtf8(name);
    units
        .iter_mut()
        .for_each(|unit| *unit = upcase::upcase_unit(*unit));
    units
}
