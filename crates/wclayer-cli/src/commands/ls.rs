//! `ls`: lists a directory of a layer.

use std::io::{self, BufWriter, Write};
use std::path::PathBuf;

use clap::Args;
use wclayer::source::{Access, LayerRef};
use wclayer::view::{Node, NodeKind};
use wclayer::{ErrorKind, LayerPath};

use super::Command;
use super::view_options::{Opened, StartOption, ViewOptions};
use crate::errors::{CliError, Mistake};
use crate::escape::escaped;
use crate::file_argument::is_dash;
use crate::node_view::{self, EntriesJson};
use crate::output::{self, Output};
use crate::units;

const EXAMPLES: &str = "\
Examples:
  wclayer ls layers/app Files/Windows --long
  wclayer ls app.tar.gz --this-layer -R";

/// List a directory of a layer, as a container on top of it would see it
///
/// --long adds columns: kind (d directory, l reparse point, h hard link, w removal) and attributes
/// (r read-only, h hidden, s system, a archive, c compressed), layer (0 is the nearest), size (`?` for
/// a hard link whose target no layer contains), and last write time.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Arguments {
    #[command(flatten)]
    view: ViewOptions,
    #[command(flatten)]
    start: StartOption,
    /// Show attributes, layer, size and time of each entry (`-l` names a parent layer)
    #[arg(long)]
    long: bool,
    /// List subdirectories recursively
    #[arg(short = 'R', long)]
    recursive: bool,
    /// Follow symbolic links and junctions in PATH
    #[arg(long)]
    follow: bool,
    /// Print a JSON object
    #[arg(long)]
    json: bool,
}

impl Command for Arguments {
    fn run(&self, output: &Output) -> Result<(), CliError> {
        let opened = open(self, output)?;
        let start = match self.start.path() {
            Some(path) => Some(opened.find(path, self.follow)?),
            None => None,
        };
        if self.json {
            let sink = BufWriter::new(io::stdout().lock());
            return print_json(self, &opened, start.as_ref(), sink);
        }
        let (sink, has_color) = output::text_sink();
        let mut listing = Listing {
            arguments: self,
            opened: &opened,
            has_color,
            sink,
        };
        match &start {
            Some(node) if !node.is_plain_directory() => {
                listing.print(std::slice::from_ref(node))?;
            }
            start => listing.print_directory(start.as_ref())?,
        }
        listing.sink.flush().map_err(CliError::Stdout)
    }

    fn wants_json(&self) -> bool {
        self.json
    }
}

fn open(arguments: &Arguments, output: &Output) -> Result<Opened, CliError> {
    let opened = arguments.view.open(Access::Listing, output);
    opened.map_err(|error| {
        // `ls -lR LAYER` and `ls -l LAYER PATH` name parents that are not layers.
        let parents = &arguments.view.parents.layers;
        let is_missing = error.kind() == ErrorKind::NotFound && !parents.is_empty();
        let is_path = |parent: &PathBuf| matches!(parent.into(), LayerRef::Path(_));
        let is_no_layer =
            |parent: &PathBuf| !is_dash(parent) && is_path(parent) && !parent.exists();
        match is_missing || parents.iter().any(is_no_layer) {
            true => CliError::Mistaken(Box::new(error), Mistake::LongListing),
            false => error,
        }
    })
}

fn print_json(
    arguments: &Arguments,
    opened: &Opened,
    start: Option<&Node>,
    sink: impl Write,
) -> Result<(), CliError> {
    let mut entries = EntriesJson::start(sink)?;
    let walked = add_entries(arguments, opened, start, &mut entries);
    entries.end(walked)
}

fn add_entries(
    arguments: &Arguments,
    opened: &Opened,
    start: Option<&Node>,
    entries: &mut EntriesJson<impl Write>,
) -> Result<(), CliError> {
    match start {
        Some(node) if !node.is_plain_directory() => entries.add(&opened.view, node)?,
        start if arguments.recursive => {
            for node in opened.view.walk(start) {
                opened.check_cancelled()?;
                entries.add(&opened.view, &node?)?;
            }
        }
        start => {
            for node in opened.view.children(start)? {
                entries.add(&opened.view, &node)?;
            }
        }
    }
    Ok(())
}

/// The path of a directory as it is printed. Reuses the escaped text of the components that it shares
/// with the previous path.
#[derive(Default)]
struct Heading {
    text: String,
    /// The end of the text of each directory on the path.
    ends: Vec<usize>,
}

impl Heading {
    /// Returns the text of a path that is `steps` levels below the start of the listing.
    fn of(&mut self, path: &LayerPath, steps: usize) -> &str {
        self.ends.truncate(steps.saturating_sub(1));
        match self.ends.last() {
            None => {
                self.text.clear();
                self.text.push_str(&escaped(&path.to_string()));
            }
            Some(end) => {
                self.text.truncate(*end);
                self.text.push('/');
                self.text.push_str(&node_view::file_name(path));
            }
        }
        self.ends.push(self.text.len());
        &self.text
    }
}

/// A text listing that is being printed.
struct Listing<'a, W> {
    arguments: &'a Arguments,
    opened: &'a Opened,
    has_color: bool,
    sink: W,
}

impl<W: Write> Listing<'_, W> {
    /// Prints a directory; with -R also its subdirectories, each under its path.
    fn print_directory(&mut self, directory: Option<&Node>) -> Result<(), CliError> {
        let children = self.opened.view.children(directory)?;
        self.print(&children)?;
        if !self.arguments.recursive {
            return Ok(());
        }
        let mut heading = Heading::default();
        let mut open = vec![children.into_iter()];
        while let Some(last) = open.last_mut() {
            let Some(node) = last.next() else {
                open.pop();
                continue;
            };
            if !node.is_plain_directory() {
                continue;
            }
            self.opened.check_cancelled()?;
            let text = heading.of(&node.path, open.len());
            writeln!(self.sink, "\n{text}:").map_err(CliError::Stdout)?;
            let children = self.opened.view.children(Some(&node))?;
            self.print(&children)?;
            open.push(children.into_iter());
        }
        Ok(())
    }

    /// Prints the entries of one directory in aligned columns.
    fn print(&mut self, nodes: &[Node]) -> Result<(), CliError> {
        let size = |node: &Node| match node.kind {
            NodeKind::Removal => "-".to_owned(),
            _ if node.is_plain_directory() => "-".to_owned(),
            _ if node_view::missing_target(node).is_some() => "?".to_owned(),
            _ => units::size(node.size()).to_string(),
        };
        let sizes: Vec<String> = nodes.iter().map(size).collect();
        let width = sizes.iter().map(String::len).max().unwrap_or(0);
        for (node, size) in nodes.iter().zip(&sizes) {
            let name = node_view::name(&self.opened.view, node, self.has_color)?;
            let written = match self.arguments.long {
                false => writeln!(self.sink, "{name}"),
                true => {
                    let time = node.basic_info().map(|info| info.last_write_time);
                    // Cut to seconds; `stat` shows the full time.
                    let time = time.map_or_else(String::new, |time| time.to_string());
                    let time = time.get(..19).unwrap_or(&time).replace('T', " ");
                    let letters = node_view::letters(node);
                    let layer = node.layer;
                    writeln!(
                        self.sink,
                        "{letters}  {layer:>2}  {size:>width$}  {time:19}  {name}"
                    )
                }
            };
            written.map_err(CliError::Stdout)?;
        }
        Ok(())
    }
}
