//! Rows of rules on single entries.

use std::io::{Cursor, Read};

use layergen::{Meta, minimal_hive};
use wclayer::ntmeta::{ReparsePoint, SecurityDescriptor};
use wclayer::rules::Rule;
use wclayer::validate::validate_tar;

use crate::Start::{Above, AboveVm, Bare, Base};
use crate::{Build, Row, Start, Tar, directory, file, link, secured, vm, with};

/// Builds a row about the name of a file.
macro_rules! name {
    ($rule:ident, $bad:expr, $good:expr) => {
        row(
            Rule::$rule,
            Above,
            |tar| tar.file($bad, &file(), b""),
            |tar| tar.file($good, &file(), b""),
        )
    };
}

fn row(rule: Rule, start: Start, breaks: Build, keeps: Build) -> Row {
    Row {
        rule,
        start,
        breaks,
        keeps,
    }
}

pub(crate) fn rows() -> Vec<Row> {
    let mut rows = names();
    rows.extend(kinds());
    rows.extend(metadata());
    rows.extend(streams_and_hives());
    rows
}

fn names() -> Vec<Row> {
    vec![
        row(
            Rule::PathEmpty,
            Above,
            |tar| tar.directory("./", &directory()),
            |tar| tar.directory("Files/new/", &directory()),
        ),
        name!(PathAbsolute, "/Files/a", "Files/a"),
        name!(PathParent, "Files/../a", "Files/..a"),
        name!(PathCharacter, "Files/what?", "Files/what!"),
        name!(PathColon, "Files/a:b:c", "Files/a"),
        name!(
            PathTooLong,
            &format!("Files/{}", "x".repeat(256)),
            &format!("Files/{}", "x".repeat(255))
        ),
        name!(PathTransportName, "Files/a.$wcidirs$", "Files/a.$wcidirs"),
        row(
            Rule::TopLevelKind,
            Bare,
            |tar| {
                tar.directory("Files", &directory())?;
                tar.file("Hives", &file(), b"")
            },
            |tar| {
                tar.directory("Files", &directory())?;
                tar.directory("Hives", &directory())
            },
        ),
        name!(TopLevelCase, "files/a", "Files/a"),
        name!(PathReservedName, "Files/NUL.txt", "Files/NULL.txt"),
        name!(PathTrailingDot, "Files/a.", "Files/a.b"),
        row(
            Rule::PathNotText,
            Above,
            |tar| raw(tar, b"Files/\xff"),
            |tar| raw(tar, "Files/ÿ".as_bytes()),
        ),
        name!(PathSpelling, "./Files/a", "Files/a"),
        row(
            Rule::TopLevelName,
            Above,
            |tar| tar.directory("etc", &directory()),
            |tar| tar.directory("Files/etc", &directory()),
        ),
    ]
}

/// A file with the given name in a record, byte for byte.
fn raw(tar: &mut Tar, name: &[u8]) -> std::io::Result<()> {
    let mut meta = file();
    meta.records.push(("path".to_owned(), name.to_vec()));
    tar.file("Files/x", &meta, b"")
}

