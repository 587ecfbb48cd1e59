//! `find`: entries that pass tests.

use layergen::Meta;
use proptest::prelude::*;
use tempfile::TempDir;
use wclayer::ErrorKind;
use wclayer::find::{EntryType, SizeTest, Test, Tests, find};
use wclayer::ntmeta::security::Sid;
use wclayer::ntmeta::{FileAttributes, FileTime};
use wclayer::view::View;

use super::common::{ARCHIVE, DIRECTORY, REPARSE, directory, plain};
use super::{Cancelled, open, path, write};

const HIDDEN: u32 = 2;
/// 100 ns ticks of a second after 1970.
const LATER: u64 = layergen::UNIX_EPOCH + 10_000_000;

fn chain(folder: &TempDir) -> View {
    let base = write(folder, "base.tar", |tar| {
        tar.directory("Files/d", &directory())?;
        tar.file("Files/d/one.txt", &plain(), b"1")?;
        tar.file(
            "Files/d/two.TXT",
            &Meta::with_attributes(ARCHIVE | HIDDEN),
            b"22",
        )?;
        tar.hard_link("Files/d/link", "Files/d/one.txt", &plain())
    });
    let upper = write(folder, "upper.tar", |tar| {
        tar.file("Files/d/three.dat", &plain().at(LATER), b"333")?;
        tar.stream("Files/d/three.dat", "s", &plain(), b"4444")?;
        tar.junction(
            "Files/j",
            r"C:\d",
            &Meta::with_attributes(DIRECTORY | REPARSE),
        )
    });
    open(&[upper, base])
}

fn found(view: &View, tests: impl IntoIterator<Item = Test>) -> Vec<String> {
    let tests: Tests = tests.into_iter().collect();
    let nodes = find(view, None, &tests, &());
    nodes
        .map(|node| node.expect("readable").path.to_string())
        .collect()
}

#[test]
fn each_test_looks_at_one_property() {
    let folder = tempfile::tempdir().expect("a folder");
    let view = chain(&folder);
    let glob = |text: &str| text.parse().expect(text);
    let (one, two, three) = ("Files/d/one.txt", "Files/d/two.TXT", "Files/d/three.dat");
    for (test, expected) in [
        (Test::Name(glob("*.txt")), vec![one, two]),
        (Test::Path(glob("files/*/t*")), vec![three, two]),
        (
            Test::Type(EntryType::File),
            vec!["Files/d/link", one, three, two],
        ),
        (Test::Type(EntryType::Directory), vec!["Files", "Files/d"]),
        (Test::Type(EntryType::ReparsePoint), vec!["Files/j"]),
        (Test::Type(EntryType::HardLink), vec!["Files/d/link"]),
        (Test::Type(EntryType::Removal), vec![]),
        (Test::Size(SizeTest::Above(1)), vec![three, two]),
        (Test::Attributes(FileAttributes::HIDDEN), vec![two]),
        (Test::Layer(0), vec!["Files", three, "Files/j"]),
        (
            Test::NewerThan(FileTime::from_ticks(LATER - 1)),
            vec![three],
        ),
        (Test::NewerThan(FileTime::from_ticks(LATER)), vec![]),
        (Test::HasStreams, vec![three]),
    ] {
        let label = format!("{test:?}");
        assert_eq!(found(&view, [test]), expected, "{label}");
    }
}

#[test]
fn a_start_is_part_of_what_is_found() {
    let folder = tempfile::tempdir().expect("a folder");
    let view = chain(&folder);
    for (start, expected) in [
        ("Files/j", vec!["Files/j"]),
        ("Files/d/one.txt", vec!["Files/d/one.txt"]),
        (
            "files/D",
            vec![
                "Files/d",
                "Files/d/link",
                "Files/d/one.txt",
                "Files/d/three.dat",
                "Files/d/two.TXT",
            ],
        ),
    ] {
        let node = view.find(&path(start)).expect("readable");
        let tests = Tests::default();
        let nodes = find(&view, node, &tests, &());
        let paths: Vec<_> = nodes
            .map(|node| node.expect("readable").path.to_string())
            .collect();
        assert_eq!(paths, expected, "{start}");
    }
}

#[test]
fn a_cancelled_search_ends_with_an_error() {
    let folder = tempfile::tempdir().expect("a folder");
    let view = chain(&folder);
    let tests = Tests::default();
    let mut nodes = find(&view, None, &tests, &Cancelled);
    let error = nodes.next().expect("an error").expect_err("cancelled");
    assert_eq!(error.kind(), ErrorKind::Cancelled);
    assert!(nodes.next().is_none());
}

fn any_test() -> impl Strategy<Value = Test> {
    let glob = prop_oneof![Just("*.txt"), Just("*t*"), Just("?ink"), Just("*")];
    let entry_type = prop_oneof![
        Just(EntryType::File),
        Just(EntryType::Directory),
        Just(EntryType::ReparsePoint),
        Just(EntryType::HardLink),
    ];
    prop_oneof![
        glob.prop_map(|text| Test::Name(text.parse().expect(text))),
        entry_type.prop_map(Test::Type),
        (0_u64..4).prop_map(|size| Test::Size(SizeTest::Above(size))),
        (0_u64..4).prop_map(|size| Test::Size(SizeTest::Below(size))),
        (0_usize..2).prop_map(Test::Layer),
        Just(Test::HasStreams),
        Just(Test::Owner(
            Sid::from_well_known_name("administrators").expect("a SID")
        )),
        Just(Test::Attributes(FileAttributes::ARCHIVE)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn several_tests_find_what_each_of_them_finds(
        chosen in proptest::collection::vec(any_test(), 0..4),
    ) {
        let folder = tempfile::tempdir().expect("a folder");
        let view = chain(&folder);
        let mut expected = found(&view, []);
        for test in &chosen {
            let alone = found(&view, [test.clone()]);
            expected.retain(|path| alone.contains(path));
        }
        prop_assert_eq!(found(&view, chosen), expected);
    }
}
