//! Transport folders: for any content of a file, of a directory's file and of the list of removals,
//! the folder is either rejected or read to its end.
//!
//! The first byte determines how the rest is split between them.

#![no_main]

use std::path::Path;

use fakewindows::FakeWindows;
use libfuzzer_sys::fuzz_target;
use wclayer::hub::copy;
use wclayer::tar::TarLayerWriter;
use wclayer::transport::TransportReader;
use wclayer::volume::{File, Kind, Privilege, Root, Volume};

fuzz_target!(|data: &[u8]| {
    let (first, rest) = data.split_first().unwrap_or((&0, &[]));
    let (file, rest) = rest.split_at(rest.len() * usize::from(first >> 4) / 16);
    let (directory, tombstones) = rest.split_at(rest.len() * usize::from(first & 15) / 16);
    let windows = FakeWindows::new();
    let volume = windows.host_compute().volume;
    let folder = Path::new("/c/transport");
    volume.create_folder(folder).expect("an empty disk");
    let privileges = volume.enable(&[Privilege::Backup, Privilege::Restore]);
    let root = volume
        .open_root(folder, &privileges.expect("held"))
        .expect("a folder");
    let add = |name: &str, kind: Kind, content: &[u8]| {
        let mut file = root
            .create(&name.parse().expect("a path"), kind)
            .expect("new");
        if kind == Kind::File {
            file.write_all(content).expect("an empty disk");
        }
        file.close().expect("written");
    };
    add(
        "tombstones.txt",
        Kind::File,
        &[b"\xef\xbb\xbfVersion 1.0\n", tombstones].concat(),
    );
    add("Files", Kind::Directory, b"");
    add("Files/file", Kind::File, file);
    add("Files/directory", Kind::Directory, b"");
    add("Files/directory.$wcidirs$", Kind::File, directory);
    if let Ok(mut reader) = TransportReader::new(root) {
        let _ = copy(&mut reader, TarLayerWriter::new(std::io::sink()), &());
    }
    assert_eq!(windows.open_handles(), [] as [String; 0]);
});