fn kinds() -> Vec<Row> {
    vec![
        row(
            Rule::TarEntryType,
            Above,
            |tar| tar.raw_entry("Files/pipe", b'6', &[], b""),
            |tar| tar.file("Files/pipe", &file(), b""),
        ),
        row(
            Rule::TarSparse,
            Above,
            |tar| {
                let mut meta = file();
                for (key, value) in [("map", "0,4"), ("size", "9")] {
                    let key = format!("GNU.sparse.{key}");
                    meta.records.push((key, value.as_bytes().to_vec()));
                }
                tar.file("Files/holes", &meta, b"four")
            },
            |tar| tar.file("Files/holes", &file(), b"four\0\0\0\0\0"),
        ),
        row(
            Rule::TarRecord,
            Above,
            |tar| tar.file("Files/a", &with("MSWINDOWS.rawsd", b"%"), b""),
            |tar| tar.file("Files/a", &with("VENDOR.rawsd", b"%"), b""),
        ),
        row(
            Rule::AttributesKind,
            Above,
            |tar| tar.file("Files/a", &directory(), b"data"),
            |tar| tar.directory("Files/a", &directory()),
        ),
        row(
            Rule::ReparseAttributeMissing,
            Above,
            |tar| tar.symlink("Files/link", "a", &file()),
            |tar| tar.symlink("Files/link", "a", &link()),
        ),
        row(
            Rule::ReparseDataMissing,
            Above,
            |tar| tar.file("Files/link", &link(), b""),
            |tar| tar.file("Files/link", &file(), b""),
        ),
        row(
            Rule::ReparseMalformed,
            Above,
            |tar| tar.symlink("Files/link", &"x/".repeat(20_000), &link()),
            |tar| tar.symlink("Files/link", &"x/".repeat(2_000), &link()),
        ),
        row(
            Rule::ReparseTag,
            Above,
            // IO_REPARSE_TAG_WCI_1, with four bytes of data.
            |tar| reparse(tar, b"GBAAkAQAAAABAAAA"),
            |tar| {
                let point = ReparsePoint::from_target(b"a", false).expect("short");
                let mut buffer = with_reparse(base64(&point.encode().expect("short")).as_bytes());
                buffer.attributes = Some(0x420);
                tar.file("Files/link", &buffer, b"")
            },
        ),
        row(
            Rule::ReparseNoTarget,
            Above,
            |tar| {
                tar.junction(
                    "Files/link",
                    "",
                    &Meta {
                        attributes: Some(0x410),
                        ..directory()
                    },
                )
            },
            |tar| {
                tar.junction(
                    "Files/link",
                    r"C:\Windows",
                    &Meta {
                        attributes: Some(0x410),
                        ..directory()
                    },
                )
            },
        ),
        row(
            Rule::SymlinkFilesPrefix,
            Above,
            |tar| tar.symlink("Files/link", "Files/a", &link()),
            |tar| tar.symlink("Files/link", "Filesystem/a", &link()),
        ),
    ]
}

fn reparse(tar: &mut Tar, buffer: &[u8]) -> std::io::Result<()> {
    tar.file("Files/link", &with_reparse(buffer), b"")
}

