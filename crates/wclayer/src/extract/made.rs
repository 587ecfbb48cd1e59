//! The names that this extraction has taken, and the entries that they stand for.
//!
//! Neither clocks nor file numbers reliably show on every file system what is new. So each name is
//! claimed before anything is created under it; anything under an unclaimed name existed before.
//!
//! Memory: 8 bytes per name, plus the overhead of the set.

use std::borrow::Cow;
use std::collections::hash_map::RandomState;
use std::collections::{HashMap, HashSet};
use std::hash::BuildHasher;
use std::sync::{Mutex, MutexGuard, PoisonError};

use ntmeta::{upcase, wide};

use super::names::{NameRules, host_name, real_name};

/// A path on the host, identified by the names that lead to it from the target folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Place(u64);

/// The names taken.
#[derive(Debug)]
pub(super) struct Made {
    /// Its keys are secret, so that no layer can contain two names with the same hash.
    hasher: RandomState,
    claimed: Mutex<HashSet<Place>>,
    /// Names that differ from the real ones, by the directory and the real name in upper case.
    others: Mutex<HashMap<(Place, Vec<u16>), String>>,
}

impl Made {
    pub(super) fn new() -> Self {
        Self {
            hasher: RandomState::new(),
            claimed: Mutex::default(),
            others: Mutex::default(),
        }
    }

    /// The target folder.
    pub(super) fn top(&self) -> Place {
        Place(0)
    }

    /// Returns the place of a name of the host in a directory.
    pub(super) fn place(&self, directory: Place, name: &str) -> Place {
        Place(self.hasher.hash_one((directory, name)))
    }

    /// Returns the place that a name of the layer has by the rule of NTFS.
    pub(super) fn real_place(&self, directory: Place, name: &[u8]) -> Place {
        Place(self.hasher.hash_one((directory, folded(name))))
    }

    /// Claims a place; `false` when it was claimed before.
    pub(super) fn claim(&self, place: Place) -> bool {
        lock(&self.claimed).insert(place)
    }

    /// Returns whether a place is claimed.
    pub(super) fn is_claimed(&self, place: Place) -> bool {
        lock(&self.claimed).contains(&place)
    }

    /// Remembers the name of an entry on the host, if the real name does not follow from it.
    pub(super) fn note(&self, directory: Place, real: &[u8], name: &str) {
        if real_name(name).is_none() {
            lock(&self.others).insert((directory, folded(real)), name.to_owned());
        }
    }

    /// Returns the name that an entry has on the host, or the first one to try.
    pub(super) fn name_of<'a>(
        &self,
        directory: Place,
        real: &'a [u8],
        rules: NameRules,
    ) -> Cow<'a, str> {
        let others = lock(&self.others);
        if !others.is_empty()
            && let Some(name) = others.get(&(directory, folded(real)))
        {
            return Cow::Owned(name.clone());
        }
        host_name(real, rules)
    }
}

fn folded(name: &[u8]) -> Vec<u16> {
    let units = wide::from_wtf8(name).into_iter();
    units.map(upcase::upcase_unit).collect()
}

/// A thread that panicked leaves a set of names intact.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
