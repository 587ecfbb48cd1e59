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
mod sums;

use crate::error::Result;
use crate::hub::{Progress, poll};
use crate::path::LayerPath;
use crate::view::{Node, View};

use counted::Counted;

pub use sums::{
    DirectoryUsage, HiddenFile, LARGEST, LayerUsage, LayersUsage, Sum, Usage, UsageOptions,
};

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
