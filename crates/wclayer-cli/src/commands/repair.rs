//! `repair`: the index and the descriptor of a portable layer, made anew from its tar.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use wclayer::portable::{self, RepairOptions};
use wclayer::{DiffId, ParentChain};

use super::verify::check_kind;
use crate::errors::CliError;
use crate::layer_view::{self, LayerJson};
use crate::output::{Output, Summary};
use crate::progress::Bar;
use crate::signals;

const EXAMPLES: &str = "\
Examples:
  wclayer repair layers/app
  wclayer repair --diff-id sha256:5384… -l layers/base layers/app

A layer whose tar is damaged cannot be made anew: import it again.";

/// Make the index and the descriptor of a portable layer anew from its tar
///
/// The tar is compared with the DiffID that the descriptor has; where that cannot be read any more,
/// with --diff-id, or its DiffID is told. The new files take the place of the old ones in one step.
/// A layer of an older version becomes one of this version.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// Folder of a parent layer, where it is not where the layer has it; repeat it for each,
    /// nearest parent first
    #[arg(short, long = "layer", value_name = "PARENT")]
    layers: Vec<PathBuf>,
    /// What the tar must hash to, as `sha256:` and 64 digits
    #[arg(long, value_name = "DIGEST")]
    diff_id: Option<DiffId>,
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
struct RepairJson<'a> {
    #[serde(flatten)]
    layer: LayerJson<'a>,
    verified: bool,
}

/// Makes a layer anew.
pub(crate) fn run(arguments: &Arguments, output: &Output) -> Result<(), CliError> {
    check_kind(&arguments.layer)?;
    let tar = arguments.layer.join("layer.tar");
    let size = tar.metadata().ok().map(|tar| tar.len());
    let progress = Bar::start(output, size, signals::watch()?);
    let options = RepairOptions {
        parents: ParentChain::from_nearest_first(&arguments.layers),
        expected_diff_id: arguments.diff_id,
    };
    let repaired = portable::repair(&arguments.layer, &options, &progress)?;
    drop(progress);
    if !repaired.is_verified {
        let diff_id = repaired.layer.descriptor().diff_id;
        output.warn(&format!(
            "the old descriptor could not be read: compare the DiffID {diff_id} with that of the image"
        ));
    }
    let mut summary = Summary::new(format!("Repaired `{}`", arguments.layer.display()));
    layer_view::rows(&mut summary, &repaired.layer);
    let json = RepairJson {
        layer: LayerJson::new(&repaired.layer),
        verified: repaired.is_verified,
    };
    output.result(&summary, &json)
}
