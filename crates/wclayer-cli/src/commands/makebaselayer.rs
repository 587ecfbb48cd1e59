//! `makebaselayer`: turns a folder into a base layer.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use wclayer::LayerPath;
use wclayer::hcs;

use super::Command;
use super::host_compute::HostComputeOptions;
use crate::errors::CliError;
use crate::layer_view;
use crate::output::{Output, Summary};

const EXAMPLE: &str = "\
Example:
  wclayer makebaselayer C:\\layers\\base

Requires Windows with the Host Compute Service (vmcompute.dll) and the privileges SeBackupPrivilege
and SeRestorePrivilege: run it from an elevated prompt.";

/// Convert a folder containing `Files` into a base layer
///
/// Keeps valid registry hives in `Files\Windows\System32\config`, and replaces missing and
/// zero-length ones with empty hives. Leaves an unsuitable folder unchanged.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLE)]
pub(crate) struct Arguments {
    #[command(flatten)]
    host: HostComputeOptions,
    /// Print a JSON object
    #[arg(long)]
    json: bool,
    /// Folder to convert
    #[arg(value_name = "PATH")]
    path: PathBuf,
}

/// The result as JSON.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct MakeBaseLayerJson {
    path: String,
    created_hives: Vec<String>,
    replaced_hives: Vec<String>,
    kept_hives: Vec<String>,
    utility_vm: bool,
}

impl Command for Arguments {
    fn run(&self, output: &Output) -> Result<(), CliError> {
        let host = self.host.open("makebaselayer", output)?;
        let folder = hcs::full_path(&self.path)?;
        let made = hcs::make_base_layer(&host, &folder)?;
        for hive in &made.replaced_hives {
            output.warn(&format!(
                "`{hive}` was empty, which Windows Server 2025 rejects; replaced it with a valid empty hive"
            ));
        }
        let json = MakeBaseLayerJson {
            path: layer_view::absolute(&folder),
            created_hives: names(&made.created_hives),
            replaced_hives: names(&made.replaced_hives),
            kept_hives: names(&made.kept_hives),
            utility_vm: made.has_utility_vm,
        };
        let mut summary = Summary::new(format!(
            "Converted `{}` into a base layer",
            self.path.display()
        ));
        for (label, hives) in [
            ("hives kept", &json.kept_hives),
            ("hives created", &json.created_hives),
            ("hives replaced", &json.replaced_hives),
        ] {
            if !hives.is_empty() {
                summary.row(label, hives.join(", "));
            }
        }
        summary.row("utility VM", if json.utility_vm { "yes" } else { "no" });
        output.result(&summary, &json)
    }

    fn wants_json(&self) -> bool {
        self.json
    }
}

fn names(hives: &[LayerPath]) -> Vec<String> {
    hives
        .iter()
        .map(|hive| String::from_utf8_lossy(hive.file_name()).into_owned())
        .collect()
}
