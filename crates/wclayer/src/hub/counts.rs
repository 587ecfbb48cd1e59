//! [`EntryCounts`]: the number of entries of each kind.

use serde::{Deserialize, Serialize};

/// The number of entries of each kind in a layer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EntryCounts {
    /// Directories that are not reparse points.
    pub directories: u64,
    /// Files that are not reparse points.
    pub files: u64,
    /// Symbolic links, junctions and all other reparse points.
    pub reparse_points: u64,
    /// Hard links.
    pub links: u64,
    /// Removals.
    pub removals: u64,
    /// Opaque whiteouts.
    pub opaque: u64,
    /// Alternate data streams, which belong to entries and are not entries themselves.
    pub streams: u64,
}

impl EntryCounts {
    /// Returns the number of entries.
    pub fn total(&self) -> u64 {
        let added = [
            self.directories,
            self.files,
            self.reparse_points,
            self.links,
        ];
        let removed = [self.removals, self.opaque];
        // A descriptor may claim anything.
        added
            .into_iter()
            .chain(removed)
            .fold(0, u64::saturating_add)
    }
}
