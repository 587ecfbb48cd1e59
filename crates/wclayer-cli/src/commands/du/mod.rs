//! `du`: counts the content of a chain by directory and by layer, and the hidden content.

mod show;

use std::sync::Arc;

use clap::{Args, ValueEnum};
use wclayer::source::Access;
use wclayer::usage::{UsageOptions, usage};

use self::show::UsageJson;
use super::Command;
use super::view_options::{StartOption, ViewOptions};
use crate::errors::CliError;
use crate::output::Output;
use crate::progress::Bar;

const EXAMPLES: &str = "\
Examples:
  wclayer du layers/app --depth 2 --sort size
  wclayer du --by-layer -l base.tar.gz app.tar.gz";

/// Show the size of the content, and how much of it upper layers hide
///
/// Counts the bytes of all data streams of files and directories, including holes. Counts a file with
/// several names once, at its first name, and a file that a layer contains twice once, as the last.
///
/// --by-layer adds the size of each layer, the part of it that upper layers hide (replace or remove),
/// and the efficiency: the visible bytes divided by the bytes of all layers. The efficiency is 100%
/// if no file is in two layers and none is removed. With --by-layer, PATH may be hidden in the chain
/// as long as a layer contains it.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Arguments {
    #[command(flatten)]
    view: ViewOptions,
    #[command(flatten)]
    start: StartOption,
    /// Maximum depth of the directories to show
    #[arg(long, value_name = "N", default_value_t = 1)]
    depth: usize,
    /// Also show each layer and its hidden content
    #[arg(long)]
    by_layer: bool,
    /// Order of the directories
    #[arg(long, value_name = "KEY", default_value = "name")]
    sort: Sort,
    /// Print a JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Sort {
    /// By path
    Name,
    /// Largest first
    Size,
}

impl Command for Arguments {
    fn run(&self, output: &Output) -> Result<(), CliError> {
        let opened = self.view.open(Access::Listing, output)?;
        let path = self.start.path();
        let options = UsageOptions::default()
            .path(path.cloned())
            .depth(self.depth)
            .by_layer(self.by_layer);
        let cancelled = Bar::hidden(Arc::clone(&opened.cancelled));
        let found = usage(&opened.view, &options, &cancelled)?;
        let mut found = match path {
            Some(path) => found.ok_or_else(|| opened.missing(path, false, false))?,
            None => found.unwrap_or_default(),
        };
        if self.sort == Sort::Size {
            found
                .directories
                .sort_by_key(|directory| std::cmp::Reverse(directory.sum.size));
        }
        let shown = UsageJson::new(&found, &opened.view);
        output.answer(&shown, &shown)
    }

    fn wants_json(&self) -> bool {
        self.json
    }
}
