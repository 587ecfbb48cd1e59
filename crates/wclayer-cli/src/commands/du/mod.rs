//! `du`: counts the content of a chain by directory and by layer, and the hidden content.
//!
//! Walks the view once; holds only the current directories, those to show, and a record for each file
//! in memory. [`layers`] counts hidden content.

mod layers;

use std::collections::HashSet;
use std::fmt;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use serde::{Serialize, Serializer};
use wclayer::LayerPath;
use wclayer::layer::{ItemId, ItemKind};
use wclayer::source::Access;
use wclayer::view::{Node, NodeKind};

use super::Command;
use super::view_options::{Opened, ViewOptions};
use crate::errors::CliError;
use crate::escape::escaped;
use crate::layer_view;
use crate::output::Output;
use crate::path_argument::{Place, place};
use crate::units;

const EXAMPLES: &str = "\
Examples:
  wclayer du layers/app --depth 2 --sort size
  wclayer du --by-layer -l base.tar.gz app.tar.gz";

/// Show the size of the content, and how much of it upper layers hide
///
/// Counts the bytes of all data streams of files and directories, including holes. Counts a file with
/// several names once, at its first name, and a file that a layer contains twice once, as the last.
///
/// --by-layer adds the size of each layer, the part of it that upper layers hide (replace or remove),
/// and the efficiency: the visible bytes divided by the bytes of all layers. The efficiency is 100%
/// if no file is in two layers and none is removed. With --by-layer, PATH may be hidden in the chain
/// as long as a layer contains it.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Arguments {
    #[command(flatten)]
    view: ViewOptions,
    /// Directory or file to count [default: the whole layer]
    ///
    /// Use `/` or `\` in any letter case; `C:\Users` means `Files/Users`.
    #[arg(value_name = "PATH", value_parser = place())]
    path: Option<Place>,
    /// Maximum depth of the directories to show
    #[arg(long, value_name = "N", default_value_t = 1)]
    depth: usize,
    /// Also show each layer and its hidden content
    #[arg(long)]
    by_layer: bool,
    /// Order of the directories
    #[arg(long, value_name = "KEY", default_value = "name")]
    sort: Sort,
    /// Print a JSON object
    #[arg(long)]
    json: bool,
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
    by_directory: Vec<DirectoryUsage>,
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
    #[serde(serialize_with = "absolute")]
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

impl Command for Arguments {
    fn run(&self, output: &Output) -> Result<(), CliError> {
        let opened = self.view.open(Access::Listing, output)?;
        let (mut usage, counted) = walk(self, &opened)?;
        if self.by_layer {
            // A file may be visible under another name outside PATH.
            let path = Place::path(&self.path);
            let seen = match path {
                Some(_) => layers::seen(&opened)?,
                None => counted,
            };
            layers::count(path, &opened, &seen, &mut usage)?;
        }
        if self.sort == Sort::Size {
            usage
                .by_directory
                .sort_by_key(|at| std::cmp::Reverse(at.size));
        }
        output.answer(&usage, &usage)
    }

    fn wants_json(&self) -> bool {
        self.json
    }
}

/// The content of a file or directory.
#[derive(Debug, Clone, Copy, Default)]
struct Content {
    size: u64,
    files: u64,
}

/// The files, and the directories with streams, counted so far. Any file may have further names, so
/// this keeps a small record of each.
#[derive(Default)]
struct Counted(HashSet<(usize, ItemId)>);

impl Counted {
    /// Returns the content of a file or directory; `None` for another name of a counted file, and for
    /// an entry without content.
    fn content(&mut self, node: &Node) -> Option<Content> {
        let item = node.item.as_ref()?;
        let files = match (node.kind, &item.kind) {
            (NodeKind::File, ItemKind::File) => 1,
            (NodeKind::Directory, _) if item.total_size > 0 => 0,
            _ => return None,
        };
        let size = item.total_size;
        let is_new = self.0.insert((node.layer, item.id));
        is_new.then_some(Content { size, files })
    }

    fn contains(&self, node: &Node) -> bool {
        let item = node.item.as_ref();
        item.is_some_and(|item| self.0.contains(&(node.layer, item.id)))
    }
}

/// Counts the content that the view has at PATH; also returns the counted files.
fn walk(arguments: &Arguments, opened: &Opened) -> Result<(Usage, Counted), CliError> {
    let asked = Place::path(&arguments.path);
    let start = start(arguments, opened)?;
    let depth_of_start = asked.map_or(0, |path| path.components().count());
    let path = start.as_ref().map(|node| &node.path).or(asked);
    let mut usage = Usage::new(path);
    let mut counted = Counted::default();
    // The shown directories that contain the current entry, outermost first.
    let mut open: Vec<(LayerPath, usize)> = Vec::new();
    let below = match (&start, asked) {
        (Some(node), _) if node.is_plain_directory() => Some(opened.view.walk(Some(node))),
        (None, None) => Some(opened.view.walk(None)),
        _ => None,
    };
    let nodes = start.clone().into_iter().map(Ok);
    for node in nodes.chain(below.into_iter().flatten()) {
        opened.check_cancelled()?;
        let node = node?;
        while let Some((directory, _)) = open.last()
            && !node.path.is_below(directory)
        {
            open.pop();
        }
        let depth = node.path.components().count() - depth_of_start;
        if node.is_plain_directory() && (1..=arguments.depth).contains(&depth) {
            open.push((node.path.clone(), usage.by_directory.len()));
            usage.by_directory.push(DirectoryUsage::new(&node.path));
        }
        if let Some(content) = counted.content(&node) {
            usage.add(content, &open);
        }
    }
    Ok((usage, counted))
}

/// Finds the entry at PATH; `None` for the whole layer, and for a path that only `--by-layer` counts.
fn start(arguments: &Arguments, opened: &Opened) -> Result<Option<Node>, CliError> {
    match Place::path(&arguments.path) {
        // A hidden path can still be counted by layer.
        Some(path) if arguments.by_layer && is_in_a_layer(opened, path)? => {
            Ok(opened.view.find(path)?)
        }
        Some(path) => opened.find(path, false).map(Some),
        None => Ok(None),
    }
}

impl Usage {
    fn new(path: Option<&LayerPath>) -> Self {
        Self {
            path: path.map(ToString::to_string),
            size: 0,
            files: 0,
            by_directory: Vec::new(),
            layers: None,
            hidden: None,
        }
    }

    /// Adds content to the total, and to the directories in `open` by their numbers.
    fn add(&mut self, content: Content, open: &[(LayerPath, usize)]) {
        self.size = self.size.saturating_add(content.size);
        self.files += content.files;
        for (_, at) in open {
            let directory = &mut self.by_directory[*at];
            directory.size = directory.size.saturating_add(content.size);
            directory.files += content.files;
        }
    }
}

impl DirectoryUsage {
    fn new(path: &LayerPath) -> Self {
        Self {
            path: path.to_string(),
            size: 0,
            files: 0,
        }
    }
}

fn is_in_a_layer(opened: &Opened, path: &LayerPath) -> Result<bool, CliError> {
    for layer in 0..opened.view.seen() {
        if opened.view.find_in_layer(layer, path)?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

fn absolute<S: Serializer>(place: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&layer_view::absolute(place))
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
        for directory in &self.by_directory {
            row(directory.size, &directory.path)?;
        }
        row(self.size, &format!("total, {}", files(self.files)))?;
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
        let text = format!("hidden, {}; efficiency {percent:.1}%", files(hidden.files));
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
