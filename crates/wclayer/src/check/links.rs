//! Where the hard links of a layer lead.

use std::collections::{HashMap, HashSet};

use crate::error::Result;
use crate::hub::{Progress, poll};
use crate::index::{Index, IndexedEntry, IndexedKind};
use crate::path::LayerPath;
use crate::view::{NodeKind, View};

/// Of how many links it is remembered where they lead, so that memory is bounded. Then it starts
/// anew: links that lead to one another mostly come together.
const MAX_KNOWN: usize = 1 << 19;

/// The hard links of a layer. Each is followed once, however many lead over it.
pub(crate) struct Links<'a> {
    layer: &'a Index,
    parents: Option<&'a View>,
    progress: &'a dyn Progress,
    known: HashMap<u64, LinkEnd>,
}

/// Where a link leads, over other links if need be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LinkEnd {
    /// To a file.
    File {
        /// The file.
        file: LinkedFile,
        /// How many links there are on the way, itself among them.
        steps: u32,
    },
    /// To a directory.
    Directory,
    /// To nothing.
    Nowhere,
    /// Back to where it has been.
    Loop,
}

/// A file that links lead to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum LinkedFile {
    /// The entry of this number.
    Own(u64),
    /// What the parents have at the path with this key.
    Below(i64),
}

impl<'a> Links<'a> {
    /// Starts with nothing known.
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
                // Which is on the way already.
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
                // Longer than any that is allowed, and too long to be remembered.
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

    /// What a name of the parents leads to; that their own links lead to files was checked when
    /// they were made.
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

    /// Takes note of where the links of a way lead whose end has been found; returns where the
    /// first of them does.
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
