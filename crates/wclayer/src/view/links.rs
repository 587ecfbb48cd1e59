//! Links inside a view: hard links across layers, and where reparse points lead.
//!
//! A hard link names a file as it was when its layer was made: of that layer itself, else of the
//! layers below it, whatever is on top of these later (hcsshim `internal/wclayer/legacy.go`,
//! `AddLink`). So the identity of a file is the layer that it lies in and its [`ItemId`] there.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use ntmeta::{ReparsePoint, wide};

use super::lookup::{Node, View};
use crate::error::Result;
use crate::layer::{Item, ItemId, ItemKind};
use crate::layout;
use crate::path::LayerPath;

/// How many links one may follow the other before a file.
const MAX_STEPS: usize = layout::MAX_FURTHER_NAMES as usize;
/// How many links are followed to learn where all of them lead.
const MAX_FOLLOWED: usize = 16 * 1024;
/// How many bytes the links that are remembered may take, about.
const MAX_KNOWN_BYTES: usize = 16 << 20;
/// About how many bytes one takes, beside its file.
const KNOWN_BYTES: usize = 100;

/// Where links lead that have been followed before, so that following a long chain of them from
/// each of its links costs no more than following it once.
#[derive(Default)]
pub(super) struct KnownLinks {
    ends: RefCell<HashMap<Identity, Known>>,
    bytes: Cell<usize>,
}

/// A file or a link: the number of its layer, and what it is there.
type Identity = (usize, ItemId);

/// The end of a chain of links.
#[derive(Clone)]
struct Known {
    /// The file and its layer; `None` when there is none.
    file: Option<Arc<(usize, Item)>>,
    /// How many links lead there.
    steps: usize,
}

impl KnownLinks {
    fn get(&self, link: Identity) -> Option<Known> {
        self.ends.borrow().get(&link).cloned()
    }

    /// Takes note of links of which each leads to the next, and the last to `end`.
    fn put(&self, links: &[Identity], end: &Known) {
        let mut known = self.ends.borrow_mut();
        let file = end.file.as_ref();
        let path = file.map_or(0, |file| file.1.path.as_bytes().len());
        let bytes = links.len() * KNOWN_BYTES + size_of::<Item>() + path;
        if self.bytes.get() + bytes > MAX_KNOWN_BYTES {
            known.clear();
            self.bytes.set(0);
        }
        self.bytes.set(self.bytes.get() + bytes);
        for (before, link) in links.iter().rev().enumerate() {
            let file = end.file.clone();
            let steps = end.steps + before + 1;
            known.insert(*link, Known { file, steps });
        }
    }
}

/// Follows a hard link to its file; returns the file's layer, the file, and for a link the target
/// that it names. What cannot be followed is returned as it is.
pub(super) fn follow(
    view: &View,
    layer: usize,
    item: Item,
) -> Result<(usize, Item, Option<LayerPath>)> {
    let ItemKind::Link(named) = &item.kind else {
        return Ok((layer, item, None));
    };
    let named = named.clone();
    let link = (layer, item.id);
    let known = match view.known_links().get(link) {
        Some(known) => known,
        None => learn(view, link, &named)?,
    };
    Ok(match known.file {
        Some(file) if known.steps <= MAX_STEPS => (file.0, file.1.clone(), Some(named)),
        _ => (layer, item, Some(named)),
    })
}

/// Follows a link that leads to `target` step by step, and takes note of all links on the way.
fn learn(view: &View, link: Identity, target: &LayerPath) -> Result<Known> {
    let mut links = vec![link];
    let mut passed = HashSet::from([link]);
    let mut next = target.clone();
    let mut place = link.0;
    let mut end = Known {
        file: None,
        steps: 0,
    };
    let mut is_known = true;
    while let Some((at, found)) = named(view, place, &next)? {
        let (kind, id) = (found.kind.clone(), (at, found.id));
        match kind {
            ItemKind::File => end.file = Some(Arc::new((at, found))),
            ItemKind::Directory => {}
            ItemKind::Link(target) => match view.known_links().get(id) {
                Some(known) => end = known,
                None if !passed.insert(id) => {}
                None if links.len() == MAX_FOLLOWED => is_known = false,
                None => {
                    links.push(id);
                    (place, next) = (at, target);
                    continue;
                }
            },
        }
        break;
    }
    // What lies behind too many links may still be a file of the last of them.
    let sure = match is_known {
        true => links.len(),
        false => links.len().saturating_sub(MAX_STEPS),
    };
    view.known_links().put(&links[..sure], &end);
    let steps = end.steps + links.len();
    Ok(Known { steps, ..end })
}

