//! [`View`]: the layers of a chain as the one file system that they make together.
//!
//! A path is found from the top down: in each directory only those layers are asked that say
//! something of it, and what they say is merged by the rules in `merge`. Nothing is kept but the
//! open layers and where some links lead, so that a view costs no memory for what is not looked at.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use ntmeta::{FileAttributes, FileBasicInfo, ReparsePoint};

use super::links;
use super::merge::{Merged, merge};
use super::reader::ViewReader;
use super::walk::{Start, Walk};
use crate::error::{Error, Result};
use crate::layer::{
    BackupStream, ChainLayer, Content, Details, Item, ItemId, ItemKind, LostEntry, Removed, Slot,
};
use crate::path::{LayerPath, StreamName};

/// How many symbolic links and junctions one path may lead over, as on Windows.
const MAX_REPARSE_STEPS: usize = 63;

/// A merged, read-only view over layers, nearest first.
///
/// ```
/// use wclayer::ParentChain;
/// use wclayer::source::{self, OpenOptions};
///
/// let sample = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/sample");
/// let options = OpenOptions {
///     parents: ParentChain::from_nearest_first([format!("{sample}/base.tar.gz")]),
///     ..OpenOptions::default()
/// };
/// let view = source::open(format!("{sample}/app.tar.gz"), &options, &())?;
/// let state = view.find(&r"files\programdata\STATE".parse()?)?.expect("the sample has it");
/// let names: Vec<String> = view.children(Some(&state))?.iter().map(|node| node.path.to_string()).collect();
/// assert_eq!(names, ["Files/ProgramData/State/third.json"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct View {
    layers: Vec<Box<dyn ChainLayer>>,
    /// How many of the layers are seen; those below only serve hard links.
    seen: usize,
    keeps_removals: bool,
    known_links: links::KnownLinks,
}

/// What is at a path of a view.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Where it is, in the layers' spelling.
    pub path: LayerPath,
    /// What it is.
    pub kind: NodeKind,
    /// The file or directory, or, for a hard link, the file that it names; of a link whose target
    /// is missing, the link itself. `None` for a directory that no layer has an entry for, and for
    /// a removal.
    pub item: Option<Item>,
    /// The number of the layer that has the item, 0 for the nearest.
    pub layer: usize,
    /// The target of a hard link, as its entry names it.
    pub link: Option<LayerPath>,
    /// What is hidden here of the layers below the view; only where these are left out.
    pub removed: Option<Removed>,
    /// The layers that say something of what is in the directory, nearest first.
    pub(super) contributors: Vec<usize>,
    /// Whether something is there, rather than only removed.
    pub(super) exists: bool,
}

/// What a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NodeKind {
    /// A file, which may be a reparse point or a hard link.
    File,
    /// A directory, which may be a reparse point.
    Directory,
    /// A path of the layers below the view that is gone.
    Removal,
}

/// Where a path leads to over symbolic links and junctions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resolved {
    /// To this.
    Found(Box<Node>),
    /// To nothing: the last path that was looked for.
    Missing(LayerPath),
    /// Out of the layer: the reparse point and its target.
    Outside {
        /// The reparse point.
        link: LayerPath,
        /// Its target, as text.
        target: String,
    },
    /// In a circle, or over too many links.
    Loop,
}

impl Node {
    /// Returns its times and attributes; `None` for implied directories and removals.
    pub fn basic_info(&self) -> Option<&FileBasicInfo> {
        self.item.as_ref().map(|item| &item.basic_info)
    }

    /// Returns whether it is a directory that names can lie in.
    pub fn is_plain_directory(&self) -> bool {
        self.kind == NodeKind::Directory && !self.is_reparse_point()
    }

    /// Returns whether it is a reparse point.
    pub fn is_reparse_point(&self) -> bool {
        self.item.as_ref().is_some_and(|item| item.is_reparse_point)
    }

