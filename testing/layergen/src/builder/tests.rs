//! Reads the builder's output with the `tar` crate.

use std::collections::BTreeMap;
use std::io::Read;

use super::*;
use crate::meta::UNIX_EPOCH;

struct Entry {
    path: String,
    kind: u8,
    link: Option<String>,
    records: BTreeMap<String, Vec<u8>>,
    content: Vec<u8>,
}

fn read(tar: &[u8]) -> Vec<Entry> {
    let mut archive = tar::Archive::new(tar);
    let entries = archive.entries().unwrap();
    entries
        .map(|entry| {
            let mut entry = entry.unwrap();
            let mut records = BTreeMap::new();
            if let Some(extensions) = entry.pax_extensions().unwrap() {
                for record in extensions {
                    let record = record.unwrap();
                    let key = record.key().unwrap().to_owned();
                    records.insert(key, record.value_bytes().to_vec());
                }
            }
            let mut content = Vec::new();
            entry.read_to_end(&mut content).unwrap();
            Entry {
                path: String::from_utf8(entry.path_bytes().into_owned()).unwrap(),
                kind: entry.header().entry_type().as_byte(),
                link: entry
                    .link_name_bytes()
                    .map(|n| String::from_utf8(n.into_owned()).unwrap()),
                records,
                content,
            }
        })
        .collect()
}

fn full_meta() -> Meta {
    Meta {
        attributes: Some(0x20),
        creation_time: Some(UNIX_EPOCH + 1),
        access_time: Some(UNIX_EPOCH + 2),
        write_time: Some(UNIX_EPOCH + 30_000_003),
        change_time: Some(UNIX_EPOCH + 4),
        security_descriptor: Some(vec![1, 2, 3]),
        sddl: None,
        extended_attributes: vec![("B".to_owned(), vec![9]), ("A".to_owned(), vec![])],
        records: Vec::new(),
    }
}

#[test]
fn every_kind_of_entry_reads_back() {
    let long = format!("Files/{}", "long-name/".repeat(30) + "x");
    let mut tar = TarBuilder::new(Vec::new());
    tar.directory("Files", &Meta::with_attributes(0x10))
        .unwrap();
    tar.file("Files/a", &full_meta(), &[7; 513]).unwrap();
    tar.stream("Files/a", "s", &full_meta(), b"stream").unwrap();
    tar.symlink("Files/l", "a", &Meta::with_attributes(0x420))
        .unwrap();
    tar.junction("Files/j", "C:\\x", &Meta::with_attributes(0x410))
        .unwrap();
    tar.hard_link("Files/h", "Files/a", &full_meta()).unwrap();
    tar.file_from(&long, &Meta::default(), 3, &b"abcdef"[..])
        .unwrap();
    tar.file("Files/Übersicht", &Meta::default(), b"").unwrap();
    tar.whiteout("Files/gone").unwrap();
    tar.opaque("Files").unwrap();
    let position = tar.position();
    let bytes = tar.finish().unwrap();
    assert_eq!(bytes.len() as u64, position + 1024);

    let entries = read(&bytes);
    let listed: Vec<_> = entries
        .iter()
        .map(|entry| {
            (
                entry.path.as_str(),
                entry.kind,
                entry.link.as_deref(),
                entry.content.len(),
            )
        })
        .collect();
    assert_eq!(
        listed,
        [
            ("Files", b'5', None, 0),
            ("Files/a", b'0', None, 513),
            ("Files/a:s", b'0', None, 6),
            ("Files/l", b'2', Some("a"), 0),
            ("Files/j", b'2', Some("C:\\x"), 0),
            ("Files/h", b'1', Some("Files/a"), 0),
            (&long, b'0', None, 3),
            ("Files/Übersicht", b'0', None, 0),
            ("Files/.wh.gone", b'0', None, 0),
            ("Files/.wh..wh..opq", b'0', None, 0),
        ]
    );
    assert_eq!(entries[4].records["MSWINDOWS.mountpoint"], b"1");
    let keys = |at: usize| {
        entries[at]
            .records
            .keys()
            .map(String::as_str)
            .collect::<Vec<_>>()
    };
    assert_eq!(keys(2), ["atime", "ctime", "mtime"]);
    assert_eq!(
        keys(5),
        [
            "LIBARCHIVE.creationtime",
            "MSWINDOWS.fileattr",
            "atime",
            "ctime",
            "mtime"
        ]
    );
}

#[test]
fn records_are_sorted_by_key() {
    let mut tar = TarBuilder::new(Vec::new());
    tar.file("Files/ä", &full_meta(), b"").unwrap();
    let bytes = tar.finish().unwrap();
    let body = String::from_utf8_lossy(&bytes[512..1024]);
    let keys: Vec<&str> = body
        .lines()
        .filter_map(|line| line.split_once(' ')?.1.split_once('=').map(|(key, _)| key))
        .collect();
    assert_eq!(
        keys,
        [
            "LIBARCHIVE.creationtime",
            "MSWINDOWS.fileattr",
            "MSWINDOWS.rawsd",
            "MSWINDOWS.xattr.A",
            "MSWINDOWS.xattr.B",
            "atime",
            "ctime",
            "mtime",
            "path",
        ]
    );
}

#[test]
fn a_bare_entry_has_no_extended_header() {
    let mut tar = TarBuilder::new(Vec::new());
    tar.whiteout("Files/x").unwrap();
    let bytes = tar.finish().unwrap();
    assert_eq!(bytes.len(), 3 * BLOCK);
    assert!(bytes.starts_with(b"Files/.wh.x\0"));
    assert_eq!(
        &bytes[100..148],
        b"0000000\x000000000\x000000000\x0000000000000\x0000000000000\0"
    );
}

#[test]
fn a_size_beyond_the_field_gets_a_record() {
    let mut tar = TarBuilder::new(Vec::new());
    tar.headers(
        "Files/big",
        "",
        b'0',
        MODE_REGULAR,
        1 << 33,
        &Meta::default(),
    )
    .unwrap();
    let bytes = tar.finish().unwrap();
    assert!(bytes[512..].starts_with(b"19 size=8589934592\n"));
    assert_eq!(&bytes[1024 + 124..1024 + 136], b"00000000000\0");
}

#[test]
fn short_content_is_an_error() {
    let mut tar = TarBuilder::new(Vec::new());
    let error = tar
        .file_from("Files/a", &Meta::default(), 4, &b"abc"[..])
        .unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
}

#[test]
fn raw_entries_keep_names_records_and_their_order() {
    let mut tar = TarBuilder::new(Vec::new());
    tar.raw_entry([b'a', 0xff], b'7', &[("b", b"1"), ("a", b"2")], b"data")
        .unwrap();
    tar.raw_header(&Header {
        name: b"claims",
        size: 99,
        ..Header::default()
    })
    .unwrap();
    let bytes = tar.finish().unwrap();
    assert!(bytes[512..].starts_with(b"6 b=1\n6 a=2\n"));
    assert!(bytes[1024..].starts_with(&[b'a', 0xff, 0]));
    assert_eq!(bytes[1024 + 156], b'7');
    assert_eq!(&bytes[2048 + 124..2048 + 136], b"00000000143\0");
}
