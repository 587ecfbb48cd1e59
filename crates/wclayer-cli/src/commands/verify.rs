//! `verify`: compares a portable layer with what was imported.

use std::error::Error as _;
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;
use wclayer::portable::{self, Check, Verified};
use wclayer::source::{Kind, Needed, recognise};
use wclayer::{DiffId, Error};

use super::Command;
use super::parent_options::ParentOptions;
use crate::errors::CliError;
use crate::layer_view;
use crate::output::{Output, Summary};
use crate::progress::Bar;
use crate::signals;

const EXAMPLES: &str = "\
Examples:
  wclayer verify layers/app
  wclayer verify -l moved/base layers/app

Exit codes: 0 intact, 1 damaged or not checked, 2 wrong usage. `wclayer repair` rebuilds everything
except the tar.";

/// Read a whole portable layer and report damage
///
/// Compares the tar with its DiffID, the index with a new one built from the tar, and the small files
/// and the parents with their digests. Other commands check only the parts that they read.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Arguments {
    #[command(flatten)]
    parents: ParentOptions,
    /// Print a JSON object
    #[arg(long)]
    json: bool,
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

/// The check of one part of the layer as JSON.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct CheckJson {
    part: &'static str,
    against: &'static str,
    problems: Vec<String>,
}

impl Command for Arguments {
    fn run(&self, output: &Output) -> Result<(), CliError> {
        check_kind(&self.layer)?;
        let tar = self.layer.join("layer.tar");
        let size = tar.metadata().ok().map(|tar| tar.len());
        let progress = Bar::start(output, size, signals::watch()?);
        let parents = self.parents.chain();
        let found = portable::verify(&self.layer, &parents, &progress)?;
        drop(progress);
        show(self, &found, output)?;
        match found.is_sound() {
            true => Ok(()),
            false => Err(CliError::Reported),
        }
    }

    fn wants_json(&self) -> bool {
        self.json
    }
}

/// Refuses anything that is not even the remains of a portable layer.
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
        true => format!("Layer `{name}` is intact"),
        false => format!("Layer `{name}` is damaged"),
    });
    if let Some(diff_id) = found.diff_id {
        summary.row("DiffID", diff_id);
    }
    for check in &found.checks {
        if check.problems.is_empty() {
            summary.row(
                check.part,
                format_args!("intact, compared with {}", check.against),
            );
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
        // Damage is the answer, so it is printed even with --quiet.
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

/// Returns each problem with its causes as text.
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
