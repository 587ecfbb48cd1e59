//! [`View`]: the layers of a chain as the one file system that they make together.
//!
//! A view keeps nothing but the open layers and where some links lead, so it costs no memory for what
//! is not looked at. Its questions are in the files of their subjects: `lookup` finds and lists,
//! `walk` goes through directories, `follow` and `names` are about hard links, `resolve` about
//! symbolic links and junctions.

use std::path::Path;

use super::known_links::KnownLinks;
use super::node::Node;
use crate::error::{Error, Result};
use crate::layer::{BackupStream, ChainLayer, Content, Details, LostEntry};
use crate::path::StreamName;

/// A merged, read-only view over layers, nearest first.
///
/// ```
/// use wclayer::ParentChain;
/// use wclayer::chain::{self, OpenOptions};
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
    pub(super) layers: Vec<Box<dyn ChainLayer>>,
    /// How many of the layers are seen; those below only serve hard links.
    pub(super) seen: usize,
    pub(super) keeps_removals: bool,
    pub(super) known_links: KnownLinks,
}

impl View {
    /// Makes the view of a whole chain, nearest layer first. What is removed is just not there.
    pub fn new(layers: Vec<Box<dyn ChainLayer>>) -> Self {
        Self {
            seen: layers.len(),
            layers,
            keeps_removals: false,
            known_links: KnownLinks::default(),
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
    pub fn content(&self, node: &Node, stream: Option<&StreamName>) -> Result<Box<dyn Content>> {
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

    /// Returns the number of a layer; nothing when there is no such layer.
    pub(super) fn only(&self, layer: usize) -> std::ops::Range<usize> {
        layer..layer.saturating_add(1).min(self.depth())
    }

    pub(crate) fn layer(&self, number: usize) -> &dyn ChainLayer {
        &*self.layers[number]
    }
}
