//! `du`: how much content a chain has, by directory and by layer, and what of it nobody sees.
//!
//! The view is walked once; only the directories on the way down, the ones to be shown, and a
//! record for each hard-linked file are held. Waste is found by looking, for each layer alone, at
//! what it has and asking the view what is seen at that path.

use std::collections::HashSet;
use std::fmt;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde::Serialize;
use wclayer::LayerPath;
use wclayer::chain::{Access, ItemId, ItemKind, Node, NodeKind, OpenOptions};

use super::view_options::{Opened, ViewOptions};
use crate::errors::CliError;
use crate::escape::escaped;
use crate::output::Output;
use crate::path_argument::{Place, place};
use crate::units;

const EXAMPLES: &str = "\
Examples:
  wclayer du layers/app --depth 2 --sort size
  wclayer du --by-layer -l base.tar.gz app.tar.gz";
/// How many hidden paths are shown.
const SHOWN: usize = 10;

/// Show how much content there is, and how much upper layers hide
///
/// Content is the bytes of all data streams, holes included; a file with several names counts once,
/// at the first of these. --by-layer adds what each layer has of what is seen, what of it is hidden
/// by layers above (replaced or removed), and the efficiency: the bytes that are seen, divided by
/// the bytes of all layers. It is 100 % when no file comes twice and none is removed.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Arguments {
    #[command(flatten)]
    view: ViewOptions,
    /// Directory or file [default: everything]
    ///
    /// Written with `/` or `\`, in any case; `C:\Users` is `Files/Users`.
    #[arg(value_name = "PATH", value_parser = place())]
    path: Option<Place>,
    /// How deep the directories lie that are shown
    #[arg(long, value_name = "N", default_value_t = 1)]
    depth: usize,
    /// Show also the layers, and what is hidden of them
    #[arg(long)]
    by_layer: bool,
    /// Order of the directories
    #[arg(long, value_name = "KEY", default_value = "name")]
    sort: Sort,
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Sort {
    /// By path
    Name,
    /// Largest first
    Size,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Usage {
    path: Option<String>,
    size: u64,
    files: u64,
    directories: Vec<DirectoryUsage>,
    #[serde(skip_serializing_if = "Option::is_none")]
    layers: Option<Vec<LayerUsage>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hidden: Option<Hidden>,
}

#[derive(Debug, Clone, Serialize)]
struct DirectoryUsage {
    path: String,
    size: u64,
    files: u64,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct LayerUsage {
    layer: usize,
    place: PathBuf,
    size: u64,
    files: u64,
    hidden_size: u64,
    hidden_files: u64,
}

#[derive(Debug, Default, Serialize)]
struct Hidden {
    size: u64,
    files: u64,
    efficiency: f64,
    largest: Vec<HiddenFile>,
}

#[derive(Debug, Clone, Serialize, PartialEq, Eq, PartialOrd, Ord)]
struct HiddenFile {
    size: u64,
    path: String,
    layer: usize,
}

/// Counts content.
pub(crate) fn run(arguments: &Arguments, output: &Output) -> Result<(), CliError> {
    let opened = arguments.view.open(Access::Listing, output)?;
    let mut usage = walk(arguments, &opened)?;
    if arguments.by_layer {
        by_layer(arguments, &opened, output, &mut usage)?;
    }
    if arguments.sort == Sort::Size {
        usage
            .directories
            .sort_by_key(|at| std::cmp::Reverse(at.size));
    }
    output.answer(&usage, &usage)
}

/// Files that were counted already: those with several names are not known beforehand, so that a
/// small record is kept of each file that may have some.
#[derive(Default)]
struct Counted(HashSet<(usize, ItemId)>);

impl Counted {
    /// Returns the bytes of a file that count, 0 for one more name of it.
    fn size(&mut self, node: &Node) -> Option<u64> {
        let item = node.item.as_ref()?;
        let is_file = item.kind == ItemKind::File && node.kind == NodeKind::File;
        (is_file && self.0.insert((node.layer, item.id))).then_some(item.total_size)
    }
}

fn walk(arguments: &Arguments, opened: &Opened) -> Result<Usage, CliError> {
    let start = match Place::path(&arguments.path) {
        Some(path) => Some(opened.find(path, false)?),
        None => None,
    };
    let above = (Place::path(&arguments.path)).map_or(0, |path| path.components().count());
    let mut usage = Usage {
        path: start.as_ref().map(|node| node.path.to_string()),
        size: 0,
        files: 0,
        directories: Vec::new(),
        layers: None,
        hidden: None,
    };
    let mut counted = Counted::default();
    // The shown directories that the walk is in, the outermost first.
    let mut open: Vec<(LayerPath, usize)> = Vec::new();
    let first = start.clone().filter(|node| !node.is_plain_directory());
    let rest = match first.is_some() {
        true => None,
        false => Some(opened.view.walk(start.as_ref())),
    };
    for node in first.into_iter().map(Ok).chain(rest.into_iter().flatten()) {
        opened.check_cancelled()?;
        let node = node?;
        open.retain(|(directory, _)| node.path.is_below(directory));
        let size = counted.size(&node);
        usage.size += size.unwrap_or(0);
        usage.files += u64::from(size.is_some());
        for (_, at) in &open {
            usage.directories[*at].size += size.unwrap_or(0);
            usage.directories[*at].files += u64::from(size.is_some());
        }
        let depth = node.path.components().count() - above;
        if node.is_plain_directory() && depth <= arguments.depth {
            open.push((node.path.clone(), usage.directories.len()));
            usage.directories.push(DirectoryUsage {
                path: node.path.to_string(),
                size: 0,
                files: 0,
            });
        }
    }
    Ok(usage)
}

/// Looks at each layer alone: what is not seen in the view at its path is hidden.
fn by_layer(
    arguments: &Arguments,
    opened: &Opened,
    output: &Output,
    usage: &mut Usage,
) -> Result<(), CliError> {
    let seen = seen_files(opened)?;
    let mut layers = Vec::new();
    let mut hidden = Hidden::default();
    let places: Vec<PathBuf> = opened.view.places().map(Into::into).collect();
    for (number, place) in places.into_iter().enumerate().take(opened.view.seen()) {
        let options = OpenOptions {
            this_layer: true,
            ..OpenOptions::default()
        };
        let alone = Opened::open(&place, &options, output)?;
        let mut counted = Counted::default();
        let mut layer = LayerUsage {
            layer: number,
            place,
            size: 0,
            files: 0,
            hidden_size: 0,
            hidden_files: 0,
        };
        for node in alone.view.walk(None) {
            opened.check_cancelled()?;
            let node = node?;
            if (Place::path(&arguments.path))
                .is_some_and(|path| node.path != *path && !node.path.is_below(path))
            {
                continue;
            }
            let Some(size) = counted.size(&node) else {
                continue;
            };
            layer.size += size;
            layer.files += 1;
            let is_seen = node
                .item
                .as_ref()
                .is_some_and(|item| seen.contains(&(number, item.id)));
            if !is_seen {
                layer.hidden_size += size;
                layer.hidden_files += 1;
                let path = node.path.to_string();
                keep_largest(
                    &mut hidden.largest,
                    HiddenFile {
                        size,
                        path,
                        layer: number,
                    },
                );
            }
        }
        hidden.size += layer.hidden_size;
        hidden.files += layer.hidden_files;
        layers.push(layer);
    }
    let total: u64 = layers.iter().map(|layer| layer.size).sum();
    hidden.efficiency = match total {
        0 => 1.0,
        _ => (total - hidden.size) as f64 / total as f64,
    };
    usage.layers = Some(layers);
    usage.hidden = Some(hidden);
    Ok(())
}

/// Returns the identities of all files in the view: a small record for each.
fn seen_files(opened: &Opened) -> Result<HashSet<(usize, ItemId)>, CliError> {
    let mut seen = Counted::default();
    for node in opened.view.walk(None) {
        opened.check_cancelled()?;
        seen.size(&node?);
    }
    Ok(seen.0)
}

fn keep_largest(largest: &mut Vec<HiddenFile>, file: HiddenFile) {
    let at = largest.partition_point(|other| (other.size, &file.path) >= (file.size, &other.path));
    largest.insert(at, file);
    largest.truncate(SHOWN);
}

fn files(count: u64) -> String {
    format!("{count} file{}", if count == 1 { "" } else { "s" })
}

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut row = |size: u64, text: &str| {
            let size = units::size(size).to_string();
            writeln!(f, "{size:>12}  {}", escaped(text))
        };
        for directory in &self.directories {
            row(directory.size, &directory.path)?;
        }
        row(self.size, &format!("in all, {}", files(self.files)))?;
        for layer in self.layers.iter().flatten() {
            let (number, place) = (layer.layer, layer.place.display());
            let count = files(layer.files);
            let hidden = units::size(layer.hidden_size);
            let hidden_count = files(layer.hidden_files);
            let text =
                format!("layer {number}: `{place}`, {count}; hidden {hidden} in {hidden_count}");
            row(layer.size, &text)?;
        }
        let Some(hidden) = &self.hidden else {
            return Ok(());
        };
        let percent = hidden.efficiency * 100.0;
        let text = format!("hidden, {}; efficiency {percent:.1} %", files(hidden.files));
        row(hidden.size, &text)?;
        for file in &hidden.largest {
            row(
                file.size,
                &format!("  {} (layer {})", file.path, file.layer),
            )?;
        }
        Ok(())
    }
}
