//! `find`: the entries of a view that pass some tests.
//!
//! The tests are in [`super::find_tests`]; this file walks and prints.

use std::io::{self, BufWriter, Write};

use clap::Args;
use wclayer::chain::{Access, Node};

use super::find_tests::{TestOptions, Tests};
use super::view_options::{Opened, ViewOptions};
use crate::errors::CliError;
use crate::escape::escaped;
use crate::node_view::NodeJson;
use crate::output::Output;
use crate::path_argument::{Place, place};

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
    let tests = Tests::new(&arguments.tests, &opened)?;
    let mut sink = BufWriter::new(io::stdout().lock());
    let mut printer = Printer {
        arguments,
        is_first: true,
        sink: &mut sink,
    };
    if arguments.json {
        printer.raw(b"{\"entries\": [")?;
    }
    if let Some(node) = &start {
        visit(&opened, &tests, node, &mut printer)?;
    }
    if start.as_ref().is_none_or(Node::is_plain_directory) {
        for node in opened.view.walk(start.as_ref()) {
            visit(&opened, &tests, &node?, &mut printer)?;
        }
    }
    if arguments.json {
        printer.raw(b"\n]}\n")?;
    }
    sink.flush().map_err(CliError::Stdout)
}

fn visit(
    opened: &Opened,
    tests: &Tests,
    node: &Node,
    printer: &mut Printer<'_, impl Write>,
) -> Result<(), CliError> {
    opened.check_cancelled()?;
    if tests.pass(&opened.view, node)? {
        printer.print(node).map_err(CliError::Stdout)?;
    }
    Ok(())
}

struct Printer<'a, W> {
    arguments: &'a Arguments,
    is_first: bool,
    sink: &'a mut W,
}

impl<W: Write> Printer<'_, W> {
    fn raw(&mut self, bytes: &[u8]) -> Result<(), CliError> {
        self.sink.write_all(bytes).map_err(CliError::Stdout)
    }

    fn print(&mut self, node: &Node) -> io::Result<()> {
        if self.arguments.null {
            self.sink.write_all(node.path.as_bytes())?;
            return self.sink.write_all(b"\0");
        }
        if !self.arguments.json {
            return writeln!(self.sink, "{}", escaped(&node.path.to_string()));
        }
        let before: &[u8] = if self.is_first { b"\n  " } else { b",\n  " };
        self.is_first = false;
        self.sink.write_all(before)?;
        let json = NodeJson::new(node);
        serde_json::to_writer(&mut *self.sink, &json).map_err(io::Error::from)
    }
}
