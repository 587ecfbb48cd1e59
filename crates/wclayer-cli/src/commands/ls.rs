//! `ls`: what is in a directory of a layer.

use std::io::{self, BufWriter, Write};

use clap::Args;
use wclayer::LayerPath;
use wclayer::chain::{Access, Node};

use super::find::layer_path;
use super::view_options::{Opened, ViewOptions};
use crate::errors::CliError;
use crate::escape::escaped;
use crate::node_view::{self, EntriesJson};
use crate::output::Output;
use crate::units;

const EXAMPLES: &str = "\
Examples:
  wclayer ls layers/app Files/Windows --long
  wclayer ls app.tar.gz --this-layer -R";

/// List a directory of a layer, as a container on top of it would see it
///
/// With --long: what an entry is and its attributes (d directory, l reparse point, h hard link,
/// w removal; r read-only, h hidden, s system, a archive, c compressed), the layer that it comes
/// from (0 is the nearest), its size, when it was last written, its name.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Arguments {
    #[command(flatten)]
    view: ViewOptions,
    /// The directory, or a file [default: the top of the layer]
    #[arg(value_name = "PATH", value_parser = layer_path)]
    path: Option<LayerPath>,
    /// Show attributes, layer, size and time of each
    #[arg(long)]
    long: bool,
    /// List the directories below as well
    #[arg(short = 'R', long)]
    recursive: bool,
    /// Follow symbolic links and junctions on the way to PATH
    #[arg(long)]
    follow: bool,
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

/// Prints the listing.
pub(crate) fn run(arguments: &Arguments, output: &Output) -> Result<(), CliError> {
    let opened = arguments.view.open(Access::Listing, output)?;
    let start = match &arguments.path {
        Some(path) => Some(opened.find(path, arguments.follow)?),
        None => None,
    };
    let mut sink = BufWriter::new(io::stdout().lock());
    if arguments.json {
        return print_json(arguments, &opened, start.as_ref(), sink);
    }
    match &start {
        Some(node) if !node.is_plain_directory() => {
            print(arguments, &opened, std::slice::from_ref(node), &mut sink)?;
        }
        start => print_directory(arguments, &opened, start.as_ref(), &mut sink)?,
    }
    sink.flush().map_err(CliError::Stdout)
}

fn print_json(
    arguments: &Arguments,
    opened: &Opened,
    start: Option<&Node>,
    sink: impl Write,
) -> Result<(), CliError> {
    let mut entries = EntriesJson::start(sink)?;
    match start {
        Some(node) if !node.is_plain_directory() => entries.add(node)?,
        start if arguments.recursive => {
            for node in opened.view.walk(start) {
                opened.check_cancelled()?;
                entries.add(&node?)?;
            }
        }
        start => {
            for node in opened.view.children(start)? {
                entries.add(&node)?;
            }
        }
    }
    entries.finish()
}

/// Prints a directory; with -R those below as well, each under its path.
fn print_directory(
    arguments: &Arguments,
    opened: &Opened,
    directory: Option<&Node>,
    sink: &mut impl Write,
) -> Result<(), CliError> {
    let children = opened.view.children(directory)?;
    print(arguments, opened, &children, sink)?;
    if !arguments.recursive {
        return Ok(());
    }
    let mut open = vec![children.into_iter()];
    while let Some(last) = open.last_mut() {
        let Some(node) = last.next() else {
            open.pop();
            continue;
        };
        if !node.is_plain_directory() {
            continue;
        }
        opened.check_cancelled()?;
        let path = node.path.to_string();
        writeln!(sink, "\n{}:", escaped(&path)).map_err(CliError::Stdout)?;
        let children = opened.view.children(Some(&node))?;
        print(arguments, opened, &children, sink)?;
        open.push(children.into_iter());
    }
    Ok(())
}

/// Prints entries of one directory, columns aligned.
fn print(
    arguments: &Arguments,
    opened: &Opened,
    nodes: &[Node],
    sink: &mut impl Write,
) -> Result<(), CliError> {
    let sizes: Vec<String> = nodes
        .iter()
        .map(|node| match node.is_plain_directory() {
            true => "-".to_owned(),
            false => units::size(node.size()).to_string(),
        })
        .collect();
    let width = sizes.iter().map(String::len).max().unwrap_or(0);
    for (node, size) in nodes.iter().zip(&sizes) {
        let name = node_view::name(&opened.view, node)?;
        let written = match arguments.long {
            false => writeln!(sink, "{name}"),
            true => {
                let time = node.basic_info().map(|info| info.last_write_time);
                // To the second: `stat` shows all of it.
                let time = time.map_or_else(String::new, |time| time.to_string());
                let time = time.get(..19).unwrap_or(&time).replace('T', " ");
                let letters = node_view::letters(node);
                let layer = node.layer;
                writeln!(
                    sink,
                    "{letters}  {layer:>2}  {size:>width$}  {time:19}  {name}"
                )
            }
        };
        written.map_err(CliError::Stdout)?;
    }
    Ok(())
}
