//! The content of a view: sums by directory and by layer, and what upper layers hide.
//!
//! ```text
//! View ─→ walk ─────────────────→ sums by directory
//!     └─→ walk of each layer ─→ sums by layer ─ seen by the first walk ─→ hidden
//! ```
//!
//! Content is the bytes of all data streams, holes included; those of directories count too. A file
//! with several names counts once, at the first of them. In memory are the directories that are
//! shown, and a small record for each file.

mod counted;
mod layers;

use crate::error::Result;
use crate::hub::{Progress, poll};
use crate::path::LayerPath;
use crate::view::{Node, View};

use counted::Counted;

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

impl UsageOptions {
    /// Sets `path`.
    #[must_use]
    pub fn path(mut self, path: Option<LayerPath>) -> Self {
        self.path = path;
        self
    }

    /// Sets `depth`.
    #[must_use]
    pub fn depth(mut self, depth: usize) -> Self {
        self.depth = depth;
        self
    }

    /// Sets `by_layer`.
    #[must_use]
    pub fn by_layer(mut self, by_layer: bool) -> Self {
        self.by_layer = by_layer;
        self
    }
}

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
    fn add(&mut self, other: Self) {
        self.size = self.size.saturating_add(other.size);
        self.files += other.files;
    }
}

/// Sums up the content of a view. Returns `None` if nothing is at the path that was asked for.
///
/// # Errors
///
/// Returns an error if a layer cannot be read, or [`Error::Cancelled`](crate::Error::Cancelled).
pub fn usage(
    view: &View,
    options: &UsageOptions,
    progress: &dyn Progress,
) -> Result<Option<Usage>> {
    let asked = options.path.as_ref();
    let start = match asked {
        Some(path) => view.find(path)?,
        None => None,
    };
    if let Some(path) = asked
        && start.is_none()
        && !(options.by_layer && layers::have(view, path)?)
    {
        return Ok(None);
    }
    let mut counted = Counted::default();
    let mut usage = directories(view, start.as_ref(), options, &mut counted, progress)?;
    if options.by_layer {
        // A file of the path may be seen under a name elsewhere.
        let seen = match asked {
            Some(_) => layers::seen(view, progress)?,
            None => counted,
        };
        usage.layers = Some(layers::usage(view, asked, &seen, progress)?);
    }
    Ok(Some(usage))
}

/// Sums up what is seen at `start` and below it, or everything if no path was asked for.
fn directories(
    view: &View,
    start: Option<&Node>,
    options: &UsageOptions,
    counted: &mut Counted,
    progress: &dyn Progress,
) -> Result<Usage> {
    let asked = options.path.as_ref();
    let mut usage = Usage {
        path: start.map(|node| &node.path).or(asked).cloned(),
        total: Sum::default(),
        directories: Vec::new(),
        layers: None,
    };
    let depth_of_start = asked.map_or(0, |path| path.components().count());
    let below = match (start, asked) {
        (Some(node), _) if node.is_plain_directory() => Some(view.walk(Some(node))),
        (None, None) => Some(view.walk(None)),
        _ => None,
    };
    // The directories with a sum that the walk is in, the outermost first.
    let mut open: Vec<(LayerPath, usize)> = Vec::new();
    let nodes = start.cloned().into_iter().map(Ok);
    for node in nodes.chain(below.into_iter().flatten()) {
        poll(progress)?;
        let node = node?;
        while let Some((directory, _)) = open.last()
            && !node.path.is_below(directory)
        {
            open.pop();
        }
        let depth = node.path.components().count() - depth_of_start;
        if node.is_plain_directory() && (1..=options.depth).contains(&depth) {
            open.push((node.path.clone(), usage.directories.len()));
            usage.directories.push(DirectoryUsage {
                path: node.path.clone(),
                sum: Sum::default(),
            });
        }
        let Some(sum) = counted.add(&node) else {
            continue;
        };
        usage.total.add(sum);
        for (_, at) in &open {
            usage.directories[*at].sum.add(sum);
        }
    }
    Ok(usage)
}
