//! [`Diff`]: two walks side by side.

use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};

use super::compare::{Comparison, Side};
use super::{Change, DiffOptions};
use crate::error::Result;
use crate::hub::{Progress, poll};
use crate::layer::ItemId;
use crate::path::LayerPath;
use crate::view::{Node, View, Walk};

/// The changes between two views, sorted by path; returned by [`diff`](super::diff).
pub struct Diff<'a> {
    left: Half<'a>,
    right: Half<'a>,
    options: &'a DiffOptions,
    progress: &'a dyn Progress,
    /// The pairs of files, each with several names, that have been compared.
    compared: HashSet<[Identity; 2]>,
    is_over: bool,
}

/// A file: the number of its layer, and its identity there.
type Identity = (usize, ItemId);

/// One of the views.
struct Half<'a> {
    view: &'a View,
    walk: Walk<'a>,
    next: Option<Node>,
    /// The files with several names, each with its first name once the walk has met it.
    linked: Option<HashMap<Identity, Option<LayerPath>>>,
}

impl<'a> Half<'a> {
    fn new(view: &'a View) -> Self {
        Self {
            view,
            walk: view.walk(None),
            next: None,
            linked: None,
        }
    }

    fn fill(&mut self) -> Result<()> {
        if self.next.is_none() {
            self.next = self.walk.next().transpose()?;
        }
        Ok(())
    }

    /// Returns the file of a node that has several names, with the first of them; `None` for the
    /// first name itself.
    fn file(&mut self, node: &Node) -> Result<Option<(Identity, Option<LayerPath>)>> {
        let Some(item) = &node.item else {
            return Ok(None);
        };
        let file = (node.layer, item.id);
        let linked = match &mut self.linked {
            Some(linked) => linked,
            None => self.linked.insert(self.view.linked_files()?),
        };
        Ok(linked.get_mut(&file).map(|first| {
            let known = first.clone();
            first.get_or_insert_with(|| node.path.clone());
            (file, known)
        }))
    }
}

impl<'a> Diff<'a> {
    pub(super) fn new(
        left: &'a View,
        right: &'a View,
        options: &'a DiffOptions,
        progress: &'a dyn Progress,
    ) -> Self {
        Self {
            left: Half::new(left),
            right: Half::new(right),
            options,
            progress,
            compared: HashSet::new(),
            is_over: false,
        }
    }

    fn step(&mut self) -> Result<Option<Change>> {
        loop {
            poll(self.progress)?;
            self.left.fill()?;
            self.right.fill()?;
            let order = match (&self.left.next, &self.right.next) {
                (None, None) => return Ok(None),
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some(left), Some(right)) => left.path.walk_cmp(&right.path),
            };
            self.progress.entry();
            let left = self.left.next.take_if(|_| order.is_le());
            let right = self.right.next.take_if(|_| order.is_ge());
            match (left, right) {
                (Some(left), None) => {
                    self.left.file(&left)?;
                    return Ok(Some(Change::Removed(Box::new(left))));
                }
                (None, Some(right)) => {
                    self.right.file(&right)?;
                    return Ok(Some(Change::Added(Box::new(right))));
                }
                (Some(left), Some(right)) => {
                    if let Some(change) = self.compare(left, right)? {
                        return Ok(Some(change));
                    }
                }
                (None, None) => return Ok(None),
            }
        }
    }

    fn compare(&mut self, left: Node, right: Node) -> Result<Option<Change>> {
        let (left_file, right_file) = (self.left.file(&left)?, self.right.file(&right)?);
        let is_compared = match (&left_file, &right_file) {
            (Some((left, _)), Some((right, _))) => !self.compared.insert([*left, *right]),
            _ => false,
        };
        let name = |file: Option<(Identity, Option<LayerPath>)>| file.and_then(|(_, name)| name);
        let comparison = Comparison {
            left: Side {
                view: self.left.view,
                node: &left,
                first_name: name(left_file),
            },
            right: Side {
                view: self.right.view,
                node: &right,
                first_name: name(right_file),
            },
            is_compared,
            options: self.options,
            progress: self.progress,
        };
        let differences = comparison.differences()?;
        Ok((!differences.is_empty()).then(|| Change::Changed {
            left: Box::new(left),
            right: Box::new(right),
            differences,
        }))
    }
}

impl Iterator for Diff<'_> {
    type Item = Result<Change>;

    fn next(&mut self) -> Option<Result<Change>> {
        if self.is_over {
            return None;
        }
        let step = self.step().transpose();
        self.is_over = !matches!(step, Some(Ok(_)));
        step
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_followed_by_its_contents() {
        let path = |text: &str| -> LayerPath { text.parse().expect(text) };
        let sorted = ["Files", "Files/a", "Files/A/z", "Files/a b", "Files/a-b/c"];
        for pair in sorted.windows(2) {
            assert_eq!(path(pair[0]).walk_cmp(&path(pair[1])), Ordering::Less);
        }
        let same = path("FILES/x").walk_cmp(&path("Files/X"));
        assert_eq!(same, Ordering::Equal);
    }
}
