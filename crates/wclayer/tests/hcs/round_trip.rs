//! A layer matches its tar, and an export returns the same tar.

use std::collections::{BTreeMap, BTreeSet};

use fakewindows::Object;
use ntmeta::StreamId;
use wclayer::hcs::Contents;

use crate::layers;
use crate::support::{APP, BASE, Machine, Meaning, Parts, meanings};

type Meanings = BTreeMap<String, Meaning>;

/// Replaces each link with the file, and each opaque directory with removals of the parent's
/// entries; also returns the names that belong to the same file.
fn resolved(layer: &Meanings, parent: &Meanings) -> (Meanings, BTreeSet<BTreeSet<String>>) {
    let mut result = Meanings::new();
    let mut groups: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (path, meaning) in layer {
        match meaning {
            Meaning::Link(target) => {
                let file = layer.get(target).or_else(|| parent.get(target));
                result.insert(path.clone(), file.expect("the target exists").clone());
                if layer.contains_key(target) {
                    let group = groups.entry(target.clone()).or_default();
                    group.extend([target.clone(), path.clone()]);
                }
            }
            Meaning::Opaque => {
                let start = path
                    .strip_suffix(".opaque")
                    .expect("the marker of opaque directories");
                let inside = parent.keys().filter(|other| other.starts_with(start));
                for gone in inside.filter(|other| !layer.contains_key(*other)) {
                    result.insert(gone.clone(), Meaning::Removal);
                }
            }
            other => drop(result.insert(path.clone(), other.clone())),
        }
    }
    (result, groups.into_values().collect())
}

fn of_tar(tar: &[u8], parent: &Meanings) -> (Meanings, BTreeSet<BTreeSet<String>>) {
    resolved(&meanings(tar), parent)
}

fn only(layer: &Meanings, top: &str) -> Meanings {
    let below = format!("{top}/");
    let is_below = |path: &String| *path == top || path.starts_with(&below);
    layer
        .iter()
        .filter(|(path, _)| is_below(path))
        .map(|(path, one)| (path.clone(), one.clone()))
        .collect()
}

fn assert_same(expected: &Meanings, actual: &Meanings) {
    for (path, meaning) in expected {
        assert_eq!(Some(meaning), actual.get(path), "{path}");
    }
    let expected: Vec<_> = expected.keys().collect();
    assert_eq!(expected, actual.keys().collect::<Vec<_>>());
}

#[test]
fn a_base_layer_survives_a_round_trip() {
    let machine = Machine::new();
    let tar = layers::base();
    machine.import(&tar, BASE, &[]).unwrap();
    let exported = machine.export(BASE, &[]).unwrap();
    let (expected, links) = of_tar(&tar, &Meanings::new());
    let (actual, actual_links) = of_tar(&exported, &Meanings::new());
    assert_same(&expected, &actual);
    assert_eq!(links, actual_links);
    machine.import(&exported, "/c/layers/again", &[]).unwrap();
    assert!(
        machine.export("/c/layers/again", &[]).unwrap() == exported,
        "not the same bytes"
    );
    machine.assert_nothing_left("after two round trips");
}

/// Imports and exports a layer on top of the base; returns the expected and the actual content.
fn above_the_base(
    machine: &Machine,
    tar: &[u8],
    contents: Contents,
) -> [(Meanings, BTreeSet<BTreeSet<String>>); 2] {
    machine.import(&layers::base(), BASE, &[]).unwrap();
    machine
        .import_contents(tar, APP, &[BASE], contents)
        .unwrap();
    machine.assert_nothing_left("after the import");
    let exported = machine.export(APP, &[BASE]).unwrap();
    machine.assert_nothing_left("after the export");
    let base = meanings(&layers::base());
    let result = [of_tar(tar, &base), of_tar(&exported, &base)];
    machine
        .import_contents(&exported, "/c/layers/again", &[BASE], contents)
        .unwrap();
    let again = machine.export("/c/layers/again", &[BASE]).unwrap();
    let (first, second) = (meanings(&exported), meanings(&again));
    assert_same(&first, &second);
    assert!(again == exported, "not the same bytes");
    result
}

#[test]
fn the_legacy_writer_and_reader_preserve_files() {
    let machine = Machine::without_filter();
    let [(expected, links), (actual, actual_links)] =
        above_the_base(&machine, &layers::app(), Contents::Anything);
    let mut expected_files = only(&expected, "Files");
    let mut actual_files = only(&actual, "Files");
    // The reference takes the times of `Files` itself from a hive, and so does this reader.
    let (Some(Meaning::File(info, _)), Some(Meaning::File(actual_info, _))) =
        (expected_files.remove("Files"), actual_files.remove("Files"))
    else {
        panic!("`Files` is a directory");
    };
    assert_eq!(info.attributes, actual_info.attributes);
    assert_same(&expected_files, &actual_files);
    let of_files = |links: &BTreeSet<BTreeSet<String>>| -> BTreeSet<_> {
        links
            .iter()
            .filter(|names| names.iter().all(|name| name.starts_with("Files/")))
            .cloned()
            .collect()
    };
    assert_eq!(of_files(&links), of_files(&actual_links));
    for top in ["Hives", "UtilityVM"] {
        assert_same_content(&only(&expected, top), &only(&actual, top));
    }
}

