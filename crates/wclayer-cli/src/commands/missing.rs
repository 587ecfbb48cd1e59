//! Why nothing is at a path: said as the hint of the error.

use wclayer::chain::{Node, Removed, Slot, View};
use wclayer::{LayerPath, Result};

use crate::node_view;

const TOP: &str = "Paths begin with `Files`, `Hives` or `UtilityVM`.";
const TOP_NAMES: [&str; 3] = ["Files", "Hives", "UtilityVM"];

/// Says why nothing is at `path`; `follows` when links on the way were followed.
pub(super) fn why(view: &View, path: &LayerPath, follows: bool) -> String {
    // A layer that cannot be read now is not what was asked about.
    find_out(view, path, follows).unwrap_or_else(|_| TOP.to_owned())
}

fn find_out(view: &View, path: &LayerPath, follows: bool) -> Result<String> {
    let mut way: Vec<LayerPath> =
        std::iter::successors(Some(path.clone()), LayerPath::parent).collect();
    let mut last: Option<Node> = None;
    while let Some(step) = way.pop() {
        match view.find(&step)? {
            Some(node) if node.is_plain_directory() => last = Some(node),
            Some(node) => return through(view, &node, follows),
            None => return below(view, last.as_ref(), &step, path),
        }
    }
    Ok(TOP.to_owned())
}

/// Says of what is no directory that nothing is below it.
fn through(view: &View, node: &Node, follows: bool) -> Result<String> {
    let path = &node.path;
    if !node.is_reparse_point() {
        return Ok(format!("`{path}` is a file."));
    }
    let target = node_view::link_target(view, node)?;
    Ok(match target {
        Some(target) if !follows => format!(
            "`{path}` is a link to `{target}`; `ls`, `tree`, `stat` and `cat` go through it with \
             --follow."
        ),
        _ => format!("`{path}` is a reparse point that leads to no path."),
    })
}

/// Says why a directory (the top for `None`) does not have `step`, on the way to `path`.
fn below(
    view: &View,
    directory: Option<&Node>,
    step: &LayerPath,
    path: &LayerPath,
) -> Result<String> {
    if let Some(removal) = removal(view, step)? {
        return Ok(removal);
    }
    if let Some(directory) = directory {
        let directory = &directory.path;
        return Ok(format!("`{directory}` is there, and has no such name."));
    }
    let is_top_name = |name: &&str| name.parse().is_ok_and(|name: LayerPath| name == *step);
    if let Some(name) = TOP_NAMES.into_iter().find(is_top_name) {
        return Ok(format!("The layer has no `{name}`."));
    }
    let in_files = LayerPath::parse(&[b"Files/", path.as_bytes()].concat());
    let in_files = match in_files {
        Ok(path) => view.find(&path)?,
        Err(_) => None,
    };
    Ok(match in_files {
        Some(node) => format!("{TOP} There is `{}`.", node.path),
        None => TOP.to_owned(),
    })
}

/// Says which layer removes a path that a layer below it has.
fn removal(view: &View, path: &LayerPath) -> Result<Option<String>> {
    let place = |layer: usize| view.places().nth(layer).map(|place| place.display());
    let says = |path: &LayerPath, layer: usize, what: &str| {
        let place = place(layer).map(|place| format!(" (`{place}`)"));
        format!(
            "`{path}` is {what} by layer {layer}{}.",
            place.unwrap_or_default()
        )
    };
    let slots = view.slots(path)?;
    let removed = slots
        .iter()
        .find(|(_, slot)| slot.removed == Some(Removed::Path));
    if let Some((layer, slot)) = removed {
        return Ok(Some(says(&slot.path, *layer, "removed")));
    }
    let has = |(_, slot): &&(usize, Slot)| slot.added.is_some() || slot.has_added_below;
    let Some((lowest, _)) = slots.iter().rfind(has) else {
        return Ok(None);
    };
    for directory in std::iter::successors(path.parent(), LayerPath::parent) {
        let slots = view.slots(&directory)?;
        let emptied = slots
            .iter()
            .find(|(layer, slot)| layer < lowest && slot.removed.is_some());
        if let Some((layer, slot)) = emptied {
            return Ok(Some(says(&slot.path, *layer, "emptied")));
        }
    }
    Ok(None)
}
