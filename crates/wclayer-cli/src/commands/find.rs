//! `find`: prints the entries of a view that pass tests ([`super::find_tests`]).

use std::io::{self, BufWriter, Write};

use clap::Args;
use wclayer::source::Access;
use wclayer::view::Node;

use super::Command;
use super::find_tests::{TestOptions, Tests};
use super::view_options::{Opened, ViewOptions};
use crate::errors::CliError;
use crate::escape::escaped;
use crate::node_view::EntriesJson;
use crate::output::Output;
use crate::path_argument::{Place, place};

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
    /// Entry to search, including everything below it [default: the whole layer]
    ///
    /// Use `/` or `\` in any letter case; `C:\Users` means `Files/Users`.
    #[arg(value_name = "PATH", value_parser = place())]
    path: Option<Place>,
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
        let start = match Place::path(&self.path) {
            Some(path) => Some(opened.find(path, false)?),
            None => None,
        };
        let tests = Tests::new(&self.tests, &opened)?;
        let sink = BufWriter::new(io::stdout().lock());
        if self.json {
            let mut entries = EntriesJson::start(sink)?;
            let found = for_each(&opened, &tests, start.as_ref(), |node| {
                entries.add(&opened.view, node)
            });
            return entries.end(found);
        }
        print(self, &opened, &tests, start.as_ref(), sink)
    }

    fn wants_json(&self) -> bool {
        self.json
    }
}

/// Prints the paths.
fn print(
    arguments: &Arguments,
    opened: &Opened,
    tests: &Tests,
    start: Option<&Node>,
    mut sink: impl Write,
) -> Result<(), CliError> {
    for_each(opened, tests, start, |node| {
        let written = match arguments.null {
            true => (sink.write_all(node.path.as_bytes())).and_then(|()| sink.write_all(b"\0")),
            false => writeln!(sink, "{}", escaped(&node.path.to_string())),
        };
        written.map_err(CliError::Stdout)
    })?;
    sink.flush().map_err(CliError::Stdout)
}

/// Visits the entries that pass the tests: `start` and those below it, or all for `None`.
fn for_each(
    opened: &Opened,
    tests: &Tests,
    start: Option<&Node>,
    mut visit: impl FnMut(&Node) -> Result<(), CliError>,
) -> Result<(), CliError> {
    let below = match start.is_none_or(Node::is_plain_directory) {
        true => Some(opened.view.walk(start)),
        false => None,
    };
    let start = start.cloned().map(Ok);
    for node in start.into_iter().chain(below.into_iter().flatten()) {
        opened.check_cancelled()?;
        let node = node?;
        if tests.pass(&opened.view, &node)? {
            visit(&node)?;
        }
    }
    Ok(())
}