    /// Returns its attributes; those of implied directories are just that.
    pub fn attributes(&self) -> FileAttributes {
        match (&self.item, self.kind) {
            (Some(item), _) => item.attributes(),
            (None, NodeKind::Directory) => FileAttributes::DIRECTORY,
            (None, _) => FileAttributes::empty(),
        }
    }

    /// Returns the length of the unnamed data stream in bytes.
    pub fn size(&self) -> u64 {
        self.item.as_ref().map_or(0, |item| item.size)
    }
}

impl View {
    /// Makes the view of a whole chain, nearest layer first. What is removed is just not there.
    pub fn new(layers: Vec<Box<dyn ChainLayer>>) -> Self {
        Self {
            seen: layers.len(),
            layers,
            keeps_removals: false,
            known_links: links::KnownLinks::default(),
        }
    }

    /// Leaves all but the nearest `count` layers out of sight, and shows what these remove of the
    /// others. Hard links still lead to files of any layer.
    pub fn only_nearest(mut self, count: usize) -> Self {
        self.seen = count.min(self.layers.len());
        self.keeps_removals = true;
        self
    }

    /// Returns where the layers are, nearest first, also those out of sight.
    pub fn places(&self) -> impl Iterator<Item = &Path> {
        self.layers.iter().map(|layer| layer.place())
    }

    /// Returns the number of layers that are seen.
    pub fn seen(&self) -> usize {
        self.seen
    }

    /// Returns the number of layers, also of those out of sight.
    pub fn depth(&self) -> usize {
        self.layers.len()
    }

    /// Returns about how many bytes of content the layers in sight have, also what is hidden: for
    /// the progress of reading them all. `None` when a layer does not know it.
    ///
    /// # Errors
    ///
    /// As for [`find`](Self::find).
    pub fn content_size(&self) -> Result<Option<u64>> {
        let mut total = 0_u64;
        for layer in &self.layers[..self.seen] {
            match layer.content_size()? {
                Some(size) => total = total.saturating_add(size),
                None => return Ok(None),
            }
        }
        Ok(Some(total))
    }

    /// Finds what is at a path.
    ///
    /// # Errors
    ///
    /// When a layer cannot be read; so for all methods.
    pub fn find(&self, path: &LayerPath) -> Result<Option<Node>> {
        let merged = self.merged(path, 0..self.seen)?;
        match merged {
            Some(merged) => self.node(merged),
            None => Ok(None),
        }
    }

    /// Finds what is at a path directly in a directory that was found, at the top for `None`.
    pub(crate) fn child(&self, directory: Option<&Node>, path: &LayerPath) -> Result<Option<Node>> {
        let all: Vec<usize>;
        let layers = match directory {
            Some(node) => &node.contributors,
            None => {
                all = (0..self.seen).collect();
                &all
            }
        };
        let merged = self.merged_of(directory.map(|node| &node.path), path, layers)?;
        merged.map_or(Ok(None), |merged| self.node(merged))
    }

    /// Lists what is in a directory, at the top for `None`, sorted as NTFS sorts names.
    ///
    /// # Errors
    ///
    /// As for [`find`](Self::find).
    pub fn children(&self, directory: Option<&Node>) -> Result<Vec<Node>> {
        match directory {
            Some(node) => self.children_in(directory, &node.contributors),
            None => self.children_in(None, &(0..self.seen).collect::<Vec<_>>()),
        }
    }

    /// Lists what some of the layers have in a directory.
    pub(super) fn children_in(
        &self,
        directory: Option<&Node>,
        layers: &[usize],
    ) -> Result<Vec<Node>> {
        let path = directory.map(|node| &node.path);
        let mut children = Vec::new();
        for merged in self.merged_in(path, layers)? {
            children.extend(self.node(merged)?);
        }
        Ok(children)
    }

