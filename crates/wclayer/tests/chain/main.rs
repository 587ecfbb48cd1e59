//! The merged view of a random chain matches a naive model, and so does the squashed chain.
//!
//! The model implements the written rules without any code of the library: layers are applied one
//! after the other to a map of paths, base first.

mod agree;
mod model;
mod random;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use wclayer::ParentChain;
use wclayer::layer::ItemKind;
use wclayer::rules::Rule;
use wclayer::source::{self, OpenOptions};
use wclayer::squash::{SquashOptions, squash};
use wclayer::tar::TarLayerWriter;
use wclayer::validate::validate_tar;
use wclayer::view::View;

use model::{Identity, Op, State, Thing, apply, content, importable};
use random::{layers, time, write};

/// A directory without an entry. It exists because of its content, which is compared.
const IMPLIED: &str = "implied";

/// The state of each path, in comparable form.
type Description = BTreeMap<String, (String, BTreeSet<String>)>;

/// The state of one path, in comparable form: its kind, its content or times, its names.
fn of_model(state: &State) -> Description {
    let mut names: BTreeMap<Identity, BTreeSet<String>> = BTreeMap::new();
    for (path, thing) in state {
        if let Thing::File(identity) = thing {
            names.entry(*identity).or_default().insert(path.clone());
        }
    }
    let describe = |(path, thing): (&String, &Thing)| {
        let (text, names) = match thing {
            Thing::Implied => (IMPLIED.to_owned(), BTreeSet::new()),
            Thing::Directory(identity) => {
                (format!("directory {}", time(*identity)), BTreeSet::new())
            }
            Thing::Junction(identity) => (format!("junction {}", time(*identity)), BTreeSet::new()),
            Thing::Broken => ("broken".to_owned(), BTreeSet::new()),
            Thing::File(identity) => (content(*identity), names[identity].clone()),
        };
        (path.clone(), (text, names))
    };
    state.iter().map(describe).collect()
}

/// Removes directories without an entry: once such a directory has lost all its content, it may or
/// may not be shown.
fn without_implied(mut description: Description) -> Description {
    description.retain(|_, (text, _)| text != IMPLIED);
    description
}

/// Describes the expected squashed chain, given the current one: every directory gets an entry,
/// with the time of a directory above it.
fn with_entries(before: &Description, after: &Description) -> Description {
    let mut expected = before.clone();
    for (path, thing) in &mut expected {
        let now = after.get(path).filter(|now| now.0.starts_with("directory"));
        if let (IMPLIED, Some(now)) = (&*thing.0, now) {
            *thing = now.clone();
        }
    }
    expected
}

fn of_view(view: &View) -> Description {
    let mut found = BTreeMap::new();
    for node in view.walk(None) {
        let node = node.expect("a node");
        let same = view.find(&node.path).expect("readable");
        assert_eq!(same.as_ref(), Some(&node), "walk and find agree");
        let written = node.basic_info().map(|info| info.last_write_time.ticks());
        let kind = node.item.as_ref().map(|item| item.kind.clone());
        let (text, names) = match kind {
            None => (IMPLIED.to_owned(), BTreeSet::new()),
            Some(ItemKind::Link(_)) => ("broken".to_owned(), BTreeSet::new()),
            Some(ItemKind::Directory) => {
                let kind = if node.is_plain_directory() {
                    "directory"
                } else {
                    "junction"
                };
                let written = written.expect("an entry");
                (format!("{kind} {written}"), BTreeSet::new())
            }
            Some(ItemKind::File) => {
                let mut text = String::new();
                let content = view.content(&node, None).expect("content");
                content.reader().read_to_string(&mut text).expect("content");
                let names = view.names(&node).expect("names");
                let names = names.iter().map(|name| name.to_string().to_uppercase());
                (text, names.collect())
            }
        };
        found.insert(node.path.to_string().to_uppercase(), (text, names));
    }
    found
}

fn write_all(folder: &Path, layers: &[Vec<Op>]) -> Vec<PathBuf> {
    let layers = layers.iter().enumerate();
    layers
        .map(|(number, ops)| write(folder, number, ops))
        .collect()
}

/// Opens layers, base first.
fn open(layers: &[PathBuf]) -> View {
    let (top, below) = layers.split_last().expect("a layer");
    let options = OpenOptions {
        parents: ParentChain::from_base_first(below),
        ..OpenOptions::default()
    };
    source::open(top, &options, &()).expect("a view")
}

/// Checks that a node that is looked up is spelled as in a listing, whatever the requested
/// spelling.
fn check_spelling(view: &View) {
    for node in view.walk(None) {
        let node = node.expect("readable");
        let listed = node.path.to_string();
        for asked in [listed.to_uppercase(), listed.to_lowercase()] {
            let found = view.find(&asked.parse().expect(&asked)).expect("readable");
            assert_eq!(found.expect(&asked).path.to_string(), listed);
        }
    }
}

/// Squashes a view into a tar.
fn squashed(view: View, folder: &Path, keep_base: bool) -> PathBuf {
    let path = folder.join(if keep_base {
        "kept.tar"
    } else {
        "squashed.tar"
    });
    let writer = TarLayerWriter::new(File::create(&path).expect("a file"));
    let options = SquashOptions::default().keep_base(keep_base);
    squash(view, options, writer, &()).expect("a squashed layer");
    path
}

