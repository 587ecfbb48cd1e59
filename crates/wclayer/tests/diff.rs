//! What differs between two views, aspect by aspect.

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::io::Cursor;

use common::{Layers, directory, plain, tar};
use layergen::Meta;
use wclayer::chain::{self, OpenOptions, View};
use wclayer::diff::{Aspect, Change, DiffOptions, diff};

fn view(layers: &Layers, name: &str, tar: &Cursor<Vec<u8>>) -> View {
    fs::write(layers.path(name), tar.get_ref()).expect("a file");
    chain::open(layers.path(name), &OpenOptions::default(), &()).expect("a view")
}

/// The changes as text: `+ path`, `- path`, `path: aspects`.
fn changes(left: &View, right: &View, options: &DiffOptions) -> Vec<String> {
    let line = |change: Change| match change {
        Change::Added(node) => format!("+ {}", node.path),
        Change::Removed(node) => format!("- {}", node.path),
        Change::Changed {
            left, differences, ..
        } => {
            let aspects = differences.iter().map(|found| found.aspect.name());
            format!("{}: {}", left.path, aspects.collect::<Vec<_>>().join(" "))
        }
    };
    diff(left, right, options, &())
        .map(|change| line(change.expect("readable")))
        .collect()
}

#[test]
fn each_aspect_is_told_by_itself() {
    let layers = Layers::new();
    let of = |meta: &Meta, content: &[u8]| {
        tar(|tar| {
            tar.directory("Files", &directory())?;
            tar.file("Files/x", meta, content)
        })
    };
    let left = view(&layers, "left", &of(&plain(), b"1"));
    let hidden = Meta::with_attributes(0x22);
    for (meta, content, expected) in [
        (plain(), &b"1"[..], vec![]),
        (plain(), b"2", vec!["Files/x: content"]),
        (plain(), b"", vec!["Files/x: content"]),
        (hidden, b"1", vec!["Files/x: attributes"]),
    ] {
        let right = view(&layers, "right", &of(&meta, content));
        let all = DiffOptions::default();
        assert_eq!(changes(&left, &right, &all), expected);
        let ignoring = DiffOptions {
            ignore: BTreeSet::from([Aspect::Content, Aspect::Attributes]),
        };
        assert!(changes(&left, &right, &ignoring).is_empty());
    }
}

#[test]
fn directories_come_before_neighbours_that_sort_between_them_and_their_content() {
    let layers = Layers::new();
    let left = tar(|tar| {
        tar.directory("Files", &directory())?;
        tar.directory("Files/a", &directory())?;
        tar.file("Files/a/x", &plain(), b"1")?;
        tar.file("Files/a-b", &plain(), b"1")
    });
    let right = tar(|tar| {
        tar.directory("Files", &directory())?;
        tar.directory("Files/A", &directory())?;
        tar.file("Files/A/x", &plain(), b"1")?;
        tar.file("Files/A/y", &plain(), b"1")
    });
    let (left, right) = (view(&layers, "left", &left), view(&layers, "right", &right));
    let all = DiffOptions::default();
    assert_eq!(
        changes(&left, &right, &all),
        ["Files/a: name", "+ Files/A/y", "- Files/a-b"]
    );
    assert_eq!(changes(&left, &left, &all), [""; 0]);
}

#[test]
fn metadata_is_compared_part_by_part() {
    let layers = Layers::new();
    let with = |sddl: &str| {
        let descriptor = wclayer::ntmeta::SecurityDescriptor::from_sddl(sddl).expect(sddl);
        Meta {
            security_descriptor: Some(descriptor.to_bytes().expect(sddl)),
            extended_attributes: vec![("KEPT".to_owned(), b"1".to_vec())],
            ..plain().at(132_000_000_000_000_000)
        }
    };
    let of = |meta: &Meta| {
        tar(|tar| {
            tar.directory("Files", &directory())?;
            tar.file("Files/x", meta, b"1")
        })
    };
    let first = with("O:BAG:SYD:(A;;FA;;;SY)");
    let left = view(&layers, "left", &of(&first));
    let mut more_ea = first.clone();
    more_ea
        .extended_attributes
        .push(("NEW".to_owned(), b"2".to_vec()));
    let mut later = first.clone();
    later.creation_time = Some(132_000_000_000_000_001);
    for (meta, expected) in [
        (with("O:SYG:SYD:(A;;FA;;;SY)"), "owner"),
        (with("O:BAG:BAD:(A;;FA;;;SY)"), "group"),
        (with("O:BAG:SYD:P(A;;FA;;;SY)"), "dacl"),
        (with("O:BAG:SYD:(A;;FA;;;SY)S:(AU;SA;FA;;;WD)"), "sacl"),
        (more_ea, "ea"),
        (later, "creation-time"),
    ] {
        let right = view(&layers, "right", &of(&meta));
        let found = changes(&left, &right, &DiffOptions::default());
        assert_eq!(found, [format!("Files/x: {expected}")]);
    }
}

#[test]
fn names_of_one_file_are_told_from_files_of_the_same_content() {
    let layers = Layers::new();
    let of = |is_linked: bool| {
        tar(|tar| {
            tar.directory("Files", &directory())?;
            tar.file("Files/a", &plain(), b"1")?;
            match is_linked {
                true => tar.hard_link("Files/b", "Files/a", &plain()),
                false => tar.file("Files/b", &plain(), b"1"),
            }
        })
    };
    let left = view(&layers, "left", &of(true));
    let right = view(&layers, "right", &of(false));
    let all = DiffOptions::default();
    assert_eq!(changes(&left, &right, &all), ["Files/b: links"]);
    assert_eq!(changes(&left, &left, &all), [""; 0]);
}
