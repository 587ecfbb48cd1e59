//! `diff`: what differs between two layers, chains or tars.

mod text;

use std::collections::BTreeMap;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use clap::builder::PossibleValuesParser;
use serde::Serialize;
use wclayer::chain::{Access, Node, NodeKind, OpenOptions};
use wclayer::diff::{Aspect, Change, DiffOptions, Difference, diff};
use wclayer::{ParentChain, Progress};

use super::view_options::Opened;
use crate::errors::CliError;
use crate::layer_view;
use crate::output::Output;
use crate::progress::Bar;

const EXAMPLES: &str = "\
Examples:
  wclayer diff old.tar.gz new.tar.gz
  wclayer diff --ignore times --right-layer layers/base layers/base app.tar
  wclayer diff --this-layer --stat layers/app1 layers/app2

Exit codes: 0 equal, 1 different or failed (with an error), 2 wrong usage.";

/// Compare two layers, chains or tars
///
/// Tells what only B has (`+`), what only A has (`-`), and of what both have (`*`) in what it
/// differs: content with its hash, each of the times, attributes, owner, group, access lists,
/// extended attributes, reparse points, alternate streams, hard links. What differs in a file with
/// several names is told at the first of these.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// Layer below both A and B: a folder or a tar; repeat it for each, nearest parent first
    #[arg(short, long = "layer", value_name = "PARENT")]
    layers: Vec<PathBuf>,
    /// Layer below A only
    #[arg(long, value_name = "PARENT", conflicts_with = "layers")]
    left_layer: Vec<PathBuf>,
    /// Layer below B only
    #[arg(long, value_name = "PARENT", conflicts_with = "layers")]
    right_layer: Vec<PathBuf>,
    /// Compare the layers alone, with what they remove of their parents
    #[arg(long)]
    this_layer: bool,
    /// What does not count, separated by commas; `times` is all four, `security` all of a descriptor
    #[arg(long, value_name = "WHAT", value_delimiter = ',', value_parser = ignorable())]
    ignore: Vec<String>,
    /// Print the numbers only
    #[arg(long)]
    stat: bool,
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
    /// One layer: its folder, or a layer tar (plain, gzip or zstd)
    #[arg(value_name = "A")]
    left: PathBuf,
    /// The other
    #[arg(value_name = "B")]
    right: PathBuf,
}

const TIMES: [Aspect; 4] = [
    Aspect::CreationTime,
    Aspect::LastAccessTime,
    Aspect::LastWriteTime,
    Aspect::ChangeTime,
];
const SECURITY: [Aspect; 5] = [
    Aspect::Owner,
    Aspect::Group,
    Aspect::Dacl,
    Aspect::Sacl,
    Aspect::Security,
];

fn ignorable() -> PossibleValuesParser {
    let names = Aspect::ALL.iter().map(|aspect| aspect.name());
    PossibleValuesParser::new(["times"].into_iter().chain(names))
}

fn options(arguments: &Arguments) -> DiffOptions {
    let mut options = DiffOptions::default();
    for name in &arguments.ignore {
        match name.as_str() {
            "times" => options.ignore.extend(TIMES),
            "security" => options.ignore.extend(SECURITY),
            name => {
                let named = Aspect::ALL.iter().filter(|aspect| aspect.name() == name);
                options.ignore.extend(named);
            }
        }
    }
    options
}

/// How much differs.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Stat {
    added: u64,
    removed: u64,
    changed: u64,
    aspects: BTreeMap<&'static str, u64>,
}

impl Stat {
    fn count(&mut self, change: &Change) {
        match change {
            Change::Added(_) => self.added += 1,
            Change::Removed(_) => self.removed += 1,
            Change::Changed { differences, .. } => {
                self.changed += 1;
                let mut aspects: Vec<_> = differences.iter().map(|found| found.aspect).collect();
                aspects.dedup();
                for aspect in aspects {
                    *self.aspects.entry(aspect.name()).or_default() += 1;
                }
            }
        }
    }

    fn is_equal(&self) -> bool {
        self.added + self.removed + self.changed == 0
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ChangeJson<'a> {
    change: &'static str,
    path: String,
    kind: &'static str,
    size: u64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    differences: Vec<DifferenceJson<'a>>,
}

#[derive(Serialize)]
struct DifferenceJson<'a> {
    aspect: &'static str,
    name: Option<&'a str>,
    left: Option<&'a str>,
    right: Option<&'a str>,
}

