//! [`FolderSummary`]: the number of entries and the content size of a transport folder.

use crate::hub::EntryCounts;

/// The sums of a transport folder. Alternate data streams are not counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct FolderSummary {
    /// The number of entries of each kind.
    pub entries: EntryCounts,
    /// The total length of all unnamed data streams in bytes, including holes.
    pub content_size: u64,
}
