//! `export` of a transport folder as a layer tar.

use std::path::Path;
use std::time::Instant;

use wclayer::Progress;
use wclayer::tar::BlobWriter;
use wclayer::transport;

use super::export::{Arguments, Target, show};
use super::host_compute::Disks;
use crate::errors::CliError;
use crate::layer_view;
use crate::output::Output;
use crate::progress::Bar;
use crate::signals;

/// Exports a transport folder; its parents are not needed.
pub(crate) fn run(arguments: &Arguments, folder: &Path, output: &Output) -> Result<(), CliError> {
    let cancelled = signals::watch()?;
    let target = Target::open(&arguments.output)?;
    output.step(format_args!(
        "reading the transport folder {}",
        layer_view::absolute(folder)
    ));
    output.step(format_args!(
        "writing {}, compression {}",
        target.name(),
        arguments.compress.compression().method
    ));
    let progress = Bar::start(output, None, cancelled);
    let started = Instant::now();
    let writer = BlobWriter::new(target.file(), arguments.compress.compression())?;
    let blob = transport::export(&Disks::new(), folder, writer, &progress)?;
    if progress.is_cancelled() {
        return Err(wclayer::Error::Cancelled.into());
    }
    drop(progress);
    target.commit()?;
    let (path, file) = (&arguments.path, arguments.output.file());
    show("Exported", path, file, &blob, started.elapsed(), output)
}
