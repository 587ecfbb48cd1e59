//! What several layers together have at a path or in a directory.
//!
//! A path is found from the top down: in each directory only those layers are asked that have
//! something in it, and their answers are merged by the rules in `merge`.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use super::chain::View;
use super::merge::{Merged, merge};
use crate::error::{Error, Result};
use crate::layer::Slot;
use crate::path::LayerPath;

impl View {
    /// Returns what each layer in sight says of a path by itself, nearest first: also what layers
    /// above it hide. Layers that say nothing are left out.
    ///
    /// # Errors
    ///
    /// As for [`find`](Self::find).
    pub fn slots(&self, path: &LayerPath) -> Result<Vec<(usize, Slot)>> {
        let all: Vec<usize> = (0..self.seen).collect();
        self.slots_of(path, &all)
    }

    /// Merges what some of the layers say of a path, from the top down.
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

    /// Merges what these layers say of a path; `directory` is that of the path, as it is spelled.
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

    /// Merges what some of the layers say of the names in a directory, sorted.
    pub(super) fn merged_in(
        &self,
        directory: Option<&LayerPath>,
        layers: &[usize],
    ) -> Result<Vec<Merged>> {
        let mut names: BTreeMap<Vec<u16>, Vec<(usize, Slot)>> = BTreeMap::new();
        for &layer in layers {
            for slot in self.layers[layer].slots(directory)? {
                // Most names are of one layer alone: a vector of one.
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
