//! `squash`: a chain as one layer tar.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use clap::Args;
use wclayer::Progress;
use wclayer::source::Access;
use wclayer::squash::{LostHive, SquashOptions, squash};
use wclayer::tar::BlobWriter;

use super::export::{CompressOptions, LostHiveJson, Target, show_with_lost};
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
    /// The registry deltas of several layers cannot be merged: that of the nearest layer is kept. Nor
    /// can they be merged with the whole hives of a base layer: all are left out then, unless
    /// --keep-base leaves the base out. Deltas that change nothing do not matter.
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
    let options = SquashOptions::default()
        .keep_base(arguments.keep_base)
        .lose_registry(arguments.lose_registry);
    let squashed = squash(opened.view, options, writer, &progress)?;
    if progress.is_cancelled() {
        return Err(wclayer::Error::Cancelled.into());
    }
    drop(progress);
    target.commit()?;
    let (path, file) = (&arguments.view.layer, arguments.output.file());
    tell_lost(&squashed.lost_hives, output);
    let lost = squashed.lost_hives.into_iter().map(|lost| LostHiveJson {
        path: lost.path.to_string(),
        from_layers: lost.layers,
    });
    let (blob, taken) = (&squashed.output, started.elapsed());
    let lost = Some(lost.collect());
    show_with_lost("Squashed", path, file, blob, taken, lost, output)
}

/// Warns of what is lost: a line for all hives that the same layers change.
fn tell_lost(lost: &[LostHive], output: &Output) {
    let mut by_layers: BTreeMap<&[usize], Vec<String>> = BTreeMap::new();
    for lost in lost {
        let hives = by_layers.entry(&lost.layers).or_default();
        hives.push(format!("`{}`", lost.path));
    }
    for (layers, hives) in by_layers {
        let numbers: Vec<String> = layers.iter().map(ToString::to_string).collect();
        let layers = if numbers.len() == 1 {
            "layer"
        } else {
            "layers"
        };
        output.warn(&format!(
            "lost: the registry changes of {layers} {} in {}",
            numbers.join(", "),
            hives.join(", ")
        ));
    }
}
