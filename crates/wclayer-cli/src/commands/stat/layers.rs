//! Shows the changes that each layer makes to a path, visible or hidden.

use serde::Serialize;
use wclayer::layer::{ItemKind, Slot};
use wclayer::view::Node;

use crate::commands::view_options::Opened;
use crate::errors::CliError;
use crate::layer_view;
use crate::node_view::removed_name;
use crate::output::Summary;
use crate::units;

/// The changes of one layer as JSON.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct LayerChangesJson {
    layer: usize,
    place: String,
    added: Option<&'static str>,
    size: Option<u64>,
    last_write_time: Option<String>,
    link: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    removed: Option<&'static str>,
}

/// Returns the changes of all layers that mention the path of the node, nearest first.
pub(super) fn changes(opened: &Opened, node: &Node) -> Result<Vec<LayerChangesJson>, CliError> {
    let places: Vec<_> = opened.view.places().collect();
    let slots = opened.view.slots(&node.path)?;
    let changes = slots.iter().map(|(layer, slot)| {
        let place = layer_view::absolute(places[*layer]);
        LayerChangesJson::new(*layer, place, slot)
    });
    Ok(changes.collect())
}

impl LayerChangesJson {
    fn new(layer: usize, place: String, slot: &Slot) -> Self {
        let item = slot.added.as_ref();
        let link = item.and_then(|item| match &item.kind {
            ItemKind::Link(target) => Some(target.to_string()),
            _ => None,
        });
        Self {
            layer,
            place,
            added: match item.map(|item| &item.kind) {
                Some(ItemKind::File) => Some("file"),
                Some(ItemKind::Directory) => Some("directory"),
                Some(ItemKind::Link(_)) => Some("link"),
                None if slot.has_added_below => Some("implied"),
                None => None,
            },
            size: item
                .filter(|item| item.kind == ItemKind::File)
                .map(|item| item.size),
            last_write_time: item.map(|item| item.basic_info.last_write_time.to_string()),
            link,
            removed: slot.removed.map(removed_name),
        }
    }

    /// Returns whether the node already shows everything about this layer.
    pub(super) fn is(&self, node: &Node) -> bool {
        let is_of_node = node.item.is_none() || self.layer == node.layer;
        is_of_node && (self.removed.is_none() || node.removed.is_some())
    }

    pub(super) fn row(&self, summary: &mut Summary) {
        let removed = match self.removed {
            Some("path") => Some("removes it".to_owned()),
            Some(_) => Some("removes its contents".to_owned()),
            None => None,
        };
        let time = self.last_write_time.as_deref().unwrap_or_default();
        let added = match (self.added, &self.link) {
            (Some("link"), Some(target)) => Some(format!("adds a hard link to {target}")),
            (Some("file"), _) => {
                let size = units::size(self.size.unwrap_or(0));
                Some(format!("adds a file of {size}, written {time}"))
            }
            (Some("directory"), _) => Some(format!("adds a directory, written {time}")),
            (Some(_), _) => Some("adds something below it".to_owned()),
            (None, _) => None,
        };
        let changes: Vec<String> = removed.into_iter().chain(added).collect();
        let changes = match changes.is_empty() {
            true => "removes something below it".to_owned(),
            false => changes.join(", "),
        };
        summary.row("in layer", format!("{} {changes}", self.layer));
    }
}
