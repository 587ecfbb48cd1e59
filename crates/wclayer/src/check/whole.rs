//! The rules that a layer must keep to be imported, checked on its index.
//!
//! They are checked once all entries are known, because a hard link may come before its target;
//! memory does not grow with the layer, since the index answers every question.

use super::links::{LinkEnd, Links};
use crate::error::Result;
use crate::hub::{Progress, poll};
use crate::index::{Index, IndexedEntry, IndexedKind, duplicate, for_each_clash};
use crate::layout::MAX_FURTHER_NAMES;
use crate::path::LayerPath;
use crate::rules::{Breach, RuleError};
use crate::view::{Node, NodeKind, View};

/// What is seen of the parents on the way down to an entry.
#[derive(Clone)]
enum Sight {
    /// What they have in this directory, at the top for `None`.
    Open(Option<Box<Node>>),
    /// Nothing.
    Closed,
    /// This, which is not a plain directory.
    InTheWay(Found),
}

/// What is at a path above an entry.
#[derive(Clone)]
struct Found {
    /// The path, as it is spelled there.
    path: LayerPath,
    is_directory: bool,
    /// Whether nothing may be reached through it.
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

/// Checks a layer against the rules, on top of its parents; ends at the first rule that is broken.
pub(crate) fn check(layer: &Index, parents: Option<&View>, progress: &dyn Progress) -> Result<()> {
    let mut links = Links::new(layer, parents, progress);
    check_each(layer, parents, &mut links, progress, &mut |error| {
        Err(error.into())
    })
}

/// Calls `report` for each place where a layer breaks a rule, until that fails; of the entries in
/// one directory that lie wrong only for the first.
pub(crate) fn check_each(
    layer: &Index,
    parents: Option<&View>,
    links: &mut Links<'_>,
    progress: &dyn Progress,
    report: &mut dyn FnMut(RuleError) -> Result<()>,
) -> Result<()> {
    let mut tell = |broken: Option<RuleError>| {
        poll(progress)?;
        broken.map_or(Ok(()), &mut *report)
    };
    if parents.is_none() {
        layer.for_each_whiteout(|entry| tell(Some(broken(&entry, Breach::RemovalInBaseLayer))))?;
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

fn broken(entry: &IndexedEntry, rule: Breach) -> RuleError {
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
    for_each_clash(layer, |first, second| {
        let rule = duplicate(first, second);
        tell(Some(broken(second, rule)))
    })
}

/// Checks that `entry` may lie below `ancestor`.
fn check_ancestor(entry: &IndexedEntry, ancestor: &Found) -> Option<RuleError> {
    let rule = Breach::below(
        &ancestor.path,
        ancestor.is_directory,
        ancestor.is_reparse_point,
    );
    rule.map(|rule| broken(entry, rule))
}

/// Checks that a link leads to a file, over other links if need be.
fn check_link(links: &mut Links<'_>, link: &IndexedEntry) -> Result<Option<RuleError>> {
    let Some(target) = &link.target else {
        return Ok(None);
    };
    let target = target.to_string();
    let rule = match links.end(link)? {
        LinkEnd::File { steps, .. } if steps <= MAX_FURTHER_NAMES => return Ok(None),
        LinkEnd::File { .. } => Breach::LinkChainTooLong { target },
        LinkEnd::Directory => Breach::LinkToDirectory { target },
        LinkEnd::Nowhere => Breach::LinkTargetMissing { target },
        LinkEnd::Loop => Breach::LinkLoop { target },
    };
    Ok(Some(broken(link, rule)))
}

/// Checks what is above the entries of a layer.
struct Places<'a> {
    layer: &'a Index,
    parents: Option<&'a View>,
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
        let sight = match (self.parents, above.unwrap_or(Sight::Open(None))) {
            (None, _) => Sight::Closed,
            (Some(parents), Sight::Open(above)) => match self.layer.removes(&path)? {
                true => Sight::Closed,
                false => enter(parents, above.as_deref(), &path, own.is_some())?,
            },
            (Some(_), above) => above,
        };
        Ok(Step { path, own, sight })
    }
}

/// Goes into a directory of the parents, from the one above it, to see what is in the way of an
/// entry below. What is there is passed over when the layer has the path itself (`is_own`).
fn enter(
    parents: &View,
    above: Option<&Node>,
    directory: &LayerPath,
    is_own: bool,
) -> Result<Sight> {
    Ok(match parents.child(above, directory.file_name())? {
        None => Sight::Closed,
        Some(node) if node.is_plain_directory() => Sight::Open(Some(Box::new(node))),
        Some(_) if is_own => Sight::Closed,
        Some(node) => Sight::InTheWay(node.into()),
    })
}
