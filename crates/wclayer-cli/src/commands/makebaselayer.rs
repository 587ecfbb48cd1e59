//! `makebaselayer`: a folder of files as a base layer. Understood, but not yet carried out.

use std::path::PathBuf;

use clap::Args;

const NEEDS: &str = "\
Example:
  wclayer makebaselayer C:\\layers\\base

Needs Windows with the Host Compute Service (vmcompute.dll). This version of wclayer does not
contain the Windows part yet: the command ends with an error on every system.";

/// Convert a directory containing `Files` into a base layer (not in this version)
#[derive(Debug, Args)]
#[command(after_long_help = NEEDS)]
pub(crate) struct Arguments {
    /// Folder to convert
    #[arg(value_name = "PATH")]
    pub(crate) path: PathBuf,
}