/// Compares two views.
pub(crate) fn run(arguments: &Arguments, output: &Output) -> Result<(), CliError> {
    let open = |layer: &Path, own: &[PathBuf]| {
        let parents = [&arguments.layers, own].concat();
        let options = OpenOptions {
            parents: ParentChain::from_nearest_first(&parents),
            this_layer: arguments.this_layer,
            access: Access::Listing,
        };
        Opened::open(layer, &options, output)
    };
    let left = open(&arguments.left, &arguments.left_layer)?;
    let right = open(&arguments.right, &arguments.right_layer)?;
    // On one terminal the bar would be drawn through the result.
    let progress = match io::stdout().is_terminal() {
        true => Bar::hidden(right.cancelled.clone()),
        false => Bar::start(output, None, right.cancelled.clone()),
    };
    let options = options(arguments);
    let mut stat = Stat::default();
    let mut sink = BufWriter::new(io::stdout().lock());
    let result = (|| -> Result<(), CliError> {
        if output.is_json() {
            let sides = [&arguments.left, &arguments.right].map(|path| layer_view::absolute(path));
            write_start(&mut sink, &sides).map_err(CliError::Stdout)?;
        }
        for change in diff(&left.view, &right.view, &options, &progress) {
            let change = change?;
            let is_first = stat.is_equal();
            stat.count(&change);
            let written = match (output.is_json(), arguments.stat || output.is_quiet()) {
                (true, _) if arguments.stat => Ok(()),
                (true, _) => write_json(&mut sink, &change, is_first),
                (false, true) => Ok(()),
                (false, false) => text::write_change(&mut sink, &change),
            };
            written.map_err(CliError::Stdout)?;
        }
        if progress.is_cancelled() {
            return Err(wclayer::Error::Cancelled.into());
        }
        let written = match output.is_json() {
            true => write_end(&mut sink, &stat),
            false if output.is_quiet() => Ok(()),
            false => text::write_stat(&mut sink, &stat),
        };
        written
            .and_then(|()| sink.flush())
            .map_err(CliError::Stdout)
    })();
    drop(progress);
    match result {
        // A reader that has seen enough does not make the layers equal.
        Err(CliError::Stdout(error)) if error.kind() == io::ErrorKind::BrokenPipe => {}
        result => result?,
    }
    match stat.is_equal() {
        true => Ok(()),
        false => Err(CliError::Told),
    }
}

fn write_start(sink: &mut impl Write, sides: &[String; 2]) -> io::Result<()> {
    let [left, right] = sides;
    let (left, right) = (serde_json::to_string(left)?, serde_json::to_string(right)?);
    write!(
        sink,
        "{{\"left\": {left}, \"right\": {right}, \"changes\": ["
    )
}

fn write_end(sink: &mut impl Write, stat: &Stat) -> io::Result<()> {
    let stat = serde_json::to_string(stat)?;
    writeln!(sink, "\n], \"stat\": {stat}}}")
}

fn node_of(change: &Change) -> (&'static str, &Node) {
    match change {
        Change::Added(node) => ("added", node),
        Change::Removed(node) => ("removed", node),
        Change::Changed { right, .. } => ("changed", right),
    }
}

fn write_json(sink: &mut impl Write, change: &Change, is_first: bool) -> io::Result<()> {
    let (name, node) = node_of(change);
    let differences = match change {
        Change::Changed { differences, .. } => differences.as_slice(),
        _ => &[],
    };
    let json = ChangeJson {
        change: name,
        path: node.path.to_string(),
        kind: match node.kind {
            NodeKind::File => "file",
            NodeKind::Directory => "directory",
            NodeKind::Removal => "removal",
        },
        size: node.size(),
        differences: differences.iter().map(difference_json).collect(),
    };
    sink.write_all(if is_first { b"\n  " } else { b",\n  " })?;
    serde_json::to_writer(&mut *sink, &json).map_err(io::Error::from)
}

fn difference_json(difference: &Difference) -> DifferenceJson<'_> {
    DifferenceJson {
        aspect: difference.aspect.name(),
        name: difference.name.as_deref(),
        left: difference.left.as_deref(),
        right: difference.right.as_deref(),
    }
}
