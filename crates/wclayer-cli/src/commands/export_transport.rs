//! `export` of a transport folder.

use std::path::Path;

use wclayer::tar::BlobWriter;
use wclayer::transport;

use super::export::{self, Arguments};
use super::host_compute::Disks;
use crate::errors::CliError;
use crate::layer_view;
use crate::output::Output;

/// Exports a transport folder, which does not need its parents.
pub(crate) fn run(arguments: &Arguments, folder: &Path, output: &Output) -> Result<(), CliError> {
    output.step(format_args!(
        "reading the transport folder {}",
        layer_view::absolute(folder)
    ));
    export::write(arguments, None, output, |file, compression, bar| {
        let writer = BlobWriter::new(file, compression)?;
        transport::export(&Disks::new(), folder, writer, bar)
    })
}
