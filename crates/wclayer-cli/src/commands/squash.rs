//! `squash`: a chain as one layer tar.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use clap::Args;
use wclayer::Progress;
use wclayer::chain::Access;
use wclayer::squash::{SquashOptions, squash};
use wclayer::tar::BlobWriter;

use super::export::{CompressOptions, Target, show};
use super::view_options::ViewOptions;
use crate::errors::CliError;
use crate::output::Output;
use crate::progress::Bar;

const EXAMPLES: &str = "\
Examples:
  wclayer squash layers/app -o image.tar
  wclayer squash -l base.tar.gz app.tar.gz --keep-base -z -o upper.tar.gz";

/// Make one layer tar of a layer and its parents
///
/// The tar has what a container would see: what upper layers replace or remove is left out, hard
/// links stay. The same chain gives the same bytes. Entries are sorted by name.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Arguments {
    #[command(flatten)]
    view: ViewOptions,
    /// Leave the base layer out; the tar goes on top of it
    #[arg(long, conflicts_with = "this_layer")]
    keep_base: bool,
    /// Output layer tar [default: stdout]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    compress: CompressOptions,
    /// Print one JSON object; needs --output
    #[arg(long, requires = "output")]
    pub(crate) json: bool,
}

/// Squashes a chain.
pub(crate) fn run(arguments: &Arguments, output: &Output) -> Result<(), CliError> {
    let target = Target::open(arguments.output.as_deref())?;
    let opened = arguments.view.open(Access::Content, output)?;
    let compression = arguments.compress.compression();
    output.step(format_args!(
        "writing {}, compression {}",
        target.name(),
        compression.method
    ));
    let progress = Bar::start(output, None, Arc::clone(&opened.cancelled));
    let started = Instant::now();
    let writer = BlobWriter::new(target.file(), compression)?;
    let options = SquashOptions {
        keep_base: arguments.keep_base,
    };
    let blob = squash(opened.view, options, writer, &progress)?;
    if progress.is_cancelled() {
        return Err(wclayer::Error::Cancelled.into());
    }
    drop(progress);
    target.commit()?;
    let (path, file) = (&arguments.view.layer, arguments.output.as_deref());
    show("Squashed", path, file, &blob, started.elapsed(), output)
}
