//! `diff`: compares two layers, chains or tars.

mod json;
mod text;

use std::collections::BTreeMap;
use std::io::{self, BufWriter, IsTerminal};
use std::path::{Path, PathBuf};

use clap::Args;
use clap::builder::PossibleValuesParser;
use serde::Serialize;
use wclayer::diff::{Aspect, Change, DiffOptions, diff};
use wclayer::portable::PortableError;
use wclayer::source::{Access, ImageChoice, OpenOptions};
use wclayer::view::Node;
use wclayer::{Error, ParentChain};

use super::Command;
use super::parent_options::ParentOptions;
use super::view_options::Opened;
use crate::errors::{CliError, FAILED_TO_ANSWER, Mistake};
use crate::output::Output;
use crate::progress::Bar;

const EXAMPLES: &str = "\
Examples:
  wclayer diff old.tar.gz new.tar.gz
  wclayer diff --ignore times --right-layer layers/base layers/base app.tar
  wclayer diff --this-layer --stat layers/app1 layers/app2

Exit codes: 0 equal, 1 different, 2 failure or wrong usage.";

/// Compare two layers, chains or tars
///
/// Lists entries only in B (`+`), entries only in A (`-`), and differences between entries in both
/// (`*`): content (by hash), times, attributes, owner, group, access control lists, extended
/// attributes, reparse points, alternate data streams and hard links. Lists the differences of a file
/// with several names once, at its first name in both. -l names parents of both A and B. With
/// --quiet, prints nothing: the exit code is the answer.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Arguments {
    #[command(flatten)]
    parents: ParentOptions,
    /// Parent layer of A only, nearest first (repeatable)
    #[arg(long, value_name = "PARENT", conflicts_with = "layers")]
    left_layer: Vec<PathBuf>,
    /// Parent layer of B only, nearest first (repeatable)
    #[arg(long, value_name = "PARENT", conflicts_with = "layers")]
    right_layer: Vec<PathBuf>,
    /// Compare the layers alone, including their removals
    #[arg(long)]
    this_layer: bool,
    /// Differences to ignore, separated by commas; `times` stands for all four, `security` for the
    /// whole descriptor
    #[arg(long, value_name = "WHAT", value_delimiter = ',', value_parser = ignorable())]
    ignore: Vec<String>,
    /// Print only the number of differences
    #[arg(long)]
    stat: bool,
    /// Print a JSON object
    #[arg(long)]
    json: bool,
    /// First layer: a folder, a layer tar (plain, gzip or zstd), or an image
    #[arg(value_name = "A")]
    left: PathBuf,
    /// Second layer
    #[arg(value_name = "B")]
    right: PathBuf,
}

const TIMES: [Aspect; 4] = [
    Aspect::CreationTime,
    Aspect::LastAccessTime,
    Aspect::LastWriteTime,
    Aspect::ChangeTime,
];
const SECURITY: [Aspect; 6] = [
    Aspect::Owner,
    Aspect::Group,
    Aspect::Dacl,
    Aspect::Sacl,
    Aspect::Security,
    Aspect::SecurityBytes,
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

/// The number of differences.
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

impl Command for Arguments {
    fn run(&self, output: &Output) -> Result<(), CliError> {
        let left = open(self, &self.left, &self.left_layer, output)?;
        let right = open(self, &self.right, &self.right_layer, output)?;
        // On a terminal, the bar would be drawn over the result.
        let progress = match io::stdout().is_terminal() {
            true => Bar::hidden(right.cancelled.clone()),
            false => Bar::start(output, None, right.cancelled.clone()),
        };
        let options = options(self);
        let changes = diff(&left.view, &right.view, &options, &progress);
        let mut stat = Stat::default();
        let sink = BufWriter::new(io::stdout().lock());
        let printed = match (output.is_json(), output.is_quiet()) {
            (true, _) => json::print(self, changes, &mut stat, sink),
            (false, true) => for_each(changes, &mut stat, |_| Ok(())),
            (false, false) => text::print(self, changes, &mut stat, sink),
        };
        drop(progress);
        match printed {
            // If the reader stops early, the layers may still differ.
            Err(CliError::Stdout(error)) if error.kind() == io::ErrorKind::BrokenPipe => {}
            printed => printed?,
        }
        match stat.is_equal() {
            true => Ok(()),
            false => Err(CliError::Found),
        }
    }

    fn wants_json(&self) -> bool {
        self.json
    }

    fn exit_code_of_failure(&self) -> u8 {
        FAILED_TO_ANSWER
    }
}

fn open(
    arguments: &Arguments,
    layer: &Path,
    own_parents: &[PathBuf],
    output: &Output,
) -> Result<Opened, CliError> {
    let parents = [&arguments.parents.layers, own_parents].concat();
    let options = OpenOptions {
        parents: ParentChain::from_nearest_first(&parents),
        this_layer: arguments.this_layer,
        access: Access::Listing,
        image: ImageChoice::default(),
    };
    let opened = Opened::open(layer, &options, output);
    opened.map_err(|error| match &error {
        // A likely mistake: only one side has these parents.
        CliError::Layer(Error::Portable(PortableError::ParentMismatch { .. }))
            if !arguments.parents.layers.is_empty() =>
        {
            CliError::Mistaken(Box::new(error), Mistake::ParentsOfOneSide)
        }
        _ => error,
    })
}

/// Counts the changes and passes each to `visit`.
fn for_each(
    changes: impl Iterator<Item = wclayer::Result<Change>>,
    stat: &mut Stat,
    mut visit: impl FnMut(&Change) -> Result<(), CliError>,
) -> Result<(), CliError> {
    for change in changes {
        let change = change?;
        stat.count(&change);
        visit(&change)?;
    }
    Ok(())
}

fn node_of(change: &Change) -> (&'static str, &Node) {
    match change {
        Change::Added(node) => ("added", node),
        Change::Removed(node) => ("removed", node),
        Change::Changed { right, .. } => ("changed", right),
    }
}
