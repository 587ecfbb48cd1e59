//! Why nothing is at a path, as the hint of the error.

use wclayer::LayerPath;
use wclayer::view::{Absence, View};

const TOP: &str = "Paths begin with `Files`, `Hives` or `UtilityVM`.";

/// A path where nothing is.
pub(super) struct Missing<'a> {
    /// Where nothing is at it.
    pub(super) view: &'a View,
    /// How many layers of the chain are above those of the view; they say nothing of the path.
    pub(super) above: usize,
    /// The path.
    pub(super) path: &'a LayerPath,
    /// Whether links on the way were followed.
    pub(super) follows: bool,
}

impl Missing<'_> {
    /// Says why nothing is there.
    pub(super) fn why(&self) -> String {
        match self.view.why_missing(self.path) {
            Ok(Some(absence)) => self.say(&absence),
            // That a layer cannot be read now is not what was asked about.
            Ok(None) | Err(_) => TOP.to_owned(),
        }
    }

    fn say(&self, absence: &Absence) -> String {
        match absence {
            Absence::BelowFile { file } => format!("`{file}` is a file."),
            Absence::BelowReparsePoint { link, target } => match target {
                Some(target) if !self.follows => format!(
                    "`{link}` is a link to `{target}`; `ls`, `tree`, `stat` and `cat` go through \
                     it with --follow."
                ),
                _ => format!("`{link}` is a reparse point that leads to no path."),
            },
            Absence::Removed { path, layer } => {
                format!("`{path}` is removed by {}.", self.layer(*layer))
            }
            Absence::Emptied { directory, layer } => {
                format!("`{directory}` is emptied by {}.", self.layer(*layer))
            }
            Absence::NotInDirectory { directory } => {
                format!("`{directory}` is there, and has no such name.")
            }
            Absence::NoTop { name } => format!("The layer has no `{name}`."),
            Absence::OutsideTop {
                in_files: Some(path),
            } => format!("{TOP} There is `{path}`."),
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
