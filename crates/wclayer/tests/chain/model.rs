//! The naive model of a chain of layers: which layers are legal, and what they look like merged.
//!
//! It is written from the rules in words, without code of the library except the names of rules. The
//! fuzz target `view` uses it as well.

use std::collections::BTreeMap;
use wclayer::rules::Rule;

/// The rules on whole layers that an import enforces.
pub(crate) const ENFORCED: [Rule; 8] = [
    Rule::BelowFile,
    Rule::BelowReparsePoint,
    Rule::DuplicateKind,
    Rule::LinkTargetMissing,
    Rule::LinkToDirectory,
    Rule::LinkLoop,
    Rule::LinkTooMany,
    Rule::WhiteoutInBase,
];

/// One entry of a layer.
#[derive(Debug, Clone)]
pub(crate) enum Op {
    Directory(String),
    File(String),
    Junction(String),
    Link(String, String),
    Whiteout(String),
    Opaque(String),
}

/// A file, identified by the number of its layer, counted from the base, and its entry there.
pub(crate) type Identity = (usize, usize);

/// The model's state of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Thing {
    Implied,
    Directory(Identity),
    File(Identity),
    /// A junction: a directory without content.
    Junction(Identity),
    /// A hard link without a file.
    Broken,
}

pub(crate) type State = BTreeMap<String, Thing>;

pub(crate) fn is_directory(thing: &Thing) -> bool {
    matches!(thing, Thing::Implied | Thing::Directory(_))
}

pub(crate) fn ancestors(path: &str) -> Vec<String> {
    path.match_indices('/')
        .map(|(at, _)| path[..at].to_owned())
        .collect()
}

pub(crate) fn remove_below(state: &mut State, path: &str) {
    let prefix = format!("{path}/");
    state.retain(|other, _| !other.starts_with(&prefix));
}

/// Applies a layer to the state of the layers below it.
pub(crate) fn apply(state: &State, number: usize, ops: &[Op]) -> State {
    let mut next = state.clone();
    // The last entry of a path counts.
    let mut own: BTreeMap<String, (usize, &Op)> = BTreeMap::new();
    for (place, op) in ops.iter().enumerate() {
        match op {
            Op::Whiteout(path) => {
                let path = path.to_uppercase();
                remove_below(&mut next, &path);
                next.remove(&path);
            }
            Op::Opaque(path) => remove_below(&mut next, &path.to_uppercase()),
            Op::Directory(path) | Op::File(path) | Op::Junction(path) | Op::Link(path, _) => {
                own.insert(path.to_uppercase(), (place, op));
            }
        }
    }
    // Directories come before their content.
    for (path, (place, op)) in &own {
        let is_open = |above: &String| match own.get(above) {
            Some((_, op)) => matches!(op, Op::Directory(_)),
            None => true,
        };
        if !ancestors(path).iter().all(is_open) {
            continue;
        }
        for above in ancestors(path) {
            if !next.get(&above).is_some_and(is_directory) {
                next.insert(above, Thing::Implied);
            }
        }
        let thing = match op {
            Op::Directory(_) => Thing::Directory((number, *place)),
            Op::Junction(_) => Thing::Junction((number, *place)),
            Op::Link(..) => link(state, number, &own, op),
            _ => Thing::File((number, *place)),
        };
        if !is_directory(&thing) {
            remove_below(&mut next, path);
        }
        next.insert(path.clone(), thing);
    }
    next
}

/// Finds the file that a link names: one in its own layer, otherwise one in the layers below.
pub(crate) fn link(
    below: &State,
    number: usize,
    own: &BTreeMap<String, (usize, &Op)>,
    op: &Op,
) -> Thing {
    let mut op = op;
    for _ in 0..100 {
        let Op::Link(_, target) = op else {
            return Thing::Broken;
        };
        let target = target.to_uppercase();
        match own.get(&target) {
            Some((place, Op::File(_))) => return Thing::File((number, *place)),
            Some((_, next @ Op::Link(..))) => op = next,
            Some(_) => return Thing::Broken,
            None => {
                return match below.get(&target) {
                    Some(Thing::File(identity)) => Thing::File(*identity),
                    _ => Thing::Broken,
                };
            }
        }
    }
    Thing::Broken
}

pub(crate) fn content(identity: Identity) -> String {
    format!("layer {} entry {}", identity.0, identity.1)
}

/// Removes everything that an import rejects: links to nothing, entries below something that is not
/// a directory (in the layer itself or in those below it), and a path with two kinds of entries.
pub(crate) fn importable(layers: &[Vec<Op>]) -> Vec<Vec<Op>> {
    let mut kept: Vec<Vec<Op>> = layers.to_vec();
    let mut state = State::new();
    for (number, ops) in kept.iter_mut().enumerate() {
        while let Some(bad) = broken_op(&state, number, ops) {
            ops.remove(bad);
        }
        state = apply(&state, number, ops);
    }
    kept
}

/// Finds an entry that an import rejects, given the state of the layers below.
pub(crate) fn broken_op(below: &State, number: usize, ops: &[Op]) -> Option<usize> {
    let mut own: BTreeMap<String, (usize, &Op)> = BTreeMap::new();
    for (place, op) in ops.iter().enumerate() {
        match op {
            // A base layer has nothing to remove.
            Op::Whiteout(_) | Op::Opaque(_) if number == 0 => return Some(place),
            Op::Whiteout(_) | Op::Opaque(_) => {}
            Op::Directory(path) | Op::File(path) | Op::Junction(path) | Op::Link(path, _) => {
                let path = path.to_uppercase();
                let kind = std::mem::discriminant(op);
                if let Some((first, was)) = own.get(&path)
                    && std::mem::discriminant(*was) != kind
                {
                    return Some(*first);
                }
                own.insert(path, (place, op));
            }
        }
    }
    let visible = without_removed(below, ops);
    own.iter().find_map(|(path, (place, op))| {
        let is_placed = ancestors(path).iter().all(|above| match own.get(above) {
            Some((_, op)) => matches!(op, Op::Directory(_)),
            None => {
                let is_covered = ancestors(above)
                    .iter()
                    .any(|top| own.contains_key(top) && !visible.get(top).is_none_or(is_directory));
                is_covered || visible.get(above).is_none_or(is_directory)
            }
        });
        let is_link_to_nothing =
            matches!(op, Op::Link(..)) && link(below, number, &own, op) == Thing::Broken;
        (!is_placed || is_link_to_nothing).then_some(*place)
    })
}

/// The paths of the layers below that a layer does not remove.
fn without_removed(below: &State, ops: &[Op]) -> State {
    let mut visible = below.clone();
    for op in ops {
        match op {
            Op::Whiteout(path) => {
                let path = path.to_uppercase();
                remove_below(&mut visible, &path);
                visible.remove(&path);
            }
            Op::Opaque(path) => remove_below(&mut visible, &path.to_uppercase()),
            _ => {}
        }
    }
    visible
}