fn with_reparse(buffer: &[u8]) -> Meta {
    Meta {
        attributes: Some(0x420),
        ..with("WCLAYER.reparse", buffer)
    }
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

fn sddl(text: &str) -> Vec<u8> {
    let descriptor = SecurityDescriptor::from_sddl(text).expect(text);
    descriptor.to_bytes().expect("short")
}

fn metadata() -> Vec<Row> {
    vec![
        row(
            Rule::SecurityMissing,
            Above,
            |tar| tar.file("Files/a", &Meta::with_attributes(0x20), b""),
            |tar| tar.file("Files/a", &file(), b""),
        ),
        row(
            Rule::SecurityMalformed,
            Above,
            |tar| {
                tar.file(
                    "Files/a",
                    &secured(b"\x01\0\x04\x80 no descriptor of this length"),
                    b"",
                )
            },
            |tar| tar.file("Files/a", &secured(&sddl("O:BAG:SYD:")), b""),
        ),
        row(
            Rule::SecurityNoOwner,
            Above,
            |tar| tar.file("Files/a", &secured(&sddl("G:SYD:(A;;FA;;;WD)")), b""),
            |tar| tar.file("Files/a", &secured(&sddl("O:SYD:(A;;FA;;;WD)")), b""),
        ),
        row(
            Rule::SecurityNoDacl,
            Above,
            |tar| tar.file("Files/a", &secured(&sddl("O:BAG:SY")), b""),
            |tar| tar.file("Files/a", &secured(&sddl("O:BAG:SYD:P")), b""),
        ),
        row(
            Rule::EaMalformed,
            Above,
            |tar| {
                tar.file(
                    "Files/a",
                    &with(&format!("MSWINDOWS.xattr.{}", "X".repeat(256)), b"AA=="),
                    b"",
                )
            },
            |tar| {
                tar.file(
                    "Files/a",
                    &with(&format!("MSWINDOWS.xattr.{}", "X".repeat(100)), b"AA=="),
                    b"",
                )
            },
        ),
        row(
            Rule::TimeRange,
            Above,
            |tar| tar.file("Files/a", &with("atime", b"-11644473601"), b""),
            |tar| tar.file("Files/a", &with("atime", b"-11644473600"), b""),
        ),
    ]
}

fn plain_directory() -> Meta {
    Meta::with_attributes(0x10)
}

fn streams_and_hives() -> Vec<Row> {
    vec![
        row(
            Rule::StreamWithoutFile,
            Above,
            |tar| {
                tar.file("Files/a", &file(), b"")?;
                tar.stream("Files/b", "s", &file(), b"")
            },
            |tar| {
                tar.file("Files/a", &file(), b"")?;
                tar.stream("Files/a", "s", &file(), b"")
            },
        ),
        row(
            Rule::HiveName,
            Above,
            |tar| tar.file("Hives/Other_Delta", &file(), b""),
            |tar| {
                tar.file(
                    "Hives/SYSTEM_DELTA",
                    &file(),
                    &minimal_hive("System_Delta", true),
                )
            },
        ),
        row(
            Rule::HiveEmpty,
            Above,
            |tar| tar.file("Hives/Sam_Delta", &file(), b""),
            |tar| tar.file("Hives/Sam_Delta", &file(), &minimal_hive("Sam_Delta", true)),
        ),
        row(
            Rule::HiveMalformed,
            Above,
            |tar| tar.file("Hives/Sam_Delta", &file(), &[7; 8192]),
            |tar| tar.file("Files/Sam_Delta", &file(), &[7; 8192]),
        ),
        row(
            Rule::HiveUnfinished,
            Above,
            |tar| {
                let mut hive = minimal_hive("Sam_Delta", true);
                // The second sequence number, and its effect on the checksum.
                hive[8] ^= 3;
                hive[508] ^= 3;
                tar.file("Hives/Sam_Delta", &file(), &hive)
            },
            |tar| tar.file("Hives/Sam_Delta", &file(), &minimal_hive("Sam_Delta", true)),
        ),
        row(
            Rule::HiveKind,
            Base,
            |tar| {
                vm(tar)?;
                tar.directory("Hives", &directory())?;
                tar.directory("Hives/System_Delta", &directory())
            },
            |tar| {
                vm(tar)?;
                tar.directory("Hives", &directory())
            },
        ),
        row(
            Rule::UtilityVmMetadata,
            AboveVm,
            |tar| {
                tar.directory("UtilityVM", &directory())
                    .and_then(|()| tar.directory("UtilityVM/Files", &directory()))
            },
            |tar| {
                tar.directory("UtilityVM", &plain_directory())
                    .and_then(|()| tar.directory("UtilityVM/Files", &directory()))
            },
        ),
        row(
            Rule::UtilityVmFilesSlash,
            Base,
            |tar| crate::vm_in(tar, "UtilityVM/Files/"),
            |tar| {
                vm(tar)?;
                tar.directory("UtilityVM/Files/new/", &directory())
            },
        ),
        row(
            Rule::UtilityVmSlash,
            AboveVm,
            |tar| {
                tar.directory("UtilityVM/", &plain_directory())?;
                tar.directory("UtilityVM/Files", &directory())
            },
            |tar| {
                tar.directory("UtilityVM", &plain_directory())?;
                tar.directory("UtilityVM/Files/", &directory())
            },
        ),
        row(
            Rule::UtilityVmName,
            AboveVm,
            |tar| {
                vm(tar)?;
                tar.file("UtilityVM/other", &file(), b"")
            },
            |tar| {
                vm(tar)?;
                tar.file("UtilityVM/Files/other", &file(), b"")
            },
        ),
        row(
            Rule::UtilityVmKind,
            Base,
            |tar| tar.file("UtilityVM", &file(), b""),
            vm,
        ),
        row(
            Rule::StreamSpelling,
            Above,
            |tar| {
                tar.file("Files/A.txt", &file(), b"")?;
                tar.stream("Files/a.txt", "s", &file(), b"")
            },
            |tar| {
                tar.file("Files/A.txt", &file(), b"")?;
                tar.stream("Files/A.txt", "S", &file(), b"")
            },
        ),
        row(
            Rule::StreamTwice,
            Above,
            |tar| {
                tar.file("Files/a", &file(), b"")?;
                tar.stream("Files/a", "s", &file(), b"")?;
                tar.stream("Files/a", "S:$DATA", &file(), b"")
            },
            |tar| {
                tar.file("Files/a", &file(), b"")?;
                tar.stream("Files/a", "s", &file(), b"")?;
                tar.file("Files/b", &file(), b"")?;
                tar.stream("Files/b", "s", &file(), b"")
            },
        ),
        row(
            Rule::LinkTargetInvalid,
            Above,
            |tar| tar.hard_link("Files/a", "/Files/old.txt", &file()),
            |tar| {
                tar.file("Files/b", &file(), b"")?;
                tar.hard_link("Files/a", "Files/b", &file())
            },
        ),
        row(
            Rule::LinkOutside,
            Base,
            |tar| {
                vm(tar)?;
                tar.directory("Hives", &directory())?;
                let hive = "Files/Windows/System32/config/SAM";
                tar.hard_link("Hives/Sam_Base", hive, &file())
            },
            |tar| {
                vm(tar)?;
                let hive = "Files/Windows/System32/config/SAM";
                tar.hard_link("UtilityVM/Files/a", crate::BCD, &file())?;
                tar.hard_link("UtilityVM/Files/b", hive, &file())?;
                tar.hard_link("Files/c", crate::BCD, &file())
            },
        ),
        row(
            Rule::WhiteoutName,
            Above,
            |tar| tar.file("Files/.wh.d/x", &file(), b""),
            |tar| tar.whiteout("Files/old.txt"),
        ),
        row(
            Rule::WhiteoutOpaque,
            Above,
            |tar| {
                tar.directory("Files/dir", &directory())?;
                tar.opaque("Files/dir")
            },
            |tar| {
                tar.directory("Files/dir", &directory())?;
                tar.whiteout("Files/dir/in.txt")
            },
        ),
    ]
}

/// Its size comes from real content, because a large hole breaks another rule.
#[test]
fn a_file_of_8_gib_is_large() {
    let of = |size: u64| {
        let mut tar = layergen::TarBuilder::new(Vec::new());
        crate::base(&mut tar).expect("memory");
        let size_record = ("size".to_owned(), size.to_string().into_bytes());
        let mut meta = file();
        meta.records.push(size_record);
        tar.file("Files/large", &meta, b"").expect("memory");
        // Its content follows its headers, and then the end of the tar.
        let bytes = tar.finish().expect("memory");
        let (start, end) = bytes.split_at(bytes.len() - 1024);
        let content = std::io::repeat(0).take(size.next_multiple_of(512));
        let tar = Cursor::new(start.to_vec())
            .chain(content)
            .chain(Cursor::new(end.to_vec()));
        let report = validate_tar(tar, None, 3, &()).expect("it can be read");
        crate::broken(&report).into_iter().collect::<Vec<_>>()
    };
    assert_eq!(of(8 << 30), ["large-file"]);
    assert_eq!(of((8 << 30) - 1), [""; 0]);
}

/// Covers the names of all hives of base layers and of layers on top.
#[test]
fn each_hive_is_recognised_by_its_name() {
    let bases = ["DefaultUser", "Sam", "Security", "Software", "System"];
    for name in bases {
        let of = |suffix: &str, start: Start| {
            let mut tar = layergen::TarBuilder::new(Vec::new());
            match start {
                Start::Base => crate::base(&mut tar),
                _ => tar.directory("Files", &directory()),
            }
            .expect("memory");
            tar.directory("Hives", &directory()).expect("memory");
            let path = format!("Hives/{name}_{suffix}");
            tar.file(&path, &file(), &[7; 8192]).expect("memory");
            let report = crate::check(start, tar.finish().expect("memory"));
            crate::broken(&report).into_iter().collect::<Vec<_>>()
        };
        assert_eq!(of("Delta", Above), ["hive-malformed"], "{name}");
        assert_eq!(of("Base", Base), ["hive-malformed"], "{name}");
        assert_eq!(of("Other", Above), ["hive-name"], "{name}");
    }
}

/// The rules broken by a layer with the given entries.
fn broken(start: Start, build: Build) -> Vec<&'static str> {
    let found = crate::broken(&crate::check(start, crate::tar(start, build)));
    found.into_iter().collect()
}

