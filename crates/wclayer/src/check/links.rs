//! Follows the hard links of a layer.

use std::collections::{HashMap, HashSet};

use crate::error::Result;
use crate::hub::{Progress, poll};
use crate::index::{Index, IndexedEntry, IndexedKind};
use crate::path::LayerPath;
use crate::view::{NodeKind, View};

/// How many links are remembered with their files, so that memory is bounded. Beyond that, all of
/// them are forgotten: links that lead to one another are usually close together.
const MAX_KNOWN: usize = 1 << 19;

/// The hard links of a layer. Each is followed once, however many others lead through it.
pub(crate) struct Links<'a> {
    layer: &'a Index,
    parents: Option<&'a View>,
    progress: &'a dyn Progress,
    known: HashMap<u64, LinkEnd>,
}

/// What a link leads to, directly or through other links.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LinkEnd {
    /// A file.
    File {
        /// The file.
        file: LinkedFile,
        /// How many links lead to it, including the first.
        steps: u32,
    },
    /// A directory.
    Directory,
    /// Nothing.
    Nowhere,
    /// Another link that was followed before.
    Loop,
}

/// A file that links lead to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum LinkedFile {
    /// The entry of the layer with this id.
    Own(u64),
    /// The parents' file at the path with this key.
    Below(i64),
}

impl<'a> Links<'a> {
    /// Starts without any link followed.
    pub(crate) fn new(
        layer: &'a Index,
        parents: Option<&'a View>,
        progress: &'a dyn Progress,
    ) -> Self {
        Self {
            layer,
            parents,
            progress,
            known: HashMap::new(),
        }
    }

    /// Follows a link of the layer.
    pub(crate) fn end(&mut self, link: &IndexedEntry) -> Result<LinkEnd> {
        let mut way = vec![link.id];
        let mut seen = HashSet::from([link.id]);
        let mut target = link.target.clone();
        let end = loop {
            poll(self.progress)?;
            if let Some(known) = way.last().and_then(|link| self.known.get(link)) {
                // The link is counted in what is known.
                way.pop();
                break *known;
            }
            let Some(step) = target.take() else {
                break LinkEnd::Nowhere;
            };
            let Some(found) = self.layer.find_added(&step)? else {
                break self.below(&step)?;
            };
            match found.kind {
                IndexedKind::Link if !seen.insert(found.id) => break LinkEnd::Loop,
                // Longer than any legal chain, and too long to remember.
                IndexedKind::Link if way.len() == MAX_KNOWN => break LinkEnd::Loop,
                IndexedKind::Link => {
                    way.push(found.id);
                    target = found.target;
                }
                IndexedKind::Directory => break LinkEnd::Directory,
                _ => {
                    let file = LinkedFile::Own(found.id);
                    break LinkEnd::File { file, steps: 0 };
                }
            }
        };
        Ok(self.remember(&way, end))
    }

    /// Finds a path in the parents. Their own links were checked when they were imported.
    fn below(&self, path: &LayerPath) -> Result<LinkEnd> {
        let found = match self.parents {
            Some(parents) => parents.find(path)?,
            None => None,
        };
        Ok(match found {
            None => LinkEnd::Nowhere,
            Some(found) if found.kind == NodeKind::Directory => LinkEnd::Directory,
            Some(found) => LinkEnd::File {
                file: LinkedFile::Below(Index::key(&found.path)),
                steps: 0,
            },
        })
    }

    /// Remembers the end of every link on the way to it; returns that of the first link.
    fn remember(&mut self, way: &[u64], mut end: LinkEnd) -> LinkEnd {
        if self.known.len() + way.len() > MAX_KNOWN {
            self.known.clear();
        }
        for link in way.iter().rev() {
            if let LinkEnd::File { steps, .. } = &mut end {
                *steps = steps.saturating_add(1);
            }
            self.known.insert(*link, end);
        }
        end
    }
}
