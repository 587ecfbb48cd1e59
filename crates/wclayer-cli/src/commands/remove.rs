//! `remove`: deletes a layer, portable or of Windows.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;
use wclayer::portable::{self, Children};
use wclayer::{ErrorKind, hcs};

use super::Command;
use super::host_compute::{Disks, HostComputeOptions};
use crate::errors::CliError;
use crate::layer_view;
use crate::output::{Output, Summary};
use crate::units;

const EXAMPLES: &str = "\
Examples:
  wclayer remove layers/app
  wclayer remove --force C:\\layers\\app

Portable layers beside it that were made on top of it are named: they cannot be used once it is gone.

A layer of Windows needs Windows with the Host Compute Service (vmcompute.dll) and the privileges
SeBackupPrivilege and SeRestorePrivilege: run it from an elevated prompt.";

/// Permanently remove a layer directory in its entirety
///
/// A portable layer, a transport folder or a layer of Windows is removed, also one that is damaged or incomplete; any
/// other folder is refused, and so is a symbolic link. When a removal was interrupted, running it
/// again deletes the rest.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// Delete file by file what Windows leaves of a layer; succeed when nothing is there
    ///
    /// Run it again when it was interrupted.
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    host: HostComputeOptions,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    /// Folder of the layer
    #[arg(value_name = "PATH")]
    path: PathBuf,
}

/// The result as JSON.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct RemoveJson {
    path: String,
    /// Not counted for a layer of Windows.
    size: Option<u64>,
    /// Only the rest of an interrupted removal was left.
    was_rest: bool,
}

impl Command for Arguments {
    fn run(&self, output: &Output) -> Result<(), CliError> {
        let path = layer_view::absolute(&self.path);
        let (size, was_rest) = match remove(self, output) {
            Err(error) if self.force && is_missing(&self.path, &error) => {
                return tell_nothing(self, path, output);
            }
            removed => removed?,
        };
        let shown = self.path.display();
        let mut summary = Summary::new(match was_rest {
            true => format!("Removed what an interrupted command had left of `{shown}`"),
            false => format!("Removed `{shown}`"),
        });
        if let Some(size) = size {
            summary.row("freed", units::size(size));
        }
        let json = RemoveJson {
            path,
            size,
            was_rest,
        };
        output.result(&summary, &json)
    }

    fn wants_json(&self) -> bool {
        self.json
    }
}

/// Removes the layer; returns how many bytes that freed, and whether only the rest of an interrupted
/// command was there.
fn remove(arguments: &Arguments, output: &Output) -> Result<(Option<u64>, bool), CliError> {
    if !is_of_windows(arguments)? {
        let children = portable::children_of(&arguments.path);
        let removed = portable::remove(&arguments.path)?;
        warn_of(&children, GONE, output);
        return Ok((Some(removed.size), removed.was_rest));
    }
    let host = arguments.host.open("remove", output)?;
    let layer = hcs::full_path(&arguments.path)?;
    hcs::remove(&host, &layer, arguments.force)?;
    Ok((None, false))
}

/// Says that nothing is there: what `--force` asks for is already so.
fn tell_nothing(arguments: &Arguments, path: String, output: &Output) -> Result<(), CliError> {
    let title = format!("Nothing to remove at `{}`", arguments.path.display());
    let json = RemoveJson {
        path,
        size: Some(0),
        was_rest: false,
    };
    output.result(&Summary::new(title), &json)
}

const GONE: &str = "made on top of it, and not usable without it";

/// Says which layers cannot be used any more.
pub(super) fn warn_of(children: &Children, why: &str, output: &Output) {
    let names: Vec<_> = children
        .first
        .iter()
        .map(|child| format!("`{}`", child.display()))
        .collect();
    let more = match children.count - names.len() {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    if !names.is_empty() {
        output.warn(&format!("{why}: {}{more}", names.join(", ")));
    }
}

/// What is neither this nor portable is left to the portable side, which refuses it.
fn is_of_windows(arguments: &Arguments) -> Result<bool, CliError> {
    Ok(!portable::may_be_replaced(&arguments.path)
        && hcs::is_layer(&Disks::new(), &arguments.path)?)
}

/// Returns whether a removal failed because nothing is there.
fn is_missing(path: &Path, error: &CliError) -> bool {
    let is_none = |error: io::Error| error.kind() == io::ErrorKind::NotFound;
    error.kind() == ErrorKind::NotFound && fs::symlink_metadata(path).is_err_and(is_none)
}