#[test]
fn reserved_paths_must_be_directories_or_files() {
    let files = |tar: &mut Tar| {
        tar.symlink("Files", "elsewhere", &link())?;
        tar.directory("Hives", &directory())
    };
    assert_eq!(broken(Bare, files), ["top-level-kind"]);
    let bcd = |tar: &mut Tar| {
        for path in [
            "",
            "/Files",
            "/Files/EFI",
            "/Files/EFI/Microsoft",
            "/Files/EFI/Microsoft/Boot",
        ] {
            tar.directory(&format!("UtilityVM{path}"), &directory())?;
        }
        tar.directory(crate::BCD, &directory())
    };
    assert_eq!(broken(Base, bcd), ["hive-kind"]);
    let delta = |tar: &mut Tar| tar.symlink("Hives/System_Delta", "a", &link());
    assert_eq!(broken(Above, delta), ["hive-kind"]);
}

#[test]
fn top_level_names_are_case_sensitive() {
    let hive =
        |tar: &mut Tar| tar.file("HIVES/Sam_Delta", &file(), &minimal_hive("Sam_Delta", true));
    assert_eq!(broken(Above, hive), ["top-level-case"]);
    assert_eq!(
        broken(Above, |tar| tar.whiteout("files/old.txt")),
        ["top-level-case"]
    );
    let target = |tar: &mut Tar| tar.hard_link("Files/a", "FILES/old.txt", &file());
    assert_eq!(broken(Above, target), ["link-to-parent", "top-level-case"]);
    let vm = |tar: &mut Tar| {
        tar.directory("UtilityVM", &plain_directory())?;
        tar.directory("UtilityVM/files", &directory())
    };
    assert_eq!(broken(AboveVm, vm), ["top-level-case"]);
    let tombstones = |tar: &mut Tar| tar.file("Tombstones.txt", &file(), b"");
    assert_eq!(broken(Above, tombstones), ["path-transport-name"]);
}

