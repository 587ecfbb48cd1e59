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

/// What lies below a layer: its parents, seen as one.
pub(crate) trait Below {
    /// Finds what is at a path.
    fn find(&self, path: &LayerPath) -> Result<Option<Found>>;

    /// Goes down through directories, each in the one before, and finds the first that is no plain
    /// directory; those are passed over that the layer above has itself.
    fn in_the_way(&self, way: &[Step]) -> Result<Option<Found>>;
}

/// A directory on the way to an entry.
pub(crate) struct Step {
    /// Its path.
    pub(crate) path: LayerPath,
    /// Whether the layer has an entry for it.
    pub(crate) is_own: bool,
}

/// What the parents have at a path.
pub(crate) struct Found {
    /// Its path, as it is spelled there.
    pub(crate) path: LayerPath,
    /// What it is.
    pub(crate) kind: IndexedKind,
    /// Whether nothing may be reached through it.
    pub(crate) is_reparse_point: bool,
    /// The target of a hard link that is still to be followed.
    pub(crate) target: Option<LayerPath>,
}

impl Found {
    fn is_plain_directory(&self) -> bool {
        self.kind == IndexedKind::Directory && !self.is_reparse_point
    }
}

impl From<IndexedEntry> for Found {
    fn from(entry: IndexedEntry) -> Self {
        Self {
            kind: entry.kind,
            is_reparse_point: entry.is_reparse_point(),
            path: entry.path,
            target: entry.target,
        }
    }
}

impl Below for &[Index] {
    fn find(&self, path: &LayerPath) -> Result<Option<Found>> {
        for parent in *self {
            match parent.look_up(path)? {
                Lookup::Present(entry) => return Ok(Some((*entry).into())),
                Lookup::Hidden => return Ok(None),
                Lookup::Unknown => {}
            }
        }
        Ok(None)
    }

    /// Each directory is looked up once, not once for each below it.
    fn in_the_way(&self, way: &[Step]) -> Result<Option<Found>> {
        let mut parents = *self;
        for Step { path, is_own } in way {
            for (place, parent) in parents.iter().enumerate() {
                let found = parent.find_added(path)?.map(Found::from);
                let is_open = found.as_ref().is_none_or(Found::is_plain_directory);
                if !is_open && !is_own {
                    return Ok(found);
                }
                // What lies further down is covered, here and in all below.
                if !is_open || parent.removes(path)? {
                    parents = &parents[..=place];
                    break;
                }
            }
        }
        Ok(None)
    }
}

/// Checks a layer against the rules, with the indexes of its parents, nearest first; ends at the
/// first rule that is broken.
pub(super) fn check(layer: &Index, parents: &[Index]) -> Result<()> {
    let below = (!parents.is_empty()).then_some(&parents as &dyn Below);
    check_each(layer, below, &mut |error| Err(error.into()))
}

/// Calls `report` for each place where a layer breaks a rule, until that fails; of the entries in
/// one directory that lie wrong only for the first.
pub(crate) fn check_each(
    layer: &Index,
    parents: Option<&dyn Below>,
    report: &mut dyn FnMut(RuleError) -> Result<()>,
) -> Result<()> {
    let view = View { layer, parents };
    let mut tell = |broken: Option<RuleError>| broken.map_or(Ok(()), &mut *report);
    if parents.is_none() {
        layer.for_each_whiteout(|entry| tell(Some(broken(&entry, Rule::RemovalInBaseLayer))))?;
    }
    check_repeated(layer, &mut tell)?;
    layer.for_each_directory(|entry| tell(view.check_place(&entry)?))?;
    layer.for_each_link(|link| tell(view.check_link(&link)?))
}

fn broken(entry: &IndexedEntry, rule: Rule) -> RuleError {
    RuleError {
        entry: entry.path.to_string(),
        offset: entry.offset,
        rule,
    }
}

/// A path may come twice when it is the same kind of thing both times: the last one counts.
fn check_repeated(
    layer: &Index,
    tell: &mut dyn FnMut(Option<RuleError>) -> Result<()>,
) -> Result<()> {
    let mut first: Option<IndexedEntry> = None;
    layer.for_each_repeated(|entry| {
        let same_path = first.as_ref().filter(|first| first.path == entry.path);
        if let Some(first) = same_path.filter(|first| kind_of(first) != kind_of(&entry)) {
            let rule = Rule::DuplicateOfOtherKind {
                first: describe(first),
                first_offset: first.offset,
                second: describe(&entry),
            };
            tell(Some(broken(&entry, rule)))?;
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

/// Checks that `entry` may lie below `ancestor`.
fn check_ancestor(entry: &IndexedEntry, ancestor: &Found) -> Option<RuleError> {
    let name = ancestor.path.to_string();
    if ancestor.is_reparse_point {
        let reparse_point = name;
        return Some(broken(entry, Rule::BelowReparsePoint { reparse_point }));
    }
    if ancestor.kind != IndexedKind::Directory {
        return Some(broken(entry, Rule::BelowFile { file: name }));
    }
    None
}

/// A layer with what lies below it.
struct View<'a> {
    layer: &'a Index,
    parents: Option<&'a dyn Below>,
}

impl View<'_> {
    /// Finds what is at a path: in the layer itself, else in its parents.
    fn find(&self, path: &LayerPath) -> Result<Option<Found>> {
        match (self.layer.find_added(path)?, self.parents) {
            (Some(entry), _) => Ok(Some(entry.into())),
            (None, Some(parents)) => parents.find(path),
            (None, None) => Ok(None),
        }
    }

    /// Checks that all that is known above an entry are plain directories. An ancestor that the
    /// layer has itself is checked as an entry of its own directory, which ends the search above.
    fn check_place(&self, entry: &IndexedEntry) -> Result<Option<RuleError>> {
        let mut above = entry.path.parent();
        let mut is_direct = true;
        while let Some(path) = above {
            if let Some(ancestor) = self.layer.find_added(&path)? {
                let broken = check_ancestor(entry, &ancestor.into());
                if broken.is_some() || is_direct {
                    return Ok(broken);
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
    fn check_in_parents(&self, entry: &IndexedEntry) -> Result<Option<RuleError>> {
        let Some(parents) = self.parents else {
            return Ok(None);
        };
        let mut way = Vec::new();
        for path in entry.path.ancestors() {
            if self.layer.removes(&path)? {
                break;
            }
            let is_own = self.layer.find_added(&path)?.is_some();
            way.push(Step { path, is_own });
        }
        let ancestor = parents.in_the_way(&way)?;
        Ok(ancestor.and_then(|ancestor| check_ancestor(entry, &ancestor)))
    }

    /// Checks that a link leads to a file, over other links if need be.
    fn check_link(&self, link: &IndexedEntry) -> Result<Option<RuleError>> {
        let Some(target) = &link.target else {
            return Ok(None);
        };
        let named = || target.to_string();
        let mut step = target.clone();
        for _ in 0..MAX_LINK_STEPS {
            let Some(found) = self.find(&step)? else {
                let rule = Rule::LinkTargetMissing { target: named() };
                return Ok(Some(broken(link, rule)));
            };
            match (found.kind, found.target) {
                (IndexedKind::Link, Some(next)) => step = next,
                (IndexedKind::Directory, _) => {
                    let rule = Rule::LinkToDirectory { target: named() };
                    return Ok(Some(broken(link, rule)));
                }
                _ => return Ok(None),
            }
        }
        let rule = Rule::LinkLoop { target: named() };
        Ok(Some(broken(link, rule)))
    }
}
