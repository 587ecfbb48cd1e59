//! Paths that come often. Finding the few entries that count takes as long as there are entries, so
//! it is done once.

use std::cell::RefCell;
use std::collections::HashMap;

use super::entry::IndexedEntry;
use crate::error::Result;

/// How many paths are remembered. If there are more, none of them comes very often.
const MAX_KNOWN: usize = 1 << 16;

/// The entries of a path that count.
#[derive(Debug, Clone)]
pub(super) struct Ends<T> {
    /// The first removal, otherwise the first opaque whiteout.
    pub(super) removal: Option<T>,
    /// The first entry that adds something.
    pub(super) first: Option<T>,
    /// The last entry that adds something.
    pub(super) last: Option<T>,
}

impl<T> Ends<T> {
    pub(super) fn all(&self) -> impl Iterator<Item = &T> {
        [&self.removal, &self.first, &self.last]
            .into_iter()
            .flatten()
    }

    pub(super) fn try_map<U>(self, map: impl Fn(T) -> Result<Option<U>>) -> Result<Ends<U>> {
        let map = |one: Option<T>| one.map_or(Ok(None), &map);
        Ok(Ends {
            removal: map(self.removal)?,
            first: map(self.first)?,
            last: map(self.last)?,
        })
    }
}

/// The numbers of the entries that count, by the key of their path.
#[derive(Debug, Default)]
pub(super) struct KnownEnds(RefCell<HashMap<i64, Ends<u64>>>);

impl KnownEnds {
    pub(super) fn get(&self, key: i64) -> Option<Ends<u64>> {
        self.0.borrow().get(&key).cloned()
    }

    pub(super) fn put(&self, key: i64, ends: &Ends<IndexedEntry>) {
        let number = |entry: &Option<IndexedEntry>| entry.as_ref().map(|entry| entry.id);
        let mut known = self.0.borrow_mut();
        if known.len() == MAX_KNOWN {
            known.clear();
        }
        known.insert(
            key,
            Ends {
                removal: number(&ends.removal),
                first: number(&ends.first),
                last: number(&ends.last),
            },
        );
    }
}
