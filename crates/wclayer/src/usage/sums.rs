//! What to sum up, and the sums.

use crate::path::LayerPath;

/// What to sum up.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct UsageOptions {
    /// A directory or file; `None` for the whole view.
    pub path: Option<LayerPath>,
    /// How many levels of directories get a sum of their own.
    pub depth: usize,
    /// Whether to sum up each layer alone, and what of it is hidden. The path need not be seen
    /// then, if a layer has it.
    pub by_layer: bool,
}

setters!(UsageOptions { path: Option<LayerPath>, depth: usize, by_layer: bool });

/// The content of a view, or of a part of it.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct Usage {
    /// The path that was asked for, as the view spells it; `None` for the whole view.
    pub path: Option<LayerPath>,
    /// Everything that is seen.
    pub total: Sum,
    /// The directories down to the depth that was asked for, each before those in it.
    pub directories: Vec<DirectoryUsage>,
    /// The layers, if they were asked for.
    pub layers: Option<LayersUsage>,
}

/// An amount of content.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Sum {
    /// Length of all data streams in bytes, holes included.
    pub size: u64,
    /// Number of files; those with several names count once.
    pub files: u64,
}

/// The content of a directory, including the directories in it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DirectoryUsage {
    /// The directory.
    pub path: LayerPath,
    /// Its content.
    pub sum: Sum,
}

/// The content of each layer alone.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct LayersUsage {
    /// The layers in sight, nearest first.
    pub layers: Vec<LayerUsage>,
    /// What is hidden in all of them.
    pub hidden: Sum,
    /// The share of the content that is seen, from 0 to 1; 1 if there is no content.
    pub efficiency: f64,
    /// The largest hidden files, largest first: at most [`LARGEST`].
    pub largest: Vec<HiddenFile>,
}

/// The content of one layer. If a layer has two entries of the same path, only the last counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct LayerUsage {
    /// The number of the layer, 0 for the nearest.
    pub layer: usize,
    /// All content of the layer.
    pub sum: Sum,
    /// The part that layers above replace or remove.
    pub hidden: Sum,
}

/// A file that upper layers hide.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct HiddenFile {
    /// Its content in bytes.
    pub size: u64,
    /// Its path.
    pub path: LayerPath,
    /// The number of the layer that has it.
    pub layer: usize,
}

/// The most hidden files that are listed.
pub const LARGEST: usize = 10;

impl Sum {
    /// An index may claim any size.
    pub(super) fn add(&mut self, other: Self) {
        self.size = self.size.saturating_add(other.size);
        self.files += other.files;
    }
}
