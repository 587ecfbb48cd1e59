//! For random chains, `import`, `validate` and the model agree on each layer: if an import rejects
//! it, `validate` reports an error, and the reverse holds for the rules that an import enforces.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use wclayer::ParentChain;
use wclayer::portable::{self, ImportOptions};
use wclayer::rules::Rule;
use wclayer::source;
use wclayer::validate::{Report, ValidateOptions, validate, validate_tar};

use crate::model::{ENFORCED, Op, State, apply, broken_op};
use crate::random::{layers, write};

/// Returns the enforced rules among the broken ones.
fn enforced(report: &Report) -> BTreeSet<Rule> {
    let broken = report.rules.keys().copied();
    broken.filter(|rule| ENFORCED.contains(rule)).collect()
}

/// Validates a tar on top of other layers, given nearest first.
fn validate_on(tar: &Path, below: &[PathBuf]) -> BTreeSet<Rule> {
    let parents = source::open_parents(&ParentChain::from_nearest_first(below), &());
    let parents = parents.expect("parents");
    let tar = File::open(tar).expect("a tar");
    enforced(&validate_tar(tar, parents.as_ref(), 1, &()).expect("a report"))
}

/// Validates a layer in a folder on top of other layers, given nearest first.
fn validate_folder(layer: &Path, below: &[PathBuf]) -> BTreeSet<Rule> {
    let options = ValidateOptions::default().parents(ParentChain::from_nearest_first(below));
    enforced(&validate(layer, &options, &()).expect("a report"))
}

/// Imports and validates layers on top of one another, given base first. A layer that is refused is
/// left out of the chain.
fn check(layers: &[Vec<Op>]) {
    let folder = tempfile::tempdir().expect("a folder");
    let mut below = State::new();
    // Nearest first: as tars, and as portable layers.
    let (mut tars, mut portables) = (Vec::new(), Vec::new());
    for ops in layers {
        let number = tars.len();
        let tar = write(folder.path(), number, ops);
        let is_legal = broken_op(&below, number, ops).is_none();
        let broken = validate_on(&tar, &tars);
        assert_eq!(
            broken.is_empty(),
            is_legal,
            "{broken:?} {ops:?} on {layers:?}"
        );
        let place = folder.path().join(format!("portable {number}"));
        let parents = ParentChain::from_nearest_first(&portables);
        let options = ImportOptions::default().parents(parents);
        let source = File::open(&tar).expect("a tar");
        let imported = portable::import(source, &place, &options, &());
        assert_eq!(
            imported.is_ok(),
            is_legal,
            "{:?} {ops:?} on {layers:?}",
            imported.err()
        );
        if is_legal {
            let broken = validate_folder(&place, &portables);
            assert_eq!(broken, BTreeSet::new(), "{ops:?} on {layers:?}");
            below = apply(&below, number, ops);
            tars.insert(0, tar);
            portables.insert(0, place);
        }
    }
}

/// The same for transport folders.
#[cfg(unix)]
mod transport_folders {
    use std::collections::BTreeMap;
    use std::io::{BufReader, Read};

    use wclayer::layer::ItemKind;
    use wclayer::source::OpenOptions;
    use wclayer::tar::TarLayerReader;
    use wclayer::transport::{self, ImportOptions};
    use wclayer::volume::host::HostVolume;

    use super::*;
    use crate::model::{Thing, content};

    /// Leaves out entries that the format or the disk of this machine cannot hold: removals and
    /// junctions in the utility VM.
    fn representable(ops: &[Op]) -> Vec<Op> {
        let in_vm = |path: &str| path.starts_with("UtilityVM");
        let kept = ops.iter().filter(|op| match op {
            Op::Junction(path) | Op::Whiteout(path) | Op::Opaque(path) => !in_vm(path),
            Op::Directory(_) | Op::File(_) | Op::Link(..) => true,
        });
        kept.cloned().collect()
    }

    fn import(tar: &Path, place: &Path, below: &[PathBuf]) -> Result<(), wclayer::Error> {
        let parents = source::open_parents(&ParentChain::from_nearest_first(below), &());
        let parents = parents.expect("parents");
        let options = ImportOptions::default().parents(parents);
        let tar = BufReader::new(File::open(tar).expect("a tar"));
        let mut reader = TarLayerReader::new(tar);
        transport::import(&HostVolume::new(), &mut reader, place, options, &()).map(drop)
    }

    const DIRECTORY: &str = "directory";

