//! `verify`: whether all of a portable layer is what was imported.

use std::error::Error as _;
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;
use wclayer::portable::{self, Check, Verified};
use wclayer::source::{Kind, Needed, recognise};
use wclayer::{DiffId, Error, ParentChain};

use crate::errors::CliError;
use crate::layer_view;
use crate::output::{Output, Summary};
use crate::progress::Bar;
use crate::signals;

const EXAMPLES: &str = "\
Examples:
  wclayer verify layers/app
  wclayer verify -l moved/base layers/app

Exit codes: 0 all is right, 1 something is not, or could not be checked, 2 wrong usage.
`wclayer repair` makes all but the tar anew.";

/// Read all of a portable layer, and tell what is damaged
///
/// The tar is compared with its DiffID, the index with a new one that is made of the tar, the small
/// files with their digests, the parents with theirs. Other commands check what they read: this one
/// reads everything.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// Folder of a parent layer, where it is not where the layer has it; repeat it for each,
    /// nearest parent first
    #[arg(short, long = "layer", value_name = "PARENT")]
    layers: Vec<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
    /// Folder of the layer
    #[arg(value_name = "LAYER")]
    layer: PathBuf,
}

/// The result as JSON.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct VerifyJson {
    path: String,
    sound: bool,
    diff_id: Option<DiffId>,
    checks: Vec<CheckJson>,
}

/// A part of the layer as JSON.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct CheckJson {
    part: &'static str,
    against: &'static str,
    problems: Vec<String>,
}

/// Verifies a layer.
pub(crate) fn run(arguments: &Arguments, output: &Output) -> Result<(), CliError> {
    check_kind(&arguments.layer)?;
    let tar = arguments.layer.join("layer.tar");
    let size = tar.metadata().ok().map(|tar| tar.len());
    let progress = Bar::start(output, size, signals::watch()?);
    let parents = ParentChain::from_nearest_first(&arguments.layers);
    let found = portable::verify(&arguments.layer, &parents, &progress)?;
    drop(progress);
    show(arguments, &found, output)?;
    match found.is_sound() {
        true => Ok(()),
        false => Err(CliError::Told),
    }
}

/// Refuses what is not even the ruin of a portable layer.
pub(super) fn check_kind(layer: &Path) -> Result<(), CliError> {
    let layer = recognise(layer)?;
    match layer.kind() {
        kind if kind.is_portable() => Ok(()),
        // Its `layer.tar` may be all that is left.
        Kind::Folder | Kind::ForeignDescriptor => Ok(()),
        _ => Err(layer.refuse(Needed::Portable).into()),
    }
}

fn show(arguments: &Arguments, found: &Verified, output: &Output) -> Result<(), CliError> {
    let name = arguments.layer.display();
    let mut summary = Summary::new(match found.is_sound() {
        true => format!("Layer `{name}` is sound"),
        false => format!("Layer `{name}` is damaged"),
    });
    if let Some(diff_id) = found.diff_id {
        summary.row("DiffID", diff_id);
    }
    for check in &found.checks {
        if check.problems.is_empty() {
            summary.row(check.part, format_args!("right, by {}", check.against));
        }
        for problem in texts(check) {
            summary.row(check.part, problem);
        }
    }
    let json = VerifyJson {
        path: layer_view::absolute(&arguments.layer),
        sound: found.is_sound(),
        diff_id: found.diff_id,
        checks: found.checks.iter().map(as_json).collect(),
    };
    match found.is_sound() {
        true => output.result(&summary, &json),
        // What is wrong is what was asked for.
        false => output.answer(&summary, &json),
    }
}

fn as_json(check: &Check) -> CheckJson {
    CheckJson {
        part: check.part,
        against: check.against,
        problems: texts(check),
    }
}

/// Says each problem with its causes.
fn texts(check: &Check) -> Vec<String> {
    let text = |error: &Error| {
        let mut text = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            text += &format!(": {error}");
            cause = error.source();
        }
        text
    };
    check.problems.iter().map(text).collect()
}
