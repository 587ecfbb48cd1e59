//! `tree`: draws the directories of a layer.

use std::io::{self, BufWriter, Write};

use clap::Args;
use wclayer::source::Access;
use wclayer::view::Node;

use super::Command;
use super::view_options::{Opened, StartOption, ViewOptions};
use crate::errors::CliError;
use crate::escape::escaped;
use crate::node_view::{self, EntriesJson};
use crate::output::{self, Output};

const EXAMPLES: &str = "\
Examples:
  wclayer tree layers/app --depth 2
  wclayer tree app.tar.gz Files/app";

/// Draw the directory tree of a layer, as a container on top of it would see it
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Arguments {
    #[command(flatten)]
    view: ViewOptions,
    #[command(flatten)]
    start: StartOption,
    /// Maximum depth to show [default: unlimited]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    depth: Option<u32>,
    /// Follow symbolic links and junctions in PATH
    #[arg(long)]
    follow: bool,
    /// Print a JSON object
    #[arg(long)]
    json: bool,
}

/// A destination of entries.
trait Sink {
    fn entry(&mut self, opened: &Opened, before: &str, node: &Node) -> Result<(), CliError>;
}

impl Command for Arguments {
    fn run(&self, output: &Output) -> Result<(), CliError> {
        let opened = self.view.open(Access::Listing, output)?;
        let start = match self.start.path() {
            Some(path) => Some(opened.find(path, self.follow)?),
            None => None,
        };
        if self.json {
            let sink = BufWriter::new(io::stdout().lock());
            let mut entries = EntriesJson::start(sink)?;
            let drawn = draw(self, &opened, start.as_ref(), &mut entries);
            return entries.end(drawn);
        }
        let (sink, has_color) = output::text_sink();
        let mut text = Text { sink, has_color };
        let title = match &start {
            Some(node) => node.path.to_string(),
            None => ".".to_owned(),
        };
        writeln!(text.sink, "{}", escaped(&title)).map_err(CliError::Stdout)?;
        draw(self, &opened, start.as_ref(), &mut text)?;
        text.sink.flush().map_err(CliError::Stdout)
    }

    fn wants_json(&self) -> bool {
        self.json
    }
}

struct Text<W> {
    sink: W,
    has_color: bool,
}

impl<W: Write> Sink for Text<W> {
    fn entry(&mut self, opened: &Opened, before: &str, node: &Node) -> Result<(), CliError> {
        let name = node_view::name(&opened.view, node, self.has_color)?;
        writeln!(self.sink, "{before}{name}").map_err(CliError::Stdout)
    }
}

impl<W: Write> Sink for EntriesJson<W> {
    fn entry(&mut self, opened: &Opened, _: &str, node: &Node) -> Result<(), CliError> {
        self.add(&opened.view, node)
    }
}

/// Passes everything below a directory to the sink, each directory before its entries.
fn draw(
    arguments: &Arguments,
    opened: &Opened,
    start: Option<&Node>,
    sink: &mut impl Sink,
) -> Result<(), CliError> {
    if start.is_some_and(|node| !node.is_plain_directory()) {
        return Ok(());
    }
    let levels = arguments.depth.map_or(usize::MAX, |depth| depth as usize);
    let mut open = vec![opened.view.children(start)?.into_iter()];
    // The lines to the left of the names, four characters for each level.
    let mut bars = String::new();
    while let Some(last) = open.last_mut() {
        let Some(node) = last.next() else {
            open.pop();
            let cut = bars.char_indices().rev().nth(3).map_or(0, |(at, _)| at);
            bars.truncate(cut);
            continue;
        };
        opened.check_cancelled()?;
        let is_last = last.len() == 0;
        let branch = if is_last { "└── " } else { "├── " };
        sink.entry(opened, &format!("{bars}{branch}"), &node)?;
        if node.is_plain_directory() && open.len() < levels {
            bars.push_str(if is_last { "    " } else { "│   " });
            open.push(opened.view.children(Some(&node))?.into_iter());
        }
    }
    Ok(())
}
