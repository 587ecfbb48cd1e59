//! What the parents have in the way of a layer's entries.
//!
//! A transport folder shows only its own layer, so that these are found by asking the parents: as
//! long as they have a file or a reparse point where the layer needs a directory, Windows refuses
//! the layer. An entry of the layer for that directory replaces what is there, and a removal takes
//! it away.

use std::collections::HashSet;

use super::TransportWriter;
use crate::error::Result;
use crate::path::LayerPath;
use crate::rules::Breach;
use crate::view::NodeKind;
use crate::volume::Volume;

impl<V: Volume> TransportWriter<V> {
    /// Refuses an entry below something of the parents that is not a plain directory. Called once
    /// every entry is known: a removal may follow what it makes room for.
    pub(super) fn check_obstacles(&self) -> Result<()> {
        let Some(parents) = &self.parents else {
            return Ok(());
        };
        let removed: HashSet<_> = self.pending.removals.iter().collect();
        let emptied: HashSet<_> = self.pending.opaque.iter().collect();
        let is_hidden = |directory: &LayerPath| {
            let mut above = directory.ancestors();
            above.retain(|above| removed.contains(above) || emptied.contains(above));
            !above.is_empty() || removed.contains(directory)
        };
        for directory in self.files.made().chain(self.live.made()) {
            if is_hidden(directory) {
                continue;
            }
            let Some(found) = parents.find(directory)? else {
                continue;
            };
            let is_directory = found.kind == NodeKind::Directory;
            let breach = Breach::below(&found.path, is_directory, found.is_reparse_point());
            if let Some(breach) = breach {
                return Err(breach.broken_by(self.first_below(directory)));
            }
        }
        Ok(())
    }

    /// Returns an entry for which a directory was made.
    fn first_below<'a>(&'a self, directory: &'a LayerPath) -> &'a LayerPath {
        let entries = self.files.entries().chain(self.live.entries());
        let below = entries.filter(|entry| entry.is_below(directory));
        below.min().unwrap_or(directory)
    }
}
