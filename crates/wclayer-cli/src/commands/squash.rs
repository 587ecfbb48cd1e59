//! `squash`: a chain as one layer tar.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use clap::Args;
use wclayer::Progress;
use wclayer::chain::{Access, View};
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
    let access = match arguments.keep_base {
        true => Access::UpperContent,
        false => Access::Content,
    };
    let opened = arguments.view.open(access, output)?;
    if let Some(file) = &arguments.output {
        check_output(file, &opened.view)?;
    }
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
    let (path, file) = (&arguments.view.layer, arguments.output.as_deref());
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

/// Refuses to write over what is read: a tar of the chain, or a file in one of its folders.
fn check_output(output: &Path, view: &View) -> Result<(), CliError> {
    // What is not there yet is none of these.
    let Ok(file) = output.canonicalize() else {
        return Ok(());
    };
    let is_file_of = |place: &&Path| {
        place
            .canonicalize()
            .is_ok_and(|place| file.starts_with(place))
    };
    match view.places().find(is_file_of) {
        None => Ok(()),
        Some(layer) => Err(CliError::OutputIsLayer {
            output: output.to_owned(),
            layer: layer.to_owned(),
        }),
    }
}
