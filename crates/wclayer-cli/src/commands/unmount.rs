//! `unmount`: the end of a mounted writable layer. Understood, but not yet carried out.

use std::path::PathBuf;

use clap::Args;

const NEEDS: &str = "\
Example:
  wclayer unmount C:\\layers\\scratch C:\\mnt

Needs Windows with the Host Compute Service (vmcompute.dll). This version of wclayer does not
contain the Windows part yet: the command ends with an error on every system.";

/// Deactivate a scratch layer, optionally unmounting it (not in this version)
#[derive(Debug, Args)]
#[command(after_long_help = NEEDS)]
pub(crate) struct Arguments {
    /// Folder of the scratch layer
    #[arg(value_name = "SCRATCH")]
    pub(crate) scratch: PathBuf,
    /// Folder that it is mounted on
    #[arg(value_name = "TARGET")]
    pub(crate) target: Option<PathBuf>,
}
