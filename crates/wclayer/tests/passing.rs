//! One file out of compressed tars, in a single pass over each; and uncompressed tars, of which views
//! read the headers alone.

use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use wclayer::compression::Encoder;
use wclayer::layer::Content;
use wclayer::source::{self, OpenOptions, Passed};
use wclayer::{LayerPath, StreamName};

mod common;

use common::{directory, plain, tar};

/// Writes a compressed layer tar.
fn gzip_tar(folder: &TempDir, name: &str, tar: &[u8]) -> PathBuf {
    let path = folder.path().join(name);
    let file = fs::File::create_new(&path).expect("a new file");
    let mut gzip = Encoder::new(file, "gzip:1".parse().expect("gzip")).expect("an encoder");
    gzip.write_all(tar).expect("written");
    gzip.finish().expect("written");
    path
}

/// Incompressible content.
fn noise(size: usize) -> Vec<u8> {
    let mut rng = layergen::Rng::new(7);
    (0..size).map(|_| rng.next_u64() as u8).collect()
}

fn upper_layer() -> Vec<u8> {
    let tar = tar(|tar| {
        tar.directory("Files/d", &directory())?;
        tar.file("Files/d/first.txt", &plain(), b"first")?;
        tar.stream("Files/d/first.txt", "zone", &plain(), b"zone")?;
        tar.hard_link("Files/link", "Files/d/first.txt", &plain())?;
        tar.whiteout("Files/gone")?;
        tar.opaque("Files/opaque")?;
        tar.junction("Files/junction", r"C:\d", &directory())?;
        tar.file("Files/noise", &plain(), &noise(3 << 20))
    });
    tar.into_inner()
}

fn named(chain: &[PathBuf]) -> Vec<source::Layer> {
    let layers = chain
        .iter()
        .map(|path| source::recognise(path).expect("readable"));
    layers.collect()
}

/// Returns the answer of the tars about a path: its content, or which case it is.
fn passed(chain: &[PathBuf], path: &str, stream: Option<&str>) -> String {
    let path: LayerPath = path.parse().expect("a path");
    let stream = stream.map(|name| StreamName::parse(name.as_bytes()).expect("a name"));
    match source::content_in_passing(&named(chain), &path, stream.as_ref(), &()).expect("readable")
    {
        Passed::Content { content, .. } => text(content),
        Passed::Below(layers) => format!("below {layers}"),
        Passed::Unclear => "unclear".to_owned(),
    }
}

fn text(content: Box<dyn Content>) -> String {
    let mut text = String::new();
    content.reader().read_to_string(&mut text).expect("text");
    text
}

#[test]
fn lookups_in_compressed_tars() {
    let folder = tempfile::tempdir().expect("a folder");
    let upper = gzip_tar(&folder, "upper.tar.gz", &upper_layer());
    let base = folder.path().join("base.tar");
    let tar = tar(|tar| tar.file("Files/below.txt", &plain(), b"below"));
    fs::write(&base, tar.get_ref()).expect("written");
    let both = [upper.clone(), base];
    for (path, stream, expected) in [
        ("Files/d/first.txt", None, "first"),
        (r"files\D\FIRST.txt", None, "first"),
        ("Files/d/first.txt", Some("Zone"), "zone"),
        ("Files/d/first.txt", Some("other"), "unclear"),
        ("Files/below.txt", None, "below 1"),
        ("Files/d/second.txt", None, "below 1"),
        ("Files/d", None, "unclear"),
        ("Files/link", None, "unclear"),
        ("Files/gone", None, "unclear"),
        ("Files/gone/x", None, "unclear"),
        ("Files/opaque/x", None, "unclear"),
        ("Files/junction/x", None, "unclear"),
        ("Files/d/first.txt/x", None, "unclear"),
    ] {
        assert_eq!(passed(&both, path, stream), expected, "{path} {stream:?}");
    }
    assert_eq!(passed(&[upper], "Files/below.txt", None), "unclear");
}

#[test]
fn a_tar_is_read_to_its_end_and_nothing_below_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let whole = gzip_tar(&folder, "whole.tar.gz", &upper_layer());
    let bytes = fs::read(&whole).expect("read");
    let cut = folder.path().join("cut.tar.gz");
    fs::write(&cut, &bytes[..bytes.len() / 2]).expect("written");
    let damaged = folder.path().join("damaged.tar.gz");
    fs::write(&damaged, b"no tar").expect("written");
    assert_eq!(
        passed(&[whole, damaged], "Files/d/first.txt", None),
        "first"
    );
    let path: LayerPath = "Files/d/first.txt".parse().expect("a path");
    assert!(source::content_in_passing(&named(&[cut]), &path, None, &()).is_err());
    let missing = [folder.path().join("missing")];
    assert!(source::content_in_passing(&named(&missing), &path, None, &()).is_err());
}

