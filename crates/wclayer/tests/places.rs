//! The paths of portable layers: what may exist there before, what is beside them during an import,
//! and what is left at the end, on every system.

mod common;

use std::fs;

#[cfg(windows)]
use common::names_in;
use common::{Layers, plain, root_cause, tar};
use wclayer::portable::{self, ImportOptions, PortableLayer, PortableLayerWriter};
use wclayer::{ErrorKind, LayerWriter as _, ParentChain};

fn small() -> std::io::Cursor<Vec<u8>> {
    tar(|tar| tar.file("Files/a", &plain(), b"a"))
}

#[test]
fn a_layer_does_not_replace_its_own_parents() {
    let layers = Layers::new();
    layers.import("base", small(), &[]).expect("legal");
    layers.import("patch", small(), &["base"]).expect("legal");
    for name in ["base", "patch"] {
        let options = ImportOptions::default()
            .parents(ParentChain::from_nearest_first([layers.path("patch")]))
            .replace(true);
        let error = portable::import(small(), layers.path(name), &options, &())
            .expect_err("it would be its own parent");
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(
            root_cause(&error).contains("are not a chain of layers"),
            "{error:?}"
        );
    }
    let base = PortableLayer::open(layers.path("base")).expect("untouched");
    assert!(base.parents().is_empty());
    assert_eq!(layers.names(), ["base", "patch"]);
}

#[test]
fn a_layer_that_a_killed_import_was_replacing_is_restored() {
    let layers = Layers::new();
    layers.import("x", small(), &[]).expect("legal");
    fs::create_dir(layers.path(".x.wclayer-abcdef")).expect("free");
    fs::rename(layers.path("x"), layers.path(".x.wclayer-abcdef/replaced")).expect("free");
    let error = layers
        .import("x", small(), &[])
        .expect_err("the layer was restored");
    assert_eq!(error.kind(), ErrorKind::Exists);
    let layer = PortableLayer::open(layers.path("x")).expect("whole");
    assert_eq!(layer.descriptor().entries.total(), 2);
    assert_eq!(layers.names(), ["x"]);
}

/// Elsewhere, SQLite's own limit of 512 bytes is in the way.
#[cfg(windows)]
#[test]
fn a_path_may_be_longer_than_windows_likes() {
    let layers = Layers::new();
    let folder = ["a folder with a name of fifty-five characters or nearly"; 9].join("/");
    let [base, app] = ["base", "app"].map(|name| format!("{folder}/{name}"));
    layers.import(&base, small(), &[]).expect("legal");
    let link = tar(|tar| tar.hard_link("Files/l", "Files/a", &plain()));
    let layer = layers.import(&app, link, &[&base]).expect("legal");
    let mut paths = Vec::new();
    let index = layer.index().expect("fresh");
    index
        .for_each(|entry| {
            paths.push(entry.path.to_string());
            Ok(())
        })
        .expect("intact");
    assert_eq!(paths, ["Files", "Files/l"]);
    assert_eq!(names_in(&layers.path(&folder)), ["app", "base"]);
}

#[test]
fn a_written_layer_that_breaks_a_rule_leaves_nothing_behind() {
    let layers = Layers::new();
    let options = ImportOptions::default();
    let mut writer = PortableLayerWriter::create(layers.path("x"), &options, &()).expect("free");
    writer
        .remove(&"Files/nothing".parse().expect("legal"))
        .expect("a tar can express it");
    let error = writer.finish().expect_err("a base layer removes nothing");
    assert_eq!(error.kind(), ErrorKind::InvalidLayer);
    assert_eq!(layers.names(), [""; 0]);
}

#[test]
fn the_chain_is_written_with_ordinary_paths() {
    let layers = Layers::new();
    layers.import("base", small(), &[]).expect("legal");
    layers.import("app", small(), &["base"]).expect("legal");
    let chain = fs::read(layers.path("app/layerchain.json")).expect("there");
    let chain: Vec<std::path::PathBuf> = serde_json::from_slice(&chain).expect("an array");
    let [base] = &chain[..] else {
        panic!("{chain:?}")
    };
    assert!(base.is_absolute() && base.ends_with("base"), "{base:?}");
    assert!(!base.starts_with(r"\\?\"), "{base:?}");
    assert_eq!(
        fs::canonicalize(base).expect("there"),
        fs::canonicalize(layers.path("base")).expect("there")
    );
}

#[cfg(unix)]
#[test]
fn a_layer_has_the_permissions_of_any_new_folder() {
    use std::os::unix::fs::PermissionsExt;
    let layers = Layers::new();
    layers.import("x", small(), &[]).expect("legal");
    fs::create_dir(layers.path("other")).expect("free");
    let mode = |name| {
        let metadata = fs::metadata(layers.path(name)).expect("there");
        metadata.permissions().mode()
    };
    assert_eq!(mode("x"), mode("other"));
}
