//! The rules by which layers hide one another: what is at one path, given what each layer says.
//!
//! Sources: image-spec `layer.md` (whiteouts, opaque whiteouts, changes of kind); hcsshim
//! `internal/wclayer/legacy.go` for the utility VM, which every layer that has one completes from
//! its parents' files, so that the same rules hold below `UtilityVM`.

use crate::layer::{Item, Removed, Slot};
use crate::path::LayerPath;

/// What several layers together have at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Merged {
    /// The path in the spelling of the nearest layer that says something of it.
    pub(super) path: LayerPath,
    /// What is there, and the number of the layer that has it; `None` for a directory that is only
    /// implied, or when the path is just removed.
    pub(super) item: Option<(usize, Item)>,
    /// For a directory: the layers that say something of what is in it, nearest first.
    pub(super) contributors: Vec<usize>,
    /// Whether something is there: an item, or something below.
    pub(super) exists: bool,
    /// What is hidden of the layers below all of these.
    pub(super) removed: Option<Removed>,
}

/// Merges what layers say of one path, given nearest first with their numbers. `None` when no
/// layer says anything.
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
    /// Puts what the next layer below says under the rest; returns whether more can be seen.
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
                // A file, or a directory that is a link: nothing is seen through it.
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
                    // Even if all that is in it is hidden, it makes a directory of the path.
                    self.exists |= has_added;
                }
            }
        }
        if let Some(removed) = slot.removed {
            self.hide(removed);
        }
        // Inside an opaque directory nothing more is seen, but what it is itself.
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
