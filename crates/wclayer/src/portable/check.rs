//! The rules that a layer must keep to be imported, checked on its index.
//!
//! They are checked once all entries are known, because a hard link may come before its target;
//! memory does not grow with the layer, since the index answers every question.

use super::error::{Rule, RuleError};
use crate::error::Result;
use crate::index::{Index, IndexedEntry, IndexedKind, Lookup};
use crate::path::LayerPath;

/// How many links one may follow the other before a file.
const MAX_LINK_STEPS: usize = 64;

/// Checks a layer against the rules, with its parents' indexes, nearest first.
pub(super) fn check(layer: &Index, parents: &[Index]) -> Result<()> {
    let view = View { layer, parents };
    if parents.is_empty() {
        layer.for_each(|entry| match entry.kind {
            IndexedKind::Removal | IndexedKind::Opaque => {
                Err(broken(&entry, Rule::RemovalInBaseLayer))
            }
            _ => Ok(()),
        })?;
    }
    check_repeated(layer)?;
    layer.for_each_directory(|entry| view.check_place(&entry))?;
    layer.for_each_link(|link| view.check_link(&link))
}

fn broken(entry: &IndexedEntry, rule: Rule) -> crate::error::Error {
    RuleError {
        entry: entry.path.to_string(),
        offset: entry.offset,
        rule,
    }
    .into()
}

/// A path may come twice when it is the same kind of thing both times: the last one counts.
fn check_repeated(layer: &Index) -> Result<()> {
    let mut first: Option<IndexedEntry> = None;
    layer.for_each_repeated(|entry| {
        let same_path = first.as_ref().filter(|first| first.path == entry.path);
        if let Some(first) = same_path.filter(|first| kind_of(first) != kind_of(&entry)) {
            let rule = Rule::DuplicateOfOtherKind {
                first: describe(first),
                first_offset: first.offset,
                second: describe(&entry),
            };
            return Err(broken(&entry, rule));
        }
        first = Some(entry);
        Ok(())
    })
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

fn is_plain_directory(entry: &IndexedEntry) -> bool {
    entry.kind == IndexedKind::Directory && !entry.is_reparse_point()
}

/// Checks that `entry` may lie below `ancestor`.
fn check_ancestor(entry: &IndexedEntry, ancestor: &IndexedEntry) -> Result<()> {
    let name = ancestor.path.to_string();
    if ancestor.is_reparse_point() {
        return Err(broken(
            entry,
            Rule::BelowReparsePoint {
                reparse_point: name,
            },
        ));
    }
    if ancestor.kind != IndexedKind::Directory {
        return Err(broken(entry, Rule::BelowFile { file: name }));
    }
    Ok(())
}

/// A layer with what lies below it.
struct View<'a> {
    layer: &'a Index,
    parents: &'a [Index],
}

impl View<'_> {
    /// Finds what is at a path: in the layer itself, else in the nearest parent that knows.
    fn find(&self, path: &LayerPath) -> Result<Option<IndexedEntry>> {
        if let Some(entry) = self.layer.find_added(path)? {
            return Ok(Some(entry));
        }
        for parent in self.parents {
            match parent.look_up(path)? {
                Lookup::Present(entry) => return Ok(Some(*entry)),
                Lookup::Hidden => return Ok(None),
                Lookup::Unknown => {}
            }
        }
        Ok(None)
    }

    /// Checks that all that is known above an entry are plain directories. An ancestor that the
    /// layer has itself is checked as an entry of its own directory, which ends the search above.
    fn check_place(&self, entry: &IndexedEntry) -> Result<()> {
        let mut above = entry.path.parent();
        let mut is_direct = true;
        while let Some(path) = above {
            if let Some(ancestor) = self.layer.find_added(&path)? {
                check_ancestor(entry, &ancestor)?;
                if is_direct {
                    return Ok(());
                }
                break;
            }
            is_direct = false;
            above = path.parent();
        }
        self.check_in_parents(entry)
    }

    /// Goes from the top down to an entry through what the parents have there and this layer does
    /// not put there itself.
    fn check_in_parents(&self, entry: &IndexedEntry) -> Result<()> {
        let mut parents = self.parents;
        let mut directories: Vec<LayerPath> = Vec::new();
        let mut above = entry.path.parent();
        while let Some(path) = above {
            above = path.parent();
            directories.push(path);
        }
        for path in directories.iter().rev() {
            if self.layer.removes(path)? {
                parents = &[];
            }
            let own = self.layer.find_added(path)?.is_some();
            for (place, parent) in parents.iter().enumerate() {
                let found = parent.find_added(path)?;
                let is_open = found.as_ref().is_none_or(is_plain_directory);
                if let Some(ancestor) = found.filter(|_| !own) {
                    check_ancestor(entry, &ancestor)?;
                }
                // What lies further down is covered, here and in all below.
                if !is_open || parent.removes(path)? {
                    parents = &parents[..=place];
                    break;
                }
            }
        }
        Ok(())
    }

    /// Checks that a link leads to a file, over other links if need be.
    fn check_link(&self, link: &IndexedEntry) -> Result<()> {
        let Some(target) = &link.target else {
            return Ok(());
        };
        let named = || target.to_string();
        let mut step = target.clone();
        for _ in 0..MAX_LINK_STEPS {
            let Some(entry) = self.find(&step)? else {
                return Err(broken(link, Rule::LinkTargetMissing { target: named() }));
            };
            match (entry.kind, entry.target) {
                (IndexedKind::Link, Some(next)) => step = next,
                (IndexedKind::Directory, _) => {
                    return Err(broken(link, Rule::LinkToDirectory { target: named() }));
                }
                _ => return Ok(()),
            }
        }
        Err(broken(link, Rule::LinkLoop { target: named() }))
    }
}
