//! The rules that a layer must keep to be imported, checked on its index.
//!
//! They are checked once all entries are known, because a hard link may come before its target;
//! memory does not grow with the layer, since the index answers every question.

use super::error::{Rule, RuleError};
use super::index::{Index, IndexedEntry, IndexedKind, Lookup};
use crate::error::Result;
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
    /// layer has itself is checked as an entry of its own directory.
    fn check_place(&self, entry: &IndexedEntry) -> Result<()> {
        let mut above = entry.path.parent();
        while let Some(path) = above {
            if let Some(ancestor) = self.find(&path)? {
                if ancestor.is_reparse_point() {
                    let reparse_point = ancestor.path.to_string();
                    return Err(broken(entry, Rule::BelowReparsePoint { reparse_point }));
                }
                if ancestor.kind != IndexedKind::Directory {
                    let file = ancestor.path.to_string();
                    return Err(broken(entry, Rule::BelowFile { file }));
                }
                return Ok(());
            }
            above = path.parent();
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
