//! Names: a single table of hostile names, passed through every entrance.

use layergen::pax_record;
use wclayer::path::{StreamName, split_stream};
use wclayer::{LayerPath, PathError};

use crate::common::{header_block, padded, plain};
use crate::{Ground, assert_clean, built, raw_tar};

/// Names that no entrance accepts as a path.
const HOSTILE: [&str; 28] = [
    "",
    ".",
    "./",
    r".\.",
    "..",
    "../x",
    r"..\x",
    "Files/..",
    "Files/../x",
    r"Files\..\x",
    "Files/../../outside/x",
    r"Files/dir\../..\..\x",
    "Files/./../x",
    "Files//../x",
    "/x",
    "//x",
    r"\x",
    r"\\server\share\x",
    r"\\?\C:\x",
    r"\??\C:\x",
    "C:x",
    "C:/x",
    r"z:\x",
    "Files/C:/x",
    "Files/a:b/c",
    ":x",
    "Files/a\0b",
    "\0",
];

/// Names that look bad but are legal: Windows device names, trailing dots and spaces that only the
/// oldest Windows calls treat specially, and bytes that others interpret as another name.
const ODD: [&[u8]; 22] = [
    b"Files/NUL",
    b"Files/con.txt",
    b"Files/COM1",
    b"Files/x.",
    b"Files/x ",
    b"Files/...",
    b"Files/.. ",
    b"Files/ ..",
    b"Files/. .",
    b"Files/..x",
    b"Files/x..",
    b"Files/$Recycle.Bin",
    b"Files/*?<>|\"",
    b"Files/\x01\x1b[2J\x7f",
    b"Files/%2e%2e%2fx",
    b"Files/~/x",
    "Files/\u{202e}gnp.exe".as_bytes(),
    "Files/\u{ff0e}\u{ff0e}\u{2215}x".as_bytes(),
    // Overlong and invalid encodings of `..`, `/` and a surrogate pair.
    b"Files/\xc0\xae\xc0\xae\xc0\xafx",
    b"Files/\xe0\x80\xae\xe0\x80\xae/x",
    b"Files/\xed\xa0\xbd\xed\xb8\x80",
    b"Files/\xff\xfe",
];

/// A way for a name to get into a layer.
struct Entrance {
    name: &'static str,
    tar: fn(&[u8]) -> Vec<u8>,
    /// The longest name that fits, in bytes.
    fits: usize,
    /// Whether the field ends at a NUL, so that only the part before it is the name.
    ends_at_nul: bool,
}

const ENTRANCES: [Entrance; 11] = [
    entrance("header", 100, true, |name| raw_tar(&[&block(name, b'0')])),
    entrance("directory", 100, true, |name| {
        raw_tar(&[&block(name, b'5')])
    }),
    entrance("ustar prefix", 155, true, |name| {
        raw_tar(&[&header_block(b"x", b'0', 0, |block| {
            block[345..345 + name.len()].copy_from_slice(name);
        })])
    }),
    entrance("PAX path", usize::MAX, false, |name| {
        pax(b'0', b"path", name)
    }),
    entrance("PAX global path", usize::MAX, false, |name| {
        let records = record(b"path", name);
        let global = header_block(b"g", b'g', records.len() as u64, |_| ());
        raw_tar(&[&global, &padded(records), &block(b"x", b'0')])
    }),
    entrance("GNU long name", usize::MAX, true, |name| {
        long(b'L', name, b'0')
    }),
    entrance("GNU sparse name", usize::MAX, false, |name| {
        let records = [
            record(b"GNU.sparse.map", b"0,0"),
            record(b"GNU.sparse.name", name),
            record(b"GNU.sparse.size", b"0"),
        ]
        .concat();
        extended(&records, &block(b"Files/x", b'0'))
    }),
    entrance("link target", 100, true, |name| {
        let mut link = block(b"Files/link", b'1');
        link[157..157 + name.len()].copy_from_slice(name);
        crate::common::mend_checksum(&mut link, 0);
        raw_tar(&[&link])
    }),
    entrance("PAX linkpath", usize::MAX, false, |name| {
        pax(b'1', b"linkpath", name)
    }),
    entrance("GNU long link", usize::MAX, true, |name| {
        long(b'K', name, b'1')
    }),
    entrance("stream", usize::MAX, false, |name| {
        pax(b'0', b"path", &[name, b":stream"].concat())
    }),
];

