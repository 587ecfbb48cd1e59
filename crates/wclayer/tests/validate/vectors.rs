//! Layers that the reference implementation rejects break a rule: the golden vectors of imports,
//! run through its writer of layers with parents.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::Value;
use wclayer::rules::Severity;
use wclayer::source::{self, OpenOptions};
use wclayer::validate::validate_tar;
use wclayer::view::View;

use crate::{base, directory, file};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testing/vectors/data/import")
}

fn vectors() -> Vec<(String, Value)> {
    let entries = std::fs::read_dir(folder()).expect("the vectors");
    let paths = entries.map(|entry| entry.expect("readable").path());
    let json = paths.filter(|path| path.extension().is_some_and(|end| end == "json"));
    let mut vectors: Vec<_> = json
        .map(|path| {
            let text = std::fs::read_to_string(&path).expect("readable");
            let name = path.file_stem().expect("a name").to_string_lossy();
            (
                name.into_owned(),
                serde_json::from_str(&text).expect("JSON"),
            )
        })
        .collect();
    vectors.sort_by(|(a, _), (b, _)| a.cmp(b));
    vectors
}

/// The parent that the vectors were made on top of: its files, and the required content.
fn parent(vector: &Value, place: &Path) -> View {
    let mut tar = layergen::TarBuilder::new(Vec::new());
    base(&mut tar).expect("memory");
    let mut known: BTreeSet<String> = ["Files".to_owned()].into();
    let files = vector["legacy_writer_parent"].as_array();
    for entry in files.expect("a list") {
        let path = entry["path"].as_str().expect("a path").replace('\\', "/");
        for (at, _) in path.match_indices('/') {
            if known.insert(path[..at].to_owned()) {
                tar.directory(&path[..at], &directory()).expect("memory");
            }
        }
        tar.file(&path, &file(), b"content").expect("memory");
    }
    std::fs::write(place, tar.finish().expect("memory")).expect("free");
    source::open(place, &OpenOptions::default(), &()).expect("a layer")
}

#[test]
fn layers_that_the_reference_rejects_break_a_rule() {
    let place = tempfile::tempdir().expect("a temporary folder");
    let vectors = vectors();
    let of_parent = |(_, vector): &&(String, Value)| vector["legacy_writer_parent"].is_array();
    let (_, vector) = vectors
        .iter()
        .find(of_parent)
        .expect("one vector lists the parent");
    let view = parent(vector, &place.path().join("base.tar"));
    let mut refused = 0;
    let mut accepted = BTreeSet::new();
    for (name, vector) in &vectors {
        if vector["error"].is_null() && vector["legacy_writer"]["error"].is_null() {
            continue;
        }
        refused += 1;
        let tar = std::fs::File::open(folder().join(format!("{name}.tar"))).expect(name);
        let report = validate_tar(tar, Some(&view), 1, &()).expect(name);
        // Many of these tars have no `Hives`, which is not the reason for the rejection.
        let mut errors = report.rules.keys().filter(|rule| {
            rule.info().severity == Severity::Error && rule.info().id != "hives-missing"
        });
        if errors.next().is_none() {
            accepted.insert(&**name);
        }
    }
    assert!(refused > 30, "{refused} vectors");
    assert_eq!(
        accepted,
        [].into(),
        "each of these needs a rule, or a reason here"
    );
}
