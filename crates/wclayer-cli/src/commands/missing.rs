//! Explains why nothing is at a path, for the hint of the error.

use wclayer::layer::{Removed, Slot};
use wclayer::view::{Node, View};
use wclayer::{LayerPath, Result};

use crate::node_view;

const TOP: &str = "Paths start with `Files`, `Hives` or `UtilityVM`.";
const TOP_NAMES: [&str; 3] = ["Files", "Hives", "UtilityVM"];

/// A path that a view does not have.
pub(super) struct Missing<'a> {
    /// The view.
    pub(super) view: &'a View,
    /// How many layers of the chain are above those of the view; they do not mention the path.
    pub(super) above: usize,
    /// The path.
    pub(super) path: &'a LayerPath,
    /// Whether links on the way were followed.
    pub(super) follows: bool,
}

impl Missing<'_> {
    /// Explains why nothing is there.
    pub(super) fn why(&self) -> String {
        // The user asked about the path, not about a layer that cannot be read.
        self.explain().unwrap_or_else(|_| TOP.to_owned())
    }

    fn explain(&self) -> Result<String> {
        let mut way: Vec<LayerPath> =
            std::iter::successors(Some(self.path.clone()), LayerPath::parent).collect();
        let mut last: Option<Node> = None;
        while let Some(step) = way.pop() {
            match self.view.find(&step)? {
                Some(node) if node.is_plain_directory() => last = Some(node),
                Some(node) => return self.through(&node),
                None => return self.below(last.as_ref(), &step),
            }
        }
        Ok(TOP.to_owned())
    }

    /// Explains that nothing can be below an entry other than a directory.
    fn through(&self, node: &Node) -> Result<String> {
        let path = &node.path;
        if !node.is_reparse_point() {
            return Ok(format!("`{path}` is a file."));
        }
        Ok(match node_view::link_target(self.view, node)? {
            Some(target) if !self.follows => format!(
                "`{path}` is a link to `{target}`; `ls`, `tree`, `stat` and `cat` follow it with \
                 --follow."
            ),
            _ => format!("`{path}` is a reparse point without a target path."),
        })
    }

    /// Explains why a directory (the root for `None`) does not have the component `step`.
    fn below(&self, directory: Option<&Node>, step: &LayerPath) -> Result<String> {
        if let Some(removal) = self.removal(step)? {
            return Ok(removal);
        }
        if let Some(directory) = directory {
            let directory = &directory.path;
            return Ok(format!("`{directory}` exists, but has no such entry."));
        }
        let is_top_name = |name: &&str| name.parse().is_ok_and(|name: LayerPath| name == *step);
        if let Some(name) = TOP_NAMES.into_iter().find(is_top_name) {
            return Ok(format!("The layer has no `{name}`."));
        }
        let in_files = LayerPath::parse(&[b"Files/", self.path.as_bytes()].concat());
        let in_files = match in_files {
            Ok(path) => self.view.find(&path)?,
            Err(_) => None,
        };
        Ok(match in_files {
            Some(node) => format!("{TOP} The layer has `{}`.", node.path),
            None => TOP.to_owned(),
        })
    }

    /// Names the layer that removes a path.
    fn removal(&self, path: &LayerPath) -> Result<Option<String>> {
        let slots = self.view.slots(path)?;
        let is_removed = |(_, slot): &&(usize, Slot)| slot.removed == Some(Removed::Path);
        if let Some((layer, slot)) = slots.iter().find(is_removed) {
            return Ok(Some(self.describe(&slot.path, "removed", *layer)));
        }
        let has = |(_, slot): &&(usize, Slot)| slot.added.is_some() || slot.has_added_below;
        let Some((lowest, _)) = slots.iter().rfind(has) else {
            return Ok(None);
        };
        for directory in std::iter::successors(path.parent(), LayerPath::parent) {
            let slots = self.view.slots(&directory)?;
            let mut above = slots.iter().filter(|(layer, _)| layer < lowest);
            if let Some((layer, slot)) = above.find(|(_, slot)| slot.removed.is_some()) {
                return Ok(Some(self.describe(&slot.path, "emptied", *layer)));
            }
        }
        Ok(None)
    }

    fn describe(&self, path: &LayerPath, what: &str, layer: usize) -> String {
        let number = layer + self.above;
        match self.view.places().nth(layer) {
            Some(place) => {
                let place = place.display();
                format!("`{path}` is {what} by layer {number} (`{place}`).")
            }
            None => format!("`{path}` is {what} by layer {number}."),
        }
    }
}
