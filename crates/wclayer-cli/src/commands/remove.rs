//! `remove`: deletes a portable layer.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use wclayer::portable;

use crate::errors::CliError;
use crate::layer_view;
use crate::output::{Output, Summary};
use crate::units;

const EXAMPLE: &str = "\
Example:
  wclayer remove layers/app

Layers on top of it are not looked for: they cannot be used once it is gone.";

/// Permanently remove a layer directory in its entirety
///
/// Only a portable layer is removed, also one that is damaged or of a later version; any other
/// folder is refused, and so is a symbolic link.
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

/// The result as JSON.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct RemoveJson {
    path: String,
    size: u64,
}

/// Removes a layer.
pub(crate) fn run(arguments: &Arguments, output: &Output) -> Result<(), CliError> {
    let path = layer_view::absolute(&arguments.path);
    let size = portable::remove(&arguments.path)?;
    let mut summary = Summary::new(format!("Removed `{}`", arguments.path.display()));
    summary.row("freed", units::size(size));
    output.result(&summary, &RemoveJson { path, size })
}
