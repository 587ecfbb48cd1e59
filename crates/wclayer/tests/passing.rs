//! Reads one file from compressed tars, and no further than necessary; views of uncompressed tars
//! only read the headers.

use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use wclayer::compression::Encoder;
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

/// Returns what the tars contain at a path: its content, or the kind of result.
fn passed(chain: &[PathBuf], path: &str, stream: Option<&str>) -> String {
    let path: LayerPath = path.parse().expect("a path");
    let stream = stream.map(|name| StreamName::parse(name.as_bytes()).expect("a name"));
    match source::content_in_passing(chain, &path, stream.as_ref(), &()).expect("readable") {
        Passed::Content { mut reader, .. } => {
            let mut text = String::new();
            reader.read_to_string(&mut text).expect("text");
            text
        }
        Passed::Below(layers) => format!("below {layers}"),
        Passed::Unclear => "unclear".to_owned(),
    }
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
fn nothing_is_read_after_the_file_or_below_its_layer() {
    let folder = tempfile::tempdir().expect("a folder");
    let whole = gzip_tar(&folder, "whole.tar.gz", &upper_layer());
    let bytes = fs::read(whole).expect("read");
    let cut = folder.path().join("cut.tar.gz");
    fs::write(&cut, &bytes[..bytes.len() / 2]).expect("written");
    let damaged = folder.path().join("damaged.tar.gz");
    fs::write(&damaged, b"no tar").expect("written");
    let chain = [cut.clone(), damaged];
    assert_eq!(passed(&chain, "Files/d/first.txt", None), "first");
    let path: LayerPath = "Files/none".parse().expect("a path");
    assert!(source::content_in_passing(&[cut], &path, None, &()).is_err());
    let missing = [folder.path().join("missing")];
    assert!(source::content_in_passing(&missing, &path, None, &()).is_err());
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
    let mut reader = view.content(&node, None).expect("content");
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
