//! Differences between two views, aspect by aspect.

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::io::Cursor;

use common::{Layers, REPARSE, directory, plain, tar};
use layergen::Meta;
use wclayer::diff::{Aspect, Change, DiffOptions, diff};
use wclayer::source::{self, OpenOptions};
use wclayer::view::View;
#[cfg(unix)]
use wclayer::{
    tar::TarLayerReader,
    transport::{self, ImportOptions},
    volume::host::HostVolume,
};

fn view(layers: &Layers, name: &str, tar: &Cursor<Vec<u8>>) -> View {
    fs::write(layers.path(name), tar.get_ref()).expect("a file");
    source::open(layers.path(name), &OpenOptions::default(), &()).expect("a view")
}

fn reparse() -> Meta {
    Meta::with_attributes(REPARSE)
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
fn each_aspect_is_reported_separately() {
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
        let ignoring =
            DiffOptions::default().ignore(BTreeSet::from([Aspect::Content, Aspect::Attributes]));
        assert!(changes(&left, &right, &ignoring).is_empty());
    }
}

#[test]
fn each_time_is_reported_separately() {
    let layers = Layers::new();
    let of = |meta: &Meta| tar(|tar| tar.file("Files/x", meta, b"x"));
    let same = plain().at(layergen::UNIX_EPOCH + 1);
    let other = Some(layergen::UNIX_EPOCH + 2);
    let left = view(&layers, "left", &of(&same));
    let changed = [
        (
            Meta {
                creation_time: other,
                ..same.clone()
            },
            "creation-time",
        ),
        (
            Meta {
                access_time: other,
                ..same.clone()
            },
            "access-time",
        ),
        (
            Meta {
                write_time: other,
                ..same.clone()
            },
            "write-time",
        ),
        (
            Meta {
                change_time: other,
                ..same.clone()
            },
            "change-time",
        ),
    ];
    for (meta, aspect) in changed {
        let right = view(&layers, "right", &of(&meta));
        let expected = [format!("Files/x: {aspect}")];
        assert_eq!(changes(&left, &right, &DiffOptions::default()), expected);
    }
}

#[test]
fn removals_of_single_layers_are_compared() {
    let layers = Layers::new();
    let alone = |name: &str, tar: Cursor<Vec<u8>>| view(&layers, name, &tar).only_nearest(1);
    let opaque = alone(
        "left",
        tar(|tar| {
            tar.directory("Files/d", &directory())?;
            tar.opaque("Files/d")?;
            tar.whiteout("Files/gone")
        }),
    );
    let plain = alone(
        "right",
        tar(|tar| {
            tar.directory("Files/d", &directory())?;
            tar.whiteout("Files/other")
        }),
    );
    let expected = ["Files/d: removal", "- Files/gone", "+ Files/other"];
    assert_eq!(changes(&opaque, &plain, &DiffOptions::default()), expected);
}