    /// Describes the contents of a chain at each path.
    fn of_chain(layer: &Path, below: &[PathBuf]) -> BTreeMap<String, String> {
        let options = OpenOptions {
            parents: ParentChain::from_nearest_first(below),
            ..OpenOptions::default()
        };
        let view = source::open(layer, &options, &()).expect("a view");
        let mut found = BTreeMap::new();
        for node in view.walk(None) {
            let node = node.expect("a node");
            let text = match node.item.as_ref().map(|item| &item.kind) {
                Some(ItemKind::File) => {
                    let mut text = String::new();
                    let content = view.content(&node, None).expect("content");
                    let mut reader = content.reader();
                    reader.read_to_string(&mut text).expect("content");
                    text
                }
                Some(ItemKind::Link(_)) => "broken".to_owned(),
                _ if node.is_plain_directory() => DIRECTORY.to_owned(),
                _ => "junction".to_owned(),
            };
            found.insert(node.path.to_string().to_uppercase(), text);
        }
        found
    }

    fn of_model(state: &State) -> BTreeMap<String, String> {
        let describe = |(path, thing): (&String, &Thing)| {
            let text = match thing {
                Thing::Implied | Thing::Directory(_) => DIRECTORY.to_owned(),
                Thing::Junction(_) => "junction".to_owned(),
                Thing::Broken => "broken".to_owned(),
                Thing::File(identity) => content(*identity),
            };
            (path.clone(), text)
        };
        state.iter().map(describe).collect()
    }

    /// Compares a chain with the model. The folders keep every directory, while one that a layer only
    /// implies may disappear with its contents: directories that only one side has do not count.
    fn check_chain(layer: &Path, below: &[PathBuf], state: &State, layers: &[Vec<Op>]) {
        let expected = of_model(state);
        let mut found = of_chain(layer, below);
        found.retain(|path, text| text != DIRECTORY || expected.contains_key(path));
        let is_kept = |path: &str, found: &BTreeMap<String, String>| {
            found.contains_key(path) || !matches!(state[path], Thing::Implied)
        };
        let expected: BTreeMap<_, _> = expected
            .into_iter()
            .filter(|(path, _)| is_kept(path, &found))
            .collect();
        assert_eq!(found, expected, "{layers:?}");
    }

    pub(super) fn check(layers: &[Vec<Op>]) {
        let folder = tempfile::tempdir().expect("a folder");
        let mut below = State::new();
        let mut chain: Vec<PathBuf> = Vec::new();
        for ops in layers {
            let ops = &representable(ops);
            let number = chain.len();
            let tar = write(folder.path(), number, ops);
            let is_legal = broken_op(&below, number, ops).is_none();
            let broken = validate_on(&tar, &chain);
            assert_eq!(
                broken.is_empty(),
                is_legal,
                "{broken:?} {ops:?} on {layers:?}"
            );
            let place = folder.path().join(format!("transport {number}"));
            let imported = import(&tar, &place, &chain);
            assert_eq!(
                imported.is_ok(),
                is_legal,
                "{:?} {ops:?} on {layers:?}",
                imported.err()
            );
            if is_legal {
                let broken = validate_folder(&place, &chain);
                assert_eq!(broken, BTreeSet::new(), "{ops:?} on {layers:?}");
                below = apply(&below, number, ops);
                check_chain(&place, &chain, &below, layers);
                chain.insert(0, place);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn import_and_validate_and_the_model_agree(layers in layers()) {
        check(&layers);
    }

    #[test]
    #[cfg(unix)]
    fn import_and_validate_and_the_model_agree_on_transport_folders(layers in layers()) {
        transport_folders::check(&layers);
    }
}

/// Random layers are too small to reach this depth often.
#[test]
fn import_and_validate_and_the_model_agree_on_three_layers_and_more() {
    let path = |text: &str| text.to_owned();
    let kinds = |text: &str| {
        [
            None,
            Some(Op::Directory(path(text))),
            Some(Op::File(path(text))),
            Some(Op::Junction(path(text))),
            Some(Op::Link(path(text), path("Files/f"))),
            Some(Op::File(format!("{text}/implied"))),
            Some(Op::Whiteout(path(text))),
            Some(Op::Opaque(path(text))),
        ]
    };
    let start = vec![Op::File(path("Files/f"))];
    for base in kinds("Files/d") {
        for middle in kinds("Files/D") {
            let mut layers = vec![start.clone()];
            layers.extend([base.clone(), middle].map(|op| op.into_iter().collect()));
            layers.push(vec![Op::Link(path("Files/l"), path("Files/d"))]);
            layers.push(vec![Op::File(path("Files/d/x"))]);
            for removal in [Op::Opaque(path("Files/d")), Op::Whiteout(path("Files/d"))] {
                layers.push(vec![Op::File(path("Files/d/y")), removal]);
            }
            check(&layers);
            #[cfg(unix)]
            transport_folders::check(&layers);
        }
    }
}
