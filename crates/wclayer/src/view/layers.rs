//! What several layers together have at a path or in a directory.
//!
//! A path is found from the top down. In each directory, only the layers that have something in it
//! are asked, and `merge` merges their answers.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use super::chain::View;
use super::merge::{Merged, merge};
use crate::error::{Error, Result};
use crate::layer::Slot;
use crate::path::LayerPath;

impl View {
    /// Returns the slot of each layer in sight at a path, nearest first, including layers that
    /// others hide. Layers that have nothing there and remove nothing are left out.
    ///
    /// # Errors
    ///
    /// Same as [`find`](Self::find).
    pub fn slots(&self, path: &LayerPath) -> Result<Vec<(usize, Slot)>> {
        let all: Vec<usize> = (0..self.seen).collect();
        self.slots_of(path, &all)
    }

    /// Merges some of the layers at a path, from the top down.
    pub(super) fn merged(
        &self,
        path: &LayerPath,
        layers: std::ops::Range<usize>,
    ) -> Result<Option<Merged>> {
        let mut contributors: Vec<usize> = layers.collect();
        let mut above: Option<LayerPath> = None;
        for directory in path.ancestors() {
            let Some(merged) = self.merged_of(above.as_ref(), &directory, &contributors)? else {
                return Ok(None);
            };
            contributors = merged.contributors;
            above = Some(merged.path);
        }
        self.merged_of(above.as_ref(), path, &contributors)
    }

    /// Merges these layers at a path; `directory` is the directory of the path, as it is spelled.
    pub(super) fn merged_of(
        &self,
        directory: Option<&LayerPath>,
        path: &LayerPath,
        layers: &[usize],
    ) -> Result<Option<Merged>> {
        let mut merged = merge(self.slots_of(path, layers)?);
        if let (Some(directory), Some(merged)) = (directory, &mut merged) {
            merged.path = in_directory(directory, &merged.path)?;
        }
        Ok(merged)
    }

    /// Merges some of the layers in a directory; the names come sorted.
    pub(super) fn merged_in(
        &self,
        directory: Option<&LayerPath>,
        layers: &[usize],
    ) -> Result<Vec<Merged>> {
        let mut names: BTreeMap<Vec<u16>, Vec<(usize, Slot)>> = BTreeMap::new();
        for &layer in layers {
            for slot in self.layers[layer].slots(directory)? {
                // Most names are in one layer only: a vector of one.
                match names.entry(slot.path.folded_name()) {
                    Entry::Vacant(place) => {
                        place.insert(vec![(layer, slot)]);
                    }
                    Entry::Occupied(mut known) => known.get_mut().push((layer, slot)),
                }
            }
        }
        let mut all = Vec::with_capacity(names.len());
        for mut merged in names.into_values().filter_map(merge) {
            if let Some(path) = directory {
                merged.path = in_directory(path, &merged.path)?;
            }
            all.push(merged);
        }
        Ok(all)
    }

    pub(super) fn slots_of(
        &self,
        path: &LayerPath,
        layers: &[usize],
    ) -> Result<Vec<(usize, Slot)>> {
        let mut slots = Vec::new();
        for &layer in layers {
            let slot = self.layers[layer].slot(path)?;
            if slot.added.is_some() || slot.removed.is_some() || slot.has_below {
                slots.push((layer, slot));
            }
        }
        Ok(slots)
    }
}

/// Spells the directory of a path as the view does.
fn in_directory(directory: &LayerPath, path: &LayerPath) -> Result<LayerPath> {
    let own = path.parent();
    if own.is_some_and(|own| own.is_spelled_as(directory)) {
        return Ok(path.clone());
    }
    let spelled = directory.join(path.file_name());
    spelled.map_err(|source| Error::Path {
        path: path.to_string(),
        source,
    })
}
