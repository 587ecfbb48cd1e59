//! `info` of a transport folder.

use std::path::Path;

use serde::Serialize;
use wclayer::Progress;
use wclayer::hub::EntryCounts;
use wclayer::source::Layer;
use wclayer::transport::{self, FolderSummary};
use wclayer::volume::{Privilege, Volume};

use super::host_compute::Disks;
use crate::errors::CliError;
use crate::layer_view;
use crate::output::{Output, Summary};
use crate::progress::Bar;
use crate::signals;
use crate::units;

/// A transport folder as JSON.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct FolderJson {
    path: String,
    format: &'static str,
    content_size: u64,
    entry_counts: EntryCounts,
}

/// Describes a transport folder.
pub(crate) fn run(layer: &Layer, output: &Output) -> Result<(), CliError> {
    let json_path = layer_view::absolute(layer.path());
    output.step(format_args!(
        "recognised a transport folder at `{json_path}`"
    ));
    let progress = Bar::start(output, None, signals::watch()?);
    let found = count(&Disks::new(), layer.path(), &progress)?;
    drop(progress);
    let mut summary = Summary::new(format!("Layer `{layer}`"));
    summary.row("kind", "transport folder");
    summary.row("content", units::size(found.content_size));
    layer_view::entry_rows(&mut summary, &found.entries);
    let json = FolderJson {
        path: json_path,
        format: "transport",
        content_size: found.content_size,
        entry_counts: found.entries,
    };
    output.answer(&summary, &json)
}

/// Counts the entries of a transport folder.
fn count(disks: &Disks, folder: &Path, progress: &dyn Progress) -> Result<FolderSummary, CliError> {
    let privileges = disks
        .enable(&[Privilege::Backup])
        .map_err(wclayer::Error::from)?;
    let mut reader = transport::open(disks, folder, &privileges)?;
    Ok(transport::count(&mut reader, progress)?)
}
