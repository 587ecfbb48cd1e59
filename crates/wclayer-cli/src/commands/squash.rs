//! `squash`: a chain as one layer tar.

use std::sync::Arc;
use std::time::Instant;

use clap::Args;
use wclayer::Progress;
use wclayer::chain::Access;
use wclayer::squash::{SquashOptions, squash};
use wclayer::tar::BlobWriter;

use super::export::{CompressOptions, Target, show};
use super::output_file::OutputOptions;
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
/// links stay. The same chain gives the same bytes. Entries are sorted by name, each directory has
/// one; what is gone of a base that is kept is removed name by name.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Arguments {
    #[command(flatten)]
    view: ViewOptions,
    /// Leave the base layer out; the tar goes on top of it
    #[arg(long, conflicts_with = "this_layer")]
    keep_base: bool,
    /// Squash although changes of the registry get lost, and say which
    ///
    /// The registry hives of several layers cannot be merged, nor can those of a layer with the
    /// whole hives of a base layer. Hives that change nothing do not matter.
    #[arg(long)]
    lose_registry: bool,
    #[command(flatten)]
    pub(crate) output: OutputOptions,
    #[command(flatten)]
    compress: CompressOptions,
    /// Print one JSON object; needs --output
    #[arg(long, requires = "output")]
    pub(crate) json: bool,
}

/// Squashes a chain.
pub(crate) fn run(arguments: &Arguments, output: &Output) -> Result<(), CliError> {
    let target = Target::open(&arguments.output)?;
    let access = match arguments.keep_base {
        true => Access::UpperContent,
        false => Access::Content,
    };
    let opened = arguments.view.open(access, output)?;
    arguments.output.check_is_outside(opened.view.places())?;
    let compression = arguments.compress.compression();
    output.step(format_args!(
        "writing {}, compression {}",
        target.name(),
        compression.method
    ));
    let total = match arguments.keep_base {
        true => None,
        false => opened.view.content_size()?,
    };
    let progress = Bar::start(output, total, Arc::clone(&opened.cancelled));
    let started = Instant::now();
    let writer = BlobWriter::new(target.file(), compression)?;
    let options = SquashOptions {
        keep_base: arguments.keep_base,
        lose_registry: arguments.lose_registry,
    };
    let squashed = squash(opened.view, options, writer, &progress)?;
    if progress.is_cancelled() {
        return Err(wclayer::Error::Cancelled.into());
    }
    drop(progress);
    target.commit()?;
    let (path, file) = (&arguments.view.layer, arguments.output.file());
    for lost in &squashed.lost_hives {
        let layers: Vec<String> = lost.layers.iter().map(ToString::to_string).collect();
        output.warn(&format!(
            "lost: the registry changes in `{}` of layer {}",
            lost.path,
            layers.join(", ")
        ));
    }
    let blob = &squashed.output;
    show("Squashed", path, file, blob, started.elapsed(), output)
}
