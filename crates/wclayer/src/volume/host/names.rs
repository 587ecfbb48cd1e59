//! Finding names without case on disks that tell cases apart.
//!
//! The listing of a directory is read once, folded as NTFS folds names, and kept up to date by
//! what is created and deleted through the volume, so that making many files in one directory
//! costs no more than a look into a map for each.

use std::collections::HashMap;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use ntmeta::{upcase, wide};
use rustix::fs::{FileType, Stat};

use super::{names_in, stat_at};
use crate::steps;

/// How many directories are remembered, however many names they have.
const MIN_DIRECTORIES: usize = 64;
/// How many names may be remembered in more directories than these. All of a large layer, so that
/// no order of its entries makes listings be read again and again.
const MAX_NAMES: usize = 1 << 19;

/// The listings of the directories used last.
#[derive(Debug, Default)]
pub(super) struct Names {
    listings: Mutex<Remembered>,
    /// How many directories have been deleted.
    deleted: AtomicU64,
}

#[derive(Debug, Default)]
struct Remembered {
    directories: HashMap<Key, Directory>,
    /// How many names they have together.
    names: usize,
    uses: u64,
}

/// Device and inode.
type Key = (u64, u64);

#[derive(Debug, Default)]
struct Directory {
    last_used: u64,
    /// The name as it is on the disk, by the folded name.
    names: HashMap<Vec<u16>, Vec<u8>>,
    /// Whether there are names that differ in case only; the first one, byte by byte, is found.
    is_ambiguous: bool,
}

impl Names {
    /// Finds a name in any case of letters, and what is there.
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
        // Somebody else has deleted it.
        remembered.forget(key);
        let known = remembered.directory(key, folder)?.names.get(&folded);
        match known.cloned() {
            Some(known) => Ok(stat_at(folder, &known)?.map(|stat| (known, stat))),
            None => Ok(None),
        }
    }

    /// Takes note of a new, empty directory.
    pub(super) fn created(&self, folder: &OwnedFd) -> io::Result<()> {
        let key = key_of(folder)?;
        self.lock().remember(key, Directory::default());
        Ok(())
    }

    /// Takes note of a new name.
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

    /// Takes note that a name, and what it named, is gone.
    pub(super) fn remove(&self, folder: &OwnedFd, name: &[u8], was: &Stat) -> io::Result<()> {
        let key = key_of(folder)?;
        let mut remembered = self.lock();
        if FileType::from_raw_mode(was.st_mode) == FileType::Directory {
            remembered.forget(key_of_stat(was));
        }
        match remembered.directories.get_mut(&key) {
            // Another name may be found now.
            Some(directory) if directory.is_ambiguous => remembered.forget(key),
            Some(directory) => {
                let less = usize::from(directory.names.remove(&fold(name)).is_some());
                remembered.names -= less;
            }
            None => {}
        }
        Ok(())
    }

    /// Returns how many directories have been deleted.
    pub(super) fn deleted(&self) -> u64 {
        self.deleted.load(Ordering::SeqCst)
    }

    /// Counts a directory that was deleted; returns how many were before.
    pub(super) fn directory_deleted(&self) -> u64 {
        self.deleted.fetch_add(1, Ordering::SeqCst)
    }

    fn lock(&self) -> MutexGuard<'_, Remembered> {
        // After a panic the worst is a listing to be read again.
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
        // Other bytes are no Windows name, whatever they would become.
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
