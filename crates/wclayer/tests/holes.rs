//! Holes are free: a tar of a few KiB with a file of 60 GiB takes no disk space and no reading of
//! zeros in any form, and its content stays the same.
#![cfg(unix)]

mod common;

use std::fs;
use std::io::{Cursor, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use common::{Layers, gnu_sparse as gnu, tar};
use wclayer::diff::{Aspect, Change, DiffOptions, diff};
use wclayer::extract::{ExtractOptions, ExtractWriter};
use wclayer::hub::{self, Progress};
use wclayer::source::{self, OpenOptions};
use wclayer::squash::{SquashOptions, squash};
use wclayer::tar::{TarEntries, TarEntryKind, TarLayerReader, TarLayerWriter};
use wclayer::transport::{self, ImportOptions};
use wclayer::view::{Node, View};
use wclayer::volume::host::HostVolume;
use wclayer::{Digest, LayerPath};

const SIZE: u64 = 60 << 30;
/// The maximum size of any of these layers, in bytes.
const SMALL: u64 = 256 << 10;

type Parts<'a> = &'a [(u64, &'a [u8])];

/// A layer with such files.
fn layer(members: &[Vec<u8>]) -> Vec<u8> {
    tar(|tar| members.iter().try_for_each(|member| tar.raw_bytes(member))).into_inner()
}

fn holes() -> Vec<u8> {
    layer(&[
        gnu("Files/hole", SIZE, &[]),
        gnu(
            "Files/some",
            1 << 30,
            &[(0, b"start"), (300 << 20, b"middle")],
        ),
        gnu("Files/some:side", 20 << 20, &[(1 << 19, b"side")]),
    ])
}

fn path(text: &str) -> LayerPath {
    text.parse().expect(text)
}

fn view(place: &Path) -> View {
    source::open(place, &OpenOptions::default(), &()).expect("a view")
}

fn node(view: &View, name: &str) -> Node {
    view.find(&path(name)).expect("readable").expect(name)
}

/// Returns the layer as a tar, a portable layer and a transport folder.
fn all_kinds(tar: &[u8]) -> (Layers, [View; 3]) {
    let layers = Layers::new();
    fs::write(layers.path("tar"), tar).expect("a file");
    layers
        .import("portable", Cursor::new(tar.to_vec()), &[])
        .expect("a layer");
    import_folder(tar, &layers.path("folder"));
    let views = ["tar", "portable", "folder"].map(|name| view(&layers.path(name)));
    (layers, views)
}

fn import_folder(tar: &[u8], folder: &Path) {
    let options = ImportOptions::default();
    let mut source = TarLayerReader::new(tar);
    transport::import(&HostVolume::new(), &mut source, folder, options, &()).expect("a folder");
}

/// Bytes on disk of everything in a folder.
fn on_disk(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).expect("a folder");
    let sizes = entries.map(|entry| {
        let entry = entry.expect("listed");
        match entry.file_type().expect("known").is_dir() {
            true => on_disk(&entry.path()),
            false => 512 * entry.metadata().expect("known").blocks(),
        }
    });
    sizes.sum()
}

/// Counts the bytes read.
#[derive(Default)]
struct Count(AtomicU64);

impl Progress for Count {
    fn advance(&self, bytes: u64) {
        self.0.fetch_add(bytes, Ordering::Relaxed);
    }
}

fn squashed(view: View) -> Vec<u8> {
    let writer = TarLayerWriter::new(Vec::new());
    let squashed = squash(view, SquashOptions::default(), writer, &());
    squashed.expect("squashed").output
}

#[test]
fn every_form_of_the_layer_is_small() {
    let (layers, views) = all_kinds(&holes());
    for name in ["portable", "folder"] {
        let taken = on_disk(&layers.path(name));
        assert!(taken < SMALL, "{name}: {taken}");
    }
    for view in views {
        let out = layers.path("out");
        let writer = ExtractWriter::new(&out, ExtractOptions::default()).expect("a folder");
        hub::copy(&mut view.reader(&[]), writer, &()).expect("extracted");
        assert!(on_disk(&out) < SMALL);
        let size = |name: &str| fs::metadata(out.join(name)).expect(name).len();
        assert_eq!((size("Files/hole"), size("Files/some")), (SIZE, 1 << 30));
        let mut middle = vec![0; 8];
        let some = fs::File::open(out.join("Files/some")).expect("there");
        std::os::unix::fs::FileExt::read_exact_at(&some, &mut middle, (300 << 20) - 1)
            .expect("read");
        assert_eq!(middle, b"\0middle\0");
        fs::remove_dir_all(&out).expect("removed");
    }
}

#[test]
fn the_utility_vm_keeps_holes_on_the_disk() {
    let utility_vm = tar(|tar| {
        tar.directory("UtilityVM", &common::directory())?;
        tar.directory("UtilityVM/Files", &common::directory())?;
        tar.raw_bytes(&gnu("UtilityVM/Files/x", SIZE, &[(5, b"x")]))
    });
    let layers = Layers::new();
    import_folder(utility_vm.get_ref(), &layers.path("folder"));
    assert!(on_disk(&layers.path("folder")) < SMALL);
    let there = fs::metadata(layers.path("folder/UtilityVM/Files/x")).expect("there");
    assert_eq!(there.len(), SIZE);
    let tar = squashed(view(&layers.path("folder")));
    assert!(tar.len() < 16 * 1024, "{}", tar.len());
    fs::write(layers.path("tar"), tar).expect("a file");
    let again = view(&layers.path("tar"));
    let content = again.content(&node(&again, "UtilityVM/Files/x"), None);
    let mut content = content.expect("content").reader();
    let mut start = [0; 7];
    content.read_exact(&mut start).expect("read");
    assert_eq!(&start, b"\0\0\0\0\0x\0");
}

#[test]
fn squash_writes_one_tar_without_the_holes() {
    let (_layers, views) = all_kinds(&holes());
    let [tar, others @ ..] = views.map(squashed);
    assert!(tar.len() < 16 * 1024, "{}", tar.len());
    assert!(others.iter().all(|other| *other == tar));
    let mut entries = TarEntries::new(&tar[..]);
    let mut found = Vec::new();
    while let Some(entry) = entries.next_entry().expect("a tar") {
        let (name, ranges) = match entry.kind {
            TarEntryKind::File(file) if file.has_data => (file.path.to_string(), file.sparse),
            TarEntryKind::Stream(stream) => (format!(":{}", stream.name), stream.sparse),
            _ => continue,
        };
        let ranges = ranges.expect("sparse").ranges;
        let ranges: Vec<_> = ranges
            .iter()
            .map(|range| (range.offset, range.len))
            .collect();
        found.push((name, entry.size, ranges));
    }
    let expected = [
        ("Files/hole".to_owned(), SIZE, vec![]),
        (
            "Files/some".to_owned(),
            1 << 30,
            vec![(0, 5), (300 << 20, 6)],
        ),
        (":side".to_owned(), 20 << 20, vec![(1 << 19, 4)]),
    ];
    assert_eq!(found, expected);
}

/// Up to 16 MiB of holes are written as zeros before others are left out. Squashing the result
/// again yields the same tar.
#[test]
fn the_first_holes_are_written_as_zeros() {
    let layers = Layers::new();
    let write = |holes: &[u64]| {
        let member = |(number, size): (usize, &u64)| gnu(&format!("Files/{number}"), *size, &[]);
        let members: Vec<_> = holes.iter().enumerate().map(member).collect();
        fs::write(layers.path("tar"), layer(&members)).expect("a file");
        let tar = squashed(view(&layers.path("tar")));
        fs::write(layers.path("again"), &tar).expect("a file");
        assert!(squashed(view(&layers.path("again"))) == tar, "{holes:?}");
        tar.len()
    };
    assert!(write(&[16 << 20]) > 16 << 20);
    assert!(write(&[(16 << 20) + 1]) < 8 << 10);
    assert!((16 << 20..17 << 20).contains(&write(&[9 << 20, 8 << 20, 7 << 20])));
}

#[test]
fn different_holes_with_the_same_content_are_equal() {
    let (layers, views) = all_kinds(&layer(&[gnu("Files/x", SIZE, &[(1 << 30, b"data")])]));
    let zeros = vec![0; 300_000];
    let data = [&zeros[..100_000], b"data"].concat();
    // The same bytes, with fewer holes and with different ones.
    let same: Parts<'_> = &[
        (7, &zeros),
        ((1 << 30) - 100_000, &data),
        (2 << 30, &zeros[..1]),
    ];
    fs::write(layers.path("same"), layer(&[gnu("Files/x", SIZE, same)])).expect("a file");
    let later: Parts<'_> = &[((1 << 30) + 4096, b"data")];
    fs::write(layers.path("later"), layer(&[gnu("Files/x", SIZE, later)])).expect("a file");
    let (same, later) = (view(&layers.path("same")), view(&layers.path("later")));
    let options = DiffOptions::default().ignore(
        Aspect::ALL
            .into_iter()
            .filter(|aspect| *aspect != Aspect::Content),
    );
    for left in &views {
        for right in views.iter().chain([&same]) {
            let count = Count::default();
            let changes: Vec<_> = diff(left, right, &options, &count).collect();
            assert!(changes.is_empty(), "{changes:?}");
            let read = count.0.load(Ordering::Relaxed);
            assert!(read < 8 * SMALL, "{read}");
        }
        let changes: Result<Vec<_>, _> = diff(left, &later, &options, &()).collect();
        let changes = changes.expect("readable");
        let [Change::Changed { differences, .. }] = &changes[..] else {
            panic!("{changes:?}");
        };
        let text = differences[0].left.as_deref().unwrap_or_default();
        assert!(
            text.starts_with("64424509440 bytes blocks-sha256:"),
            "{text}"
        );
    }
}

#[test]
fn short_content_is_hashed_and_holes_read_as_zeros() {
    let side: &[u8] = &[7; 3 << 20];
    let (_layers, views) = all_kinds(&layer(&[
        gnu("Files/short", 1 << 20, &[]),
        gnu("Files/some", 4 << 20, &[(1 << 18, side)]),
    ]));
    let mut whole = vec![0; 4 << 20];
    whole[1 << 18..(1 << 18) + side.len()].fill(7);
    for view in &views {
        let some = node(view, "Files/some");
        let mut read = Vec::new();
        let content = view.content(&some, None).expect("content");
        content.reader().read_to_end(&mut read).expect("read");
        assert!(read == whole);
        let details = view.details(&some).expect("readable");
        assert!(details.streams[0].is_sparse);
        assert_eq!(details.streams[0].allocated, side.len() as u64);
    }
    let hash = |name: &str| {
        let details = views[1].details(&node(&views[1], name)).expect("readable");
        details.streams[0].sha256
    };
    assert_eq!(hash("Files/some"), Some(Digest::of(&whole)));
    assert_eq!(hash("Files/short"), None);
}

#[test]
fn a_damaged_byte_after_a_hole_is_detected() {
    let layers = Layers::new();
    let data = vec![7; 2 << 20];
    let tar = layer(&[gnu("Files/x", 4 << 20, &[(1 << 20, &data)])]);
    layers
        .import("portable", Cursor::new(tar.clone()), &[])
        .expect("a layer");
    let at = tar.iter().rposition(|byte| *byte == 7).expect("there");
    let mut damaged = tar;
    damaged[at] = 8;
    fs::write(layers.path("portable/layer.tar"), damaged).expect("a file");
    let view = view(&layers.path("portable"));
    let mut stream = view.backup_stream(&node(&view, "Files/x")).expect("opened");
    let read = stream.reader.read_to_end(&mut Vec::new());
    assert!(read.is_err());
}