#[test]
fn content_follows_its_directory_even_if_a_sibling_sorts_between_them() {
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
fn each_part_of_the_metadata_is_compared() {
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

/// The differences of the only changed entry: aspect, name, left and right.
fn differences(left: &View, right: &View) -> Vec<[String; 4]> {
    let all = DiffOptions::default();
    let changes: Vec<_> = diff(left, right, &all, &())
        .map(|change| change.expect("readable"))
        .collect();
    let [Change::Changed { differences, .. }] = &changes[..] else {
        panic!("{changes:?}");
    };
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let parts = differences.iter().map(|found| {
        let (left, right) = (text(&found.left), text(&found.right));
        [
            found.aspect.name().to_owned(),
            text(&found.name),
            left,
            right,
        ]
    });
    parts.collect()
}

#[test]
fn alternate_streams_are_compared_by_name_and_content() {
    let layers = Layers::new();
    let of = |streams: &[(&str, &[u8])]| {
        tar(|tar| {
            tar.file("Files/x", &plain(), b"1")?;
            let mut streams = streams.iter();
            streams.try_for_each(|(name, content)| tar.stream("Files/x", name, &plain(), content))
        })
    };
    let left = view(
        &layers,
        "left",
        &of(&[("A", b"1"), ("b", b"same"), ("c", b"22")]),
    );
    let right = view(
        &layers,
        "right",
        &of(&[("a", b"2"), ("B", b"same"), ("d", b"")]),
    );
    let found = differences(&left, &right);
    assert_eq!(
        found[..2],
        [["name", "A", "A", "a"], ["name", "b", "b", "B"]]
    );
    let found = &found[2..];
    let names: Vec<_> = found
        .iter()
        .map(|[aspect, name, ..]| [aspect, name])
        .collect();
    assert_eq!(names, [["stream", "A"], ["stream", "c"], ["stream", "d"]]);
    assert!(found[0][2].starts_with("1 bytes sha256:") && found[0][2] != found[0][3]);
    assert!(found[1][2].starts_with("2 bytes") && found[1][3].is_empty());
    assert!(found[2][2].is_empty() && found[2][3].starts_with("0 bytes"));
}

#[test]
fn extended_attributes_are_reported_individually() {
    let layers = Layers::new();
    let of = |attributes: &[(&str, &[u8])]| {
        let owned = |(name, value): &(&str, &[u8])| ((*name).to_owned(), value.to_vec());
        let meta = Meta {
            extended_attributes: attributes.iter().map(owned).collect(),
            ..plain()
        };
        tar(|tar| tar.file("Files/x", &meta, b"1"))
    };
    let left = view(
        &layers,
        "left",
        &of(&[("CHANGED", b"1"), ("GONE", b"2"), ("SAME", b"3")]),
    );
    let right = view(
        &layers,
        "right",
        &of(&[("CHANGED", b"9"), ("NEW", b"4"), ("SAME", b"3")]),
    );
    assert_eq!(
        differences(&left, &right),
        [
            ["ea", "CHANGED", "31", "39"],
            ["ea", "GONE", "32", ""],
            ["ea", "NEW", "", "34"],
        ]
    );
}

#[test]
fn reparse_points_are_described_in_words() {
    let layers = Layers::new();
    let link = |target: &str| tar(|tar| tar.symlink("Files/x", target, &reparse()));
    let junction = tar(|tar| tar.junction("Files/x", r"C:\a", &reparse()));
    let left = view(&layers, "left", &link("a.txt"));
    let of_right = |right: &Cursor<Vec<u8>>| {
        let right = view(&layers, "right", right);
        let found = differences(&left, &right);
        let [aspect, name, left, right] = found.last().expect("a difference").clone();
        assert_eq!((aspect.as_str(), name.as_str()), ("reparse", ""));
        assert_eq!(left, "relative symbolic link to `a.txt`");
        right
    };
    let absolute = of_right(&link(r"C:\a"));
    assert_eq!(absolute, r"absolute symbolic link to `C:\a`");
    assert_eq!(of_right(&junction), r"junction to `C:\a`");
    assert_eq!(of_right(&tar(|tar| tar.file("Files/x", &plain(), b""))), "");
}

#[test]
fn reparse_points_with_the_same_description_are_reported_with_their_bytes() {
    let layers = Layers::new();
    // WCI with one byte of data each.
    let of = |buffer: &str| {
        let meta = Meta {
            records: vec![("WCLAYER.reparse".to_owned(), buffer.as_bytes().to_vec())],
            ..reparse()
        };
        tar(|tar| tar.file("Files/x", &meta, b""))
    };
    let left = view(&layers, "left", &of("GAAAgAEAAAAB"));
    let right = view(&layers, "right", &of("GAAAgAEAAAAC"));
    let words = "WCI, 1 bytes of data";
    assert_eq!(
        differences(&left, &right),
        [[
            "reparse".to_owned(),
            String::new(),
            format!("{words}, 180000800100000001"),
            format!("{words}, 180000800100000002"),
        ]]
    );
}

/// The content of a compressed tar is known by its hashes: the tar is read only once.
#[cfg(unix)]
#[test]
fn a_compressed_tar_is_not_read_again_for_a_folder_without_hashes() {
    let layers = Layers::new();
    let made = tar(|tar| {
        tar.file("Files/x", &plain(), b"1")?;
        tar.file("Files/y", &plain(), b"2")
    });
    let options = ImportOptions::default();
    let mut source = TarLayerReader::new(&made.get_ref()[..]);
    let folder = layers.path("folder");
    transport::import(&HostVolume::new(), &mut source, &folder, options, &()).expect("a folder");
    let open =
        |name: &str| source::open(layers.path(name), &OpenOptions::default(), &()).expect("a view");
    let path = layers.path("layer.tar.gz");
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut gzip, made.get_ref()).expect("memory");
    fs::write(&path, gzip.finish().expect("memory")).expect("a file");
    let (left, right) = (open("folder"), open("layer.tar.gz"));
    fs::remove_file(path).expect("the tar");
    let ignore = BTreeSet::from([Aspect::ChangeTime, Aspect::CreationTime]);
    let options = DiffOptions::default().ignore(ignore);
    assert_eq!(changes(&left, &right, &options), [""; 0]);
}

#[test]
fn names_of_one_file_differ_from_files_with_the_same_content() {
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

#[test]
fn a_file_with_several_names_is_reported_at_the_first() {
    let layers = Layers::new();
    let of = |content: &[u8], names: &[&str]| {
        tar(|tar| {
            tar.file("Files/a", &plain(), content)?;
            let mut links = names.iter();
            links.try_for_each(|name| tar.hard_link(name, "Files/a", &plain()))
        })
    };
    let left = view(&layers, "left", &of(b"1", &["Files/b", "Files/c"]));
    let right = view(&layers, "right", &of(b"2", &["Files/B", "Files/c"]));
    let all = DiffOptions::default();
    assert_eq!(
        changes(&left, &right, &all),
        ["Files/a: content", "Files/b: name"]
    );
}

#[test]
fn a_file_is_reported_once_even_if_another_name_comes_first() {
    let layers = Layers::new();
    let of = |content: &[u8], names: &[&str]| {
        tar(|tar| {
            tar.file(names[0], &plain(), content)?;
            let mut links = names[1..].iter();
            links.try_for_each(|name| tar.hard_link(name, names[0], &plain()))
        })
    };
    let names = ["Files/b", "Files/c", "Files/d"];
    let more = ["Files/a", "Files/b", "Files/c", "Files/d"];
    let all = DiffOptions::default();
    let left = view(&layers, "left", &of(b"1", &names));
    let right = view(&layers, "right", &of(b"2", &more));
    let expected = ["+ Files/a", "Files/b: content links"];
    assert_eq!(changes(&left, &right, &all), expected);
    let expected = ["- Files/a", "Files/b: content links"];
    assert_eq!(changes(&right, &left, &all), expected);
    // Half of the names belong to another file: each pair of files is reported once.
    let halves = tar(|tar| {
        tar.file("Files/a", &plain(), b"2")?;
        tar.hard_link("Files/b", "Files/a", &plain())?;
        tar.file("Files/c", &plain(), b"3")?;
        tar.hard_link("Files/d", "Files/c", &plain())
    });
    let halves = view(&layers, "halves", &halves);
    let expected = ["Files/c: content links"];
    assert_eq!(changes(&right, &halves, &all), expected);
}