/// Returns the state of a chain according to the view and to the model.
fn of_both(layers: &[Vec<Op>]) -> (Description, Description) {
    let folder = tempfile::tempdir().expect("a folder");
    let mut state = State::new();
    for (number, ops) in layers.iter().enumerate() {
        state = apply(&state, number, ops);
    }
    let view = open(&write_all(folder.path(), layers));
    (
        without_implied(of_view(&view)),
        without_implied(of_model(&state)),
    )
}

/// The rules that a squashed layer never breaks.
const NEVER_SQUASHED: [Rule; 5] = [
    Rule::WhiteoutOpaque,
    Rule::WhiteoutOfNothing,
    Rule::UtilityVmMetadata,
    Rule::WhiteoutUtilityVm,
    Rule::ParentMissing,
];

/// Returns the state of a chain, and the state of its base with the squashed rest on top.
fn of_kept_base(layers: &[Vec<Op>]) -> (Description, Description) {
    let folder = tempfile::tempdir().expect("a folder");
    let files = write_all(folder.path(), layers);
    let kept = squashed(open(&files), folder.path(), true);
    let base = open(&files[..1]);
    let tar = File::open(&kept).expect("a tar");
    let report = validate_tar(tar, Some(&base), 10, &()).expect("a report");
    for (rule, findings) in report.by_severity() {
        assert!(!NEVER_SQUASHED.contains(&rule), "{findings:?} {layers:?}");
    }
    let after = of_view(&open(&[files[0].clone(), kept]));
    (with_entries(&of_view(&open(&files)), &after), after)
}

/// A case that the random tests found once.
#[test]
fn a_directory_that_an_opaque_whiteout_hides_has_replaced_a_junction() {
    let path = || "Files/a".to_owned();
    let layers = [
        vec![Op::Junction(path())],
        vec![Op::File("Files/a/a".to_owned())],
        vec![Op::Opaque(path())],
    ];
    let (view, model) = of_both(&layers);
    assert_eq!(view, model);
}

/// Found by a random chain: an opaque whiteout and a whiteout of one directory, spelled differently.
#[test]
fn two_removals_of_one_path_have_one_spelling() {
    let layers = [vec![
        Op::Opaque("Files/b/B".to_owned()),
        Op::Whiteout("Files/b/b".to_owned()),
    ]];
    let folder = tempfile::tempdir().expect("a folder");
    let view = open(&write_all(folder.path(), &layers));
    check_spelling(&view);
    check_spelling(&view.only_nearest(1));
}

/// Another such case.
#[test]
fn a_layer_on_a_kept_base_links_to_any_remaining_name() {
    let op = |path: &str, target: &str| Op::Link(path.to_owned(), target.to_owned());
    let target = "Files/b/b";
    let layers = [
        vec![op("Files/c", target), Op::File(target.to_owned())],
        vec![op("Files/a", target)],
        vec![Op::Directory(target.to_owned())],
    ];
    let (before, after) = of_kept_base(&layers);
    assert_eq!(after, before);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn the_view_equals_the_model(layers in layers()) {
        let (view, model) = of_both(&layers);
        prop_assert_eq!(view, model);
    }

    #[test]
    fn a_layer_of_a_chain_can_be_walked_alone(layers in layers()) {
        let folder = tempfile::tempdir().expect("a folder");
        let files = write_all(folder.path(), &layers);
        let view = open(&files);
        let kinds = |walk: wclayer::view::Walk<'_>| -> Vec<_> {
            walk.map(|node| node.map(|node| (node.path, node.kind)).expect("a node")).collect()
        };
        for (number, file) in files.iter().rev().enumerate() {
            let alone = open(std::slice::from_ref(file));
            prop_assert_eq!(kinds(view.walk_layer(number)), kinds(alone.walk(None)));
            for node in alone.walk(None).map(|node| node.expect("a node")) {
                let found = view.find_in_layer(number, &node.path).expect("readable");
                let below = found.map(|found| kinds(view.walk(Some(&found))));
                prop_assert_eq!(below, Some(kinds(alone.walk(Some(&node)))));
            }
        }
        prop_assert!(view.walk_layer(files.len()).next().is_none());
    }

    #[test]
    fn a_path_is_spelled_as_it_is_listed(layers in layers()) {
        let folder = tempfile::tempdir().expect("a folder");
        let files = write_all(folder.path(), &layers);
        check_spelling(&open(&files));
        check_spelling(&open(&files).only_nearest(1));
    }

    #[test]
    fn a_squashed_chain_looks_the_same(layers in layers()) {
        let folder = tempfile::tempdir().expect("a folder");
        let layers = importable(&layers);
        let files = write_all(folder.path(), &layers);
        let expected = of_view(&open(&files));
        let whole = squashed(open(&files), folder.path(), false);
        let after = of_view(&open(std::slice::from_ref(&whole)));
        prop_assert_eq!(&after, &with_entries(&expected, &after));
        let first = fs::read(&whole).expect("a tar");
        squashed(open(&files), folder.path(), false);
        prop_assert_eq!(fs::read(&whole).expect("a tar"), first);
        if files.len() > 1 {
            let (before, after) = of_kept_base(&layers);
            prop_assert_eq!(after, before);
        }
    }
}
