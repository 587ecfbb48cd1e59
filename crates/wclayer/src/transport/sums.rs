//! [`FolderSummary`]: how many entries a transport folder has, and how much content.

use crate::hub::EntryCounts;

/// The sums of a transport folder. Alternate data streams are not counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct FolderSummary {
    /// Number of entries of each kind.
    pub entries: EntryCounts,
    /// Sum of the lengths of all unnamed data streams in bytes, holes included.
    pub content_size: u64,
}
