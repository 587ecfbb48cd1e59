//! `squash`: merges a chain into one layer tar.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use clap::Args;
use wclayer::Progress;
use wclayer::source::Access;
use wclayer::squash::{LostHive, SquashOptions, squash};
use wclayer::tar::BlobWriter;

use super::Command;
use super::export::{CompressOptions, LostHiveJson, Target, show};
use super::output_file::OutputOptions;
use super::view_options::ViewOptions;
use crate::errors::CliError;
use crate::output::Output;
use crate::progress::Bar;

const EXAMPLES: &str = "\
Examples:
  wclayer squash layers/app -o image.tar
  wclayer squash -l base.tar.gz app.tar.gz --keep-base -z -o upper.tar.gz";

/// Merge a layer and its parents into one layer tar
///
/// Writes the entries that a container would see, without those that upper layers replace or remove,
/// and keeps hard links. Sorts the entries by name and adds missing directories; the same chain always
/// produces the same bytes. With --keep-base, removals of entries of the base layer are written as
/// one whiteout for each name.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Arguments {
    #[command(flatten)]
    view: ViewOptions,
    /// Leave out the base layer; the result is a layer on top of it
    #[arg(long, conflicts_with = "this_layer")]
    keep_base: bool,
    /// Squash even if registry changes are lost, and list them
    ///
    /// wclayer cannot merge the registry changes of several layers: it keeps only those of the nearest
    /// layer. It cannot merge them into the full hives of a base layer either: without --keep-base,
    /// all of them are lost. Empty delta hives do not count.
    #[arg(long)]
    lose_registry: bool,
    #[command(flatten)]
    pub(crate) output: OutputOptions,
    #[command(flatten)]
    compress: CompressOptions,
    /// Print a JSON object; requires --output
    #[arg(long, requires = "output")]
    json: bool,
}

impl Command for Arguments {
    fn run(&self, output: &Output) -> Result<(), CliError> {
        let target = Target::open(&self.output)?;
        let access = match self.keep_base {
            true => Access::UpperContent,
            false => Access::Content,
        };
        let opened = self.view.open(access, output)?;
        self.output.check_is_outside(opened.view.places())?;
        let compression = self.compress.compression();
        target.print_plan(compression, output);
        let total = match self.keep_base {
            true => None,
            false => opened.view.content_size()?,
        };
        let progress = Bar::start(output, total, Arc::clone(&opened.cancelled));
        let started = Instant::now();
        let writer = BlobWriter::new(target.file(), compression)?;
        let options = SquashOptions::default()
            .keep_base(self.keep_base)
            .lose_registry(self.lose_registry);
        let squashed = squash(opened.view, options, writer, &progress)?;
        if progress.is_cancelled() {
            return Err(wclayer::Error::Cancelled.into());
        }
        drop(progress);
        target.commit()?;
        let (path, file) = (&self.view.layer, self.output.file());
        warn_about_lost_hives(&squashed.lost_hives, output);
        let lost = squashed.lost_hives.into_iter().map(|lost| LostHiveJson {
            path: lost.path.to_string(),
            from_layers: lost.layers,
        });
        let (blob, taken) = (&squashed.output, started.elapsed());
        let lost = Some(lost.collect());
        show("Squashed", path, file, blob, taken, lost, output)
    }

    fn wants_json(&self) -> bool {
        self.json
    }

    fn conflict(&self) -> Option<&'static str> {
        self.output.conflict_with_json(self.json)
    }
}

/// Warns about lost registry changes, with one line for all hives that the same layers change.
fn warn_about_lost_hives(lost: &[LostHive], output: &Output) {
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
