//! `remove`: deletes a layer, portable or of Windows.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;
use wclayer::portable::{self, Children};
use wclayer::source::{Kind, Needed, recognise};
use wclayer::{ErrorKind, hcs};

use super::host_compute::HostComputeOptions;
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
    pub(crate) json: bool,
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

/// Removes a layer.
pub(crate) fn run(arguments: &Arguments, output: &Output) -> Result<(), CliError> {
    let path = layer_view::absolute(&arguments.path);
    let (size, was_rest) = match remove(arguments, output) {
        Err(error) if arguments.force && is_missing(&arguments.path, &error) => {
            return tell_nothing(arguments, path, output);
        }
        removed => removed?,
    };
    let shown = arguments.path.display();
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

/// Removes the layer; returns how many bytes that freed, and whether only the rest of an interrupted
/// command was there.
fn remove(arguments: &Arguments, output: &Output) -> Result<(Option<u64>, bool), CliError> {
    let layer = recognise(&arguments.path)?;
    match layer.kind() {
        Kind::Windows(_) if !layer.is_link() => {
            let host = arguments.host.open("remove", output)?;
            let layer = hcs::full_path(&arguments.path)?;
            hcs::remove(&host, &layer, arguments.force)?;
            Ok((None, false))
        }
        Kind::Tar(_) | Kind::Special if !layer.is_link() => {
            Err(layer.refuse(Needed::Folder).into())
        }
        kind if kind.is_layer() || kind == Kind::Missing || layer.is_link() => {
            // Refuses a link, and finishes a removal that was interrupted.
            let children = portable::children_of(&arguments.path);
            let removed = portable::remove(&arguments.path)?;
            warn_of(&children, GONE, output);
            Ok((Some(removed.size), removed.was_rest))
        }
        _ => Err(layer.refuse(Needed::Folder).into()),
    }
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

/// Returns whether a removal failed because nothing is there.
fn is_missing(path: &Path, error: &CliError) -> bool {
    let is_none = |error: io::Error| error.kind() == io::ErrorKind::NotFound;
    error.kind() == ErrorKind::NotFound && fs::symlink_metadata(path).is_err_and(is_none)
}
