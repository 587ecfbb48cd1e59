//! `find`: the entries of a view that pass some tests.
//!
//! The options of the tests are in [`super::find_tests`].

use std::io::{self, BufWriter, Write};
use std::sync::Arc;

use clap::Args;
use wclayer::find::{Find, find};
use wclayer::source::Access;

use super::find_tests::TestOptions;
use super::view_options::ViewOptions;
use crate::errors::CliError;
use crate::escape::escaped;
use crate::node_view::EntriesJson;
use crate::output::Output;
use crate::path_argument::{Place, place};
use crate::progress::Bar;

const EXAMPLES: &str = "\
Examples:
  wclayer find layers/app --name '*.dll' --size +1M
  wclayer find app.tar.gz --this-layer --type w
  wclayer find layers/app Files/Windows --owner BA --attr hidden,system";

/// Find entries by name, kind, size, attributes, owner, layer or time
///
/// Prints the paths of what passes all tests, one a line.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Arguments {
    #[command(flatten)]
    view: ViewOptions,
    /// Where to look: the entry itself and all below it [default: everywhere]
    ///
    /// Written with `/` or `\`, in any case; `C:\Users` is `Files/Users`.
    #[arg(value_name = "PATH", value_parser = place())]
    path: Option<Place>,
    #[command(flatten)]
    tests: TestOptions,
    /// End each path with a NUL instead of a line end, and do not escape it
    #[arg(short = '0', long, conflicts_with = "json")]
    null: bool,
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

/// Prints what passes the tests.
pub(crate) fn run(arguments: &Arguments, output: &Output) -> Result<(), CliError> {
    let opened = arguments.view.open(Access::Listing, output)?;
    let start = match Place::path(&arguments.path) {
        Some(path) => Some(opened.find(path, false)?),
        None => None,
    };
    let tests = arguments.tests.tests(&opened)?;
    let cancelled = Bar::hidden(Arc::clone(&opened.cancelled));
    let mut found = find(&opened.view, start, &tests, &cancelled);
    let sink = BufWriter::new(io::stdout().lock());
    if arguments.json {
        let mut entries = EntriesJson::start(sink)?;
        let added = found.try_for_each(|node| entries.add(&opened.view, &node?));
        return entries.end(added);
    }
    print(found, arguments.null, sink)
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
