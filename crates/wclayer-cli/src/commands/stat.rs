//! `stat`: all that a layer knows of one path.

use std::io;

use clap::Args;
use serde::Serialize;
use wclayer::chain::{Access, Details, Node, NodeKind};
use wclayer::digest::Hasher;
use wclayer::ntmeta::ea;
use wclayer::ntmeta::security::explain::account;
use wclayer::ntmeta::security::{AclSlot, SecurityDescriptor};
use wclayer::{Digest, LayerPath, StreamName};

use super::find::layer_path;
use super::view_options::{Opened, ViewOptions};
use crate::errors::CliError;
use crate::escape::escaped;
use crate::node_view::{self, NodeJson};
use crate::output::{Output, Summary};
use crate::units;

const EXAMPLES: &str = "\
Examples:
  wclayer stat layers/app Files/Windows/notepad.exe
  wclayer stat --json app.tar.gz Files/app";

/// How many bytes of an extended attribute are shown to people.
const SHOWN_BYTES: usize = 32;

/// Show everything about one path of a layer
///
/// The four times to 100 ns, attributes, the security descriptor as SDDL and in words, the target
/// of a reparse point, extended attributes, streams with sizes and SHA-256, all names of the file,
/// and the layer that it comes from.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Arguments {
    #[command(flatten)]
    view: ViewOptions,
    /// The file or directory
    #[arg(value_name = "PATH", value_parser = layer_path)]
    path: LayerPath,
    /// Follow symbolic links and junctions
    #[arg(long)]
    follow: bool,
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
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
    reparse_target: Option<String>,
    extended_attributes: Vec<EaJson>,
    streams: Vec<StreamJson>,
    names: Vec<String>,
}

/// A security descriptor as JSON.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct SecurityJson {
    size: usize,
    sddl: Option<String>,
    owner: Option<String>,
    group: Option<String>,
    dacl: Vec<String>,
    sacl: Vec<String>,
    problem: Option<String>,
}

/// An extended attribute as JSON.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct EaJson {
    name: String,
    flags: u8,
    size: usize,
    value: String,
}

/// A data stream as JSON.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct StreamJson {
    name: Option<String>,
    size: u64,
    allocated: u64,
    sparse: bool,
    sha256: Digest,
}

