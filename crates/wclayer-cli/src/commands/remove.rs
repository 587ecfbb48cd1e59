//! `remove`: deletes a layer.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;
use wclayer::portable::{self, Children};
use wclayer::source::{Kind, LayerRef, Needed, recognise};
use wclayer::{ErrorKind, hcs};

use super::Command;
use super::host_compute::HostComputeOptions;
use crate::errors::CliError;
use crate::layer_view;
use crate::output::{Output, Summary};
use crate::units;

const EXAMPLES: &str = "\
Examples:
  wclayer remove layers/app
  wclayer remove --force C:\\layers\\app

Warns about portable layers in the same folder that were made on top of it: they become unusable.

Removing a Windows layer requires Windows with the Host Compute Service (vmcompute.dll) and the
privileges SeBackupPrivilege and SeRestorePrivilege: run it from an elevated prompt.";

/// Permanently delete a layer
///
/// Deletes a portable layer, a transport folder or a Windows layer, even if damaged or incomplete, and
/// refuses any other folder and symbolic links. Run it again to complete an interrupted removal.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// Delete files that Windows leaves of a layer; succeed if nothing is at PATH
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    host: HostComputeOptions,
    /// Print a JSON object
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
    /// Not counted for a Windows layer.
    size: Option<u64>,
    /// Whether only the rest of an interrupted removal existed.
    was_rest: bool,
}

impl Command for Arguments {
    fn run(&self, output: &Output) -> Result<(), CliError> {
        let path = layer_view::absolute(&self.path);
        let (size, was_rest) = match remove(self, output) {
            Err(error) if self.force && is_missing(&self.path, &error) => {
                return print_nothing_removed(self, path, output);
            }
            removed => removed?,
        };
        let shown = self.path.display();
        let mut summary = Summary::new(match was_rest {
            true => format!("Removed the leftovers of an interrupted command from `{shown}`"),
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

/// Removes the layer; returns the number of freed bytes, and whether only the rest of an interrupted
/// command existed.
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
            // Refuses links, and completes an interrupted removal.
            let children = portable::children_of(&arguments.path);
            let removed = portable::remove(&arguments.path)?;
            warn_about(&children, GONE, output);
            Ok((Some(removed.size), removed.was_rest))
        }
        _ => Err(layer.refuse(Needed::Folder).into()),
    }
}

/// Reports that nothing is there, which is a success with `--force`.
fn print_nothing_removed(
    arguments: &Arguments,
    path: String,
    output: &Output,
) -> Result<(), CliError> {
    let title = format!("Nothing to remove at `{}`", arguments.path.display());
    let json = RemoveJson {
        path,
        size: Some(0),
        was_rest: false,
    };
    output.result(&Summary::new(title), &json)
}

const GONE: &str = "made on top of it, and now unusable";

/// Warns about layers that can no longer be used.
pub(super) fn warn_about(children: &Children, why: &str, output: &Output) {
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

/// Returns whether a removal failed because nothing is at the path. An image that is named with its
/// transport is never removed, whatever is at its path.
fn is_missing(path: &Path, error: &CliError) -> bool {
    if !matches!(path.into(), LayerRef::Path(_)) {
        return false;
    }
    let is_none = |error: io::Error| error.kind() == io::ErrorKind::NotFound;
    error.kind() == ErrorKind::NotFound && fs::symlink_metadata(path).is_err_and(is_none)
}
