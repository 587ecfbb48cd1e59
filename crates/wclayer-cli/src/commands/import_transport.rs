//! `import --format transport`: a layer tar into a transport folder, on any system.

use std::time::{Duration, Instant};

use serde::Serialize;
use wclayer::hub::EntriesOnly;
use wclayer::portable::EntryCounts;
use wclayer::tar::{BlobReader, LayerBlob};
use wclayer::transport::{self, FolderSummary, TransportOptions, TransportSummary};
use wclayer::{DiffId, Digest, ParentChain};

use super::host_compute::Disks;
use super::import::{self, Arguments, Source};
use super::info_transport;
use crate::errors::CliError;
use crate::layer_view;
use crate::output::{Output, Summary};
use crate::progress::Bar;
use crate::signals;
use crate::units;

/// The result as JSON.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ImportJson<'a> {
    path: String,
    format: &'static str,
    diff_id: DiffId,
    tar_size: u64,
    content_size: u64,
    source: SourceJson,
    entries: EntryCounts,
    parents: Vec<String>,
    warnings: Vec<&'a str>,
    elapsed_seconds: f64,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct SourceJson {
    digest: Digest,
    size: u64,
    media_type: &'static str,
}

/// Imports a layer and shows what it is.
pub(crate) fn run(arguments: &Arguments, output: &Output) -> Result<(), CliError> {
    let source = Source::open(arguments.input.as_deref())?;
    import::tell_plan(arguments, &source, output);
    for parent in &arguments.layers {
        output.step(format_args!("on top of {}", layer_view::absolute(parent)));
    }
    let options = TransportOptions {
        parents: ParentChain::from_nearest_first(&arguments.layers),
        hives: arguments.hives,
        replace: arguments.force,
    };
    let disks = Disks::new();
    let progress = Bar::start(output, source.size, signals::watch()?);
    let started = Instant::now();
    let mut reader = BlobReader::new(source.bytes, arguments.diff_id, &progress);
    let entries_only = EntriesOnly(&progress);
    let made = transport::import(
        &disks,
        &mut reader,
        &arguments.path,
        &options,
        &entries_only,
    )?;
    let blob = reader.blob().cloned().ok_or(wclayer::Error::WorkerLost)?;
    drop(reader);
    let found = info_transport::count(&disks, &made.path, &progress)?;
    let taken = started.elapsed();
    drop(progress);
    show(arguments, &made, &found, &blob, taken, output)
}

fn show(
    arguments: &Arguments,
    made: &TransportSummary,
    found: &FolderSummary,
    blob: &LayerBlob,
    taken: Duration,
    output: &Output,
) -> Result<(), CliError> {
    let parents = ParentChain::from_nearest_first(&arguments.layers);
    let mut summary = Summary::new(format!("Imported `{}`", arguments.path.display()));
    summary.row("format", "transport");
    summary.row("DiffID", blob.diff_id);
    summary.row("source", blob.digest);
    summary.row("media type", blob.compression.media_type());
    summary.row("source size", units::size(blob.size));
    summary.row("tar size", units::size(blob.tar_size));
    summary.row("content", units::size(found.content_size));
    layer_view::parent_rows(&mut summary, &parents);
    layer_view::entry_rows(&mut summary, &found.entries);
    summary.row("time", units::time_and_rate(blob.tar_size, taken));
    let warnings = blob.warnings.iter().chain(&made.warnings);
    let warnings: Vec<&str> = warnings.map(String::as_str).collect();
    let json = ImportJson {
        path: layer_view::absolute(&made.path),
        format: "transport",
        diff_id: blob.diff_id,
        tar_size: blob.tar_size,
        content_size: found.content_size,
        source: SourceJson {
            digest: blob.digest,
            size: blob.size,
            media_type: blob.compression.media_type(),
        },
        entries: found.entries,
        parents: layer_view::paths(&parents),
        warnings: warnings.clone(),
        elapsed_seconds: units::seconds(taken),
    };
    output.result(&summary, &json)?;
    warnings
        .into_iter()
        .for_each(|warning| output.warn(warning));
    Ok(())
}
