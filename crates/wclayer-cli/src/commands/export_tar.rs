//! `export` of a layer tar: the same tar, compressed as requested.

use wclayer::Error;
use wclayer::tar::recompress;

use super::export::{self, Arguments};
use super::import::Source;
use crate::errors::CliError;
use crate::layer_view;
use crate::output::Output;

/// Copies a layer tar, which does not need its parents.
pub(crate) fn run(arguments: &Arguments, output: &Output) -> Result<(), CliError> {
    let path = &arguments.path;
    let source = Source::open(Some(path))?;
    output.step(format_args!(
        "reading the layer tar {}",
        layer_view::absolute(path)
    ));
    export::write(arguments, source.size, output, |file, compression, bar| {
        let copied = recompress(source.bytes, file, compression, bar);
        copied.map_err(|error| match error {
            Error::Cancelled => error,
            error => Error::Layer {
                operation: "export",
                layer: path.display().to_string(),
                source: Box::new(error),
            },
        })
    })
}
