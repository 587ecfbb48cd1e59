//! Base layers read from live files; the vectors `base_export` cover the order and the links.

use std::path::Path;

use fakewindows::FakeWindows;
use wclayer::hcs::BaseReader;
use wclayer::volume::{Privilege, Volume};
use wclayer::{Entry, Error, LayerReader};

const LAYER: &str = "/c/layers/base";

/// Returns all entries as text: `path`, `path -> target`, and streams of files with their lengths.
fn read(windows: &FakeWindows) -> Result<Vec<String>, Error> {
    let volume = windows.host_compute().volume;
    let privileges = volume.enable(&[Privilege::Backup, Privilege::Restore])?;
    let mut reader = BaseReader::open(&volume, Path::new(LAYER), &privileges)?;
    let mut seen = Vec::new();
    let mut piece = [0; 64];
    while let Some(entry) = reader.next_entry()? {
        let mut length = 0;
        loop {
            match reader.read_stream(&mut piece)? {
                0 => break,
                count => length += count,
            }
        }
        seen.push(match &entry {
            Entry::Link(link) => {
                assert_eq!(length, 0);
                format!("{} -> {}", link.path, link.target)
            }
            Entry::File(file) if file.size > 0 => {
                assert!(length as u64 > file.size, "{}: {length}", file.path);
                format!("{} ({})", file.path, file.size)
            }
            other => other.path().to_string(),
        });
    }
    assert!(reader.next_entry()?.is_none());
    Ok(seen)
}

#[test]
fn directories_come_before_their_content_and_names_are_in_byte_order() {
    let windows = FakeWindows::new();
    for name in ["b", "A", "a dir/z", "a dir/y", "a-x", "a"] {
        windows.file(format!("{LAYER}/Files/{name}"), b"12");
    }
    windows.file(format!("{LAYER}/blank.vhdx"), b"disk");
    windows.file(format!("{LAYER}/Hives/System_Base"), b"hive");
    assert_eq!(
        read(&windows).expect("entries"),
        [
            "Files",
            "Files/A (2)",
            "Files/a dir",
            "Files/a dir/y (2)",
            "Files/a dir/z (2)",
            "Files/a-x (2)",
            "Files/b (2)"
        ]
    );
    assert_eq!(windows.open_handles(), [""; 0]);
}

#[test]
fn later_names_of_a_file_are_links_to_the_first() {
    let windows = FakeWindows::new();
    windows.file(format!("{LAYER}/Files/b"), b"123");
    windows.hard_link(format!("{LAYER}/Files/b"), format!("{LAYER}/Files/a"));
    windows.hard_link(
        format!("{LAYER}/Files/b"),
        format!("{LAYER}/UtilityVM/Files/c"),
    );
    assert_eq!(
        read(&windows).expect("entries"),
        [
            "Files",
            "Files/a (3)",
            "Files/b -> Files/a",
            "UtilityVM",
            "UtilityVM/Files",
            "UtilityVM/Files/c -> Files/a"
        ]
    );
}

#[test]
fn only_the_files_of_the_utility_vm_belong_to_the_layer() {
    let windows = FakeWindows::new();
    windows.folder(format!("{LAYER}/Files"));
    windows.file(format!("{LAYER}/UtilityVM/SystemTemplate.vhdx"), b"disk");
    assert_eq!(read(&windows).expect("entries"), ["Files"]);
    windows.file(format!("{LAYER}/UtilityVM/Files/x.sys"), b"1");
    assert_eq!(
        read(&windows).expect("entries"),
        [
            "Files",
            "UtilityVM",
            "UtilityVM/Files",
            "UtilityVM/Files/x.sys (1)"
        ]
    );
}

#[test]
fn reparse_points_are_entries_and_never_followed() {
    let windows = FakeWindows::new();
    windows.file("/c/precious/file", b"precious");
    windows.junction(format!("{LAYER}/Files/junction"), r"C:\precious");
    windows.symlink(format!("{LAYER}/Files/link"), r"C:\precious\file");
    assert_eq!(
        read(&windows).expect("entries"),
        ["Files", "Files/junction", "Files/link"]
    );
    assert_eq!(windows.traversals(), 0);
}

#[test]
fn the_top_level_directories_must_be_plain_directories() {
    for name in ["Files", "UtilityVM", "UtilityVM/Files"] {
        for is_junction in [true, false] {
            let windows = FakeWindows::new();
            windows.folder("/c/precious/Files");
            let path = format!("{LAYER}/{name}");
            match is_junction {
                true => windows.junction(path, r"C:\precious"),
                false => windows.file(path, b""),
            }
            if name != "Files" {
                windows.folder(format!("{LAYER}/Files"));
            }
            let error = read(&windows).expect_err(name);
            assert!(error.to_string().starts_with("entry `"), "{error}");
            assert_eq!(windows.traversals(), 0, "{name}");
        }
    }
}

#[test]
fn a_folder_without_files_is_not_a_layer() {
    let windows = FakeWindows::new();
    windows.folder(format!("{LAYER}/UtilityVM/Files"));
    let error = read(&windows).expect_err("no Files");
    assert_eq!(error.kind(), wclayer::ErrorKind::NotFound);
    assert!(error.to_string().contains("Files"), "{error}");
}

#[test]
fn the_recycle_bin_is_ignored() {
    let windows = FakeWindows::new();
    windows.file(format!("{LAYER}/Files/$RECYCLE.bin/deleted"), b"1");
    windows.file(format!("{LAYER}/Files/d/$Recycle.Bin"), b"1");
    assert_eq!(
        read(&windows).expect("entries"),
        ["Files", "Files/d", "Files/d/$Recycle.Bin (1)"]
    );
}
