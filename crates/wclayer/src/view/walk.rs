//! [`Walk`]: through all of a view, or a part of it, directory by directory.
//!
//! What is held are the entries still to come of the directories on the way down.

use super::lookup::{Node, View};
use crate::error::Result;
use crate::path::LayerPath;

/// Walks through a view; made by [`View::walk`].
pub struct Walk<'a> {
    view: &'a View,
    /// For each open directory, what is still to come.
    open: Vec<std::vec::IntoIter<Node>>,
    /// Where to begin, before the first step.
    start: Option<Start>,
    /// What is to be seen; everything when empty.
    wanted: Vec<LayerPath>,
}

/// Where a walk begins.
pub(super) enum Start {
    /// In this directory, at the top for `None`.
    Directory(Option<Box<Node>>),
    /// At the top of one layer.
    Layer(usize),
}

impl<'a> Walk<'a> {
    pub(super) fn start(view: &'a View, start: Start) -> Self {
        Self {
            view,
            open: Vec::new(),
            start: Some(start),
            wanted: Vec::new(),
        }
    }

    /// Leaves out what is neither on the way to one of these paths nor below it; nothing when there
    /// are none.
    pub(super) fn only(mut self, paths: &[LayerPath]) -> Self {
        self.wanted = paths.to_vec();
        self
    }

    fn is_wanted(&self, path: &LayerPath) -> bool {
        let is_near =
            |wanted: &LayerPath| path == wanted || path.is_below(wanted) || wanted.is_below(path);
        self.wanted.is_empty() || self.wanted.iter().any(is_near)
    }

    fn step(&mut self) -> Result<Option<Node>> {
        if let Some(start) = self.start.take() {
            let children = match start {
                Start::Directory(directory) => self.view.children(directory.as_deref())?,
                Start::Layer(layer) => {
                    let layers: Vec<usize> = self.view.only(layer).collect();
                    self.view.children_in(None, &layers)?
                }
            };
            self.open.push(children.into_iter());
        }
        while let Some(last) = self.open.last_mut() {
            let Some(node) = last.next() else {
                self.open.pop();
                continue;
            };
            if !self.is_wanted(&node.path) {
                continue;
            }
            if node.is_plain_directory() {
                let children = self.view.children(Some(&node))?;
                self.open.push(children.into_iter());
            }
            return Ok(Some(node));
        }
        Ok(None)
    }
}

impl Iterator for Walk<'_> {
    type Item = Result<Node>;

    fn next(&mut self) -> Option<Result<Node>> {
        let step = self.step();
        if step.is_err() {
            // What comes after an error is not to be trusted.
            self.open.clear();
        }
        step.transpose()
    }
}
