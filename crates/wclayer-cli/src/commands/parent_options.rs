//! `-l`: the parents of a layer, the same in every command.

use std::path::PathBuf;

use clap::Args;
use wclayer::ParentChain;

use crate::layer_view;
use crate::output::Output;

// Not a doc comment: clap would use it as the description of the command.
// The parents of a layer, nearest first.
#[derive(Debug, Args)]
pub(crate) struct ParentOptions {
    /// Parent layer, nearest first (repeatable)
    ///
    /// If the nearest parent records its own parents, naming it alone is enough. If the layer itself
    /// records its parents (`wclayer info` shows them), -l is needed only when they have moved, and
    /// must name the same layers.
    #[arg(short, long = "layer", value_name = "PARENT")]
    pub(crate) layers: Vec<PathBuf>,
}

impl ParentOptions {
    /// Prints the parents as steps.
    pub(crate) fn print(&self, output: &Output) {
        for parent in &self.layers {
            output.step(format_args!("on top of {}", layer_view::absolute(parent)));
        }
    }

    /// Returns the parents as a chain: of paths, or of references.
    pub(crate) fn chain<T: for<'a> From<&'a PathBuf>>(&self) -> ParentChain<T> {
        ParentChain::from_nearest_first(&self.layers)
    }
}
