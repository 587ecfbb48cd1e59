//! `create`: a writable layer on top of others.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use wclayer::hcs;

use super::host_compute::{self, HostComputeOptions};
use crate::errors::CliError;
use crate::layer_view;
use crate::output::{Output, Summary};
use crate::units;

const EXAMPLES: &str = "\
Examples:
  wclayer create -l C:\\layers\\app -l C:\\layers\\base C:\\layers\\scratch
  wclayer create -l C:\\layers\\app --size 53687091200 C:\\layers\\scratch

Needs Windows with the Host Compute Service (vmcompute.dll) and the privilege
SeManageVolumePrivilege: run it from an elevated prompt.";

/// Create a new writable container layer
///
/// When it fails, nothing is left of the layer. Its parents are noted in its folder, so that mount
/// finds them.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// Folder of a read-only parent layer; repeat it for each, nearest parent first
    ///
    /// When only the nearest is given, its own parents are found by themselves, if it knows them.
    #[arg(short, long = "layer", value_name = "PARENT", required = true)]
    layers: Vec<PathBuf>,
    /// How large the layer may become [default: what Windows takes, 20 GiB]
    #[arg(long, value_name = "BYTES")]
    size: Option<u64>,
    #[command(flatten)]
    host: HostComputeOptions,
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
    /// Folder of the layer to create
    #[arg(value_name = "PATH")]
    path: PathBuf,
}

/// The result as JSON.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct CreateJson {
    path: String,
    parents: Vec<String>,
    size: Option<u64>,
}

/// Creates a scratch layer.
pub(crate) fn run(arguments: &Arguments, output: &Output) -> Result<(), CliError> {
    let host = arguments.host.open("create", output)?;
    let layer = hcs::full_path(&arguments.path)?;
    let parents = host_compute::parents(&host, &layer, &arguments.layers, output)?;
    hcs::create_scratch(&host, &layer, &parents, arguments.size)?;
    let mut summary = Summary::new(format!("Created `{}`", arguments.path.display()));
    let parents = layer_view::paths(&parents);
    for parent in &parents {
        summary.row("parent", parent);
    }
    if let Some(size) = arguments.size {
        summary.row("size", units::size(size));
    }
    let json = CreateJson {
        path: layer_view::absolute(&layer),
        parents,
        size: arguments.size,
    };
    output.result(&summary, &json)
}
