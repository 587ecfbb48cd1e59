//! [`ViewReader`]: a view as a source of the hub: one layer made of many.
//!
//! Entries come sorted by path, directories before what is in them. The first name of a file
//! carries it, later ones are links to that. What the view hides of layers below it comes as
//! removals, right where it is. A directory that no layer has an entry for gets none.

use std::collections::HashMap;
use std::io::Read;

use super::layer::{Item, ItemId, ItemKind, Removed};
use super::links::{self, LinksBelow};
use super::view::{Node, NodeKind, View, Walk};
use crate::error::{Error, Result};
use crate::hub::{Entry, FileEntry, LayerReader, LinkEntry};
use crate::path::LayerPath;

/// A file: the number of its layer, and what it is there.
type Identity = (usize, ItemId);

/// Reads a view as one layer; made by [`View::reader`].
///
/// It keeps a record for each file that has hard links, and nothing of all others; when a file of a
/// layer out of sight has lost its own path, one for each hard link there, too.
pub struct ViewReader<'a> {
    view: &'a View,
    walk: Walk<'a>,
    /// What comes before the next node.
    next: Option<Entry>,
    /// The files that hard links name, each with its first name once that has come. `None` before
    /// the first entry.
    linked: Option<HashMap<Identity, Option<LayerPath>>>,
    /// The hard links of layers out of sight, once they are asked for.
    links_below: Option<LinksBelow>,
    stream: Option<Box<dyn Read + Send>>,
}

impl<'a> ViewReader<'a> {
    pub(super) fn new(view: &'a View, paths: &[LayerPath]) -> Self {
        Self {
            view,
            walk: view.walk_to(paths),
            next: None,
            linked: None,
            links_below: None,
            stream: None,
        }
    }

    fn entry(&mut self, node: Node) -> Result<Option<Entry>> {
        match (node.kind, &node.item) {
            (NodeKind::Removal, _) => Ok(Some(Entry::Removal(node.path))),
            (_, None) => Ok(match node.removed {
                Some(Removed::Path) => Some(Entry::Removal(node.path)),
                Some(Removed::Contents) => Some(Entry::Opaque(node.path)),
                None => None,
            }),
            (NodeKind::Directory, Some(item)) => {
                let hides = node.removed.is_some() && !item.is_reparse_point;
                self.next = hides.then(|| Entry::Opaque(node.path.clone()));
                self.file(&node, item).map(Some)
            }
            (NodeKind::File, Some(item)) => {
                if let Some(target) = self.link_target(&node, item)? {
                    return Ok(Some(Entry::Link(LinkEntry {
                        path: node.path,
                        target,
                        basic_info: Some(item.basic_info),
                    })));
                }
                self.file(&node, item).map(Some)
            }
        }
    }

    fn file(&mut self, node: &Node, item: &Item) -> Result<Entry> {
        let stream = self.view.backup_stream(node)?;
        self.stream = Some(stream.reader);
        Ok(Entry::File(FileEntry {
            path: node.path.clone(),
            basic_info: item.basic_info,
            size: item.size,
            metadata_first: stream.metadata_first,
        }))
    }

    /// Returns what a file is to be a link to; `None` when its content is to be carried here.
    fn link_target(&mut self, node: &Node, item: &Item) -> Result<Option<LayerPath>> {
        if let ItemKind::Link(target) = &item.kind {
            // Its file is missing; the sink has to say so.
            return Ok(Some(target.clone()));
        }
        let file = (node.layer, item.id);
        if self.linked.is_none() {
            self.linked = Some(links::linked_files(self.view)?);
        }
        let first = self.linked.as_ref().and_then(|linked| linked.get(&file));
        match first {
            None => return Ok(None),
            Some(Some(first)) => return Ok(Some(first.clone())),
            Some(None) => {}
        }
        let target = self.name_below(file, item)?;
        let first = target.clone().unwrap_or_else(|| node.path.clone());
        self.linked
            .get_or_insert_default()
            .insert(file, Some(first));
        Ok(target)
    }

    /// Returns the path by which the layers out of sight have a file: the target of a link to it.
    fn name_below(&mut self, file: Identity, item: &Item) -> Result<Option<LayerPath>> {
        if file.0 < self.view.seen() {
            return Ok(None);
        }
        if links::names_below(self.view, &item.path, file)? {
            return Ok(Some(item.path.clone()));
        }
        if self.links_below.is_none() {
            self.links_below = Some(links::links_below(self.view)?);
        }
        let links = self.links_below.as_ref();
        for path in links
            .and_then(|links| links.get(&file))
            .into_iter()
            .flatten()
        {
            if links::names_below(self.view, path, file)? {
                return Ok(Some(path.clone()));
            }
        }
        Ok(None)
    }
}

impl LayerReader for ViewReader<'_> {
    fn next_entry(&mut self) -> Result<Option<Entry>> {
        self.stream = None;
        if let Some(entry) = self.next.take() {
            return Ok(Some(entry));
        }
        while let Some(node) = self.walk.next().transpose()? {
            if let Some(entry) = self.entry(node)? {
                return Ok(Some(entry));
            }
        }
        Ok(None)
    }

    fn read_stream(&mut self, buffer: &mut [u8]) -> Result<usize> {
        match &mut self.stream {
            Some(stream) => stream.read(buffer).map_err(Error::Input),
            None => Ok(0),
        }
    }
}
