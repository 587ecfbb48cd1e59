//! Every kind, and what only looks like it.

use std::fs;
use std::path::Path;

use tempfile::TempDir;

use super::{Kind, Needed, WindowsLayerKind, recognise};
use crate::compression::Compression;
use crate::error::{Error, ErrorKind};

const DESCRIPTOR: &[u8] = br#"{"format": "wclayer.portable", "version": 99}"#;
const TOMBSTONES: &[u8] = b"\xef\xbb\xbfVersion 1.0\r\n";

type Entries<'a> = &'a [(&'a str, &'a [u8])];

/// Makes a folder: names that end with `/` are folders.
fn folder(entries: Entries<'_>) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, content) in entries {
        let path = folder.path().join(name);
        match name.ends_with('/') {
            true => fs::create_dir_all(path).expect(name),
            false => fs::write(path, content).expect(name),
        }
    }
    folder
}

fn kind(path: &Path) -> Kind {
    recognise(path).expect("it can be looked at").kind()
}

fn kind_of(entries: Entries<'_>) -> Kind {
    kind(folder(entries).path())
}

fn index() -> Vec<u8> {
    let mut index = b"SQLite format 3\0".to_vec();
    index.resize(68, 1);
    index.extend_from_slice(b"WCLP");
    index
}

#[test]
fn folders_are_told_apart() {
    use Kind::{DamagedPortable, EmptyFolder, Folder, ForeignDescriptor, Portable, Transport};
    let windows = Kind::Windows;
    let index = index();
    let (files, hives) = (("Files/", &b""[..]), ("Hives/", &b""[..]));
    let tombstones = ("tombstones.txt", TOMBSTONES);
    let table: &[(Entries<'_>, Kind)] = &[
        (&[], EmptyFolder),
        (&[("notes.txt", b"")], Folder),
        (&[("layer.json", DESCRIPTOR)], Portable),
        (&[("layer.json", DESCRIPTOR), files, tombstones], Portable),
        (&[("layer.json", b"{"), ("layer.tar", b"")], DamagedPortable),
        (
            &[("layer.tar", b""), ("index.sqlite", &index)],
            DamagedPortable,
        ),
        (
            &[("layer.json", b"{"), ("layer.tar", b""), ("notes", b"")],
            ForeignDescriptor,
        ),
        (
            &[("layer.json", br#"{"format": "another"}"#)],
            ForeignDescriptor,
        ),
        (&[("layer.json/", b"")], Folder),
        (&[("layer.tar", b"")], Folder),
        (&[files, tombstones], Transport),
        (
            &[files, ("tombstones.txt", b"Version 1.0"), hives],
            Transport,
        ),
        (&[tombstones], Folder),
        (&[("Files", b""), tombstones], Folder),
        (&[files, ("tombstones.txt", b"Version 2.0\n")], Folder),
        (&[files, ("tombstones.txt", b"Version 1.01\n")], Folder),
        (&[files, ("tombstones.txt/", b"")], Folder),
        (&[files], Folder),
        (&[hives], Folder),
        (&[files, hives], windows(WindowsLayerKind::Unknown)),
        (
            &[files, ("UtilityVM/Files/", b"")],
            windows(WindowsLayerKind::Unknown),
        ),
        (
            &[files, ("layerchain.json", b"null")],
            windows(WindowsLayerKind::Base),
        ),
        (
            &[files, ("layerchain.json", b"[\"/base\"]")],
            windows(WindowsLayerKind::Layer),
        ),
        (
            &[files, ("layerchain.json", b"[")],
            windows(WindowsLayerKind::Unknown),
        ),
        (
            &[files, ("blank-base.vhdx", b"")],
            windows(WindowsLayerKind::Base),
        ),
        (&[("sandbox.vhdx", b"")], windows(WindowsLayerKind::Scratch)),
        (
            &[("sandbox.vhdx", b""), files, tombstones],
            windows(WindowsLayerKind::Scratch),
        ),
        (&[("layerchain.json", b"null")], Folder),
        (&[("oci-layout", b"{}")], Kind::ImageLayout),
        (&[("index.json", b"{}"), ("blobs/", b"")], Kind::ImageLayout),
        (&[("index.json", b"{}")], Folder),
        (&[("manifest.json", b"[]")], Kind::ImageArchive),
    ];
    for &(entries, expected) in table {
        #[cfg(windows)]
        let expected = match expected {
            // `/base` is not a full path there.
            Kind::Windows(WindowsLayerKind::Layer) => windows(WindowsLayerKind::Unknown),
            expected => expected,
        };
        assert_eq!(kind_of(entries), expected, "{:?}", names(entries));
    }
}

fn names<'a>(entries: Entries<'a>) -> Vec<&'a str> {
    entries.iter().map(|(name, _)| *name).collect()
}

#[test]
fn an_interrupted_import_of_the_service_is_known_by_its_mark() {
    let above = folder(&[("half/", b""), (".half.wclayer-importing", b"")]);
    let found = kind(&above.path().join("half"));
    assert_eq!(found, Kind::Windows(WindowsLayerKind::Unknown));
}

#[test]
fn files_are_told_apart_by_their_compression() {
    let folder = folder(&[
        ("plain", b"Files/"),
        ("gzip", b"\x1F\x8B\x08\0"),
        ("zstd", b"\x28\xB5\x2F\xFD"),
        ("empty", b""),
        ("short", b"\x1F\x8B"),
    ]);
    for (name, compression) in [
        ("plain", Compression::None),
        ("gzip", Compression::Gzip),
        ("zstd", Compression::Zstd),
        ("empty", Compression::None),
        ("short", Compression::None),
    ] {
        assert_eq!(kind(&folder.path().join(name)), Kind::Tar(compression));
    }
}

#[test]
fn a_missing_path_is_not_found_wherever_it_ends() {
    let folder = folder(&[("file", b"")]);
    for name in ["nosuch", "nosuch/deeper", "file/below"] {
        let found = recognise(folder.path().join(name)).expect("an answer");
        assert_eq!(found.kind(), Kind::Missing, "{name}");
        for error in [
            found.check().expect_err("missing"),
            found.refuse(Needed::View),
            found.portable().map(drop).expect_err("missing"),
            found.windows().map(drop).expect_err("missing"),
        ] {
            assert_eq!(error.kind(), ErrorKind::NotFound);
            assert!(error.to_string().ends_with("does not exist"), "{error}");
        }
    }
}

#[test]
fn a_kind_is_refused_by_name() {
    let tar = folder(&[
        ("layer.tar.gz", b"\x1F\x8B\x08\0"),
        ("transport/Files/", b""),
    ]);
    let found = recognise(tar.path().join("layer.tar.gz")).expect("an answer");
    found.check().expect("a layer");
    let error = found.portable().map(drop).expect_err("not portable");
    assert!(matches!(error, Error::WrongKind { .. }));
    let text = error.to_string();
    assert!(
        text.ends_with("is a gzip file, not a portable layer"),
        "{text}"
    );
    let empty = folder(&[]);
    let error = recognise(empty.path())
        .expect("an answer")
        .refuse(Needed::View);
    assert!(matches!(
        error,
        Error::NotALayer {
            kind: Kind::EmptyFolder,
            ..
        }
    ));
}

#[cfg(unix)]
#[test]
fn links_are_followed_to_the_path_and_not_inside_it() {
    use std::os::unix::fs::symlink;

    let all = folder(&[
        ("portable/", b""),
        ("portable/layer.json", DESCRIPTOR),
        ("transport/Files/", b""),
        ("transport/tombstones.txt", TOMBSTONES),
        ("windows/Files/", b""),
        ("windows/Hives/", b""),
        ("tar", b""),
        ("false/", b""),
    ]);
    let path = |name: &str| all.path().join(name);
    for (name, expected) in [
        ("portable", Kind::Portable),
        ("transport", Kind::Transport),
        ("windows", Kind::Windows(WindowsLayerKind::Unknown)),
        ("tar", Kind::Tar(Compression::None)),
        ("nosuch", Kind::BrokenLink),
    ] {
        let link = path(&format!("to {name}"));
        symlink(path(name), &link).expect("a link");
        let found = recognise(&link).expect("an answer");
        assert_eq!((found.kind(), found.is_link()), (expected, true), "{name}");
        assert_eq!(found.label(), link.display().to_string());
    }
    symlink(path("transport/Files"), path("false/Files")).expect("a link");
    fs::write(path("false/tombstones.txt"), TOMBSTONES).expect("written");
    assert_eq!(kind(&path("false")), Kind::Folder);
    symlink(path("loop"), path("loop")).expect("a link");
    let error = recognise(path("loop")).expect_err("it leads nowhere");
    assert_eq!(error.kind(), ErrorKind::Io);
}

#[cfg(unix)]
#[test]
fn a_pipe_is_not_opened() {
    let all = folder(&[("folder/", b"")]);
    // Opening either would block until something is written.
    for name in ["pipe", "folder/layer.json"] {
        let pipe = all.path().join(name);
        let made = std::process::Command::new("mkfifo").arg(pipe).status();
        assert!(made.expect("mkfifo starts").success());
    }
    assert_eq!(kind(&all.path().join("pipe")), Kind::Special);
    assert_eq!(kind(&all.path().join("folder")), Kind::Folder);
    assert_eq!(kind(Path::new("/dev/null")), Kind::Special);
}
