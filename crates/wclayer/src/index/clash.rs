//! Two entries of one layer at the same path that are different kinds of thing.

use super::{Index, IndexedEntry, IndexedKind};
use crate::error::Result;
use crate::rules::Breach;

/// Calls `visit` for each two consecutive entries at a path that are of different kinds.
pub(crate) fn for_each_clash(
    layer: &Index,
    mut visit: impl FnMut(&IndexedEntry, &IndexedEntry) -> Result<()>,
) -> Result<()> {
    let mut first: Option<IndexedEntry> = None;
    layer.for_each_repeated(|entry| {
        let same_path = first.as_ref().filter(|first| first.path == entry.path);
        if let Some(first) = same_path.filter(|first| kind_of(first) != kind_of(&entry)) {
            visit(first, &entry)?;
        }
        first = Some(entry);
        Ok(())
    })
}

/// Returns the rule that a second entry at a path breaks if it is of another kind than the first.
pub(crate) fn duplicate(first: &IndexedEntry, second: &IndexedEntry) -> Breach {
    Breach::DuplicateOfOtherKind {
        first: describe(first),
        first_offset: Some(first.offset),
        second: describe(second),
    }
}

fn kind_of(entry: &IndexedEntry) -> (IndexedKind, bool) {
    (entry.kind, entry.reparse.is_some())
}

fn describe(entry: &IndexedEntry) -> &'static str {
    if entry.reparse.is_some() {
        "a reparse point"
    } else {
        entry.kind.describe()
    }
}
