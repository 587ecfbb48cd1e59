//! Which layers are the parents of a layer: one answer for opening, validating and importing.

mod common;

use std::fs;
use std::io::Cursor;
use std::path::PathBuf;

use common::{Layers, directory, plain, tar};
use wclayer::source::{self, Access, Chain, Kind, LayerRef, OpenOptions};
use wclayer::validate::{ValidateOptions, validate};
use wclayer::{Error, ErrorKind, ParentChain};

fn bytes(name: &str) -> Vec<u8> {
    let tar = tar(|tar| {
        tar.directory("Files/dir", &directory())?;
        tar.file(&format!("Files/dir/{name}"), &plain(), name.as_bytes())
    });
    tar.into_inner()
}

/// `base`, `mid` on it and `app` on that, as portable layers and as tars; `other` on nothing.
fn store() -> Layers {
    let layers = Layers::new();
    for (name, parents) in [
        ("base", &[][..]),
        ("mid", &["base"]),
        ("app", &["mid"]),
        ("other", &[]),
    ] {
        let made = layers.import(name, Cursor::new(bytes(name)), parents);
        made.expect("a layer");
        fs::write(layers.path(&format!("{name}.tar")), bytes(name)).expect("written");
    }
    layers
}

/// A layer, the parents that are given for it, and the chain that this makes, `None` for an error.
type Row = (
    &'static str,
    &'static [&'static str],
    Option<&'static [&'static str]>,
);

const ROWS: [Row; 16] = [
    ("base", &[], Some(&["base"])),
    ("app", &[], Some(&["app", "mid", "base"])),
    ("app", &["mid"], Some(&["app", "mid", "base"])),
    ("app", &["mid", "base"], Some(&["app", "mid", "base"])),
    ("app", &["base"], None),
    ("app", &["other"], None),
    ("app", &["mid", "other"], None),
    ("app", &["base", "mid"], None),
    ("app", &["mid.tar", "base.tar"], None),
    ("base", &["other"], None),
    ("app.tar", &[], Some(&["app.tar"])),
    ("app.tar", &["mid"], Some(&["app.tar", "mid", "base"])),
    (
        "app.tar",
        &["mid", "base"],
        Some(&["app.tar", "mid", "base"]),
    ),
    ("app.tar", &["mid", "other"], None),
    (
        "app.tar",
        &["mid.tar", "base.tar"],
        Some(&["app.tar", "mid.tar", "base.tar"]),
    ),
    ("app.tar", &["mid.tar"], Some(&["app.tar", "mid.tar"])),
];

fn refs(layers: &Layers, names: &[&str]) -> ParentChain<LayerRef> {
    ParentChain::from_nearest_first(names.iter().map(|name| layers.path(name)))
}

fn places(chain: &Chain) -> Vec<PathBuf> {
    let places = chain.layers().iter().map(|it| it.path());
    places
        .map(|path| dunce::canonicalize(path).expect("it is there"))
        .collect()
}

#[test]
fn the_same_parents_are_found_whoever_asks() {
    let layers = store();
    for (layer, given, expected) in ROWS {
        let label = format!("{layer} on {given:?}");
        let given = refs(&layers, given);
        let path = layers.path(layer);
        let chain = Chain::resolve(&path, &given, false);
        let options = OpenOptions {
            parents: given.clone(),
            ..OpenOptions::default()
        };
        let opened = source::open(&path, &options, &());
        let checked = validate(&path, &ValidateOptions::default().parents(given), &());
        let Some(expected) = expected else {
            for error in [chain.err(), opened.err(), checked.err()] {
                let error = error.unwrap_or_else(|| panic!("{label}: other parents are taken"));
                assert_eq!(error.kind(), ErrorKind::InvalidInput, "{label}: {error}");
            }
            continue;
        };
        let expected: Vec<_> = expected
            .iter()
            .map(|name| dunce::canonicalize(layers.path(name)).expect("it is there"))
            .collect();
        assert_eq!(places(&chain.expect(&label)), expected, "{label}");
        assert_eq!(opened.expect(&label).depth(), expected.len(), "{label}");
        assert_eq!(
            checked.expect(&label).parents,
            expected.len() - 1,
            "{label}"
        );
    }
}

