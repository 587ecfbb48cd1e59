//! `info`: what a layer is.

use std::path::PathBuf;

use clap::Args;
use wclayer::portable::PortableLayer;

use crate::errors::CliError;
use crate::layer_view::{self, LayerJson};
use crate::output::{Output, Summary};

const EXAMPLE: &str = "\
Example:
  wclayer info layers/base";

/// Show what a layer is: DiffID, source, sizes, parents, entries
///
/// Reads the layer's descriptor only: the content is verified by `export`.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLE)]
pub(crate) struct Arguments {
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
    /// Folder of the layer
    #[arg(value_name = "PATH")]
    path: PathBuf,
}

/// Prints the layer.
pub(crate) fn run(arguments: &Arguments, output: &Output) -> Result<(), CliError> {
    let layer = PortableLayer::open(&arguments.path)?;
    let descriptor = layer.descriptor();
    output.step(format_args!(
        "recognised a portable layer, version {}, at `{}`",
        descriptor.version,
        layer_view::absolute(layer.path())
    ));
    let mut summary = Summary::new(format!("Layer `{}`", arguments.path.display()));
    layer_view::rows(&mut summary, &layer);
    output.result(&summary, &LayerJson::new(&layer))?;
    descriptor
        .warnings
        .iter()
        .for_each(|warning| output.warn(warning));
    Ok(())
}
