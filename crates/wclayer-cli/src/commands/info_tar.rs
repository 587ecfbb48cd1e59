//! `info` of a layer tar.

use std::path::Path;

use serde::Serialize;
use wclayer::hub::EntryCounts;
use wclayer::index::{TarSummary, summarise};
use wclayer::portable::SourceBlob;
use wclayer::{DiffId, Error};

use super::import::Source;
use crate::errors::CliError;
use crate::file_argument::{STDIN, is_dash};
use crate::layer_view;
use crate::output::{Output, Summary};
use crate::progress::Bar;
use crate::signals;
use crate::units;

/// A layer tar as JSON.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct TarJson<'a> {
    /// `None` for standard input.
    path: Option<String>,
    format: &'static str,
    diff_id: DiffId,
    tar_size: u64,
    content_size: u64,
    source: &'a SourceBlob,
    entry_counts: EntryCounts,
    warnings: &'a [String],
}

/// Reads a layer tar to its end and describes it.
pub(crate) fn run(path: &Path, output: &Output) -> Result<(), CliError> {
    let file = Some(path).filter(|path| !is_dash(path));
    let source = Source::open(file)?;
    let progress = Bar::start(output, source.size, signals::watch()?);
    let summary = summarise(source.bytes, &progress);
    drop(progress);
    let TarSummary {
        blob,
        entries,
        content_size,
    } = summary.map_err(|error| of_layer(error, file))?;
    let source = SourceBlob {
        digest: blob.digest,
        size: blob.size,
        media_type: blob.compression.media_type().to_owned(),
    };
    let mut summary = Summary::new(match file {
        Some(path) => format!("Layer tar `{}`", path.display()),
        None => format!("Layer tar on {STDIN}"),
    });
    summary.row("DiffID", blob.diff_id);
    layer_view::source_rows(&mut summary, &source);
    summary.row("tar size", units::size(blob.tar_size));
    summary.row("content", units::size(content_size));
    layer_view::entry_rows(&mut summary, &entries);
    let json = TarJson {
        path: file.map(layer_view::absolute),
        format: "tar",
        diff_id: blob.diff_id,
        tar_size: blob.tar_size,
        content_size,
        source: &source,
        entry_counts: entries,
        warnings: &blob.warnings,
    };
    output.answer(&summary, &json)?;
    blob.warnings
        .iter()
        .for_each(|warning| output.warn(warning));
    Ok(())
}

fn of_layer(error: Error, file: Option<&Path>) -> CliError {
    let layer = file.unwrap_or(Path::new(STDIN));
    error.of_layer("read", layer).into()
}
