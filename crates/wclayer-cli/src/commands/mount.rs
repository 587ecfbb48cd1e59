//! `mount`: makes a scratch layer available as a volume.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use wclayer::hcs;

use super::Command;
use super::host_compute::{self, HostComputeOptions};
use super::parent_options::ParentOptions;
use crate::errors::CliError;
use crate::layer_view;
use crate::output::Output;

const EXAMPLES: &str = "\
Examples:
  wclayer mount -l C:\\layers\\app -l C:\\layers\\base C:\\layers\\scratch C:\\mnt
  wclayer mount C:\\layers\\scratch

Requires Windows with the Host Compute Service (vmcompute.dll), an administrator account and the
SeManageVolumePrivilege privilege: run it from an elevated prompt.";

/// Activate a scratch layer and optionally mount it at a folder
///
/// Prints the path of its files: TARGET, or the volume path without TARGET. If a step fails, undoes
/// the previous ones.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Arguments {
    #[command(flatten)]
    parents: ParentOptions,
    #[command(flatten)]
    host: HostComputeOptions,
    /// Print a JSON object
    #[arg(long)]
    json: bool,
    /// Folder of the scratch layer
    #[arg(value_name = "SCRATCH")]
    scratch: PathBuf,
    /// Empty folder to mount the layer at
    #[arg(value_name = "TARGET")]
    target: Option<PathBuf>,
}

/// The result as JSON.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct MountJson<'a> {
    path: String,
    volume: &'a str,
    target: Option<String>,
}

impl Command for Arguments {
    fn run(&self, output: &Output) -> Result<(), CliError> {
        let host = self.host.open("mount", output)?;
        let scratch = hcs::full_path(&self.scratch)?;
        let target = self.target.as_deref().map(hcs::full_path).transpose()?;
        let parents = host_compute::parents(&host, &scratch, &self.parents, output)?;
        let volume = hcs::mount(&host, &scratch, &parents, target.as_deref())?;
        output.step(format_args!("mounted {volume}"));
        let target = target.as_deref().map(layer_view::absolute);
        let json = MountJson {
            path: layer_view::absolute(&scratch),
            volume: &volume,
            target: target.clone(),
        };
        // hcsshim's `wclayer` prints the same line.
        let place = target.as_deref().unwrap_or(&volume);
        output.answer(&format_args!("{place}\n"), &json)
    }

    fn wants_json(&self) -> bool {
        self.json
    }
}
