//! `stat`: shows everything about one path of a layer.
//!
//! [`security`], [`metadata`] and [`layers`] each show a part.

mod layers;
mod metadata;
mod security;

use std::io::Read as _;
use std::path::Path;

use clap::Args;
use serde::Serialize;
use wclayer::digest::Hasher;
use wclayer::layer::Details;
use wclayer::source::Access;
use wclayer::view::{Node, NodeKind};
use wclayer::{Digest, LayerPath, StreamName};

use self::layers::LayerChangesJson;
use self::metadata::{EaJson, ReparseJson};
use self::security::SecurityJson;
use super::Command;
use super::view_options::{Opened, ViewOptions};
use crate::errors::CliError;
use crate::layer_view;
use crate::node_view::{self, NodeJson};
use crate::output::{Output, Summary};
use crate::path_argument::layer_path;
use crate::units;

const EXAMPLES: &str = "\
Examples:
  wclayer stat layers/app Files/Windows/notepad.exe
  wclayer stat --json app.tar.gz Files/app";

/// Show everything about one path of a layer
///
/// Shows the four times to 100 ns, the attributes, the security descriptor as SDDL and in words, the
/// reparse point and its target, extended attributes, streams with sizes and SHA-256, all names of
/// the file, its layer, and the changes that other layers make to the path.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Arguments {
    #[command(flatten)]
    view: ViewOptions,
    /// File or directory to show
    ///
    /// Use `/` or `\` in any letter case; `C:\Users` means `Files/Users`.
    #[arg(value_name = "PATH", value_parser = layer_path())]
    path: LayerPath,
    /// Follow symbolic links and junctions
    #[arg(long)]
    follow: bool,
    /// Print a JSON object
    #[arg(long)]
    json: bool,
}

/// Everything about a path, as JSON.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct StatJson {
    #[serde(flatten)]
    node: NodeJson,
    place: Option<String>,
    creation_time: Option<String>,
    last_access_time: Option<String>,
    change_time: Option<String>,
    security: Option<SecurityJson>,
    reparse: Option<ReparseJson>,
    extended_attributes: Vec<EaJson>,
    extended_attributes_problem: Option<String>,
    streams: Vec<StreamJson>,
    names: Vec<String>,
    layers: Vec<LayerChangesJson>,
}

/// How many bytes of holes are hashed as zeros if the layer does not record the hash: about a second
/// of work.
const MAX_HOLES: u64 = 1 << 30;

/// A data stream as JSON.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct StreamJson {
    name: Option<String>,
    size: u64,
    allocated: u64,
    sparse: bool,
    sha256: Option<Digest>,
}

impl Command for Arguments {
    fn run(&self, output: &Output) -> Result<(), CliError> {
        let opened = self.view.open(Access::Listing, output)?;
        let node = opened.find(&self.path, self.follow)?;
        let details = opened.view.details(&node)?;
        let json = StatJson::new(&opened, &node, &details)?;
        let place = opened.view.places().nth(node.layer);
        output.answer(&json.summary(&node, place), &json)
    }

    fn wants_json(&self) -> bool {
        self.json
    }
}

impl StatJson {
    fn new(opened: &Opened, node: &Node, details: &Details) -> Result<Self, CliError> {
        let info = node.basic_info();
        let names = opened.view.names(node)?;
        let place = node
            .item
            .is_some()
            .then(|| opened.view.places().nth(node.layer));
        let security = details.security.as_deref();
        let is_directory = node.kind == NodeKind::Directory;
        let (extended_attributes, extended_attributes_problem) =
            metadata::extended_attributes(details.ea.as_deref());
        Ok(Self {
            node: NodeJson::new(&opened.view, node)?,
            place: place.flatten().map(layer_view::absolute),
            creation_time: info.map(|info| info.creation_time.to_string()),
            last_access_time: info.map(|info| info.last_access_time.to_string()),
            change_time: info.map(|info| info.change_time.to_string()),
            security: security.map(|bytes| SecurityJson::new(bytes, is_directory)),
            reparse: details.reparse.as_deref().map(ReparseJson::new),
            extended_attributes,
            extended_attributes_problem,
            streams: streams(opened, node, details)?,
            names: names.iter().map(ToString::to_string).collect(),
            layers: layers::changes(opened, node)?,
        })
    }

