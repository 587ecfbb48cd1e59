//! Rules on the headers of a member: numbers that the reference rejects, and members with two
//! interpretations.

use layergen::{Header, Meta};
use wclayer::rules::Rule;

use crate::Start::Above;
use crate::{Row, Tar, check, file, tar};

type Write = std::io::Result<()>;

pub(crate) fn rows() -> Vec<Row> {
    vec![
        Row {
            rule: Rule::TarNumber,
            start: Above,
            breaks: |tar| field(tar, 108, b"00000-1\0"),
            keeps: |tar| field(tar, 108, b" 1750  \0"),
        },
        Row {
            rule: Rule::TarTwoReadings,
            start: Above,
            breaks: |tar| names(tar, "Files/a", "Files/b"),
            keeps: |tar| names(tar, "Files/a", "Files/a"),
        },
    ]
}

/// The records that a file needs in these tests.
fn records() -> Vec<u8> {
    let security = file().security_descriptor.expect("it has one");
    let security = base64(&security);
    [
        layergen::pax_record("MSWINDOWS.fileattr", b"32"),
        layergen::pax_record("MSWINDOWS.rawsd", security.as_bytes()),
    ]
    .concat()
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let group = [0, 1, 2].map(|at| u32::from(chunk.get(at).copied().unwrap_or(0)));
        let bits = group[0] << 16 | group[1] << 8 | group[2];
        for at in 0..4 {
            match at <= chunk.len() {
                true => text.push(char::from(DIGITS[(bits >> (18 - 6 * at)) as usize & 63])),
                false => text.push('='),
            }
        }
    }
    text
}

fn header(name: &str, type_flag: u8, size: u64) -> Header<'_> {
    Header {
        name: name.as_bytes(),
        typeflag: type_flag,
        size,
        ..Header::default()
    }
}

/// Corrects the checksum of a header block.
fn sealed(mut block: [u8; 512]) -> [u8; 512] {
    block[148..156].fill(b' ');
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    block
}

/// Writes a file with the given bytes in a field of its header.
fn field(tar: &mut Tar, at: usize, text: &[u8]) -> Write {
    tar.extended_header(b"Files/a", &records())?;
    let mut block = header("Files/a", b'0', 0).to_block();
    block[at..at + text.len()].copy_from_slice(text);
    tar.raw_bytes(&sealed(block))
}

/// Writes content and pads it.
fn padded(tar: &mut Tar, content: &[u8]) -> Write {
    tar.raw_bytes(content)?;
    tar.raw_bytes(&vec![0; content.len().wrapping_neg() % 512])
}

/// Writes a GNU long name or long link.
fn long(tar: &mut Tar, type_flag: u8, text: &str) -> Write {
    tar.raw_header(&header("././@LongLink", type_flag, text.len() as u64))?;
    padded(tar, text.as_bytes())
}

/// Writes a file with a PAX path and a GNU long name.
fn names(tar: &mut Tar, pax: &str, gnu: &str) -> Write {
    extended(tar, &[("path", pax)])?;
    long(tar, b'L', gnu)?;
    tar.raw_header(&header("Files/c", b'0', 0))
}

/// Writes an extended header with additional records.
fn extended(tar: &mut Tar, more: &[(&str, &str)]) -> Write {
    let more = more.iter();
    let more = more.flat_map(|(key, value)| layergen::pax_record(key, value.as_bytes()));
    tar.extended_header(b"Files/a", &[records(), more.collect()].concat())
}

/// The IDs of the rules that a layer breaks, and the details of each.
fn findings(build: impl Fn(&mut Tar) -> Write) -> Vec<(&'static str, String)> {
    let mut bytes = layergen::TarBuilder::new(Vec::new());
    for path in ["Files", "Hives"] {
        bytes.directory(path, &crate::directory()).expect("memory");
    }
    build(&mut bytes).expect("memory");
    let report = check(Above, bytes.finish().expect("memory"));
    let of_rule = |(rule, found): (&Rule, &wclayer::validate::Findings)| {
        let first = &found.first[0];
        (rule.info().id, format!("{}: {}", first.entry, first.detail))
    };
    report.rules.iter().map(of_rule).collect()
}

