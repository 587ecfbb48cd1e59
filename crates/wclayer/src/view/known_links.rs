//! [`KnownLinks`]: the ends of hard links that were followed before.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::layer::{Item, ItemId};

/// Roughly how many bytes the remembered links may take.
const MAX_KNOWN_BYTES: usize = 16 << 20;
/// Roughly how many bytes one takes, apart from its file.
const KNOWN_BYTES: usize = 100;

/// The ends of links that were followed before, so that following a long chain from each of its
/// links costs no more than following it once.
#[derive(Default)]
pub(super) struct KnownLinks(Mutex<KnownEnds>);

#[derive(Default)]
struct KnownEnds {
    ends: HashMap<Identity, Known>,
    /// Roughly how many bytes they take.
    bytes: usize,
}

/// A file or a link: the number of its layer, and its id there.
pub(super) type Identity = (usize, ItemId);

/// The end of a chain of links.
#[derive(Clone)]
pub(super) struct Known {
    /// The file and its layer; `None` if there is none.
    pub(super) file: Option<Arc<(usize, Item)>>,
    /// How many links lead there.
    pub(super) steps: usize,
}

impl KnownLinks {
    fn lock(&self) -> MutexGuard<'_, KnownEnds> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn get(&self, link: Identity) -> Option<Known> {
        self.lock().ends.get(&link).cloned()
    }

    /// Remembers links, each of which leads to the next, and the last one to `end`.
    pub(super) fn put(&self, links: &[Identity], end: &Known) {
        let mut known = self.lock();
        let file = end.file.as_ref();
        let path = file.map_or(0, |file| file.1.path.as_bytes().len());
        let bytes = links.len() * KNOWN_BYTES + size_of::<Item>() + path;
        if known.bytes + bytes > MAX_KNOWN_BYTES {
            *known = KnownEnds::default();
        }
        known.bytes += bytes;
        for (before, link) in links.iter().rev().enumerate() {
            let file = end.file.clone();
            let steps = end.steps + before + 1;
            known.ends.insert(*link, Known { file, steps });
        }
    }
}
