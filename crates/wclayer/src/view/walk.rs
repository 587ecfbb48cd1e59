//! [`Walk`]: through a view or a part of it, directory by directory.
//!
//! It holds the remaining entries of the directories on the way down.

use super::chain::View;
use super::node::Node;
use crate::error::Result;
use crate::path::LayerPath;

/// Walks through a view; made by [`View::walk`].
pub struct Walk<'a> {
    view: &'a View,
    /// The remaining entries of each open directory.
    open: Vec<std::vec::IntoIter<Node>>,
    /// Where to begin, before the first step.
    start: Option<Start>,
    /// The only paths to show; everything if empty.
    wanted: Vec<LayerPath>,
}

/// The start of a walk.
pub(super) enum Start {
    /// In this directory, at the top for `None`.
    Directory(Option<Box<Node>>),
    /// At the top of one layer.
    Layer(usize),
}

impl View {
    /// Walks through everything below a directory (below the top for `None`): each directory before
    /// its contents, names sorted as NTFS sorts them.
    pub fn walk(&self, directory: Option<&Node>) -> Walk<'_> {
        Walk::start(self, Start::Directory(directory.cloned().map(Box::new)))
    }

    /// Walks through one layer as if it were alone; see [`find_in_layer`](Self::find_in_layer).
    pub fn walk_layer(&self, layer: usize) -> Walk<'_> {
        Walk::start(self, Start::Layer(layer))
    }

    /// Walks through these paths with everything below them and the directories above them; through
    /// the whole view if there are none.
    pub fn walk_to(&self, paths: &[LayerPath]) -> Walk<'_> {
        self.walk(None).only(paths)
    }
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

    /// Leaves out everything except these paths, what is below them, and the directories above
    /// them; nothing if there are none.
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
            // Whatever follows an error is unreliable.
            self.open.clear();
        }
        step.transpose()
    }
}