/// Go `archive/tar/reader.go`, `readHeader`: with a known magic, the device numbers are read too.
#[test]
fn each_number_that_the_reference_reads_is_checked() {
    const GNU: &[u8] = b"ustar  \0";
    const USTAR: &[u8] = b"ustar\x0000";
    const V7: &[u8] = &[0; 8];
    type Magics = &'static [&'static [u8]];
    let rows: [(&str, usize, &[u8], Magics); 5] = [
        ("mode", 100, b"rw-r--r-", &[GNU, USTAR, V7]),
        ("uid", 108, b"00000-1\0", &[GNU, USTAR, V7]),
        ("gid", 116, b"0000008\0", &[GNU, USTAR, V7]),
        ("devmajor", 329, b"0x00000\0", &[GNU, USTAR]),
        ("devminor", 337, b"1 2    \0", &[GNU, USTAR]),
    ];
    for (name, at, text, refused) in rows {
        for magic in [GNU, USTAR, V7, b"star"] {
            let is_star = magic == b"star";
            let found = findings(|tar| {
                tar.extended_header(b"Files/a", &records())?;
                let mut block = header("Files/a", b'0', 0).to_block();
                block[257..265].copy_from_slice(if is_star { USTAR } else { magic });
                if is_star {
                    block[508..512].copy_from_slice(b"tar\0");
                }
                // The position of a prefix, or of the access time in a GNU header.
                block[345..500].fill(0);
                block[at..at + text.len()].copy_from_slice(text);
                tar.raw_bytes(&sealed(block))
            });
            let is_refused = refused.contains(&magic) || is_star;
            let expected = is_refused.then(|| {
                (
                    "tar-number",
                    format!("Files/a: the field `{name}` is not a number"),
                )
            });
            let found: Vec<_> = found
                .into_iter()
                .filter(|(id, _)| *id == "tar-number")
                .collect();
            assert_eq!(found, Vec::from_iter(expected), "{name} {magic:?}");
        }
    }
    // GNU's base-256 encoding is a number, and an empty field is 0.
    for text in [
        b"\x80\0\0\0\0\0\x01\0",
        b"\xff\xff\xff\xff\xff\xff\xff\xff",
        &[0; 8],
    ] {
        assert_eq!(findings(|tar| field(tar, 108, text)), []);
    }
    // The header of an extended header is checked too.
    let found = findings(|tar| {
        let body = records();
        let mut block = header("PaxHeaders/a", b'x', body.len() as u64).to_block();
        block[116..124].copy_from_slice(b"nobody\0\0");
        tar.raw_bytes(&sealed(block))?;
        padded(tar, &body)?;
        tar.raw_header(&header("Files/a", b'0', 0))
    });
    let expected = "Files/a: the field `gid` is not a number".to_owned();
    assert_eq!(found, [("tar-number", expected)]);
}

#[test]
fn owners_in_pax_records_are_numbers() {
    for (key, value, is_number) in [
        ("uid", "abc", false),
        ("gid", "0x1", false),
        ("gid", "99999999999999999999", false),
        ("uid", "1.5", false),
        ("uid", "-1", true),
        ("gid", "2097152", true),
        ("uid", "", true),
    ] {
        let found = findings(|tar| {
            extended(tar, &[(key, value)])?;
            tar.raw_header(&header("Files/a", b'0', 0))
        });
        let text = format!("Files/a: the field `{key}` is not a number");
        let expected = (!is_number).then_some(("tar-number", text));
        assert_eq!(found, Vec::from_iter(expected), "{key}={value}");
    }
}