#[test]
fn an_opaque_whiteout_is_an_error_outside_files() {
    let hives = |tar: &mut Tar| tar.opaque("Hives");
    assert_eq!(broken(Above, hives), ["whiteout-place"]);
    let vm = |tar: &mut Tar| tar.opaque("UtilityVM/Files");
    assert_eq!(broken(AboveVm, vm), ["whiteout-utility-vm"]);
    let files = |tar: &mut Tar| tar.opaque("Files");
    assert_eq!(broken(Above, files), ["whiteout-opaque"]);
}

/// hcsshim's writer of base layers only checks the name of the directory of files there.
#[test]
fn a_utility_vm_of_a_base_layer_has_fewer_restrictions() {
    let other = |tar: &mut Tar| {
        vm(tar)?;
        tar.directory("UtilityVM", &directory())?;
        tar.directory("UtilityVM/other", &directory())
    };
    assert_eq!(broken(Base, other), ["duplicate"]);
}

#[test]
fn a_stream_after_a_hard_link_is_reported_with_its_position() {
    let report = crate::check(
        Above,
        crate::tar(Above, |tar| {
            tar.file("Files/a", &file(), b"")?;
            tar.hard_link("Files/b", "Files/a", &file())?;
            tar.stream("Files/b", "s", &file(), b"")
        }),
    );
    let found = &report.rules[&Rule::StreamWithoutFile].first[0];
    assert!(
        found.detail.ends_with("it follows the hard link `Files/b`"),
        "{found:?}"
    );
}

#[test]
fn the_bins_of_a_hive_are_checked() {
    let zeros = |tar: &mut Tar| {
        let mut hive = minimal_hive("Sam_Delta", true);
        hive[4096..].fill(0);
        tar.file("Hives/Sam_Delta", &file(), &hive)
    };
    assert_eq!(broken(Above, zeros), ["hive-malformed"]);
}
