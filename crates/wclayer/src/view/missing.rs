//! [`Absence`]: why nothing is at a path.

use ntmeta::{ReparsePoint, wide};

use super::{Node, View};
use crate::error::Result;
use crate::layer::{Removed, Slot};
use crate::layout;
use crate::path::LayerPath;

/// Why nothing is at a path of a view.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Absence {
    /// A file is above the path.
    BelowFile {
        /// The file.
        file: LayerPath,
    },
    /// A reparse point is above the path.
    BelowReparsePoint {
        /// The reparse point.
        link: LayerPath,
        /// The target of a symbolic link or junction, as text; `None` for all others.
        target: Option<String>,
    },
    /// A layer removes the path, or a directory above it that no layer puts back.
    Removed {
        /// The removed path, in the layer's spelling.
        path: LayerPath,
        /// The number of the layer that removes it, 0 for the nearest.
        layer: usize,
    },
    /// A layer removes everything that layers below have in a directory above the path.
    Emptied {
        /// The directory, in the layer's spelling.
        directory: LayerPath,
        /// The number of the layer that empties it, 0 for the nearest.
        layer: usize,
    },
    /// The directory exists, and no layer has the next component of the path in it.
    NotInDirectory {
        /// The directory.
        directory: LayerPath,
    },
    /// No layer has the directory that the path starts with: `Files`, `Hives` or `UtilityVM`.
    NoTop {
        /// The directory, as Windows spells it.
        name: &'static str,
    },
    /// The path does not start as paths of layers do.
    OutsideTop {
        /// The entry of that path below `Files`, if there is one.
        in_files: Option<LayerPath>,
    },
}

/// The directories that paths of layers start with.
const TOP: [&str; 3] = [layout::FILES, layout::HIVES, layout::UTILITY_VM];

impl View {
    /// Explains why nothing is at a path, without following links. Returns `None` if something is
    /// there.
    ///
    /// # Errors
    ///
    /// Returns an error if a layer cannot be read.
    pub fn why_missing(&self, path: &LayerPath) -> Result<Option<Absence>> {
        let mut directory: Option<Node> = None;
        for step in path.ancestors() {
            match self.find(&step)? {
                Some(node) if node.is_plain_directory() => directory = Some(node),
                Some(node) => return below(self, node).map(Some),
                None => return absent(self, directory, &step, path).map(Some),
            }
        }
        match self.find(path)? {
            Some(_) => Ok(None),
            None => absent(self, directory, path, path).map(Some),
        }
    }
}

/// Explains that nothing can be below a file or a reparse point.
fn below(view: &View, node: Node) -> Result<Absence> {
    if !node.is_reparse_point() {
        return Ok(Absence::BelowFile { file: node.path });
    }
    let buffer = view.details(&node)?.reparse;
    let point = buffer.and_then(|buffer| ReparsePoint::decode(&buffer).ok());
    let target = point.and_then(|point| Some(wide::display(&point.target()?).into_owned()));
    let link = node.path;
    Ok(Absence::BelowReparsePoint { link, target })
}

/// Explains why a directory (the root for `None`) does not have `step`, on the way to the path.
fn absent(
    view: &View,
    directory: Option<Node>,
    step: &LayerPath,
    path: &LayerPath,
) -> Result<Absence> {
    if let Some(removal) = removal(view, step)? {
        return Ok(removal);
    }
    if let Some(node) = directory {
        let directory = node.path;
        return Ok(Absence::NotInDirectory { directory });
    }
    if let Some(name) = TOP.into_iter().find(|name| layout::is(step, name)) {
        return Ok(Absence::NoTop { name });
    }
    let in_files = match layout::path(layout::FILES).join(path.as_bytes()) {
        Ok(in_files) => view.find(&in_files)?.map(|node| node.path),
        // The longer path is not a path of a layer.
        Err(_) => None,
    };
    Ok(Absence::OutsideTop { in_files })
}

/// Returns the layer that removes a path, or what layers below it have in a directory above.
fn removal(view: &View, path: &LayerPath) -> Result<Option<Absence>> {
    let slots = view.slots(path)?;
    let is_removed = |(_, slot): &(usize, Slot)| slot.removed == Some(Removed::Path);
    let has = |(_, slot): &(usize, Slot)| slot.added.is_some() || slot.has_added_below;
    let lowest = slots
        .iter()
        .rfind(|slot| has(slot))
        .map(|(layer, _)| *layer);
    if let Some((layer, slot)) = slots.into_iter().find(is_removed) {
        let path = slot.path;
        return Ok(Some(Absence::Removed { path, layer }));
    }
    let Some(lowest) = lowest else {
        return Ok(None);
    };
    for above in std::iter::successors(path.parent(), LayerPath::parent) {
        let emptied = |(layer, slot): &(usize, Slot)| *layer < lowest && slot.removed.is_some();
        if let Some((layer, slot)) = view.slots(&above)?.into_iter().find(emptied) {
            let directory = slot.path;
            return Ok(Some(Absence::Emptied { directory, layer }));
        }
    }
    Ok(None)
}