/// Returns what a link of a layer names: something of that layer, else of those below it.
fn named(view: &View, layer: usize, target: &LayerPath) -> Result<Option<(usize, Item)>> {
    if let Some(own) = view.layer(layer).slot(target)?.added {
        return Ok(Some((layer, own)));
    }
    let below = view.merged(target, layer + 1..view.depth())?;
    Ok(below.and_then(|below| below.item))
}

/// Returns all names of a file in the view.
pub(super) fn names(view: &View, node: &Node) -> Result<Vec<LayerPath>> {
    let own = vec![node.path.clone()];
    let Some(item) = node
        .item
        .as_ref()
        .filter(|item| item.kind == ItemKind::File)
    else {
        return Ok(own);
    };
    let identity = (node.layer, item.id);
    let mut names: BTreeSet<LayerPath> = own.into_iter().collect();
    add_name(view, &item.path, identity, &mut names)?;
    for layer in 0..view.seen() {
        view.layer(layer).for_each_linked(&mut |linked| {
            let path = linked.path.clone();
            let (at, file, _) = follow(view, layer, linked)?;
            match (at, file.id) == identity {
                true => add_name(view, &path, identity, &mut names),
                false => Ok(()),
            }
        })?;
    }
    Ok(names.into_iter().collect())
}

/// Returns the files that hard links of the layers in sight name, none of them with a name yet.
pub(super) fn linked_files(view: &View) -> Result<HashMap<(usize, ItemId), Option<LayerPath>>> {
    let mut files = HashMap::new();
    for layer in 0..view.seen() {
        view.layer(layer).for_each_linked(&mut |linked| {
            let (at, file, _) = follow(view, layer, linked)?;
            if file.kind == ItemKind::File {
                files.insert((at, file.id), None);
            }
            Ok(())
        })?;
    }
    Ok(files)
}

/// Files of layers out of sight, each with the hard links to it there, sorted.
pub(super) type LinksBelow = HashMap<(usize, ItemId), BTreeSet<LayerPath>>;

/// Returns the hard links of the layers out of sight.
pub(super) fn links_below(view: &View) -> Result<LinksBelow> {
    let mut links = LinksBelow::new();
    for layer in view.seen()..view.depth() {
        view.layer(layer).for_each_linked(&mut |linked| {
            let path = linked.path.clone();
            let (at, file, _) = follow(view, layer, linked)?;
            if file.kind == ItemKind::File {
                links.entry((at, file.id)).or_default().insert(path);
            }
            Ok(())
        })?;
    }
    Ok(links)
}

/// Returns whether `path` names a file of a layer out of sight from what is in sight: it leads to
/// it there, and nothing in sight takes that path.
pub(super) fn names_below(view: &View, path: &LayerPath, file: (usize, ItemId)) -> Result<bool> {
    if view.find(path)?.is_some_and(|node| node.exists) {
        return Ok(false);
    }
    let below = view.merged(path, view.seen()..view.depth())?;
    let Some((layer, item)) = below.and_then(|below| below.item) else {
        return Ok(false);
    };
    let (at, item, _) = follow(view, layer, item)?;
    Ok((at, item.id) == file)
}

/// Adds a path when it still names the file in the view.
fn add_name(
    view: &View,
    path: &LayerPath,
    identity: (usize, ItemId),
    names: &mut BTreeSet<LayerPath>,
) -> Result<()> {
    if let Some(node) = view.find(path)?
        && let Some(item) = &node.item
        && item.kind == ItemKind::File
        && (node.layer, item.id) == identity
    {
        names.insert(node.path);
    }
    Ok(())
}

/// Where a reparse point leads.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// To this path of the layer.
    Inside(LayerPath),
    /// Elsewhere: another volume, a network, above the volume.
    Outside(String),
    /// Nowhere: it is not a link.
    None,
}

