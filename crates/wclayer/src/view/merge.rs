//! The rules by which layers hide one another, applied to a single path.
//!
//! Sources: image-spec `layer.md` (whiteouts, opaque whiteouts, changes of kind); hcsshim
//! `internal/wclayer/legacy.go` for the utility VM, which every layer that has one completes from
//! its parents' files: the same rules hold below `UtilityVM`.

use crate::layer::{Item, Removed, Slot};
use crate::path::LayerPath;

/// What several layers together have at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Merged {
    /// The path as the nearest layer spells it that mentions it.
    pub(super) path: LayerPath,
    /// The item there and the number of its layer; `None` for a directory that is only implied, and
    /// if the path is only removed.
    pub(super) item: Option<(usize, Item)>,
    /// For a directory: the layers that have or remove something in it, nearest first.
    pub(super) contributors: Vec<usize>,
    /// Whether something is there: an item, or something below.
    pub(super) exists: bool,
    /// What is hidden in all layers below.
    pub(super) removed: Option<Removed>,
}

/// Merges the slots of one path, given nearest first with the numbers of their layers. `None` if
/// there are none.
pub(super) fn merge(slots: impl IntoIterator<Item = (usize, Slot)>) -> Option<Merged> {
    let mut merged: Option<Merged> = None;
    for (layer, slot) in slots {
        let merged = merged.get_or_insert_with(|| Merged {
            path: slot.path.clone(),
            item: None,
            contributors: Vec::new(),
            exists: false,
            removed: None,
        });
        if !merged.put(layer, slot) {
            break;
        }
    }
    merged
}

impl Merged {
    /// Adds the slot of the next layer below; returns whether layers further down can still matter.
    fn put(&mut self, layer: usize, slot: Slot) -> bool {
        let is_open = self.removed.is_none();
        let below = slot.has_below.then_some(slot.has_added_below);
        match slot.added {
            Some(item) if item.is_plain_directory() => {
                if is_open {
                    self.contributors.push(layer);
                }
                self.exists = true;
                self.item.get_or_insert((layer, item));
            }
            Some(item) => {
                // A file, or a directory that is a link: nothing is visible through it.
                if !self.exists {
                    self.exists = true;
                    self.item = Some((layer, item));
                    self.contributors.clear();
                }
                self.hide(Removed::Path);
                return false;
            }
            None => {
                if let Some(has_added) = below {
                    if is_open {
                        self.contributors.push(layer);
                    }
                    // Even if everything in it is hidden, the path is a directory.
                    self.exists |= has_added;
                }
            }
        }
        if let Some(removed) = slot.removed {
            self.hide(removed);
        }
        // Nothing further down shows in an opaque directory, except the directory's own metadata.
        match self.removed {
            None => true,
            Some(Removed::Contents) => self.item.is_none(),
            Some(Removed::Path) => false,
        }
    }

    fn hide(&mut self, removed: Removed) {
        if self.removed != Some(Removed::Path) {
            self.removed = Some(removed);
        }
    }
}
