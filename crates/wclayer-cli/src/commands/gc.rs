//! `gc`: removes the leftovers of killed commands.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use wclayer::place::leftovers::{self, Fate, Leftover, LeftoverKind};

use super::Command;
use crate::errors::CliError;
use crate::layer_view;
use crate::output::{Output, Summary};
use crate::units;

const EXAMPLES: &str = "\
Examples:
  wclayer gc layers
  wclayer gc --dry-run layers
  wclayer gc /tmp

Never touches layers, other files, or anything in subfolders of DIR. The files of running commands
are locked, and stay.";

/// Remove the leftovers of killed commands from a folder
///
/// Removes unfinished layers (`.NAME.wclayer-XXXXXX`), unfinished output of `export` and `squash`
/// (`.wclayer-export-XXXXXX`), and, in the temporary folder, indexes of layer tars
/// (`wclayer-view-XXXXXX`, `wclayer-validate-XXXXXX`). Restores a layer whose replacement was
/// interrupted. The next command on the same path does the same.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// Show what would be removed without removing it
    #[arg(long)]
    dry_run: bool,
    /// Print a JSON object
    #[arg(long)]
    json: bool,
    /// Folder to clean up: one that holds layers or output, or the temporary folder
    #[arg(value_name = "DIR")]
    directory: PathBuf,
}

/// The result as JSON.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct GcJson {
    path: String,
    dry_run: bool,
    /// Freed bytes.
    size: u64,
    leftovers: Vec<LeftoverJson>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct LeftoverJson {
    path: String,
    kind: LeftoverKind,
    size: u64,
    fate: &'static str,
    /// The restored layer.
    restored: Option<String>,
    /// Why it could not be removed.
    cause: Option<String>,
}

impl Command for Arguments {
    fn run(&self, output: &Output) -> Result<(), CliError> {
        let mut found = leftovers::collect(&self.directory, self.dry_run)?;
        let first_error = found
            .iter()
            .position(|it| matches!(it.fate, Fate::Failed(_)));
        let gone = |it: &&Leftover| matches!(it.fate, Fate::Removed | Fate::Restored(_));
        let size = found.iter().filter(gone).map(|it| it.size).sum();
        let summary = summary(self, &found, size);
        let json = GcJson {
            path: layer_view::absolute(&self.directory),
            dry_run: self.dry_run,
            size,
            leftovers: found.iter().map(LeftoverJson::new).collect(),
        };
        output.result(&summary, &json)?;
        match first_error.map(|at| found.swap_remove(at).fate) {
            // The JSON object reports the failure.
            Some(_) if output.is_json() => Err(CliError::Reported),
            Some(Fate::Failed(error)) => Err(error.into()),
            _ => Ok(()),
        }
    }

    fn wants_json(&self) -> bool {
        self.json
    }
}

fn summary(arguments: &Arguments, found: &[Leftover], size: u64) -> Summary {
    let folder = arguments.directory.display();
    let mut summary = Summary::new(match (found.is_empty(), arguments.dry_run) {
        (true, _) => format!("Nothing to remove in `{folder}`"),
        (false, true) => format!("`{folder}` has leftovers"),
        (false, false) => format!("Cleaned up `{folder}`"),
    });
    for leftover in found {
        let name = leftover.path.file_name().unwrap_or_default();
        let (name, size) = (name.display(), units::size(leftover.size));
        let what = what(leftover.kind);
        match &leftover.fate {
            Fate::Restored(place) => {
                let text = format!("{name}, {what}; restored `{}`", place.display());
                summary.row(label(&leftover.fate, arguments.dry_run), text);
            }
            fate => summary.row(
                label(fate, arguments.dry_run),
                format!("{name}, {what}, {size}"),
            ),
        }
    }
    if !found.is_empty() && !arguments.dry_run {
        summary.row("freed", units::size(size));
    }
    summary
}

fn label(fate: &Fate, dry_run: bool) -> &'static str {
    match fate {
        Fate::Removed if dry_run => "would remove",
        Fate::Restored(_) if dry_run => "would restore",
        Fate::Removed => "removed",
        Fate::Restored(_) => "restored",
        Fate::InUse => "in use",
        _ => "failed",
    }
}

fn what(kind: LeftoverKind) -> &'static str {
    match kind {
        LeftoverKind::Layer => "an unfinished layer",
        LeftoverKind::Output => "unfinished output",
        LeftoverKind::View => "the index of a layer tar",
        _ => "a lock file",
    }
}

impl LeftoverJson {
    fn new(leftover: &Leftover) -> Self {
        let (fate, restored, error) = match &leftover.fate {
            Fate::Removed => ("removed", None, None),
            Fate::Restored(place) => ("restored", Some(layer_view::absolute(place)), None),
            Fate::InUse => ("in_use", None, None),
            Fate::Failed(error) => ("failed", None, Some(error.to_string())),
            _ => ("unknown", None, None),
        };
        Self {
            path: layer_view::absolute(&leftover.path),
            kind: leftover.kind,
            size: leftover.size,
            fate,
            restored,
            cause: error,
        }
    }
}
