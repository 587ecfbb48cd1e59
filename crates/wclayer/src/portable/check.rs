//! The rules that a layer must keep to be imported, checked on its index.
//!
//! They are checked once all entries are known, because a hard link may come before its target;
//! memory does not grow with the layer, since the index answers every question.

use super::error::{Rule, RuleError};
use super::links::{LinkEnd, Links};
use crate::error::{Error, Result};
use crate::hub::Progress;
use crate::index::{Index, IndexedEntry, IndexedKind, Lookup};
use crate::layout::MAX_FURTHER_NAMES;
use crate::path::LayerPath;

/// What lies below a layer: its parents, seen as one.
pub(crate) trait Below {
    /// Finds what is at a path.
    fn find(&self, path: &LayerPath) -> Result<Option<Found>>;

    /// Goes into a directory, from the one above it, to see what is in the way of an entry below.
    /// What is there is passed over when the layer above has it itself (`is_own`). `sight` is what
    /// the step before gave, at first `usize::MAX`.
    fn enter(&self, directory: &LayerPath, is_own: bool, sight: usize) -> Result<Sight>;
}

/// What is seen of the parents on the way down to an entry.
#[derive(Clone)]
pub(crate) enum Sight {
    /// So many of them, the nearest.
    Open(usize),
    /// Nothing.
    Closed,
    /// This, which is no plain directory.
    InTheWay(Found),
}

/// What a layer has at a path.
#[derive(Clone)]
pub(crate) struct Found {
    /// Its path, as it is spelled there.
    pub(crate) path: LayerPath,
    /// What it is.
    pub(crate) kind: IndexedKind,
    /// Whether nothing may be reached through it.
    pub(crate) is_reparse_point: bool,
}

impl Found {
    pub(crate) fn is_plain_directory(&self) -> bool {
        self.kind == IndexedKind::Directory && !self.is_reparse_point
    }
}

