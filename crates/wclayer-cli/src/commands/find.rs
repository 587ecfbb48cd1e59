//! `find`: prints the entries of a view that pass tests ([`super::find_tests`]).

use std::io::{self, BufWriter, Write};
use std::sync::Arc;

use clap::Args;
use wclayer::find::{Find, find};
use wclayer::source::Access;

use super::Command;
use super::find_tests::TestOptions;
use super::view_options::{StartOption, ViewOptions};
use crate::errors::CliError;
use crate::escape::escaped;
use crate::node_view::EntriesJson;
use crate::output::Output;
use crate::progress::Bar;

const EXAMPLES: &str = "\
Examples:
  wclayer find layers/app --name '*.dll' --size +1M
  wclayer find app.tar.gz --this-layer --type w
  wclayer find layers/app Files/Windows --owner BA --attr hidden,system";

/// Find entries by name, kind, size, attributes, owner, layer or time
///
/// Prints the path of each entry that passes all tests, one per line.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Arguments {
    #[command(flatten)]
    view: ViewOptions,
    #[command(flatten)]
    start: StartOption,
    #[command(flatten)]
    tests: TestOptions,
    /// End each path with NUL instead of a newline, without escaping
    #[arg(short = '0', long, conflicts_with = "json")]
    null: bool,
    /// Print a JSON object
    #[arg(long)]
    json: bool,
}

impl Command for Arguments {
    fn run(&self, output: &Output) -> Result<(), CliError> {
        let opened = self.view.open(Access::Listing, output)?;
        let start = match self.start.path() {
            Some(path) => Some(opened.find(path, false)?),
            None => None,
        };
        let tests = self.tests.tests(&opened)?;
        let cancelled = Bar::hidden(Arc::clone(&opened.cancelled));
        let mut found = find(&opened.view, start, &tests, &cancelled);
        let sink = BufWriter::new(io::stdout().lock());
        if self.json {
            let mut entries = EntriesJson::start(sink)?;
            let added = found.try_for_each(|node| entries.add(&opened.view, &node?));
            return entries.end(added);
        }
        print(found, self.null, sink)
    }

    fn wants_json(&self) -> bool {
        self.json
    }
}

/// Prints the paths.
fn print(found: Find, null: bool, mut sink: impl Write) -> Result<(), CliError> {
    for node in found {
        let path = node?.path;
        let written = match null {
            true => (sink.write_all(path.as_bytes())).and_then(|()| sink.write_all(b"\0")),
            false => writeln!(sink, "{}", escaped(&path.to_string())),
        };
        written.map_err(CliError::Stdout)?;
    }
    sink.flush().map_err(CliError::Stdout)
}
