//! The rules on whole layers.
//!
//! They are checked once all entries are known, because a hard link may come before its target.
//! Memory does not grow with the layer, because the index answers every question.

use super::links::{LinkEnd, Links};
use crate::error::Result;
use crate::hub::{Progress, poll};
use crate::index::{Index, IndexedEntry, IndexedKind, duplicate, for_each_clash};
use crate::layer::Removed;
use crate::layout::MAX_FURTHER_NAMES;
use crate::path::LayerPath;
use crate::rules::{Breach, RuleError};
use crate::view::{Node, NodeKind, View};

/// What is visible of the parents in a directory above an entry.
#[derive(Clone)]
enum Sight {
    /// The contents of this directory; `None` is the top.
    Open(Option<Box<Node>>),
    /// Nothing.
    Closed,
    /// Nothing, because this is in the way.
    InTheWay(Found),
}

/// Something at a path above an entry.
#[derive(Clone)]
struct Found {
    /// The path in its own spelling.
    path: LayerPath,
    is_directory: bool,
    is_reparse_point: bool,
}

impl From<IndexedEntry> for Found {
    fn from(entry: IndexedEntry) -> Self {
        Self {
            is_directory: entry.kind == IndexedKind::Directory,
            is_reparse_point: entry.is_reparse_point(),
            path: entry.path,
        }
    }
}

impl From<Node> for Found {
    fn from(node: Node) -> Self {
        Self {
            is_directory: node.kind == NodeKind::Directory,
            is_reparse_point: node.is_reparse_point(),
            path: node.path,
        }
    }
}

/// Checks a layer on top of its parents, and stops at the first broken rule.
pub(crate) fn check(layer: &Index, parents: Option<&View>, progress: &dyn Progress) -> Result<()> {
    let mut links = Links::new(layer, parents, progress);
    check_each(layer, parents, &mut links, progress, &mut |error| {
        Err(error.into())
    })
}

/// Calls `each` for each entry that breaks a rule, until that fails. If all entries of a directory
/// are misplaced, only the first is reported.
pub(crate) fn check_each(
    layer: &Index,
    parents: Option<&View>,
    links: &mut Links<'_>,
    progress: &dyn Progress,
    each: &mut dyn FnMut(RuleError) -> Result<()>,
) -> Result<()> {
    let mut report = |broken: Option<RuleError>| {
        poll(progress)?;
        broken.map_or(Ok(()), &mut *each)
    };
    if parents.is_none() {
        layer
            .for_each_whiteout(|entry| report(Some(broken(&entry, Breach::RemovalInBaseLayer))))?;
    }
    check_repeated(layer, &mut report)?;
    let mut places = Places {
        layer,
        parents,
        progress,
        way: Vec::new(),
    };
    layer.for_each_directory(|entry| report(places.check(&entry)?))?;
    layer.for_each_link(|link| report(check_link(links, &link)?))
}

fn broken(entry: &IndexedEntry, breach: Breach) -> RuleError {
    breach.of(&entry.path, Some(entry.offset))
}

/// Checks that entries with the same path are the same kind of thing: then the last one counts.
fn check_repeated(
    layer: &Index,
    report: &mut dyn FnMut(Option<RuleError>) -> Result<()>,
) -> Result<()> {
    for_each_clash(layer, |first, second| {
        let rule = duplicate(first, second);
        report(Some(broken(second, rule)))
    })
}

/// Checks that `entry` is allowed below `ancestor`.
fn check_ancestor(entry: &IndexedEntry, ancestor: &Found) -> Option<RuleError> {
    let rule = Breach::below(
        &ancestor.path,
        ancestor.is_directory,
        ancestor.is_reparse_point,
    );
    rule.map(|rule| broken(entry, rule))
}

/// Checks that a link leads to a file, directly or through other links.
fn check_link(links: &mut Links<'_>, link: &IndexedEntry) -> Result<Option<RuleError>> {
    let Some(target) = &link.target else {
        return Ok(None);
    };
    let target = target.clone();
    let rule = match links.end(link)? {
        LinkEnd::File { steps, .. } if steps <= MAX_FURTHER_NAMES => return Ok(None),
        LinkEnd::File { .. } => Breach::LinkChainTooLong { target },
        LinkEnd::Directory => Breach::LinkToDirectory { target },
        LinkEnd::Nowhere => Breach::LinkTargetMissing { target },
        LinkEnd::Loop => Breach::LinkLoop { target },
    };
    Ok(Some(broken(link, rule)))
}

/// Checks the directories above the entries of a layer.
struct Places<'a> {
    layer: &'a Index,
    parents: Option<&'a View>,
    progress: &'a dyn Progress,
    /// The directories above the last checked entry, from the top. Those that the next entry shares
    /// are not looked up again.
    way: Vec<Step>,
}

/// A directory on the way to an entry.
struct Step {
    path: LayerPath,
    /// The layer's own entry there.
    own: Option<Found>,
    /// What is visible of the parents below it.
    sight: Sight,
}

impl Places<'_> {
    /// Checks that there are only plain directories above an entry. If the layer has an entry for
    /// its directory, the search ends there: that entry is checked on its own.
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

    /// Goes one directory further down.
    fn step(&self, path: LayerPath) -> Result<Step> {
        let own = self.layer.find_added(&path)?.map(Found::from);
        let above = self.way.last().map(|step| step.sight.clone());
        let sight = match (self.parents, above.unwrap_or(Sight::Open(None))) {
            (None, _) => Sight::Closed,
            (Some(parents), Sight::Open(above)) => {
                let removed = self.layer.removal(&path)?;
                enter(parents, above.as_deref(), &path, own.is_some(), removed)?
            }
            (Some(_), above) => above,
        };
        Ok(Step { path, own, sight })
    }
}

/// Goes into a directory of the parents, from the one above it, to find what is in the way of an
/// entry below. Anything there is ignored if the layer has an entry for the path (`is_own`) or
/// removes it; an opaque whiteout only removes what is in a directory.
fn enter(
    parents: &View,
    above: Option<&Node>,
    directory: &LayerPath,
    is_own: bool,
    removed: Option<Removed>,
) -> Result<Sight> {
    if removed == Some(Removed::Path) {
        return Ok(Sight::Closed);
    }
    Ok(match parents.child(above, directory.file_name())? {
        None => Sight::Closed,
        Some(node) if node.is_plain_directory() && removed.is_some() => Sight::Closed,
        Some(node) if node.is_plain_directory() => Sight::Open(Some(Box::new(node))),
        Some(_) if is_own => Sight::Closed,
        Some(node) => Sight::InTheWay(node.into()),
    })
}
