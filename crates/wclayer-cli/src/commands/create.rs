//! `create`: a writable layer on top of others. Understood, but not yet carried out.

use std::path::PathBuf;

use clap::Args;

const NEEDS: &str = "\
Example:
  wclayer create -l C:\\layers\\app -l C:\\layers\\base C:\\layers\\scratch

Needs Windows with the Host Compute Service (vmcompute.dll). This version of wclayer does not
contain the Windows part yet: the command ends with an error on every system.";

/// Create a new writable container layer (not in this version)
#[derive(Debug, Args)]
#[command(after_long_help = NEEDS)]
pub(crate) struct Arguments {
    /// Folder of a read-only parent layer; repeat it for each, nearest parent first
    #[arg(short, long = "layer", value_name = "PARENT")]
    pub(crate) layers: Vec<PathBuf>,
    /// Folder of the layer to create
    #[arg(value_name = "PATH")]
    pub(crate) path: PathBuf,
}
