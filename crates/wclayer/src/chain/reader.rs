//! [`ViewReader`]: a view as a source of the hub: one layer made of many.
//!
//! Entries come sorted by path, directories before what is in them. The first name of a file
//! carries it, later ones are links to that. What the view hides of layers below it comes as
//! removals, right where it is. A directory that no layer has an entry for gets none, except in
//! what is to be [a layer](ViewReader::as_layer).

use std::collections::HashMap;
use std::io::{Cursor, Read};

use ntmeta::{FileAttributes, FileBasicInfo, FileTime, StreamHeader, StreamId};

use super::layer::{BackupStream, Item, ItemId, ItemKind, Removed};
use super::links::{self, LinksBelow};
use super::merge::Merged;
use super::view::{Node, NodeKind, View, Walk};
use crate::error::{Error, Result};
use crate::hub::{Entry, FileEntry, LayerReader, LinkEntry};
use crate::layout;
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
    /// The open backup stream, and the number of the layer that it is read from.
    stream: Option<(usize, Box<dyn Read + Send>)>,
    is_layer: bool,
    /// Files that come from the layer of that number, whatever is on top of it.
    taken_from: HashMap<LayerPath, usize>,
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
            is_layer: false,
            taken_from: HashMap::new(),
        }
    }

    /// Reads what can be imported as a layer on top of those out of sight: each directory has an
    /// entry, only what is there is removed, and a hard link whose file is missing is an error.
    pub fn as_layer(mut self) -> Self {
        self.is_layer = true;
        self
    }

    /// Takes files from the layers of these numbers, where these have them.
    pub(crate) fn taking(mut self, files: HashMap<LayerPath, usize>) -> Self {
        self.taken_from = files;
        self
    }

    fn entry(&mut self, mut node: Node) -> Result<Option<Entry>> {
        if let Some(&layer) = self.taken_from.get(&node.path)
            && let Some(item) = self.view.layer(layer).slot(&node.path)?.added
        {
            (node.layer, node.item) = (layer, Some(item));
        }
        match (node.kind, &node.item) {
            (NodeKind::Directory, None) if self.is_layer && node.exists => {
                self.implied_directory(&node).map(Some)
            }
            (NodeKind::Removal, _) | (_, None) => self.removal(&node),
            (NodeKind::Directory, Some(item)) => {
                if !item.is_reparse_point && self.hides_contents(&node)? {
                    self.next = Some(Entry::Opaque(node.path.clone()));
                }
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

    /// Returns whether only times and attributes of an entry are carried: hcsshim cannot import a
    /// layer with parents whose `UtilityVM` has more (`internal/wclayer/legacy.go`, `Add`).
    fn is_bare(&self, path: &LayerPath) -> bool {
        let is_on_top = self.view.seen() < self.view.depth();
        self.is_layer && is_on_top && layout::is(path, layout::UTILITY_VM)
    }

    /// Returns the entry of what is only removed.
    fn removal(&self, node: &Node) -> Result<Option<Entry>> {
        let below = self.below(&node.path)?;
        Ok(match node.removed {
            Some(Removed::Path) if self.removes(below.as_ref(), |_| true) => {
                Some(Entry::Removal(node.path.clone()))
            }
            Some(Removed::Contents) if self.removes(below.as_ref(), is_directory) => {
                Some(Entry::Opaque(node.path.clone()))
            }
            _ => None,
        })
    }

    /// Returns whether a directory of the view hides what the layers out of sight have in it.
    fn hides_contents(&self, node: &Node) -> Result<bool> {
        Ok(node.removed.is_some() && self.removes(self.below(&node.path)?.as_ref(), is_directory))
    }

    /// Returns what the layers out of sight have at a path.
    fn below(&self, path: &LayerPath) -> Result<Option<Merged>> {
        let below = self
            .view
            .merged(path, self.view.seen()..self.view.depth())?;
        Ok(below.filter(|below| below.exists))
    }

    /// Returns whether there is something to remove: always, when nobody knows what is below.
    fn removes(&self, below: Option<&Merged>, is_removed: fn(&Merged) -> bool) -> bool {
        !self.is_layer || self.view.seen() == self.view.depth() || below.is_some_and(is_removed)
    }

    /// Makes an entry for a directory that the layers in sight have none for: as it is in the whole
    /// chain, else with times and descriptor of the directory that it lies in.
    fn implied_directory(&mut self, node: &Node) -> Result<Entry> {
        if self.hides_contents(node)? {
            self.next = Some(Entry::Opaque(node.path.clone()));
        }
        let mut place = Some(node.path.clone());
        let mut known = None;
        while let Some(path) = place {
            let merged = self.view.merged(&path, 0..self.view.depth())?;
            known = merged.and_then(|merged| merged.item);
            if known.is_some() {
                break;
            }
            place = path.parent();
        }
        let layer = known.as_ref().map_or(0, |(layer, _)| *layer);
        let (basic_info, stream) = match known {
            Some((layer, item)) if item.path == node.path => {
                let stream = self.view.layer(layer).backup_stream(&item);
                let stream = stream.map_err(|error| self.of_layer(layer, error))?;
                (item.basic_info, stream)
            }
            Some((layer, item)) => {
                let security = self.view.layer(layer).details(&item)?.security;
                let attributes = FileAttributes::DIRECTORY;
                let basic_info = FileBasicInfo {
                    attributes,
                    ..item.basic_info
                };
                (basic_info, only_security(security))
            }
            None => (without_parent(), BackupStream::empty()),
        };
        self.stream = Some((layer, stream.reader));
        Ok(Entry::File(FileEntry {
            path: node.path.clone(),
            basic_info,
            size: 0,
            metadata_first: stream.metadata_first,
        }))
    }

    fn file(&mut self, node: &Node, item: &Item) -> Result<Entry> {
        let stream = self.view.backup_stream(node);
        let stream = stream.map_err(|error| self.of_layer(node.layer, error))?;
        self.stream = Some((node.layer, stream.reader));
        Ok(Entry::File(FileEntry {
            path: node.path.clone(),
            basic_info: item.basic_info,
            size: item.size,
            metadata_first: stream.metadata_first,
        }))
    }

    /// Says which layer could not be read.
    fn of_layer(&self, layer: usize, error: Error) -> Error {
        error.of_layer("read", self.view.layer(layer).place())
    }

    /// Returns what a file is to be a link to; `None` when its content is to be carried here.
    fn link_target(&mut self, node: &Node, item: &Item) -> Result<Option<LayerPath>> {
        if let ItemKind::Link(target) = &item.kind {
            if self.is_layer {
                return Err(Error::LinkTarget {
                    path: node.path.to_string(),
                    target: target.to_string(),
                });
            }
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

fn is_directory(merged: &Merged) -> bool {
    let item = merged.item.as_ref();
    item.is_none_or(|(_, item)| item.is_plain_directory())
}

/// Returns the backup stream of a directory that has a descriptor and nothing else.
fn only_security(security: Option<Vec<u8>>) -> BackupStream {
    let Some(security) = security else {
        return BackupStream::empty();
    };
    let header = StreamHeader::new(StreamId::SECURITY_DATA, security.len() as u64);
    let mut bytes = Vec::with_capacity(header.encoded_len() + security.len());
    header.encode(&mut bytes);
    bytes.extend(security);
    BackupStream {
        reader: Box::new(Cursor::new(bytes)),
        metadata_first: true,
    }
}

/// Returns the times and attributes of a directory when no layer has an entry for one above it.
fn without_parent() -> FileBasicInfo {
    let time = FileTime::UNIX_EPOCH;
    FileBasicInfo {
        creation_time: time,
        last_access_time: time,
        last_write_time: time,
        change_time: time,
        attributes: FileAttributes::DIRECTORY,
    }
}

impl LayerReader for ViewReader<'_> {
    fn next_entry(&mut self) -> Result<Option<Entry>> {
        self.stream = None;
        if let Some(entry) = self.next.take() {
            return Ok(Some(entry));
        }
        while let Some(node) = self.walk.next().transpose()? {
            let is_bare = self.is_bare(&node.path);
            if let Some(entry) = self.entry(node)? {
                self.stream = self.stream.take().filter(|_| !is_bare);
                return Ok(Some(entry));
            }
        }
        Ok(None)
    }

    fn read_stream(&mut self, buffer: &mut [u8]) -> Result<usize> {
        match &mut self.stream {
            None => Ok(0),
            Some((layer, stream)) => {
                let layer = *layer;
                let read = stream.read(buffer);
                read.map_err(|error| self.of_layer(layer, Error::Input(error)))
            }
        }
    }
}