#[test]
fn ambiguous_members_are_reported() {
    type Build = fn(&mut Tar) -> Write;
    let member = |tar: &mut Tar| tar.raw_header(&header("Files/a", b'0', 0));
    let rows: [(&str, Build); 9] = [
        ("`Files/b` in a GNU header", |tar| {
            names(tar, "Files/a", "Files/b")
        }),
        ("its target is", |tar| {
            tar.file("Files/t", &file(), b"")?;
            extended(tar, &[("linkpath", "Files/x")])?;
            long(tar, b'K', "Files/t")?;
            tar.raw_header(&header("Files/a", b'1', 0))
        }),
        ("two PAX headers", |tar| {
            extended(tar, &[("path", "Files/x")])?;
            extended(tar, &[])?;
            tar.raw_header(&header("Files/a", b'0', 0))
        }),
        ("`size` is empty", |tar| {
            extended(tar, &[("size", "")])?;
            tar.raw_header(&header("Files/a", b'0', 5))?;
            padded(tar, b"hello")
        }),
        ("`path` is empty", |tar| {
            extended(tar, &[("path", "")])?;
            tar.raw_header(&header("Files/a", b'0', 0))
        }),
        ("`GNU.sparse.name`", |tar| {
            extended(tar, &[("GNU.sparse.name", "Files/x")])?;
            tar.raw_header(&header("Files/a", b'0', 0))
        }),
        ("`GNU.sparse.realsize`", |tar| {
            extended(tar, &[("GNU.sparse.realsize", "5")])?;
            tar.raw_header(&header("Files/a", b'0', 0))
        }),
        (
            "a hard link, and its header says that 1024 bytes follow",
            |tar| {
                tar.file("Files/t", &file(), b"")?;
                tar.raw_header(&Header {
                    link_name: b"Files/t",
                    ..header("Files/a", b'1', 1024)
                })?;
                tar.file("Files/b", &file(), b"hidden from others")
            },
        ),
        (
            "a directory, and its header says that 512 bytes follow",
            |tar| {
                tar.extended_header(b"Files/d", &records())?;
                tar.raw_header(&header("Files/d", b'5', 512))?;
                tar.file("Files/b", &file(), b"")
            },
        ),
    ];
    for (text, build) in rows {
        let found = findings(build);
        let found = found.iter().find(|(id, _)| *id == "tar-two-readings");
        assert!(
            found.is_some_and(|(_, detail)| detail.contains(text)),
            "{text}: {found:?}"
        );
    }
    assert_eq!(
        findings(|tar| {
            extended(tar, &[("path", "Files/a"), ("size", "0")])?;
            member(tar)
        }),
        []
    );
}

/// POSIX pax allows it; a layer cannot represent it, and its bytes are not a header.
#[test]
fn content_of_a_link_is_reported_with_its_entry() {
    let at = std::cell::Cell::new(0);
    for content in [&b"hello"[..], &[0; 5], &[0xff; 700]] {
        let found = findings(|tar| {
            tar.file("Files/t", &file(), b"hello")?;
            at.set(tar.position());
            tar.raw_header(&Header {
                link_name: b"Files/t",
                ..header("Files/b", b'1', content.len() as u64)
            })?;
            padded(tar, content)?;
            tar.file("Files/c", &Meta::default(), b"")
        });
        let damage = found
            .iter()
            .find(|(id, _)| *id == "tar-damaged")
            .expect("damage");
        let size = content.len();
        let expected = format!("Files/b: it is a hard link with {size} bytes of content");
        assert!(damage.1.starts_with(&expected), "{damage:?}");
    }
    let report = check(
        Above,
        tar(Above, |tar| {
            tar.raw_header(&Header {
                link_name: b"Files/t",
                ..header("Files/b", b'1', 5)
            })?;
            padded(tar, b"hello")
        }),
    );
    let found = &report.rules[&Rule::TarDamaged].first[0];
    assert!(
        found.entry == "Files/b" && found.offset.is_some(),
        "{found:?}"
    );
}
