//! [`KnownLinks`]: where hard links lead that have been followed before.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::layer::{Item, ItemId};

/// How many bytes the links that are remembered may take, about.
const MAX_KNOWN_BYTES: usize = 16 << 20;
/// About how many bytes one takes, beside its file.
const KNOWN_BYTES: usize = 100;

/// Where links lead that have been followed before, so that following a long chain of them from
/// each of its links costs no more than following it once.
#[derive(Default)]
pub(super) struct KnownLinks(Mutex<KnownEnds>);

#[derive(Default)]
struct KnownEnds {
    ends: HashMap<Identity, Known>,
    /// About how many bytes they take.
    bytes: usize,
}

/// A file or a link: the number of its layer, and what it is there.
pub(super) type Identity = (usize, ItemId);

/// The end of a chain of links.
#[derive(Clone)]
pub(super) struct Known {
    /// The file and its layer; `None` when there is none.
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

    /// Remembers links of which each leads to the next, and the last to `end`.
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
