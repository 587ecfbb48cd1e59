//! `create`: makes a scratch layer.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use wclayer::hcs;

use super::Command;
use super::host_compute::{self, HostComputeOptions};
use super::parent_options::ParentOptions;
use crate::errors::CliError;
use crate::file_argument::new_folder;
use crate::layer_view;
use crate::output::{Output, Summary};
use crate::units;

const EXAMPLES: &str = "\
Examples:
  wclayer create -l C:\\layers\\app -l C:\\layers\\base C:\\layers\\scratch
  wclayer create -l C:\\layers\\app --size 50G C:\\layers\\scratch

Requires Windows with the Host Compute Service (vmcompute.dll) and the SeManageVolumePrivilege
privilege: run it from an elevated prompt.";

/// Create a scratch layer, the writable layer of a container
///
/// Records the parents in the folder of the layer, so that `mount` finds them. A failed command
/// leaves nothing behind.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
#[command(mut_arg("layers", |layers| layers.required(true)))]
pub(crate) struct Arguments {
    #[command(flatten)]
    parents: ParentOptions,
    /// Maximum size of the layer, such as `50G` [default: set by Windows, 20 GiB]
    #[arg(long, value_name = "SIZE", value_parser = units::parse_size)]
    size: Option<u64>,
    #[command(flatten)]
    host: HostComputeOptions,
    /// Print a JSON object
    #[arg(long)]
    json: bool,
    /// Folder of the layer to create
    #[arg(value_name = "PATH", value_parser = new_folder("PATH is the folder of the new layer"))]
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

impl Command for Arguments {
    fn run(&self, output: &Output) -> Result<(), CliError> {
        let host = self.host.open("create", output)?;
        let layer = hcs::full_path(&self.path)?;
        let parents = host_compute::parents(&host, &layer, &self.parents, output)?;
        hcs::create_scratch(&host, &layer, &parents, self.size)?;
        let mut summary = Summary::new(format!("Created `{}`", self.path.display()));
        let parents = layer_view::paths(&parents);
        for parent in &parents {
            summary.row("parent", parent);
        }
        if let Some(size) = self.size {
            summary.row("size", units::size(size));
        }
        let json = CreateJson {
            path: layer_view::absolute(&layer),
            parents,
            size: self.size,
        };
        output.result(&summary, &json)
    }

    fn wants_json(&self) -> bool {
        self.json
    }
}