/// Finds out where a symbolic link or junction at `path` leads. `C:` is the volume that the link
/// lies on: `Files`, or `UtilityVM\Files` for the files of the utility VM.
pub(crate) fn target(path: &LayerPath, point: &ReparsePoint) -> Target {
    match point.target() {
        Some(text) => target_of_text(path, &text),
        None => Target::None,
    }
}

/// Finds out where a link with that text (WTF-8) leads.
pub(crate) fn target_of_text(path: &LayerPath, text: &[u8]) -> Target {
    let outside = || Target::Outside(wide::display(text).into_owned());
    let Some(volume) = volume_of(path) else {
        return outside();
    };
    let is_separator = |byte: &u8| matches!(byte, b'/' | b'\\');
    let (is_absolute, rest) = match without_device_prefix(text) {
        [b'C' | b'c', b':', rest @ ..] if rest.first().is_none_or(is_separator) => (true, rest),
        [_, b':', ..] => return outside(),
        [first, second, ..] if is_separator(first) && is_separator(second) => return outside(),
        [first, rest @ ..] if is_separator(first) => (true, rest),
        rest => (false, rest),
    };
    let top = volume.components().count();
    let mut place: Vec<&[u8]> = match is_absolute {
        true => volume.components().collect(),
        false => path.components().collect(),
    };
    if !is_absolute {
        place.pop();
    }
    for component in rest.split(is_separator) {
        match component {
            b"" | b"." => {}
            b".." if place.len() > top => {
                place.pop();
            }
            name if name == b".." || name.contains(&b':') => return outside(),
            name => place.push(name),
        }
    }
    LayerPath::parse(&place.join(&b'/')).map_or_else(|_| outside(), Target::Inside)
}

/// Takes what names the namespace of devices off a path with a drive (Microsoft, "Naming Files,
/// Paths, and Namespaces"; `\??\` is the kernel's own).
fn without_device_prefix(text: &[u8]) -> &[u8] {
    [br"\\?\", br"\??\", br"\\.\"]
        .into_iter()
        .find_map(|prefix| text.strip_prefix(prefix))
        .filter(|rest| matches!(rest, [_, b':', ..]))
        .unwrap_or(text)
}

/// Returns the directory of the volume that a path lies on.
fn volume_of(path: &LayerPath) -> Option<LayerPath> {
    [layout::FILES, layout::UTILITY_VM_FILES]
        .into_iter()
        .find(|volume| layout::is_below(path, volume))
        .map(layout::path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target_of(link: &str, text: &str, is_junction: bool) -> Target {
        let point = ReparsePoint::from_target(text.as_bytes(), is_junction).expect(text);
        target(&link.parse().expect(link), &point)
    }

    #[test]
    fn targets_stay_on_the_volume_or_are_outside() {
        for (link, text, expected) in [
            ("Files/a/l", r"x\y", Some("Files/a/x/y")),
            ("Files/a/l", r"..\x", Some("Files/x")),
            ("Files/a/l", r"..\..\x", None),
            ("Files/a/l", r"\x", Some("Files/x")),
            ("Files/a/l", r"C:\x\y", Some("Files/x/y")),
            ("Files/a/l", r"c:\", Some("Files")),
            ("Files/a/l", r"\\?\C:\x", Some("Files/x")),
            ("Files/a/l", r"\??\C:\x", Some("Files/x")),
            ("Files/a/l", r"\\.\c:", Some("Files")),
            ("Files/a/l", r"\\?\D:\x", None),
            ("Files/a/l", r"\\?\UNC\server\share", None),
            ("Files/a/l", r"\??\C:x", None),
            ("Files/a/l", r"D:\x", None),
            ("Files/a/l", r"\\server\share", None),
            ("UtilityVM/Files/l", r"C:\x", Some("UtilityVM/Files/x")),
            ("Hives/l", "x", None),
        ] {
            let expected = match expected {
                Some(path) => Target::Inside(path.parse().expect(path)),
                None => Target::Outside(text.to_owned()),
            };
            assert_eq!(target_of(link, text, false), expected, "{link} -> {text}");
        }
        let junction = target_of("Files/j", r"C:\x", true);
        assert_eq!(junction, Target::Inside("Files/x".parse().expect("path")));
    }
}
