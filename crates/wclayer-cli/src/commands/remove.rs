//! `remove`: deletes a layer, portable or of Windows.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use wclayer::{hcs, portable};

use super::host_compute::{Disks, HostComputeOptions};
use crate::errors::CliError;
use crate::layer_view;
use crate::output::{Output, Summary};
use crate::units;

const EXAMPLES: &str = "\
Examples:
  wclayer remove layers/app
  wclayer remove --force C:\\layers\\app

Layers on top of it are not looked for: they cannot be used once it is gone.

A layer of Windows needs Windows with the Host Compute Service (vmcompute.dll) and the privileges
SeBackupPrivilege and SeRestorePrivilege: run it from an elevated prompt.";

/// Permanently remove a layer directory in its entirety
///
/// A portable layer, a transport folder or a layer of Windows is removed, also one that is damaged or incomplete; any
/// other folder is refused, and so is a symbolic link.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// Delete file by file what Windows leaves of a layer; run it again when it was interrupted
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    host: HostComputeOptions,
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
    /// Not counted for a layer of Windows.
    size: Option<u64>,
}

/// Removes a layer.
pub(crate) fn run(arguments: &Arguments, output: &Output) -> Result<(), CliError> {
    let path = layer_view::absolute(&arguments.path);
    let size = match is_of_windows(arguments)? {
        true => {
            let host = arguments.host.open("remove", output)?;
            let layer = hcs::full_path(&arguments.path)?;
            hcs::remove(&host, &layer, arguments.force)?;
            None
        }
        false => Some(portable::remove(&arguments.path)?),
    };
    let mut summary = Summary::new(format!("Removed `{}`", arguments.path.display()));
    if let Some(size) = size {
        summary.row("freed", units::size(size));
    }
    output.result(&summary, &RemoveJson { path, size })
}

/// What is neither this nor portable is left to the portable side, which refuses it.
fn is_of_windows(arguments: &Arguments) -> Result<bool, CliError> {
    Ok(!portable::is_layer(&arguments.path) && hcs::is_layer(&Disks::new(), &arguments.path)?)
}
