//! Wrong numbers: sizes, maps of sparse files, lengths of records, and excessive amounts of
//! everything.

use layergen::{Meta, pax_record};
use wclayer::tar::{TarLayerReader, TarLayerWriter};

use crate::common::{header_block, padded, plain};
use crate::{Ground, built, raw_tar};

/// The largest extended header, in bytes.
const LIMIT: usize = 1 << 20;
/// The maximum total size of all global headers, in bytes.
const GLOBAL_LIMIT: usize = 8 << 10;

fn base256(number: i128) -> [u8; 12] {
    let mut field = [0; 12];
    field.copy_from_slice(&number.to_be_bytes()[4..]);
    field[0] |= 0x80;
    field
}

#[test]
fn invalid_sizes_in_headers_are_rejected() {
    let ground = Ground::new();
    let max = i128::from(i64::MAX);
    for (what, field) in [
        ("2^63 - 1", base256(max)),
        ("2^63 - 511", base256(max - 510)),
        ("2^63", base256(max + 1)),
        ("2^64", base256(1 << 64)),
        ("-1", base256(-1)),
        ("-2^63", base256(-max - 1)),
        ("-2^64", base256(-(1 << 64))),
        (
            "most of base-256",
            [0xBF, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255],
        ),
        ("12 octal digits", *b"777777777777"),
        ("decimal", *b"00000000009\0"),
        ("hexadecimal", *b"0x000000010\0"),
        ("negative octal", *b"-0000000001\0"),
    ] {
        for type_flag in [b'0', b'7', b'S', b'x', b'g', b'L', b'K'] {
            let block = header_block(b"Files/x", type_flag, 0, |block| {
                block[124..136].copy_from_slice(&field);
            });
            let what = format!("size {what} of type {}", char::from(type_flag));
            ground.refuses(&what, &raw_tar(&[&block, &[0; 4096]]), false);
        }
    }
}

#[test]
fn invalid_sizes_in_records_are_rejected() {
    let ground = Ground::new();
    for size in [
        "9223372036854775807",
        "9223372036854775808",
        "18446744073709551616",
        "-1",
        "1e3",
        " 1",
        "0x10",
        "99999999999999999999999999999999",
        "5000",
    ] {
        let tar = built(|tar| tar.raw_entry("Files/x", b'0', &[("size", size.as_bytes())], b""));
        ground.refuses(size, &tar, false);
    }
}

/// An entry without content is not followed by any, whatever the size in its header.
#[test]
fn directories_and_links_have_no_content() {
    let ground = Ground::new();
    for type_flag in [b'1', b'2', b'5'] {
        let block = header_block(b"Files/x", type_flag, 0, |block| {
            block[124..136].copy_from_slice(&base256(i128::from(i64::MAX)));
            block[157..169].copy_from_slice(b"Files/target");
        });
        let tar = raw_tar(&[&block, &header_block(b"Files/next", b'0', 0, |_| ())]);
        assert_eq!(ground.takes("no content", &tar, true).len(), 3);
    }
}

#[test]
fn invalid_maps_of_sparse_files_are_rejected() {
    let ground = Ground::new();
    let huge = i64::MAX.to_string();
    for (map, size) in [
        ("0,5", "5"),
        ("0,9", "10"),
        ("0,10,5,5", "20"),
        ("5,5,0,5", "20"),
        ("15,10", "20"),
        ("0,10", "9"),
        ("0", "10"),
        ("", "10"),
        ("0,10,", "10"),
        ("-1,10", "10"),
        ("0,0x0a", "10"),
        ("18446744073709551615,10", "20"),
        ("18446744073709551606,10", "18446744073709551616"),
        ("0,10", &huge),
        ("9223372036854775797,10", &huge),
        ("0,10", "68719476737"),
        ("0,18446744073709551615,18446744073709551615,11", "10"),
    ] {
        let records: [(&str, &[u8]); 2] = [
            ("GNU.sparse.map", map.as_bytes()),
            ("GNU.sparse.size", size.as_bytes()),
        ];
        let tar = built(|tar| tar.raw_entry("Files/x", b'0', &records, &[7; 10]));
        ground.refuses(&format!("map {map} of {size}"), &tar, false);
    }
    for (map, size) in [
        ("1\n0\n10\n", "9"),
        ("1\n0\n11\n", "20"),
        ("2\n0\n10\n", "20"),
        ("2\n0\n5\n4\n5\n", "20"),
        ("99999999999\n", "20"),
        ("-1\n", "20"),
        ("\n", "20"),
        ("111111111111111111111\n", "20"),
        ("1048577\n0\n10\n", "20"),
        ("0\n", "20"),
    ] {
        let content = [padded(map.as_bytes().to_vec()), vec![7; 10]].concat();
        let tar = built(|tar| tar.raw_entry("Files/x", b'0', &sparse_1_0(size), &content));
        ground.refuses(&format!("map {map:?} of {size}"), &tar, false);
    }
}

