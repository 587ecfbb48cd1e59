//! `-l`: the parents of a layer, the same in every command.

use std::path::PathBuf;

use clap::Args;
use wclayer::ParentChain;

// Not a doc comment: clap would use it as the description of the command.
// The parents of a layer, nearest first.
#[derive(Debug, Args)]
pub(crate) struct ParentOptions {
    /// Parent layer, nearest first (repeatable)
    ///
    /// Naming the nearest parent is enough if that layer records its own parents. A layer that
    /// records its parents needs none named, unless they have moved; parents named for it must be
    /// the layers that it was made on.
    #[arg(short, long = "layer", value_name = "PARENT")]
    pub(crate) layers: Vec<PathBuf>,
}

impl ParentOptions {
    /// Returns the parents as a chain.
    pub(crate) fn chain(&self) -> ParentChain {
        ParentChain::from_nearest_first(&self.layers)
    }
}
