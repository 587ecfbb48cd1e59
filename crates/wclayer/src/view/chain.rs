//! [`View`]: the layers of a chain as the single file system that they make up.
//!
//! A view keeps only the open layers and the ends of links that were followed, so paths that nobody
//! asks for cost no memory. Its questions are in one file per subject: `lookup` finds and lists,
//! `walk` goes through directories, `follow` and `names` deal with hard links, `resolve` with
//! symbolic links and junctions.

use std::path::Path;

use super::known_links::KnownLinks;
use super::node::Node;
use crate::error::{Error, Result};
use crate::layer::{BackupStream, ChainLayer, Content, Details, LostEntry};
use crate::path::StreamName;

/// A merged, read-only view of layers, nearest first. Threads can share it: any number of them may
/// ask it at the same time.
///
/// ```
/// use wclayer::ParentChain;
/// use wclayer::source::{self, OpenOptions};
///
/// let sample = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/sample");
/// let options = OpenOptions {
///     parents: ParentChain::from_nearest_first([format!("{sample}/base.tar.gz")]),
///     ..OpenOptions::default()
/// };
/// let view = source::open(format!("{sample}/app.tar.gz"), &options, &())?;
/// let state = view.find(&r"files\programdata\STATE".parse()?)?.expect("in the sample");
/// let names: Vec<String> = view.children(Some(&state))?.iter().map(|node| node.path.to_string()).collect();
/// assert_eq!(names, ["Files/ProgramData/State/third.json"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct View {
    pub(super) layers: Vec<Box<dyn ChainLayer>>,
    /// How many of the layers are in sight; those below only serve hard links.
    pub(super) seen: usize,
    pub(super) keeps_removals: bool,
    pub(super) known_links: KnownLinks,
}

impl View {
    /// Creates the view of a whole chain, nearest layer first. Removed paths are not in it.
    pub fn new(layers: Vec<Box<dyn ChainLayer>>) -> Self {
        Self {
            seen: layers.len(),
            layers,
            keeps_removals: false,
            known_links: KnownLinks::default(),
        }
    }

    /// Keeps only the nearest `count` layers in sight, and shows which paths they remove from the
    /// others. Hard links still lead to files of any layer.
    pub fn only_nearest(mut self, count: usize) -> Self {
        self.seen = count.min(self.layers.len());
        self.keeps_removals = true;
        self
    }

    /// Returns the paths of all layers, nearest first, including those out of sight.
    pub fn places(&self) -> impl Iterator<Item = &Path> {
        self.layers.iter().map(|layer| layer.place())
    }

    /// Returns the number of layers in sight.
    pub fn seen(&self) -> usize {
        self.seen
    }

    /// Returns the number of all layers, including those out of sight.
    pub fn depth(&self) -> usize {
        self.layers.len()
    }

    /// Returns roughly how many bytes of content the layers in sight have, including hidden files:
    /// the total for a progress bar. `None` if a layer does not know.
    ///
    /// # Errors
    ///
    /// Same as [`find`](Self::find).
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
    /// Same as [`find`](Self::find).
    pub fn details(&self, node: &Node) -> Result<Details> {
        match &node.item {
            Some(item) => self.layers[node.layer].details(item),
            None => Ok(Details::default()),
        }
    }

    /// Opens the content of a file: its unnamed stream, or an alternate one.
    ///
    /// # Errors
    ///
    /// Same as [`find`](Self::find), and [`Error::NoStream`] if there is no such stream.
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
    /// Same as [`find`](Self::find).
    pub fn backup_stream(&self, node: &Node) -> Result<BackupStream> {
        match &node.item {
            Some(item) => self.layers[node.layer].backup_stream(item),
            None => Ok(BackupStream::empty()),
        }
    }

    /// Calls `visit` for every entry that the view leaves out because the entry's own layer has
    /// something else in its way, with the number of that layer. Such a layer is malformed, and an
    /// import refuses it. `visit` must not ask the view.
    ///
    /// # Errors
    ///
    /// Same as [`find`](Self::find), and the errors of `visit`.
    pub fn for_each_lost(
        &self,
        visit: &mut dyn FnMut(usize, LostEntry) -> Result<()>,
    ) -> Result<()> {
        for (number, layer) in self.layers[..self.seen].iter().enumerate() {
            layer.for_each_lost(&mut |entry| visit(number, entry))?;
        }
        Ok(())
    }

    /// Returns the range of one layer; it is empty if there is no such layer.
    pub(super) fn only(&self, layer: usize) -> std::ops::Range<usize> {
        layer..layer.saturating_add(1).min(self.depth())
    }

    pub(crate) fn layer(&self, number: usize) -> &dyn ChainLayer {
        &*self.layers[number]
    }
}