fn sparse_1_0(size: &str) -> [(&str, &[u8]); 3] {
    [
        ("GNU.sparse.major", b"1"),
        ("GNU.sparse.minor", b"0"),
        ("GNU.sparse.realsize", size.as_bytes()),
    ]
}

#[test]
fn invalid_maps_in_old_headers_are_rejected() {
    let ground = Ground::new();
    let sparse = |fill: &dyn Fn(&mut [u8])| {
        let block = header_block(b"Files/x", b'S', 10, |block| {
            block[257..265].copy_from_slice(b"ustar  \0");
            block[386..398].copy_from_slice(b"00000000000\0");
            block[398..410].copy_from_slice(b"00000000012\0");
            block[483..495].copy_from_slice(b"00000000024\0");
            fill(block);
        });
        raw_tar(&[&block, &padded(vec![7; 10])])
    };
    assert_eq!(
        ground.takes("a legal one", &sparse(&|_| ()), false).len(),
        2
    );
    let field = |at: usize, number| {
        move |block: &mut [u8]| {
            block[at..at + 12].copy_from_slice(&base256(number));
        }
    };
    ground.refuses("too short", &sparse(&field(483, 9)), false);
    ground.refuses("negative", &sparse(&field(483, -1)), false);
    ground.refuses("too large", &sparse(&field(483, 1 << 62)), false);
    ground.refuses("far out", &sparse(&field(386, i128::from(i64::MAX))), false);
    ground.refuses("too long", &sparse(&field(398, 11)), false);
    // Endless extension blocks, up to the end of the tar.
    let block = header_block(b"Files/x", b'S', 0, |block| block[482] = 1);
    let mut extension = [0; 512];
    extension[504] = 1;
    ground.refuses(
        "extended",
        &raw_tar(&[&block, &extension.repeat(2000)])[..500_000],
        false,
    );
}

/// Each file is small enough, but a tar of a few kilobytes would take hours to read.
#[test]
fn holes_are_counted_over_all_files() {
    let tar = built(|tar| {
        (0..3).try_for_each(|number| {
            let records: [(&str, &[u8]); 2] = [
                ("GNU.sparse.map", b"0,0"),
                ("GNU.sparse.size", b"34359738368"),
            ];
            tar.raw_entry(format!("Files/{number}"), b'0', &records, b"")
        })
    });
    let mut reader = TarLayerReader::new(&tar[..]);
    let error = std::iter::from_fn(|| wclayer::LayerReader::next_entry(&mut reader).transpose())
        .find_map(Result::err)
        .expect("3 * 32 GiB");
    let reason = crate::common::root_cause(&error);
    assert!(
        reason.ends_with("are larger than 68719476736 bytes"),
        "{reason}"
    );
}

#[test]
fn our_own_range_record_is_not_trusted() {
    let ground = Ground::new();
    for ranges in [
        "",
        "0+11",
        "5+5,4+1",
        "1",
        "x",
        "0+5,",
        "18446744073709551615+1",
        "none,0+1",
    ] {
        let tar = built(|tar| {
            tar.raw_entry(
                "Files/x",
                b'0',
                &[("WCLAYER.sparse", ranges.as_bytes())],
                &[7; 10],
            )
        });
        ground.refuses(ranges, &tar, false);
    }
    // Ranges without bytes are legal, and the result can be written again.
    for ranges in ["none", "0+0", "3+0,5+5", "0+10,10+0", "0+0,0+0,0+10"] {
        let tar = built(|tar| {
            tar.raw_entry(
                "Files/x",
                b'0',
                &[("WCLAYER.sparse", ranges.as_bytes())],
                &[7; 10],
            )
        });
        ground.takes(ranges, &tar, false);
    }
}

/// A record with the given total length in bytes.
fn record_of(len: usize) -> Vec<u8> {
    let overhead = pax_record("comment", &vec![b'x'; len - 30]).len() - (len - 30);
    let record = pax_record("comment", &vec![b'x'; len - overhead]);
    assert_eq!(record.len(), len);
    record
}

