//! The entries of a layer tar that no view shows, because the layer itself has something in their
//! way: a file, a link or a reparse point above them, or a later entry of another kind at their
//! path.

use super::{Index, IndexedEntry, IndexedKind, duplicate, for_each_clash};
use crate::error::Result;
use crate::layer::LostEntry;
use crate::path::LayerPath;
use crate::rules::Breach;

/// Calls `visit` for each of them. `has_implied` tells whether the layer has directories without an
/// entry.
pub(crate) fn for_each_lost_in(
    index: &Index,
    has_implied: bool,
    visit: &mut dyn FnMut(LostEntry) -> Result<()>,
) -> Result<()> {
    for_each_clash(index, |earlier, later| {
        visit(lost(earlier, duplicate(later, earlier)))
    })?;
    // Most layers have nothing that could be in the way; one query finds out.
    if !has_implied && !index.has_entries_below_others()? {
        return Ok(());
    }
    let mut way = Way {
        index,
        steps: Vec::new(),
    };
    index.for_each_directory(|first| {
        let Some(rule) = way.to(&first)? else {
            return Ok(());
        };
        let directory = first.path.parent();
        index.for_each_child(directory.as_ref(), |entry| match entry.is_added() {
            true => visit(lost(&entry, rule.clone())),
            false => Ok(()),
        })
    })
}

fn lost(entry: &IndexedEntry, rule: Breach) -> LostEntry {
    LostEntry {
        path: entry.path.clone(),
        offset: entry.offset,
        rule,
    }
}

/// The directories above the last entry, from the top: those that the next entry shares are not
/// looked up again.
struct Way<'a> {
    index: &'a Index,
    /// Each directory, with the rule that entries in it break.
    steps: Vec<(LayerPath, Option<Breach>)>,
}

impl Way<'_> {
    /// Goes to the directory of an entry; returns the rule that entries in it break.
    fn to(&mut self, entry: &IndexedEntry) -> Result<Option<Breach>> {
        let mut depth = 0;
        for path in entry.path.ancestors() {
            let is_known = |(known, _): &(LayerPath, _)| known.as_bytes() == path.as_bytes();
            if !self.steps.get(depth).is_some_and(is_known) {
                self.steps.truncate(depth);
                let above = self.steps.last().and_then(|(_, rule)| rule.clone());
                let rule = match (above, self.index.find_added(&path)?) {
                    (Some(rule), _) => Some(rule),
                    (None, found) => found.as_ref().and_then(below),
                };
                self.steps.push((path, rule));
            }
            depth += 1;
        }
        self.steps.truncate(depth);
        Ok(self.steps.last().and_then(|(_, rule)| rule.clone()))
    }
}

fn below(entry: &IndexedEntry) -> Option<Breach> {
    let is_directory = entry.kind == IndexedKind::Directory;
    Breach::below(&entry.path, is_directory, entry.is_reparse_point())
}
