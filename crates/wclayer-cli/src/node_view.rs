//! Describes an entry of a view in text or as a JSON object (`docs/json.md`), the same in every
//! command.

use std::io::Write;

use anstyle::{AnsiColor, Style};
use serde::Serialize;
use wclayer::LayerPath;
use wclayer::layer::{ItemKind, Removed};
use wclayer::ntmeta::{FileAttributes, ReparsePoint, wide};
use wclayer::view::{Node, NodeKind, View};

use crate::errors::CliError;
use crate::escape::escaped;
use crate::list_json::ListJson;

/// An entry as JSON.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct NodeJson {
    path: String,
    kind: &'static str,
    size: Option<u64>,
    layer: usize,
    attributes: Vec<String>,
    last_write_time: Option<String>,
    reparse_point: bool,
    reparse_target: Option<String>,
    link: Option<String>,
    target_missing: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    removed: Option<&'static str>,
}

impl NodeJson {
    /// Describes a node of a view.
    pub(crate) fn new(view: &View, node: &Node) -> Result<Self, CliError> {
        let reparse_target = match node.is_reparse_point() {
            true => reparse_target(view, node)?,
            false => None,
        };
        Ok(Self {
            path: node.path.to_string(),
            kind: kind_name(node.kind),
            size: known_size(node),
            layer: node.layer,
            attributes: node.attributes().names().map(Into::into).collect(),
            last_write_time: node
                .basic_info()
                .map(|info| info.last_write_time.to_string()),
            reparse_point: node.is_reparse_point(),
            reparse_target,
            link: node.link.as_ref().map(ToString::to_string),
            target_missing: missing_target(node).is_some(),
            removed: removed(node).map(removed_name),
        })
    }
}

/// Returns the length of the unnamed data stream; `None` for a removal, and for a hard link whose
/// target is missing.
pub(crate) fn known_size(node: &Node) -> Option<u64> {
    let is_known = node.kind != NodeKind::Removal && missing_target(node).is_none();
    is_known.then(|| node.size())
}

/// Returns what a layer removes at its node. A file needs no removal to hide its path below.
fn removed(node: &Node) -> Option<Removed> {
    let removes = node.kind == NodeKind::Removal || node.is_plain_directory();
    node.removed.filter(|_| removes)
}

/// Returns the JSON name of a removal.
pub(crate) fn removed_name(removed: Removed) -> &'static str {
    match removed {
        Removed::Path => "path",
        Removed::Contents => "contents",
    }
}

/// Returns the JSON name of a kind.
pub(crate) fn kind_name(kind: NodeKind) -> &'static str {
    match kind {
        NodeKind::File => "file",
        NodeKind::Directory => "directory",
        NodeKind::Removal => "removal",
    }
}

/// Writes `{"entries": […]}` entry by entry.
pub(crate) struct EntriesJson<W> {
    list: ListJson<W>,
}

impl<W: Write> EntriesJson<W> {
    /// Starts the object.
    pub(crate) fn start(sink: W) -> Result<Self, CliError> {
        let list = ListJson::start(sink, &[], "entries")?;
        Ok(Self { list })
    }

    /// Adds an entry.
    pub(crate) fn add(&mut self, view: &View, node: &Node) -> Result<(), CliError> {
        self.list.add(&NodeJson::new(view, node)?)
    }

    /// Ends the object, with the error if the walk failed.
    pub(crate) fn end(self, walked: Result<(), CliError>) -> Result<(), CliError> {
        self.list.end(None, walked)
    }
}

/// Returns six letters: the kind (`d` directory, `l` reparse point, `h` hard link, `w` removal), and
/// `r`, `h`, `s`, `a`, `c` for read-only, hidden, system, archive, compressed.
pub(crate) fn letters(node: &Node) -> String {
    let attributes = node.attributes();
    let kind = match node.kind {
        NodeKind::Removal => 'w',
        _ if node.is_reparse_point() => 'l',
        NodeKind::Directory => 'd',
        NodeKind::File if node.link.is_some() => 'h',
        NodeKind::File => '-',
    };
    let flags = [
        (FileAttributes::READONLY, 'r'),
        (FileAttributes::HIDDEN, 'h'),
        (FileAttributes::SYSTEM, 's'),
        (FileAttributes::ARCHIVE, 'a'),
        (FileAttributes::COMPRESSED, 'c'),
    ];
    let flags = flags.map(|(flag, letter)| match attributes.contains(flag) {
        true => letter,
        false => '-',
    });
    std::iter::once(kind).chain(flags).collect()
}

/// Returns the last component, perhaps in colour, and what follows it in listings: `/` after a
/// directory, the target of a link or a note that it is missing, a note on a removal.
pub(crate) fn name(view: &View, node: &Node, has_color: bool) -> Result<String, CliError> {
    let name = match has_color {
        true => styled(&file_name(&node.path), style(node)),
        false => file_name(&node.path),
    };
    let removed = match node.removed {
        Some(Removed::Contents) => " (opaque)",
        Some(Removed::Path) if node.kind == NodeKind::Directory => " (replaced)",
        _ => "",
    };
    Ok(match node.kind {
        NodeKind::Removal => format!("{name} (removed)"),
        _ if node.is_reparse_point() => match reparse_target(view, node)? {
            Some(target) => format!("{name} -> {}", escaped(&target)),
            None => name,
        },
        NodeKind::Directory => format!("{name}/{removed}"),
        NodeKind::File if missing_target(node).is_some() => format!("{name} (target missing)"),
        NodeKind::File => name,
    })
}

/// Returns the style of a name: by kind, and dimmed if the entry is hidden or a system file.
fn style(node: &Node) -> Style {
    let style = match node.kind {
        NodeKind::Removal => AnsiColor::Red.on_default(),
        _ if node.is_reparse_point() => AnsiColor::Cyan.on_default(),
        NodeKind::Directory => AnsiColor::Blue.on_default().bold(),
        NodeKind::File => Style::new(),
    };
    let unseen = FileAttributes::HIDDEN | FileAttributes::SYSTEM;
    match node.attributes().intersects(unseen) {
        true => style.dimmed(),
        false => style,
    }
}

fn styled(text: &str, style: Style) -> String {
    format!("{style}{text}{style:#}")
}

/// Returns the last component of a path, safe to print.
pub(crate) fn file_name(path: &LayerPath) -> String {
    escaped(&wide::display(path.file_name())).into_owned()
}

/// Returns the target of a hard link if no layer of the chain has it.
pub(crate) fn missing_target(node: &Node) -> Option<&LayerPath> {
    match &node.item.as_ref()?.kind {
        ItemKind::Link(target) => Some(target),
        _ => None,
    }
}

/// Returns the target of a reparse point, or its tag if the target is not a path.
pub(crate) fn reparse_target(view: &View, node: &Node) -> Result<Option<String>, CliError> {
    let Some(buffer) = view.details(node)?.reparse else {
        return Ok(None);
    };
    Ok(Some(match ReparsePoint::decode(&buffer) {
        Ok(point) => target(&point).unwrap_or_else(|| format!("[{}]", point.tag())),
        Err(_) => "[malformed]".to_owned(),
    }))
}

/// Returns the target of a symbolic link or junction; `None` for any other entry.
pub(crate) fn link_target(view: &View, node: &Node) -> wclayer::Result<Option<String>> {
    let buffer = view.details(node)?.reparse;
    let point = buffer.and_then(|buffer| ReparsePoint::decode(&buffer).ok());
    Ok(point.as_ref().and_then(target))
}

fn target(point: &ReparsePoint) -> Option<String> {
    let target = point.target()?;
    Some(wide::display(&target).into_owned())
}