fn extended(type_flag: u8, content: Vec<u8>) -> Vec<u8> {
    let header = header_block(b"x", type_flag, content.len() as u64, |_| ());
    [header, padded(content)].concat()
}

#[test]
fn extended_headers_are_accepted_up_to_the_limit() {
    let ground = Ground::new();
    let file = header_block(b"Files/x", b'0', 0, |_| ());
    for (type_flag, limit) in [(b'x', LIMIT), (b'g', GLOBAL_LIMIT)] {
        let tar = |len| raw_tar(&[&extended(type_flag, record_of(len)), &file]);
        assert_eq!(ground.takes("at the limit", &tar(limit), false).len(), 2);
        let reason = ground.refuses("over the limit", &tar(limit + 1), false);
        let size = limit + 1;
        let expected = format!("an extended header of {size} bytes is larger than {limit} bytes");
        assert_eq!(reason, expected);
    }
    for type_flag in [b'L', b'K'] {
        let tar = raw_tar(&[&extended(type_flag, vec![b'x'; LIMIT + 1]), &file]);
        ground.refuses("a long name over 1 MiB", &tar, false);
    }
    // Each header is small, but their total is not.
    let global = extended(b'g', record_of(GLOBAL_LIMIT / 4));
    let tar = raw_tar(&[&global, &global, &global, &global, &global, &file]);
    ground.refuses("global headers that add up", &tar, false);
    // Each header replaces the previous one.
    let local = extended(b'x', record_of(LIMIT / 4));
    let tar = raw_tar(&[&[&local[..]; 20].concat(), &file]);
    assert_eq!(
        ground.takes("many headers of one entry", &tar, false).len(),
        2
    );
}

/// A global header applies to every entry: a small tar must not become a large index.
#[test]
fn a_global_header_does_not_make_the_index_explode() {
    let ground = Ground::new();
    let attributes = [
        pax_record("MSWINDOWS.xattr.A", "QUJD".repeat(900).as_bytes()),
        pax_record("MSWINDOWS.xattr.B", "QUJD".repeat(900).as_bytes()),
    ]
    .concat();
    let files = header_block(b"Files/x", b'0', 0, |_| ()).repeat(500);
    let tar = raw_tar(&[&extended(b'g', attributes), &files]);
    let result = ground.import(tar.clone(), false);
    if let Ok(layer) = result {
        let index = layer.path().join("index.sqlite");
        let size = std::fs::metadata(index).expect("there").len();
        assert!(
            size < 20 * tar.len() as u64,
            "{size} bytes for {} of tar",
            tar.len()
        );
    }
}

#[test]
fn a_header_may_be_full_of_records() {
    let ground = Ground::new();
    let records: Vec<u8> = (0..35_000)
        .flat_map(|number| pax_record(&format!("MSWINDOWS.xattr.{number}"), b""))
        .collect();
    let file = header_block(b"Files/x", b'0', 0, |_| ());
    let entry = [extended(b'x', records), file].concat();
    ground.takes("many attributes", &raw_tar(&[&entry]), false);
}

/// An extended attribute that does not fit a list is rejected rather than dropped.
#[test]
fn extended_attributes_that_windows_cannot_store_are_rejected() {
    let ground = Ground::new();
    let long_name = format!("MSWINDOWS.xattr.{}", "N".repeat(256));
    let long_value = "QUJD".repeat(65_536 / 3 + 1);
    for (key, value) in [(&long_name[..], "QUJD"), ("MSWINDOWS.xattr.N", &long_value)] {
        let tar = built(|tar| tar.raw_entry("Files/x", b'0', &[(key, value.as_bytes())], b""));
        ground.refuses(&key[..17], &tar, false);
    }
}

#[test]
fn deep_nesting_of_directories_and_conditions_is_harmless() {
    let ground = Ground::new();
    let deep = format!("Files/{}x", "dir/".repeat(1022));
    let tar = built(|tar| tar.file(&deep, &plain(), b""));
    assert_eq!(ground.takes("a deep path", &tar, false).len(), 2);
    for (open, close) in [("(", ")"), ("!(", ")"), ("(a == ", ")")] {
        let condition = format!("{}{}", open.repeat(100_000), close.repeat(100_000));
        let sddl = format!("D:(XA;;FX;;;WD;({condition}))");
        let tar = built(|tar| {
            let meta = Meta {
                sddl: Some(sddl),
                ..plain()
            };
            tar.file("Files/x", &meta, b"")
        });
        ground.refuses("a deep condition", &tar, false);
    }
}