/// Prints what is known of the path.
pub(crate) fn run(arguments: &Arguments, output: &Output) -> Result<(), CliError> {
    let opened = arguments.view.open(Access::Listing, output)?;
    let node = opened.find(&arguments.path, arguments.follow)?;
    let details = opened.view.details(&node)?;
    let json = StatJson::new(&opened, &node, &details)?;
    output.result(&json.summary(&node), &json)
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
        Ok(Self {
            node: NodeJson::new(node),
            place: place.flatten().map(|place| place.display().to_string()),
            creation_time: info.map(|info| info.creation_time.to_string()),
            last_access_time: info.map(|info| info.last_access_time.to_string()),
            change_time: info.map(|info| info.change_time.to_string()),
            security: security.map(|bytes| SecurityJson::new(bytes, is_directory)),
            reparse_target: node_view::reparse_target(&opened.view, node)?,
            extended_attributes: extended_attributes(details)?,
            streams: streams(opened, node, details)?,
            names: names.iter().map(ToString::to_string).collect(),
        })
    }

    fn summary(&self, node: &Node) -> Summary {
        let mut summary = Summary::new(escaped(&node.path.to_string()).into_owned());
        summary.row("kind", describe(node));
        if let Some(place) = &self.place {
            summary.row("layer", format!("{} (`{}`)", node.layer, escaped(place)));
        }
        if let Some(info) = node.basic_info() {
            summary.row("created", info.creation_time);
            summary.row("accessed", info.last_access_time);
            summary.row("written", info.last_write_time);
            summary.row("changed", info.change_time);
            let names: Vec<_> = node.attributes().names().collect();
            let bits = node.attributes().bits();
            summary.row("attributes", format!("{} ({bits:#x})", names.join(", ")));
        }
        if let Some(link) = &node.link {
            summary.row("hard link to", escaped(&link.to_string()));
        }
        if let Some(target) = &self.reparse_target {
            summary.row("target", escaped(target));
        }
        if let Some(security) = &self.security {
            security.rows(&mut summary);
        }
        for attribute in &self.extended_attributes {
            let value = shown(&attribute.value);
            let name = escaped(&attribute.name);
            let flags = attribute.flags;
            summary.row(
                "EA",
                format!(
                    "{name}: {} bytes, flags {flags:#x}: {value}",
                    attribute.size
                ),
            );
        }
        for stream in &self.streams {
            summary.row("stream", stream.text());
        }
        if self.names.len() > 1 {
            for name in &self.names {
                summary.row("name", escaped(name));
            }
        }
        summary
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

impl SecurityJson {
    fn new(bytes: &[u8], is_directory: bool) -> Self {
        let parsed = SecurityDescriptor::parse(bytes);
        let list = |slot: &AclSlot| match slot {
            AclSlot::Absent => Vec::new(),
            AclSlot::Null => vec!["everything is allowed (a NULL list)".to_owned()],
            AclSlot::Present(acl) => acl
                .aces
                .iter()
                .map(|ace| ace.explain(is_directory).to_string())
                .collect(),
        };
        let known = parsed.as_ref().ok();
        Self {
            size: bytes.len(),
            sddl: known.and_then(|known| known.to_sddl().ok()),
            owner: known.and_then(|known| known.owner.as_ref()).map(account),
            group: known.and_then(|known| known.group.as_ref()).map(account),
            dacl: known.map(|known| list(&known.dacl)).unwrap_or_default(),
            sacl: known.map(|known| list(&known.sacl)).unwrap_or_default(),
            problem: parsed.as_ref().err().map(ToString::to_string),
        }
    }

    fn rows(&self, summary: &mut Summary) {
        if let Some(problem) = &self.problem {
            summary.row("descriptor", format!("malformed: {problem}"));
        }
        if let Some(sddl) = &self.sddl {
            summary.row("SDDL", escaped(sddl));
        }
        for (label, account) in [("owner", &self.owner), ("group", &self.group)] {
            if let Some(account) = account {
                summary.row(label, account);
            }
        }
        for (label, entries) in [("DACL", &self.dacl), ("SACL", &self.sacl)] {
            entries.iter().for_each(|entry| summary.row(label, entry));
        }
    }
}

impl StreamJson {
    fn text(&self) -> String {
        let name = match &self.name {
            None => "data".to_owned(),
            Some(name) => format!(":{}", escaped(name)),
        };
        let sparse = match self.sparse {
            true => format!(", {} allocated", units::size(self.allocated)),
            false => String::new(),
        };
        let (size, bytes) = (units::size(self.size), self.size);
        format!("{name}: {size} ({bytes} bytes{sparse}), {}", self.sha256)
    }
}

fn extended_attributes(details: &Details) -> Result<Vec<EaJson>, CliError> {
    let Some(list) = &details.ea else {
        return Ok(Vec::new());
    };
    let decoded = ea::decode_list(list).map_err(|error| {
        wclayer::Error::Input(io::Error::new(io::ErrorKind::InvalidData, error))
    })?;
    let json = decoded.into_iter().map(|attribute| EaJson {
        name: String::from_utf8_lossy(&attribute.name).into_owned(),
        flags: attribute.flags,
        size: attribute.value.len(),
        value: attribute
            .value
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect(),
    });
    Ok(json.collect())
}

/// Returns the first bytes of a value in hexadecimal digits.
fn shown(value: &str) -> String {
    match value.get(..2 * SHOWN_BYTES) {
        Some(start) if start.len() < value.len() => format!("{start}…"),
        _ => value.to_owned(),
    }
}

fn streams(opened: &Opened, node: &Node, details: &Details) -> Result<Vec<StreamJson>, CliError> {
    let of_stream = |stream: &wclayer::chain::StreamDetails| {
        Ok(StreamJson {
            name: stream.name.as_ref().map(ToString::to_string),
            size: stream.size,
            allocated: stream.allocated,
            sparse: stream.is_sparse,
            sha256: match stream.sha256 {
                Some(sha256) => sha256,
                None => hash(opened, node, stream.name.as_ref())?,
            },
        })
    };
    details.streams.iter().map(of_stream).collect()
}

/// Reads a stream for its hash, where the layer does not know that.
fn hash(opened: &Opened, node: &Node, stream: Option<&StreamName>) -> Result<Digest, CliError> {
    let mut content = opened.view.content(node, stream)?;
    let mut hasher = Hasher::new();
    let mut piece = vec![0; 256 * 1024];
    loop {
        opened.check_cancelled()?;
        let read = content.read(&mut piece).map_err(wclayer::Error::Input)?;
        if read == 0 {
            return Ok(hasher.finish());
        }
        hasher.update(&piece[..read]);
    }
}
