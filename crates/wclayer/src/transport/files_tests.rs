//! The rules of [`TransportFiles`], on a real folder.

use std::fs;
use std::path::Path;

use ntmeta::backup_stream::{StreamHeader, StreamId};
use ntmeta::{FileAttributes, FileBasicInfo, FileTime};

use super::TransportFiles;
use crate::error::rule_of;
use crate::hub::FileEntry;
use crate::path::LayerPath;
use crate::rules::Rule;
use crate::volume::host::{HostRoot, HostVolume};
use crate::volume::{Root, Volume};

fn path(text: &str) -> LayerPath {
    text.parse().expect(text)
}

fn start(folder: &Path) -> TransportFiles<HostRoot> {
    let volume = HostVolume::new();
    let privileges = volume.enable(&[]).expect("none to enable");
    TransportFiles::new(volume.open_root(folder, &privileges).expect("a folder"))
}

fn entry(name: &str, attributes: u32) -> FileEntry {
    // 2017-07-14
    let time = FileTime::from_ticks(131_444_736_000_000_000);
    FileEntry {
        path: path(name),
        basic_info: FileBasicInfo {
            creation_time: time,
            last_access_time: time,
            last_write_time: time,
            change_time: time,
            attributes: FileAttributes::from_bits_retain(attributes),
        },
        size: 0,
        metadata_first: true,
    }
}

fn stream(id: StreamId, body: &[u8]) -> Vec<u8> {
    let mut stream = Vec::new();
    StreamHeader::new(id, body.len() as u64).encode(&mut stream);
    stream.extend_from_slice(body);
    stream
}

fn add(files: &mut TransportFiles<HostRoot>, name: &str, attributes: u32, stream: &[u8]) {
    files.add(&entry(name, attributes)).expect(name);
    files.write(stream).expect(name);
}

#[test]
fn what_a_file_is_stands_in_it_and_what_a_directory_is_beside_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut files = start(folder.path());
    let data = stream(StreamId::DATA, b"hello");
    let security = stream(StreamId::SECURITY_DATA, b"descriptor");
    add(&mut files, "Files", 0x10, &security);
    add(&mut files, "Files/a.txt", 0x21, &data);
    add(&mut files, "Hives", 0x10, &[]);
    add(&mut files, "Hives/System_Delta", 0x20, &data);
    files.finish().expect("complete");
    let read = |name: &str| fs::read(folder.path().join(name)).expect(name);
    assert_eq!(
        read("Files.$wcidirs$"),
        [&[0x10, 0, 0, 0], &security[..]].concat()
    );
    assert_eq!(read("Files/a.txt"), [&[0x21, 0, 0, 0], &data[..]].concat());
    assert_eq!(read("Hives.$wcidirs$"), [0x10, 0, 0, 0]);
    assert_eq!(read("Hives/System_Delta"), b"hello");
    let stat = files
        .root()
        .look(&path("Files/a.txt"))
        .expect("a file")
        .expect("a file");
    let info = entry("Files/a.txt", 0).basic_info;
    assert_eq!(stat.basic_info.last_write_time, info.last_write_time);
    assert_eq!(stat.basic_info.creation_time, info.creation_time);
    assert!(
        !stat
            .basic_info
            .attributes
            .contains(FileAttributes::READONLY)
    );
}

#[test]
fn a_directory_that_is_a_reparse_point_is_left_out_until_the_end() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut files = start(folder.path());
    let point = folder.path().join("Files/point");
    let reparse = stream(StreamId::REPARSE_DATA, b"anything");
    add(&mut files, "Files", 0x10, &[]);
    // The attributes do not tell; the stream does.
    add(&mut files, "Files/point", 0x10, &reparse);
    files.end_entry().expect("ended");
    assert!(!point.exists());
    let below = files
        .add(&entry("files/POINT/x", 0x20))
        .expect_err("below it");
    assert_eq!(rule_of(&below), Some(Rule::BelowReparsePoint), "{below}");
    files.finish().expect("complete");
    assert!(point.is_dir());
}

#[test]
fn missing_directories_are_made_and_reported_unless_their_entry_comes() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut files = start(folder.path());
    add(&mut files, "Files/a/b/c.txt", 0x20, &[]);
    add(&mut files, "files/A", 0x12, &[]);
    files.finish().expect("complete");
    let made: Vec<_> = files.made().map(ToString::to_string).collect();
    assert_eq!(made, ["Files", "Files/a/b"]);
    let attributes = fs::read(folder.path().join("Files/a.$wcidirs$")).or_else(|_| {
        // The name as the entry spells it.
        fs::read(folder.path().join("Files/A.$wcidirs$"))
    });
    assert_eq!(attributes.expect("a directory"), [0x12, 0, 0, 0]);
}

#[test]
fn the_last_entry_of_a_name_counts_and_must_be_of_the_same_kind() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut files = start(folder.path());
    add(
        &mut files,
        "Files/a",
        0x20,
        &stream(StreamId::DATA, b"first, and longer"),
    );
    add(
        &mut files,
        "Files/A",
        0x20,
        &stream(StreamId::DATA, b"second"),
    );
    files.end_entry().expect("ended");
    let names = files.root().list(Some(&path("Files"))).expect("a folder");
    assert_eq!(names.len(), 1);
    assert!(files.contains(&path("FILES/a")));
    let error = files.add(&entry("Files/a", 0x10)).expect_err("a directory");
    assert_eq!(rule_of(&error), Some(Rule::DuplicateKind), "{error}");
}

#[test]
fn names_of_the_format_itself_are_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    for name in [
        "tombstones.txt",
        "Tombstones.TXT",
        "Files/x.$wcidirs$",
        "Files/x.$WCIDIRS$",
    ] {
        let error = start(folder.path())
            .add(&entry(name, 0x20))
            .expect_err(name);
        assert_eq!(rule_of(&error), Some(Rule::PathTransportName), "{error}");
    }
    add(&mut start(folder.path()), "Files/tombstones.txt", 0x20, &[]);
}

#[test]
fn a_stream_that_breaks_off_is_an_error_and_closes_the_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut files = start(folder.path());
    let data = stream(StreamId::DATA, b"hello");
    add(&mut files, "Files/a", 0x20, &data[..data.len() - 1]);
    let error = files.end_entry().expect_err("one byte is missing");
    assert!(error.to_string().contains("Files/a"), "{error}");
    files.end_entry().expect("nothing is open any more");
}