/// Compares the content of a transport folder outside `Files`: names, data and write times.
fn assert_same_content(expected: &Meanings, actual: &Meanings) {
    for (path, meaning) in expected {
        // A transport folder has no tombstones outside `Files`.
        if *meaning == Meaning::Removal {
            continue;
        }
        let found = actual
            .get(path)
            .unwrap_or_else(|| panic!("{path} is missing"));
        assert_eq!(
            meaning.data().unwrap_or_default(),
            found.data().unwrap_or_default(),
            "{path}"
        );
        if let (Meaning::File(a, _), Meaning::File(b, _)) = (meaning, found)
            && path.ends_with("_Delta")
        {
            assert_eq!(a.last_write_time, b.last_write_time, "{path}");
        }
    }
    for path in actual.keys() {
        assert!(expected.contains_key(path), "{path} is unexpected");
    }
}

#[test]
fn the_filter_writer_and_reader_preserve_everything() {
    let machine =
        Machine::with(fakewindows::FakeWindows::new().without(wclayer::hcs::Function::ExportLayer));
    let tar = layers::app_without_links();
    let [(expected, _), (actual, _)] = above_the_base(&machine, &tar, Contents::FilesAndRemovals);
    assert_same(&expected, &actual);
}

#[test]
fn a_layer_on_disk_matches_its_entries() {
    for (machine, tar, contents) in [
        (Machine::without_filter(), layers::app(), Contents::Anything),
        (Machine::new(), layers::app(), Contents::Anything),
        (
            Machine::new(),
            layers::app_without_links(),
            Contents::FilesAndRemovals,
        ),
    ] {
        machine.import(&layers::base(), BASE, &[]).unwrap();
        machine
            .import_contents(&tar, APP, &[BASE], contents)
            .unwrap();
        let entries = meanings(&tar);
        for (path, meaning) in &entries {
            let object = machine.windows.look(format!("{APP}/{path}"));
            match meaning {
                Meaning::Removal => assert_eq!(object, None, "{path}"),
                Meaning::Link(target) => {
                    assert_eq!(
                        object,
                        machine.windows.look(format!("{APP}/{target}")),
                        "{path}"
                    );
                    assert!(object.unwrap().links > 1, "{path}");
                }
                Meaning::File(info, parts) => {
                    let object = object.unwrap_or_else(|| panic!("{path} is missing"));
                    // Windows changes the boot file itself.
                    if !path.ends_with("BCD") {
                        assert_eq!(object.info, *info, "{path}");
                        assert_parts(path, &object, parts);
                    }
                }
                Meaning::Opaque => {}
            }
        }
    }
}

fn assert_parts(path: &str, object: &Object, parts: &Parts) {
    let of = |id: StreamId| -> Vec<u8> {
        let found = parts.iter().filter(|(other, ..)| *other == id.0);
        found.flat_map(|(_, _, _, body)| body.clone()).collect()
    };
    let is_hive = path.starts_with("Hives/");
    if !is_hive {
        assert_eq!(
            object.security,
            of(StreamId::SECURITY_DATA),
            "security of {path}"
        );
    }
    assert_eq!(
        object.extended_attributes,
        of(StreamId::EA_DATA),
        "attributes of {path}"
    );
    assert_eq!(
        object.reparse.clone().unwrap_or_default(),
        of(StreamId::REPARSE_DATA),
        "{path}"
    );
    if object.ranges.is_none() {
        assert_eq!(object.data, of(StreamId::DATA), "data of {path}");
    } else {
        assert_eq!(
            object.ranges.as_deref(),
            Some(&[(0x2000, 0x2000)][..]),
            "ranges of {path}"
        );
        assert_eq!(object.data.len(), 0x6000, "size of {path}");
    }
    let streams: Vec<u8> = object
        .streams
        .iter()
        .flat_map(|(_, data)| data.clone())
        .collect();
    assert_eq!(streams, of(StreamId::ALTERNATE_DATA), "streams of {path}");
}

#[test]
fn the_order_of_streams_from_windows_does_not_matter() {
    use StreamId as Id;
    let machine = Machine::new();
    machine.import(&layers::base(), BASE, &[]).unwrap();
    let usual = machine.export(BASE, &[]).unwrap();
    machine.windows.set_backup_order(&[
        Id::DATA,
        Id::ALTERNATE_DATA,
        Id::EA_DATA,
        Id::REPARSE_DATA,
        Id::SECURITY_DATA,
    ]);
    assert!(machine.export(BASE, &[]).unwrap() == usual);
}