#[test]
fn many_entries_with_long_names() {
    let ground = Ground::new();
    let many = |count: u32| {
        built(|tar| {
            (0..count).try_for_each(|number| {
                let name = format!("Files/{number:06}{}", "n".repeat(80));
                tar.raw_entry(name, b'0', &[], b"")
            })
        })
    };
    assert_eq!(ground.takes("entries", &many(3000), false).len(), 3001);
    // More than 16 bits can count, without creating a file for each.
    let layer = ground.import(many(66_000), false).expect("legal");
    assert_eq!(layer.descriptor().entries.files, 66_000);
    assert_eq!(
        layer
            .index()
            .expect("there")
            .children(Some(&"Files".parse().expect("a path")))
            .expect("readable")
            .len(),
        66_000
    );
}

#[test]
fn many_streams_and_many_descriptors() {
    let ground = Ground::new();
    let tar = built(|tar| {
        tar.file("Files/f", &plain(), b"")?;
        (0..3000).try_for_each(|number| tar.raw_entry(format!("Files/f:{number}"), b'0', &[], b"x"))
    });
    assert_eq!(ground.takes("many streams", &tar, false).len(), 2);
    let tar = built(|tar| {
        (0..2000_u32).try_for_each(|number| {
            let meta = Meta {
                security_descriptor: Some(number.to_le_bytes().repeat(9)),
                ..plain()
            };
            tar.file(&format!("Files/{number}"), &meta, b"")
        })
    });
    assert_eq!(ground.takes("many descriptors", &tar, false).len(), 2001);
}

/// The writer has the same limits as the reader: it never writes a tar that it would reject.
#[test]
fn the_writer_rejects_invalid_backup_streams() {
    use ntmeta::{StreamHeader, StreamId};
    use wclayer::{FileEntry, LayerWriter as _, ntmeta};
    let header = |header: StreamHeader| {
        let mut bytes = Vec::new();
        header.encode(&mut bytes);
        bytes
    };
    let mut sparse = StreamHeader::new(StreamId::DATA, 0);
    sparse.attributes = ntmeta::StreamAttributes::SPARSE;
    let block = |offset, size| StreamHeader::sparse_block(offset, size);
    for (what, headers) in [
        ("cut data", vec![StreamHeader::new(StreamId::DATA, 10)]),
        (
            "huge data",
            vec![StreamHeader::new(StreamId::DATA, i64::MAX as u64)],
        ),
        (
            "huge security",
            vec![StreamHeader::new(StreamId::SECURITY_DATA, i64::MAX as u64)],
        ),
        (
            "two data streams",
            vec![StreamHeader::new(StreamId::DATA, 0); 2],
        ),
        ("a block alone", vec![block(0, 0)]),
        (
            "no last block",
            vec![sparse.clone(), block(0, 0), block(5, 0)],
        ),
        (
            "a block before the file",
            vec![sparse.clone(), block(-1, 0)],
        ),
        (
            "a block beyond the largest offset",
            vec![sparse.clone(), block(i64::MAX, 1)],
        ),
        (
            "a stream without name",
            vec![StreamHeader::new(StreamId::ALTERNATE_DATA, 0)],
        ),
    ] {
        for metadata_first in [true, false] {
            let mut writer = TarLayerWriter::new(std::io::sink());
            let file = FileEntry {
                path: "Files/x".parse().expect("a name"),
                basic_info: ntmeta::FileBasicInfo::default(),
                size: 0,
                metadata_first,
            };
            writer.add(&file).expect("legal so far");
            let stream: Vec<u8> = headers.iter().cloned().flat_map(header).collect();
            let written = writer
                .write(&stream)
                .and_then(|()| writer.finish().map(drop));
            assert!(written.is_err(), "{what}");
        }
    }
}

/// An error ends a tar, but must not crash callers that ask again.
#[test]
fn a_reader_can_be_called_again_after_an_error() {
    use wclayer::LayerReader as _;
    let tar = built(|tar| {
        tar.file("Files/f", &plain(), b"")?;
        tar.raw_entry("../bad", b'0', &[], b"")?;
        tar.raw_entry("Files/f:s", b'0', &[], b"")
    });
    let mut reader = TarLayerReader::new(&tar[..]);
    let mut errors = 0;
    for _ in 0..10 {
        errors += usize::from(reader.next_entry().is_err());
    }
    assert_eq!(
        errors, 2,
        "the invalid name, and the stream that has lost its file"
    );
}