    /// Lists what the layers out of sight have in a directory.
    pub(super) fn names_below(&self, directory: &LayerPath) -> Result<Vec<LayerPath>> {
        let Some(below) = self.merged(directory, self.seen..self.depth())? else {
            return Ok(Vec::new());
        };
        let names = self.merged_in(Some(directory), &below.contributors)?;
        let there = names.into_iter().filter(|merged| merged.exists);
        Ok(there.map(|merged| merged.path).collect())
    }

    /// Merges what some of the layers say of the names in a directory, sorted.
    fn merged_in(&self, directory: Option<&LayerPath>, layers: &[usize]) -> Result<Vec<Merged>> {
        let mut names: BTreeMap<Vec<u16>, Vec<(usize, Slot)>> = BTreeMap::new();
        for &layer in layers {
            for slot in self.layers[layer].slots(directory)? {
                // Most names are of one layer alone: a vector of one.
                match names.entry(slot.path.folded_name()) {
                    Entry::Vacant(place) => {
                        place.insert(vec![(layer, slot)]);
                    }
                    Entry::Occupied(mut known) => known.get_mut().push((layer, slot)),
                }
            }
        }
        let mut all = Vec::with_capacity(names.len());
        for mut merged in names.into_values().filter_map(merge) {
            if let Some(path) = directory {
                merged.path = in_directory(path, &merged.path)?;
            }
            all.push(merged);
        }
        Ok(all)
    }