const fn entrance(
    name: &'static str,
    fits: usize,
    ends_at_nul: bool,
    tar: fn(&[u8]) -> Vec<u8>,
) -> Entrance {
    Entrance {
        name,
        tar,
        fits,
        ends_at_nul,
    }
}

fn block(name: &[u8], type_flag: u8) -> Vec<u8> {
    header_block(name, type_flag, 0, |_| ())
}

fn record(key: &[u8], value: &[u8]) -> Vec<u8> {
    pax_record(std::str::from_utf8(key).expect("ASCII"), value)
}

fn extended(records: &[u8], behind: &[u8]) -> Vec<u8> {
    let header = header_block(b"x", b'x', records.len() as u64, |_| ());
    raw_tar(&[&header, &padded(records.to_vec()), behind])
}

fn pax(type_flag: u8, key: &[u8], value: &[u8]) -> Vec<u8> {
    extended(&record(key, value), &block(b"Files/x", type_flag))
}

fn long(type_flag: u8, name: &[u8], behind: u8) -> Vec<u8> {
    let name = [name, b"\0"].concat();
    let header = header_block(b"././@LongLink", type_flag, name.len() as u64, |_| ());
    raw_tar(&[&header, &padded(name), &block(b"Files/x", behind)])
}

#[test]
fn hostile_names_are_rejected_by_every_parser() {
    let directory: LayerPath = "Files".parse().expect("a name");
    for name in HOSTILE {
        let units: Vec<u16> = name.encode_utf16().collect();
        assert!(LayerPath::parse(name.as_bytes()).is_err(), "{name:?}");
        assert!(name.parse::<LayerPath>().is_err(), "{name:?}");
        assert!(LayerPath::from_utf16(&units).is_err(), "{name:?}");
        assert!(
            split_stream(format!("{name}:s").as_bytes()).is_err(),
            "{name:?}"
        );
        if let Ok(joined) = directory.join(name.as_bytes()) {
            assert!(
                joined == directory || joined.is_below(&directory),
                "{name:?}"
            );
            assert_clean(name, &joined);
        }
    }
}

#[test]
fn hostile_names_are_rejected_at_every_entrance_of_a_tar() {
    let ground = Ground::new();
    for entrance in ENTRANCES {
        for name in HOSTILE.iter().filter(|name| name.len() <= entrance.fits) {
            let what = format!("{name:?} as {}", entrance.name);
            let tar = (entrance.tar)(name.as_bytes());
            // An empty field is absent; a NUL ends the name; a prefix is continued.
            let is_cut = entrance.ends_at_nul && name.contains('\0');
            let goes_on = entrance.name == "ustar prefix" && HOSTILE[..4].contains(name);
            if name.is_empty() || is_cut || goes_on {
                let _ = ground.try_tar(&what, &tar, true);
            } else {
                ground.refuses(&what, &tar, true);
            }
        }
    }
}

#[test]
fn unusual_names_are_preserved() {
    let ground = Ground::new();
    for name in ODD {
        let what = String::from_utf8_lossy(name);
        let path = LayerPath::parse(name).expect(&what);
        assert_clean(&what, &path);
        assert_eq!(
            LayerPath::from_utf16(&path.to_utf16()),
            Ok(path.clone()),
            "{what}"
        );
        for entrance in ENTRANCES
            .iter()
            .filter(|entrance| name.len() <= entrance.fits)
        {
            // Links to missing files, and streams of other files, may be rejected.
            let taken = ground.try_tar(&what, &(entrance.tar)(name), true);
            if matches!(entrance.name, "header" | "PAX path" | "GNU long name") {
                let taken = taken.expect(&what);
                assert_eq!(taken.last(), Some(&path), "{what} as {}", entrance.name);
            }
        }
    }
}

