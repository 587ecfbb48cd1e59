//! `export` of a Windows layer.

use std::time::Instant;

use wclayer::Progress;
use wclayer::hcs;
use wclayer::tar::BlobWriter;

use super::export::{Arguments, Target, show};
use super::host_compute;
use crate::errors::CliError;
use crate::layer_view;
use crate::output::Output;
use crate::progress::Bar;
use crate::signals;

/// Exports a layer with the Host Compute Service.
pub(crate) fn run(arguments: &Arguments, output: &Output) -> Result<(), CliError> {
    let host = arguments.host.open("export of a Windows layer", output)?;
    let layer = hcs::full_path(&arguments.path)?;
    let parents = host_compute::parents(&host, &layer, &arguments.parents, output)?;
    let cancelled = signals::watch()?;
    let target = Target::open(&arguments.output)?;
    output.step(format_args!("reading {}", layer_view::absolute(&layer)));
    output.step(format_args!(
        "writing {}, compression {}",
        target.name(),
        arguments.compress.compression().method
    ));
    let progress = Bar::start(output, None, cancelled);
    let started = Instant::now();
    let writer = BlobWriter::new(target.file(), arguments.compress.compression())?;
    let blob = hcs::export(&host, &layer, &parents, writer, &progress)?;
    if progress.is_cancelled() {
        return Err(wclayer::Error::Cancelled.into());
    }
    drop(progress);
    target.commit()?;
    let (path, file) = (&arguments.path, arguments.output.file());
    show("Exported", path, file, &blob, started.elapsed(), output)
}