    fn summary(&self, node: &Node, place: Option<&Path>) -> Summary {
        let mut summary = Summary::new(node.path.to_string());
        summary.row("kind", describe(node));
        if let (Some(_), Some(place)) = (&node.item, place) {
            let place = place.display();
            summary.row("layer", format!("{} (`{place}`)", node.layer));
        }
        if let Some(info) = node.basic_info() {
            summary.row("created", info.creation_time);
            summary.row("accessed", info.last_access_time);
            summary.row("written", info.last_write_time);
            summary.row("changed", info.change_time);
            let names: Vec<_> = node.attributes().names().collect();
            let names = match names.is_empty() {
                true => "none".to_owned(),
                false => names.join(", "),
            };
            let bits = node.attributes().bits();
            summary.row("attributes", format!("{names} ({bits:#x})"));
        }
        if let Some(link) = &node.link {
            let missing = match node_view::missing_target(node) {
                Some(_) => " (no layer contains it: name the parents with -l)",
                None => "",
            };
            summary.row("hard link to", format!("{link}{missing}"));
        }
        self.metadata_rows(node, &mut summary);
        if self.names.len() > 1 {
            for name in &self.names {
                summary.row("name", name);
            }
        }
        // A single layer has nothing to add.
        if self.layers.iter().any(|changes| !changes.is(node)) {
            self.layers
                .iter()
                .for_each(|changes| changes.row(&mut summary));
        }
        summary
    }

    /// Adds rows about the reparse point, the security descriptor, extended attributes and streams.
    fn metadata_rows(&self, node: &Node, summary: &mut Summary) {
        if let Some(reparse) = &self.reparse {
            reparse.rows(summary);
        }
        match &self.security {
            Some(security) => security.rows(summary),
            None if node.item.is_some() => summary.row("descriptor", "none"),
            None => {}
        }
        for attribute in &self.extended_attributes {
            attribute.row(summary);
        }
        if let Some(problem) = &self.extended_attributes_problem {
            summary.row("EA", format!("malformed: {problem}"));
        }
        for stream in &self.streams {
            summary.row("stream", stream.text());
        }
    }
}

fn describe(node: &Node) -> String {
    let kind = node_view::kind_name(node.kind);
    match (node.is_reparse_point(), &node.item) {
        (true, _) => format!("{kind}, a reparse point"),
        (false, None) if node.kind != NodeKind::Removal => {
            format!("{kind} without an entry of its own")
        }
        _ => kind.to_owned(),
    }
}

impl StreamJson {
    fn text(&self) -> String {
        let name = match &self.name {
            None => "data".to_owned(),
            Some(name) => format!(":{name}"),
        };
        let sparse = match self.sparse {
            true => format!(", {} allocated", units::size(self.allocated)),
            false => String::new(),
        };
        let (size, bytes) = (units::size(self.size), self.size);
        let sha256 = match self.sha256 {
            Some(sha256) => sha256.to_string(),
            None => "not hashed: its holes are too large".to_owned(),
        };
        format!("{name}: {size} ({bytes} bytes{sparse}), {sha256}")
    }
}

fn streams(opened: &Opened, node: &Node, details: &Details) -> Result<Vec<StreamJson>, CliError> {
    let of_stream = |stream: &wclayer::layer::StreamDetails| {
        Ok(StreamJson {
            name: stream.name.as_ref().map(ToString::to_string),
            size: stream.size,
            allocated: stream.allocated,
            sparse: stream.is_sparse,
            sha256: match stream.sha256 {
                None if stream.holes() <= MAX_HOLES => {
                    Some(hash(opened, node, stream.name.as_ref())?)
                }
                known => known,
            },
        })
    };
    details.streams.iter().map(of_stream).collect()
}

/// Hashes a stream whose hash the layer does not record.
fn hash(opened: &Opened, node: &Node, stream: Option<&StreamName>) -> Result<Digest, CliError> {
    let mut content = opened.view.content(node, stream)?.reader();
    let mut hasher = Hasher::new();
    let mut piece = vec![0; 256 * 1024];
    loop {
        opened.check_cancelled()?;
        let read = content.read(&mut piece).map_err(wclayer::Error::input)?;
        if read == 0 {
            return Ok(hasher.finish());
        }
        hasher.update(&piece[..read]);
    }
}