#[test]
fn too_long_names_are_rejected() {
    let ground = Ground::new();
    let component = format!("Files/{}", "x".repeat(256));
    let wide = format!("Files/{}", "😀".repeat(128));
    let path = format!("Files/{}", "xx/".repeat(16_380));
    let deep = format!("Files/{}", "x/".repeat(1024));
    for (name, longest) in [
        (component, PathError::ComponentTooLong { units: 256 }),
        (wide, PathError::ComponentTooLong { units: 256 }),
        (path, PathError::PathTooLong { units: 49_145 }),
        (deep, PathError::TooDeep { components: 1025 }),
    ] {
        for entrance in ENTRANCES.iter().filter(|entrance| entrance.fits > 1000) {
            let reason = ground.refuses(entrance.name, &(entrance.tar)(name.as_bytes()), true);
            if entrance.name == "PAX global path" && name.len() > 8192 {
                continue; // rejected before it is examined
            }
            assert_eq!(reason, longest.to_string(), "{}", entrance.name);
        }
    }
}

#[test]
fn whiteouts_only_remove_the_path_they_name() {
    let ground = Ground::new();
    for name in [
        "Files/.wh.",
        "Files/.wh..",
        "Files/.wh...",
        r"Files/.wh.\",
        r"Files/.wh..\",
        r"Files/.wh...\x",
        r"Files/.wh.\..\x",
        r"Files/.wh.x\..\..\y",
        r"Files/.wh.x\..",
        "Files/.wh.C:x",
        "Files/.wh.x:s",
        "Files/.wh.x/y",
        "Files/.wh.d/",
        "Files/../.wh.x",
        "/.wh.x",
        "../.wh.x",
        "../.wh..wh..opq",
        "Files/../.wh..wh..opq",
        ".wh..wh..opq",
        "/.wh..wh..opq",
        ".wh.",
        r".wh.\x",
    ] {
        ground.refuses(name, &raw_tar(&[&block(name.as_bytes(), b'0')]), true);
    }
    for (name, removed) in [
        ("Files/.wh.target", "Files/target"),
        ("Files/.wh..wh.x", "Files/.wh.x"),
        ("Files/.wh....", "Files/..."),
        (r"Files/.wh.dir\old", "Files/dir/old"),
        ("Files/dir/.wh..wh..opq", "Files/dir"),
    ] {
        let paths = ground.takes(name, &raw_tar(&[&block(name.as_bytes(), b'0')]), true);
        assert_eq!(
            paths.last().map(ToString::to_string).as_deref(),
            Some(removed),
            "{name}"
        );
    }
}

#[test]
fn streams_stay_with_their_file() {
    let ground = Ground::new();
    for name in [
        "",
        ":",
        "a:b",
        ":$DATA",
        "s:$INDEX_ALLOCATION",
        "s:$DATA:$DATA",
        "a\\b",
        "a\0b",
        &"x".repeat(256),
    ] {
        assert!(StreamName::parse(name.as_bytes()).is_err(), "{name:?}");
        let stream = format!("Files/f:{name}");
        let tar = built(|tar| {
            tar.file("Files/f", &plain(), b"")?;
            tar.raw_entry("x", b'0', &[("path", stream.as_bytes())], b"")
        });
        ground.refuses(&stream, &tar, false);
    }
    for name in ["..", ".", "$DATA", "x ", "a?b*"] {
        let stream = format!("Files/f:{name}");
        let tar = built(|tar| {
            tar.file("Files/f", &plain(), b"")?;
            tar.raw_entry("x", b'0', &[("path", stream.as_bytes())], b"")
        });
        let paths = ground.takes(&stream, &tar, false);
        assert_eq!(paths.len(), 2, "a stream is not a separate entry");
    }
}

#[test]
fn two_spellings_of_one_file_are_detected() {
    let ground = Ground::new();
    for (file, directory) in [
        ("Files/x", "Files/X"),
        ("Files/é", "Files/É"),
        ("Files/x", r"Files\x"),
        ("Files/x", "./Files/./x/"),
        ("Files/\u{1f600}", "Files/\u{1f600}"),
    ] {
        let tar = built(|tar| {
            tar.raw_entry("x", b'0', &[("path", file.as_bytes())], b"")?;
            tar.raw_entry("x", b'5', &[("path", directory.as_bytes())], b"")
        });
        let reason = ground.refuses(directory, &tar, false);
        assert!(
            reason.starts_with("it is a directory, but another entry at the same path is a file"),
            "{reason}"
        );
    }
}
