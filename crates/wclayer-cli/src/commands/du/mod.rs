//! `du`: how much content a chain has, by directory and by layer, and how much of it is hidden.

mod show;

use std::sync::Arc;

use clap::{Args, ValueEnum};
use wclayer::source::Access;
use wclayer::usage::{UsageOptions, usage};

use self::show::UsageJson;
use super::view_options::ViewOptions;
use crate::errors::CliError;
use crate::output::Output;
use crate::path_argument::{Place, place};
use crate::progress::Bar;

const EXAMPLES: &str = "\
Examples:
  wclayer du layers/app --depth 2 --sort size
  wclayer du --by-layer -l base.tar.gz app.tar.gz";

/// Show how much content there is, and how much upper layers hide
///
/// Content is the bytes of all data streams, holes included, also of streams of directories; a file
/// with several names counts once, at the first of these. --by-layer adds what each layer has by
/// itself, what of it is hidden by layers above (replaced or removed), and the efficiency: the bytes
/// that are seen, divided by the bytes of all layers. It is 100 % when no file comes in two layers
/// and none is removed. Of files that come twice in one layer, only the last counts. With --by-layer,
/// PATH need not be seen: it is enough that a layer has it.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Arguments {
    #[command(flatten)]
    view: ViewOptions,
    /// Directory or file [default: everything]
    ///
    /// Written with `/` or `\`, in any case; `C:\Users` is `Files/Users`.
    #[arg(value_name = "PATH", value_parser = place())]
    path: Option<Place>,
    /// How deep the directories lie that are shown
    #[arg(long, value_name = "N", default_value_t = 1)]
    depth: usize,
    /// Show also the layers, and what is hidden of them
    #[arg(long)]
    by_layer: bool,
    /// Order of the directories
    #[arg(long, value_name = "KEY", default_value = "name")]
    sort: Sort,
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Sort {
    /// By path
    Name,
    /// Largest first
    Size,
}

/// Counts content.
pub(crate) fn run(arguments: &Arguments, output: &Output) -> Result<(), CliError> {
    let opened = arguments.view.open(Access::Listing, output)?;
    let path = Place::path(&arguments.path);
    let options = UsageOptions::default()
        .path(path.cloned())
        .depth(arguments.depth)
        .by_layer(arguments.by_layer);
    let cancelled = Bar::hidden(Arc::clone(&opened.cancelled));
    let found = usage(&opened.view, &options, &cancelled)?;
    let mut found = match path {
        Some(path) => found.ok_or_else(|| opened.missing(path, false, false))?,
        None => found.unwrap_or_default(),
    };
    if arguments.sort == Sort::Size {
        found
            .directories
            .sort_by_key(|directory| std::cmp::Reverse(directory.sum.size));
    }
    let shown = UsageJson::new(&found, &opened.view);
    output.answer(&shown, &shown)
}
