//! [`ViewReader`]: a view as a source of the hub, one layer made of many.
//!
//! Entries come sorted by path, directories before their contents. The first name of a file carries
//! its content, later ones are hard links to that. Paths that the view hides in layers below come
//! as removals, in the same order. A directory that no layer has an entry for gets none, except in
//! [a layer](ViewReader::as_layer).

use std::collections::{HashMap, HashSet, VecDeque};
use std::io::Read;

use super::chain::View;
use super::names::{self, LinksBelow};
use super::node::{Node, NodeKind};
use super::upper::Upper;
use super::walk::Walk;
use crate::error::{Error, Result};
use crate::hub::{Entry, FileEntry, LayerReader, LinkEntry};
use crate::layer::{Item, ItemId, ItemKind, Removed};
use crate::path::LayerPath;
use crate::rules::Breach;

/// A file: the number of its layer, and its id there.
type Identity = (usize, ItemId);

/// Reads a view as one layer; made by [`View::reader`].
///
/// It keeps a record for each file that has hard links, and the remaining entries of the
/// directories on the way down. If a file of a layer out of sight has lost its own path, it also
/// keeps a record for each hard link there.
pub struct ViewReader<'a> {
    view: &'a View,
    walk: Walk<'a>,
    upper: Upper<'a>,
    /// Entries that come before the next node.
    next: VecDeque<Entry>,
    /// The directory that hides its contents in layers out of sight, while the walk is inside it.
    hidden: Option<LayerPath>,
    /// The files that hard links lead to, each with its first name once that has come. `None`
    /// before the first entry.
    linked: Option<HashMap<Identity, Option<LayerPath>>>,
    /// The hard links of layers out of sight, once they are needed.
    links_below: Option<LinksBelow>,
    /// The open backup stream, and the number of its layer.
    stream: Option<(usize, Box<dyn Read + Send>)>,
    is_layer: bool,
    /// Files that come from the layer of that number, whatever is on top of them.
    taken_from: HashMap<LayerPath, usize>,
    /// Files to leave out.
    left_out: HashSet<LayerPath>,
}

impl View {
    /// Reads the view as a layer, sorted by path: `paths` with everything below them and the
    /// directories above them; everything if there are no `paths`.
    pub fn reader(&self, paths: &[LayerPath]) -> ViewReader<'_> {
        ViewReader::new(self, paths)
    }
}

impl<'a> ViewReader<'a> {
    pub(super) fn new(view: &'a View, paths: &[LayerPath]) -> Self {
        Self {
            view,
            walk: view.walk_to(paths),
            upper: Upper::new(view),
            next: VecDeque::new(),
            hidden: None,
            linked: None,
            links_below: None,
            stream: None,
            is_layer: false,
            taken_from: HashMap::new(),
            left_out: HashSet::new(),
        }
    }

    /// Reads a layer that any program can import on top of those out of sight: each directory has
    /// an entry, only existing paths are removed, name by name, and a hard link whose file is
    /// missing is an error.
    pub fn as_layer(mut self) -> Self {
        self.is_layer = true;
        self
    }

    /// Takes files from the layers of these numbers, if they have them.
    pub(crate) fn taking(mut self, files: HashMap<LayerPath, usize>) -> Self {
        self.taken_from = files;
        self
    }

    /// Leaves files out.
    pub(crate) fn without(mut self, files: HashSet<LayerPath>) -> Self {
        self.left_out = files;
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
                if !item.is_reparse_point {
                    self.hide_contents(&node)?;
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

    /// Returns the entry for a path that is only removed.
    fn removal(&mut self, node: &Node) -> Result<Option<Entry>> {
        let path = || node.path.clone();
        let is_on_top = self.is_layer && self.upper.is_on_top();
        Ok(match node.removed {
            Some(Removed::Path) if is_on_top && !self.upper.has_below(&node.path)? => None,
            Some(Removed::Path) => Some(Entry::Removal(path())),
            Some(Removed::Contents) if is_on_top => {
                self.next.extend(self.upper.removals_in(&node.path)?);
                None
            }
            Some(Removed::Contents) => Some(Entry::Opaque(path())),
            None => None,
        })
    }

    /// Adds removals after a directory for everything that it hides in the layers out of sight.
    fn hide_contents(&mut self, node: &Node) -> Result<()> {
        if !(self.is_layer && self.upper.is_on_top()) {
            if node.removed.is_some() {
                self.next.push_back(Entry::Opaque(node.path.clone()));
            }
            return Ok(());
        }
        let is_inside = |hidden: &LayerPath| node.path.is_below(hidden);
        if !self.hidden.as_ref().is_some_and(is_inside) {
            self.hidden = node.removed.map(|_| node.path.clone());
        }
        if self.hidden.is_some() {
            self.next.extend(self.upper.removals_in(&node.path)?);
        }
        Ok(())
    }

    /// Makes an entry for a directory that the layers in sight have none for.
    fn implied_directory(&mut self, node: &Node) -> Result<Entry> {
        self.hide_contents(node)?;
        let directory = self.upper.implied(&node.path)?;
        self.stream = Some((directory.layer, directory.stream.reader));
        Ok(Entry::File(FileEntry {
            path: node.path.clone(),
            basic_info: directory.basic_info,
            size: 0,
            metadata_first: directory.stream.metadata_first,
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

    /// Adds the layer that could not be read to an error.
    fn of_layer(&self, layer: usize, error: Error) -> Error {
        error.of_layer("read", self.view.layer(layer).place())
    }

    /// Returns the target if a file becomes a hard link; `None` if its content comes here.
    fn link_target(&mut self, node: &Node, item: &Item) -> Result<Option<LayerPath>> {
        if let ItemKind::Link(target) = &item.kind {
            if self.is_layer {
                let target = target.clone();
                return Err(Breach::LinkTargetMissing { target }.broken_by(&node.path));
            }
            // Its file is missing, which the sink has to report.
            return Ok(Some(target.clone()));
        }
        let file = (node.layer, item.id);
        if self.linked.is_none() {
            self.linked = Some(names::linked_files(self.view)?);
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

    /// Returns the path that a file has in the layers out of sight: the target for a link to it.
    fn name_below(&mut self, file: Identity, item: &Item) -> Result<Option<LayerPath>> {
        if file.0 < self.view.seen() {
            return Ok(None);
        }
        if names::names_below(self.view, &item.path, file)? {
            return Ok(Some(item.path.clone()));
        }
        if self.links_below.is_none() {
            self.links_below = Some(names::links_below(self.view)?);
        }
        let links = self.links_below.as_ref();
        for path in links
            .and_then(|links| links.get(&file))
            .into_iter()
            .flatten()
        {
            if names::names_below(self.view, path, file)? {
                return Ok(Some(path.clone()));
            }
        }
        Ok(None)
    }
}

impl LayerReader for ViewReader<'_> {
    fn next_entry(&mut self) -> Result<Option<Entry>> {
        self.stream = None;
        loop {
            if let Some(entry) = self.next.pop_front() {
                return Ok(Some(entry));
            }
            let Some(node) = self.walk.next().transpose()? else {
                return Ok(None);
            };
            if self.left_out.contains(&node.path) {
                continue;
            }
            let is_bare = self.is_layer && self.upper.is_bare(&node.path);
            if let Some(entry) = self.entry(node)? {
                self.stream = self.stream.take().filter(|_| !is_bare);
                return Ok(Some(entry));
            }
        }
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