impl From<IndexedEntry> for Found {
    fn from(entry: IndexedEntry) -> Self {
        Self {
            kind: entry.kind,
            is_reparse_point: entry.is_reparse_point(),
            path: entry.path,
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
    fn enter(&self, directory: &LayerPath, is_own: bool, sight: usize) -> Result<Sight> {
        for (place, parent) in self.iter().take(sight).enumerate() {
            let found = parent.find_added(directory)?.map(Found::from);
            let is_open = found.as_ref().is_none_or(Found::is_plain_directory);
            if let Some(found) = found.filter(|_| !is_open && !is_own) {
                return Ok(Sight::InTheWay(found));
            }
            // What lies further down is covered, here and in all below.
            if !is_open || parent.removes(directory)? {
                return Ok(Sight::Open(place + 1));
            }
        }
        Ok(Sight::Open(sight))
    }
}

/// Checks a layer against the rules, with the indexes of its parents, nearest first; ends at the
/// first rule that is broken.
pub(super) fn check(layer: &Index, parents: &[Index], progress: &dyn Progress) -> Result<()> {
    let below = (!parents.is_empty()).then_some(&parents as &dyn Below);
    let mut links = Links::new(layer, below, progress);
    check_each(layer, below, &mut links, progress, &mut |error| {
        Err(error.into())
    })
}

/// Calls `report` for each place where a layer breaks a rule, until that fails; of the entries in
/// one directory that lie wrong only for the first.
pub(crate) fn check_each(
    layer: &Index,
    parents: Option<&dyn Below>,
    links: &mut Links<'_>,
    progress: &dyn Progress,
    report: &mut dyn FnMut(RuleError) -> Result<()>,
) -> Result<()> {
    let mut tell = |broken: Option<RuleError>| {
        poll(progress)?;
        broken.map_or(Ok(()), &mut *report)
    };
    if parents.is_none() {
        layer.for_each_whiteout(|entry| tell(Some(broken(&entry, Rule::RemovalInBaseLayer))))?;
    }
    check_repeated(layer, &mut tell)?;
    let mut places = Places {
        layer,
        parents,
        progress,
        way: Vec::new(),
    };
    layer.for_each_directory(|entry| tell(places.check(&entry)?))?;
    layer.for_each_link(|link| tell(check_link(links, &link)?))
}

/// Ends what has been cancelled.
pub(crate) fn poll(progress: &dyn Progress) -> Result<()> {
    match progress.is_cancelled() {
        true => Err(Error::Cancelled),
        false => Ok(()),
    }
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
        tell(None)
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

/// Checks that a link leads to a file, over other links if need be.
fn check_link(links: &mut Links<'_>, link: &IndexedEntry) -> Result<Option<RuleError>> {
    let Some(target) = &link.target else {
        return Ok(None);
    };
    let target = target.to_string();
    let rule = match links.end(link)? {
        LinkEnd::File { steps, .. } if steps <= MAX_FURTHER_NAMES => return Ok(None),
        LinkEnd::File { .. } => Rule::LinkChainTooLong { target },
        LinkEnd::Directory => Rule::LinkToDirectory { target },
        LinkEnd::Nowhere => Rule::LinkTargetMissing { target },
        LinkEnd::Loop => Rule::LinkLoop { target },
    };
    Ok(Some(broken(link, rule)))
}

/// Checks what is above the entries of a layer.
struct Places<'a> {
    layer: &'a Index,
    parents: Option<&'a dyn Below>,
    progress: &'a dyn Progress,
    /// The directories above the entry that was checked last, from the top: those that the next one
    /// shares are not looked up again.
    way: Vec<Step>,
}

/// A directory on the way to an entry.
struct Step {
    path: LayerPath,
    /// What the layer itself has there.
    own: Option<Found>,
    /// What is seen of the parents in there.
    sight: Sight,
}

impl Places<'_> {
    /// Checks that all that is known above an entry are plain directories. An ancestor that the
    /// layer has itself is checked as an entry of its own directory, which ends the search above.
    fn check(&mut self, entry: &IndexedEntry) -> Result<Option<RuleError>> {
        let Some(directory) = entry.path.parent() else {
            return Ok(None);
        };
        if let Some(above) = self.layer.find_added(&directory)? {
            return Ok(check_ancestor(entry, &above.into()));
        }
        self.go_to(entry)?;
        let own = self.way.iter().rev().find_map(|step| step.own.as_ref());
        let broken = own.and_then(|ancestor| check_ancestor(entry, ancestor));
        if broken.is_some() {
            return Ok(broken);
        }
        match self.way.last().map(|step| &step.sight) {
            Some(Sight::InTheWay(ancestor)) => Ok(check_ancestor(entry, ancestor)),
            _ => Ok(None),
        }
    }

    /// Goes from the top down to the directory of an entry.
    fn go_to(&mut self, entry: &IndexedEntry) -> Result<()> {
        let last = self.way.last().map(|step| &step.path);
        let shared = last.map_or(0, |last| last.shared_depth(&entry.path));
        let above = entry.path.ancestors();
        self.way.truncate(shared.min(above.len()));
        for path in above.into_iter().skip(self.way.len()) {
            poll(self.progress)?;
            let step = self.step(path)?;
            self.way.push(step);
        }
        Ok(())
    }

    /// Goes into a directory from the last one of the way.
    fn step(&self, path: LayerPath) -> Result<Step> {
        let own = self.layer.find_added(&path)?.map(Found::from);
        let above = self.way.last().map(|step| step.sight.clone());
        let sight = match (self.parents, above.unwrap_or(Sight::Open(usize::MAX))) {
            (None, _) => Sight::Closed,
            (Some(parents), Sight::Open(sight)) => match self.layer.removes(&path)? {
                true => Sight::Closed,
                false => parents.enter(&path, own.is_some(), sight)?,
            },
            (Some(_), above) => above,
        };
        Ok(Step { path, own, sight })
    }
}