#[test]
fn an_import_is_made_on_the_parents_that_a_view_of_it_has() {
    let layers = store();
    for given in [&["mid"][..], &["mid", "base"], &["base"], &["mid", "other"]] {
        let found = Chain::of_parents(&refs(&layers, given));
        let made = layers.import("new", Cursor::new(bytes("new")), given);
        match (found, made) {
            (Ok(found), Ok(made)) => {
                let made: Vec<_> = made.parents().iter_nearest_first().collect();
                assert_eq!(places(&found), made, "{given:?}");
                fs::remove_dir_all(layers.path("new")).expect("removed");
            }
            (Err(found), Err(_)) => assert_eq!(found.kind(), ErrorKind::InvalidInput),
            (found, made) => panic!("{given:?}: {found:?}, {made:?}"),
        }
    }
}

#[test]
fn only_given_parents_are_opened_beside_a_layer_alone() {
    let layers = store();
    for (layer, given, depth, seen) in [
        ("app", &[][..], 1, 1),
        ("app", &["mid"], 3, 1),
        ("app.tar", &["mid"], 2, 1),
    ] {
        let chain = Chain::resolve(layers.path(layer), &refs(&layers, given), true);
        let chain = chain.expect("a chain");
        assert_eq!(chain.layers().len(), depth, "{layer} {given:?}");
        let view = chain.open(Access::Listing, &()).expect("a view");
        assert_eq!(view.seen(), seen);
        assert_eq!(chain.seen().layers().len(), 1);
    }
}

#[test]
fn a_chain_is_cut_from_the_top_and_measured() {
    let layers = store();
    let given = refs(&layers, &["mid", "base"]);
    let chain = Chain::resolve(layers.path("app.tar"), &given, false).expect("a chain");
    assert_eq!(chain.tars_size(), bytes("app").len() as u64);
    let kinds = |chain: &Chain| {
        chain
            .layers()
            .iter()
            .map(|it| it.kind())
            .collect::<Vec<_>>()
    };
    assert!(matches!(kinds(&chain)[0], Kind::Tar(_)));
    let ids = chain.layers().iter().map(|it| it.diff_id().expect("sound"));
    let ids: Vec<_> = ids.collect();
    assert_eq!(ids[0], None);
    assert_eq!(ids[1], Some(wclayer::DiffId::of(&bytes("mid"))));
    let below = chain.below(1);
    assert_eq!(kinds(&below), [Kind::Portable; 2]);
    assert_eq!((below.tars_size(), below.below(9).layers().len()), (0, 0));
}

#[test]
fn a_missing_layer_of_a_chain_is_named_as_it_was_given() {
    let layers = store();
    let absent = layers.path("absent").display().to_string();
    for (layer, given) in [("absent", &[][..]), ("app.tar", &["mid.tar", "absent"])] {
        let error = Chain::resolve(layers.path(layer), &refs(&layers, given), false);
        let error = error.expect_err("it does not exist");
        assert!(matches!(&error, Error::NotFound { name } if *name == absent));
    }
}

/// A transport folder names its parents only if somebody wrote a `layerchain.json` there.
#[cfg(unix)]
#[test]
fn a_transport_folder_may_name_its_parents() {
    let layers = store();
    let folder = layers.path("folder");
    fs::create_dir_all(folder.join("Files")).expect("made");
    fs::write(folder.join("tombstones.txt"), "Version 1.0\n").expect("written");
    let alone = Chain::resolve(&folder, &ParentChain::none(), false).expect("a chain");
    assert_eq!(alone.layers().len(), 1);
    let parents = [layers.path("mid")];
    let text = format!("[{:?}]", parents[0].display().to_string());
    // Beside `Files`, it would make the folder a Windows layer without `tombstones.txt`.
    fs::write(folder.join("layerchain.json"), text).expect("written");
    let chain = Chain::resolve(&folder, &ParentChain::none(), false).expect("a chain");
    assert_eq!(chain.layers()[0].kind(), Kind::Transport);
    assert_eq!(
        places(&chain)[1..],
        parents.map(|it| dunce::canonicalize(it).expect("there"))
    );
    let above = Chain::resolve(layers.path("app.tar"), &refs(&layers, &["folder"]), false);
    assert_eq!(above.expect("a chain").layers().len(), 3);
}
