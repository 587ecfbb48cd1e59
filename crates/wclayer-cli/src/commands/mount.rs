//! `mount`: a writable layer as a volume. Understood, but not yet carried out.

use std::path::PathBuf;

use clap::Args;

const NEEDS: &str = "\
Example:
  wclayer mount -l C:\\layers\\app -l C:\\layers\\base C:\\layers\\scratch C:\\mnt

Needs Windows with the Host Compute Service (vmcompute.dll). This version of wclayer does not
contain the Windows part yet: the command ends with an error on every system.";

/// Activate a scratch layer, optionally mounted to a target (not in this version)
#[derive(Debug, Args)]
#[command(after_long_help = NEEDS)]
pub(crate) struct Arguments {
    /// Folder of a parent layer of the scratch layer; repeat it for each, nearest parent first
    #[arg(short, long = "layer", value_name = "PARENT", required = true)]
    pub(crate) layers: Vec<PathBuf>,
    /// Folder of the scratch layer
    #[arg(value_name = "SCRATCH")]
    pub(crate) scratch: PathBuf,
    /// Folder to mount it on
    #[arg(value_name = "TARGET")]
    pub(crate) target: Option<PathBuf>,
}
