//! Explains why nothing is at a path, for the hint of the error.

use wclayer::LayerPath;
use wclayer::view::{Absence, View};

const TOP: &str = "Paths start with `Files`, `Hives` or `UtilityVM`.";

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
        match self.view.why_missing(self.path) {
            Ok(Some(absence)) => self.describe(&absence),
            // The user asked about the path, not about a layer that cannot be read.
            Ok(None) | Err(_) => TOP.to_owned(),
        }
    }

    fn describe(&self, absence: &Absence) -> String {
        match absence {
            Absence::BelowFile { file } => format!("`{file}` is a file."),
            Absence::BelowReparsePoint { link, target } => match target {
                Some(target) if !self.follows => format!(
                    "`{link}` is a link to `{target}`; `ls`, `tree`, `stat` and `cat` follow it \
                     with --follow."
                ),
                _ => format!("`{link}` is a reparse point without a target path."),
            },
            Absence::Removed { path, layer } => {
                format!("`{path}` is removed by {}.", self.layer(*layer))
            }
            Absence::Emptied { directory, layer } => {
                format!("`{directory}` is emptied by {}.", self.layer(*layer))
            }
            Absence::NotInDirectory { directory } => {
                format!("`{directory}` exists, but has no such entry.")
            }
            Absence::NoTop { name } => format!("The layer has no `{name}`."),
            Absence::OutsideTop {
                in_files: Some(path),
            } => format!("{TOP} The layer has `{path}`."),
            _ => TOP.to_owned(),
        }
    }

    fn layer(&self, layer: usize) -> String {
        let number = layer + self.above;
        match self.view.places().nth(layer) {
            Some(place) => format!("layer {number} (`{}`)", place.display()),
            None => format!("layer {number}"),
        }
    }
}