    /// Walks through all that lies below a directory (below the top for `None`), each directory
    /// before what is in it, names sorted as NTFS sorts them.
    pub fn walk(&self, directory: Option<&Node>) -> Walk<'_> {
        Walk::start(self, Start::Directory(directory.cloned().map(Box::new)))
    }

    /// Finds what one layer has at a path by itself, as if the layers above and below it said
    /// nothing; so it is for the [`children`](Self::children) of that node, and a
    /// [`walk`](Self::walk) from it. Hard links lead where they do in the whole view.
    ///
    /// # Errors
    ///
    /// As for [`find`](Self::find).
    pub fn find_in_layer(&self, layer: usize, path: &LayerPath) -> Result<Option<Node>> {
        let merged = self.merged(path, self.only(layer))?;
        merged.map_or(Ok(None), |merged| self.node(merged))
    }

    /// Walks through what one layer has by itself, as
    /// [`find_in_layer`](Self::find_in_layer) shows it.
    pub fn walk_layer(&self, layer: usize) -> Walk<'_> {
        Walk::start(self, Start::Layer(layer))
    }

    /// Returns the number of a layer; nothing when there is no such layer.
    pub(super) fn only(&self, layer: usize) -> std::ops::Range<usize> {
        layer..layer.saturating_add(1).min(self.depth())
    }

    /// Walks through what some paths name, with all that is below, and the directories above
    /// these; through everything when there are no such paths.
    pub fn walk_to(&self, paths: &[LayerPath]) -> Walk<'_> {
        self.walk(None).only(paths)
    }

    /// Returns what each layer in sight says of a path by itself, nearest first: also what layers
    /// above it hide. Layers that say nothing are left out.
    ///
    /// # Errors
    ///
    /// As for [`find`](Self::find).
    pub fn slots(&self, path: &LayerPath) -> Result<Vec<(usize, Slot)>> {
        let all: Vec<usize> = (0..self.seen).collect();
        self.slots_of(path, &all)
    }

    /// Returns the metadata that a listing does not need.
    ///
    /// # Errors
    ///
    /// As for [`find`](Self::find).
    pub fn details(&self, node: &Node) -> Result<Details> {
        match &node.item {
            Some(item) => self.layers[node.layer].details(item),
            None => Ok(Details::default()),
        }
    }

    /// Opens the content of a file: the unnamed stream, or an alternate one. Holes are zeros.
    ///
    /// # Errors
    ///
    /// As for [`find`](Self::find); [`Error::NoStream`] when there is no such stream.
    pub fn content(
        &self,
        node: &Node,
        stream: Option<&StreamName>,
    ) -> Result<Box<dyn Content + Send>> {
        match &node.item {
            Some(item) => self.layers[node.layer].content(item, stream),
            None => Err(Error::NoStream {
                path: node.path.to_string(),
                stream: stream.map(ToString::to_string),
            }),
        }
    }

    /// Opens the whole backup stream of a file or directory.
    ///
    /// # Errors
    ///
    /// As for [`find`](Self::find).
    pub fn backup_stream(&self, node: &Node) -> Result<BackupStream> {
        match &node.item {
            Some(item) => self.layers[node.layer].backup_stream(item),
            None => Ok(BackupStream::empty()),
        }
    }

    /// Returns all names that a file has in the view, its own among them, sorted.
    ///
    /// The links of all layers are read for that.
    ///
    /// # Errors
    ///
    /// As for [`find`](Self::find).
    pub fn names(&self, node: &Node) -> Result<Vec<LayerPath>> {
        links::names(self, node)
    }

    /// Follows the symbolic links and junctions on the way to a path, and at its end.
    ///
    /// Relative targets and those on a drive, which is the layer's `Files`, are followed.
    ///
    /// # Errors
    ///
    /// As for [`find`](Self::find).
    pub fn resolve(&self, path: &LayerPath) -> Result<Resolved> {
        let mut path = path.clone();
        for _ in 0..=MAX_REPARSE_STEPS {
            let Some((link, rest)) = self.first_link(&path)? else {
                return Ok(match self.find(&path)? {
                    Some(node) => Resolved::Found(Box::new(node)),
                    None => Resolved::Missing(path),
                });
            };
            match self.target(&link)? {
                links::Target::Inside(target) if rest.is_empty() => path = target,
                links::Target::Inside(target) => match target.join(&rest) {
                    Ok(next) => path = next,
                    Err(_) => return Ok(Resolved::Missing(target)),
                },
                links::Target::Outside(target) => {
                    return Ok(Resolved::Outside {
                        link: link.path,
                        target,
                    });
                }
                links::Target::None => {
                    return Ok(match rest.is_empty() {
                        true => Resolved::Found(Box::new(link)),
                        false => Resolved::Missing(path),
                    });
                }
            }
        }
        Ok(Resolved::Loop)
    }

    /// Calls `visit` for every entry of the layers in sight that the view leaves out because its own
    /// layer has something else in its way, with the number of that layer. Such a layer is malformed,
    /// and an import refuses it.
    ///
    /// # Errors
    ///
    /// As for [`find`](Self::find); what `visit` returns.
    pub fn for_each_lost(
        &self,
        visit: &mut dyn FnMut(usize, LostEntry) -> Result<()>,
    ) -> Result<()> {
        for (number, layer) in self.layers[..self.seen].iter().enumerate() {
            layer.for_each_lost(&mut |entry| visit(number, entry))?;
        }
        Ok(())
    }

    /// Returns the files that hard links of the layers in sight name, none of them with a name yet.
    pub(crate) fn linked_files(&self) -> Result<HashMap<(usize, ItemId), Option<LayerPath>>> {
        links::linked_files(self)
    }

    /// Reads the view as a layer, sorted by path: what `paths` name with all that is below, and
    /// the directories above these; everything when there are no `paths`.
    pub fn reader(&self, paths: &[LayerPath]) -> ViewReader<'_> {
        ViewReader::new(self, paths)
    }

    /// Returns the first reparse point on the way to a path, and what of the path is left after it.
    fn first_link(&self, path: &LayerPath) -> Result<Option<(Node, Vec<u8>)>> {
        let mut contributors: Vec<usize> = (0..self.seen).collect();
        let mut above: Option<LayerPath> = None;
        for step in path.ancestors().into_iter().chain([path.clone()]) {
            let merged = self.merged_of(above.as_ref(), &step, &contributors)?;
            let Some(node) = merged
                .map(|merged| self.node(merged))
                .transpose()?
                .flatten()
            else {
                return Ok(None);
            };
            contributors.clone_from(&node.contributors);
            above = Some(node.path.clone());
            if node.is_reparse_point() {
                let rest = &path.as_bytes()[step.as_bytes().len()..];
                return Ok(Some((
                    node,
                    rest.strip_prefix(b"/").unwrap_or(rest).to_vec(),
                )));
            }
        }
        Ok(None)
    }

    /// Returns where a reparse point leads to.
    fn target(&self, link: &Node) -> Result<links::Target> {
        let Some(buffer) = self.details(link)?.reparse else {
            return Ok(links::Target::None);
        };
        Ok(match ReparsePoint::decode(&buffer) {
            Ok(point) => links::target(&link.path, &point),
            Err(_) => links::Target::None,
        })
    }

    /// Merges what some of the layers say of a path, from the top down.
    pub(super) fn merged(
        &self,
        path: &LayerPath,
        layers: std::ops::Range<usize>,
    ) -> Result<Option<Merged>> {
        let mut contributors: Vec<usize> = layers.collect();
        let mut above: Option<LayerPath> = None;
        for directory in path.ancestors() {
            let Some(merged) = self.merged_of(above.as_ref(), &directory, &contributors)? else {
                return Ok(None);
            };
            contributors = merged.contributors;
            above = Some(merged.path);
        }
        self.merged_of(above.as_ref(), path, &contributors)
    }

    /// Merges what these layers say of a path; `directory` is that of the path, as it is spelled.
    fn merged_of(
        &self,
        directory: Option<&LayerPath>,
        path: &LayerPath,
        layers: &[usize],
    ) -> Result<Option<Merged>> {
        let mut merged = merge(self.slots_of(path, layers)?);
        if let (Some(directory), Some(merged)) = (directory, &mut merged) {
            merged.path = in_directory(directory, &merged.path)?;
        }
        Ok(merged)
    }

    fn slots_of(&self, path: &LayerPath, layers: &[usize]) -> Result<Vec<(usize, Slot)>> {
        let mut slots = Vec::new();
        for &layer in layers {
            let slot = self.layers[layer].slot(path)?;
            if slot.added.is_some() || slot.removed.is_some() || slot.has_below {
                slots.push((layer, slot));
            }
        }
        Ok(slots)
    }

    /// Makes a node of what layers have at a path; `None` for what is not to be seen.
    fn node(&self, merged: Merged) -> Result<Option<Node>> {
        let (layer, item, link) = match merged.item {
            None => (0, None, None),
            Some((layer, item)) => {
                let (layer, item, link) = links::follow(self, layer, item)?;
                (layer, Some(item), link)
            }
        };
        let kind = match &item {
            Some(item) if item.kind == ItemKind::Directory => NodeKind::Directory,
            Some(_) => NodeKind::File,
            None if merged.exists => NodeKind::Directory,
            None if !self.keeps_removals => return Ok(None),
            None if merged.contributors.is_empty() && merged.removed == Some(Removed::Path) => {
                NodeKind::Removal
            }
            None => NodeKind::Directory,
        };
        let layer = match item {
            Some(_) => layer,
            None => merged.contributors.first().copied().unwrap_or(0),
        };
        Ok(Some(Node {
            path: merged.path,
            kind,
            item,
            layer,
            link,
            removed: merged.removed.filter(|_| self.keeps_removals),
            contributors: merged.contributors,
            exists: merged.exists,
        }))
    }

    pub(super) fn known_links(&self) -> &links::KnownLinks {
        &self.known_links
    }

    pub(crate) fn layer(&self, number: usize) -> &dyn ChainLayer {
        &*self.layers[number]
    }
}

/// Spells the directory of a path as the view does.
fn in_directory(directory: &LayerPath, path: &LayerPath) -> Result<LayerPath> {
    let own = path.parent();
    if own.is_some_and(|own| own.is_spelled_as(directory)) {
        return Ok(path.clone());
    }
    let spelled = directory.join(path.file_name());
    spelled.map_err(|source| Error::Path {
        path: path.to_string(),
        source,
    })
}
