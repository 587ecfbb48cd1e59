//! `export` of a layer tar: the same tar, compressed as asked.

use std::sync::Arc;
use std::time::Instant;

use wclayer::tar::recompress;
use wclayer::{Error, Progress};

use super::export::{Arguments, Target, show};
use super::import::Source;
use crate::errors::CliError;
use crate::layer_view;
use crate::output::Output;
use crate::progress::Bar;
use crate::signals;

/// Copies a layer tar; its parents are not needed.
pub(crate) fn run(arguments: &Arguments, output: &Output) -> Result<(), CliError> {
    let path = &arguments.path;
    let cancelled = signals::watch()?;
    let target = Target::open(&arguments.output)?;
    let source = Source::open(Some(path))?;
    let compression = arguments.compress.compression();
    output.step(format_args!(
        "reading the layer tar {}",
        layer_view::absolute(path)
    ));
    output.step(format_args!(
        "writing {}, compression {}",
        target.name(),
        compression.method
    ));
    let progress = Bar::start(output, source.size, Arc::clone(&cancelled));
    let started = Instant::now();
    let blob = recompress(source.bytes, target.file(), compression, &progress);
    let blob = blob.map_err(|error| match error {
        Error::Cancelled => error,
        error => Error::Layer {
            operation: "export",
            layer: path.display().to_string(),
            source: Box::new(error),
        },
    })?;
    if progress.is_cancelled() {
        return Err(Error::Cancelled.into());
    }
    drop(progress);
    target.commit()?;
    let file = arguments.output.file();
    show("Exported", path, file, &blob, started.elapsed(), output)?;
    blob.warnings
        .iter()
        .for_each(|warning| output.warn(warning));
    Ok(())
}
