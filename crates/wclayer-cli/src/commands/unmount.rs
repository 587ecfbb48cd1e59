//! `unmount`: the end of a mounted writable layer.

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

Needs Windows with the Host Compute Service (vmcompute.dll), an administrator, and the privilege
SeManageVolumePrivilege: run it from an elevated prompt.";

/// Deactivate a scratch layer, optionally unmounting it
///
/// A step that fails does not keep the later ones from being done; the first failure is reported.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Arguments {
    #[command(flatten)]
    host: HostComputeOptions,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    /// Folder of the scratch layer
    #[arg(value_name = "SCRATCH")]
    scratch: PathBuf,
    /// Folder that it is mounted on
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
