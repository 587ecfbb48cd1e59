//! `repair`: rebuilds the index and the descriptor of a portable layer from its tar.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use wclayer::DiffId;
use wclayer::portable::{self, RepairOptions};

use super::Command;
use super::parent_options::ParentOptions;
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

A layer whose tar is damaged cannot be repaired: import it again.";

/// Rebuild the index and the descriptor of a portable layer from its tar
///
/// Compares the tar with the DiffID in the descriptor or, if the descriptor is unreadable, with
/// --diff-id. Without either, prints the DiffID for you to compare. Replaces the old files in a single
/// step, and upgrades a layer of an older version.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Arguments {
    #[command(flatten)]
    parents: ParentOptions,
    /// Expected DiffID of the tar: `sha256:` and 64 hexadecimal digits
    #[arg(long, value_name = "DIGEST")]
    diff_id: Option<DiffId>,
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
struct RepairJson<'a> {
    #[serde(flatten)]
    layer: LayerJson<'a>,
    verified: bool,
}

impl Command for Arguments {
    fn run(&self, output: &Output) -> Result<(), CliError> {
        check_kind(&self.layer)?;
        let tar = self.layer.join("layer.tar");
        let size = tar.metadata().ok().map(|tar| tar.len());
        let progress = Bar::start(output, size, signals::watch()?);
        let options = RepairOptions::default()
            .parents(self.parents.chain())
            .expected_diff_id(self.diff_id);
        let repaired = portable::repair(&self.layer, &options, &progress)?;
        drop(progress);
        if !repaired.is_verified {
            let diff_id = repaired.layer.descriptor().diff_id;
            output.warn(&format!(
                "cannot read the old descriptor: compare the DiffID {diff_id} with the one in the image"
            ));
        }
        let mut summary = Summary::new(format!("Repaired `{}`", self.layer.display()));
        layer_view::rows(&mut summary, &repaired.layer);
        let json = RepairJson {
            layer: LayerJson::new(&repaired.layer),
            verified: repaired.is_verified,
        };
        output.result(&summary, &json)
    }

    fn wants_json(&self) -> bool {
        self.json
    }
}
