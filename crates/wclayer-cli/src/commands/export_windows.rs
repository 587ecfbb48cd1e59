//! `export` of a Windows layer.

use wclayer::hcs;
use wclayer::tar::BlobWriter;

use super::export::{self, Arguments};
use super::host_compute;
use crate::errors::CliError;
use crate::layer_view;
use crate::output::Output;

/// Exports a layer with the Host Compute Service.
pub(crate) fn run(arguments: &Arguments, output: &Output) -> Result<(), CliError> {
    let host = arguments.host.open("export of a Windows layer", output)?;
    let layer = hcs::full_path(&arguments.path)?;
    let parents = host_compute::parents(&host, &layer, &arguments.parents, output)?;
    output.step(format_args!("reading {}", layer_view::absolute(&layer)));
    export::write(arguments, None, output, |file, compression, bar| {
        let writer = BlobWriter::new(file, compression)?;
        hcs::export(&host, &layer, &parents, writer, bar)
    })
}
