//! `unmount`: deactivates a scratch layer.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use wclayer::hcs;

use super::Command;
use super::host_compute::HostComputeOptions;
use crate::errors::CliError;
use crate::layer_view;
use crate::output::{Output, Summary};

const EXAMPLES: &str = "\
Examples:
  wclayer unmount C:\\layers\\scratch C:\\mnt
  wclayer unmount C:\\layers\\scratch

Requires Windows with the Host Compute Service (vmcompute.dll), an administrator account and the
SeManageVolumePrivilege privilege: run it from an elevated prompt.";

/// Deactivate a scratch layer and optionally unmount it from a folder
///
/// Continues after a step fails, and reports the first failure.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Arguments {
    #[command(flatten)]
    host: HostComputeOptions,
    /// Print a JSON object
    #[arg(long)]
    json: bool,
    /// Folder of the scratch layer
    #[arg(value_name = "SCRATCH")]
    scratch: PathBuf,
    /// Folder that the layer is mounted at
    #[arg(value_name = "TARGET")]
    target: Option<PathBuf>,
}

/// The result as JSON.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct UnmountJson {
    path: String,
    target: Option<String>,
}

impl Command for Arguments {
    fn run(&self, output: &Output) -> Result<(), CliError> {
        let host = self.host.open("unmount", output)?;
        let scratch = hcs::full_path(&self.scratch)?;
        let target = self.target.as_deref().map(hcs::full_path).transpose()?;
        hcs::unmount(&host, &scratch, target.as_deref())?;
        let summary = Summary::new(format!("Unmounted `{}`", self.scratch.display()));
        let json = UnmountJson {
            path: layer_view::absolute(&scratch),
            target: target.as_deref().map(layer_view::absolute),
        };
        output.result(&summary, &json)
    }

    fn wants_json(&self) -> bool {
        self.json
    }
}