/// Whether a tar is compressed makes no difference: the last entry of a path counts, with its own
/// alternate streams.
#[test]
fn of_several_entries_of_a_path_the_last_counts() {
    let folder = tempfile::tempdir().expect("a folder");
    let tar = tar(|tar| {
        tar.file("Files/a", &plain(), b"one, the longest")?;
        tar.stream("Files/a", "zone", &plain(), b"first zone")?;
        tar.stream("Files/a", "old", &plain(), b"old")?;
        tar.file("Files/other", &plain(), &noise(1 << 20))?;
        tar.file("files/A", &plain(), b"two")?;
        tar.file("Files/b", &plain(), b"b")?;
        tar.file("Files/A", &plain(), b"three")?;
        tar.stream("Files/A", "Zone", &plain(), b"last zone")?;
        tar.file("Files/late", &plain(), b"file")?;
        tar.hard_link("Files/late", "Files/b", &plain())?;
        tar.file("Files/d", &plain(), b"file")?;
        tar.directory("Files/d", &directory())
    });
    let gzip = gzip_tar(&folder, "dup.tar.gz", tar.get_ref());
    let plain = folder.path().join("dup.tar");
    fs::write(&plain, tar.get_ref()).expect("written");
    for (path, stream, expected) in [
        ("Files/a", None, Some("three")),
        ("Files/a", Some("zone"), Some("last zone")),
        ("Files/a", Some("old"), None),
        ("Files/late", None, None),
        ("Files/d", None, None),
    ] {
        let of_gzip = passed(std::slice::from_ref(&gzip), path, stream);
        assert_eq!(of_gzip, expected.unwrap_or("unclear"), "{path} {stream:?}");
        let name = stream.map(|name| StreamName::parse(name.as_bytes()).expect("a name"));
        let [of_plain, of_gzip] = [&plain, &gzip].map(|tar| {
            let view = open(tar).expect("a view");
            let node = view.find(&path.parse().expect("a path"));
            let content = view.content(&node.expect("readable").expect("there"), name.as_ref());
            content.ok().map(text)
        });
        assert_eq!(of_plain, of_gzip, "{path} {stream:?}");
        if expected.is_some() {
            assert_eq!(of_plain.as_deref(), expected, "{path} {stream:?}");
        }
    }
}

/// What is kept of a sparse file is as long as its data, not as the file.
#[test]
fn holes_are_kept_as_holes() {
    const SIZE: u64 = 8 << 30;
    let folder = tempfile::tempdir().expect("a folder");
    let member = common::gnu_sparse("Files/x", SIZE, &[(5, b"x"), (SIZE - 2, b"y")]);
    let tar = tar(|tar| tar.raw_bytes(&member));
    let gzip = gzip_tar(&folder, "sparse.tar.gz", tar.get_ref());
    let path: LayerPath = "Files/x".parse().expect("a path");
    let passed = source::content_in_passing(&named(&[gzip]), &path, None, &()).expect("readable");
    let Passed::Content { content, layer: 0 } = passed else {
        panic!("the content was not found");
    };
    assert_eq!(content.len(), SIZE);
    let mut reader = content.reader();
    assert_eq!(reader.skip_hole().expect("readable"), 5);
    let mut byte = [0];
    reader.read_exact(&mut byte).expect("readable");
    assert_eq!(byte, *b"x");
    assert_eq!(reader.skip_hole().expect("readable"), SIZE - 8);
    let mut rest = Vec::new();
    reader.read_to_end(&mut rest).expect("readable");
    assert_eq!(rest, b"y\0");
}

fn open(tar: &Path) -> wclayer::Result<wclayer::view::View> {
    source::open(tar, &OpenOptions::default(), &())
}

#[test]
fn only_the_headers_of_an_uncompressed_tar_are_read() {
    let folder = tempfile::tempdir().expect("a folder");
    let tar = upper_layer();
    let path = folder.path().join("upper.tar");
    fs::write(&path, &tar).expect("written");
    let view = open(&path).expect("a view");
    let node = view.find(&"Files/noise".parse().expect("a path"));
    let node = node.expect("readable").expect("there");
    let details = view.details(&node).expect("readable");
    assert_eq!(details.streams[0].size, 3 << 20);
    assert_eq!(details.streams[0].sha256, None);
    let mut content = Vec::new();
    let mut reader = view.content(&node, None).expect("content").reader();
    reader.read_to_end(&mut content).expect("readable");
    assert_eq!(content, noise(3 << 20));
    // Content must be present even if it is not read.
    fs::write(&path, &tar[..2 << 20]).expect("written");
    let Err(error) = open(&path) else {
        panic!("a truncated tar was opened");
    };
    let cause = common::root_cause(&error);
    assert!(cause.contains("ends"), "{cause}");
}
