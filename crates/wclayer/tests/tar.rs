//! Layer tars through the public API: a written tar can be read, the bytes are reproducible, and
//! other programs see the same files.
//!
//! A [`Sample`] is a file with its backup stream in any order and shape. After a round trip through
//! a tar, its stream is *canonical*: in the order defined in `docs/vendor-records.md`, with no
//! losses except those listed there.

mod common;

use std::io::{Read as _, Write as _};
use std::process::{Command, Stdio};

use ntmeta::ea::{self, ExtendedAttribute};
use ntmeta::{
    FileAttributes, FileBasicInfo, FileTime, ReparsePoint, StreamAttributes, StreamHeader, StreamId,
};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use wclayer::hub::copy;
use wclayer::tar::{ArchiveEnd, TarLayerReader, TarLayerWriter};
use wclayer::{
    Digest, Entry, FileEntry, LayerPath, LayerReader, LayerWriter as _, LinkEntry, ntmeta,
};

/// One entry with its backup stream.
type Record = (Entry, Vec<u8>);

/// A stream of a file, as described by a test.
#[derive(Debug, Clone)]
enum Stream {
    Security(Vec<u8>),
    Attributes(Vec<ExtendedAttribute>),
    Reparse(Vec<u8>),
    /// A stream that cannot be represented in a tar.
    Other(StreamId, Vec<u8>),
    /// The unnamed data (`None`) or an alternate data stream.
    Data(Option<String>, Content),
}

/// The content of a data stream.
#[derive(Debug, Clone)]
enum Content {
    Plain(Vec<u8>),
    /// Pairs of a hole's length and the bytes after it, then the length of the last hole.
    Sparse(Vec<(u64, Vec<u8>)>, u64),
}

/// A file, directory or reparse point with its streams, in the order in which they are written.
#[derive(Debug, Clone)]
struct Sample {
    is_directory: bool,
    basic_info: FileBasicInfo,
    streams: Vec<Stream>,
    /// Whether the streams are passed to the writer in tar order.
    metadata_first: bool,
}

impl Content {
    fn size(&self) -> u64 {
        match self {
            Self::Plain(bytes) => bytes.len() as u64,
            Self::Sparse(blocks, last) => {
                let blocks = blocks.iter();
                blocks
                    .map(|(hole, bytes)| hole + bytes.len() as u64)
                    .sum::<u64>()
                    + last
            }
        }
    }

    /// Returns the content that another program finds in the file.
    fn expanded(&self) -> Vec<u8> {
        match self {
            Self::Plain(bytes) => bytes.clone(),
            Self::Sparse(blocks, last) => {
                let mut whole = Vec::new();
                for (hole, bytes) in blocks {
                    whole.resize(whole.len() + *hole as usize, 0);
                    whole.extend_from_slice(bytes);
                }
                whole.resize(whole.len() + *last as usize, 0);
                whole
            }
        }
    }

    /// Appends the stream in one of the four shapes that `BackupRead` produces.
    fn encode(&self, name: Option<&str>, out: &mut Vec<u8>) {
        let mut header = match name {
            None => StreamHeader::new(StreamId::DATA, 0),
            Some(name) => StreamHeader::alternate_data(&name.encode_utf16().collect::<Vec<_>>(), 0),
        };
        match self {
            Self::Plain(bytes) => {
                header.size = bytes.len() as u64;
                header.encode(out);
                out.extend_from_slice(bytes);
            }
            Self::Sparse(blocks, last) => {
                header.attributes = StreamAttributes::SPARSE;
                if let ([(0, bytes)], 0) = (&blocks[..], last) {
                    header.size = bytes.len() as u64;
                    header.encode(out);
                    out.extend_from_slice(bytes);
                    return;
                }
                header.encode(out);
                if self.size() == 0 {
                    return;
                }
                let mut offset = 0;
                for (hole, bytes) in blocks {
                    offset += *hole as i64;
                    StreamHeader::sparse_block(offset, bytes.len() as u64).encode(out);
                    out.extend_from_slice(bytes);
                    offset += bytes.len() as i64;
                }
                StreamHeader::sparse_block(self.size() as i64, 0).encode(out);
            }
        }
    }
}

impl Stream {
    fn encode(&self, out: &mut Vec<u8>) {
        let (id, body) = match self {
            Self::Security(bytes) => (StreamId::SECURITY_DATA, bytes.clone()),
            Self::Attributes(list) => (StreamId::EA_DATA, ea::encode_list(list).expect("short")),
            Self::Reparse(buffer) => (StreamId::REPARSE_DATA, buffer.clone()),
            Self::Other(id, bytes) => (*id, bytes.clone()),
            Self::Data(name, content) => return content.encode(name.as_deref(), out),
        };
        StreamHeader::new(id, body.len() as u64).encode(out);
        out.extend_from_slice(&body);
    }

    /// Returns the position of the stream in the canonical order.
    fn rank(&self) -> u32 {
        match self {
            Self::Security(_) => 0,
            Self::Attributes(_) => 1,
            Self::Reparse(_) => 2,
            Self::Other(..) => 3,
            Self::Data(None, _) => 4,
            Self::Data(Some(_), _) => 5,
        }
    }
}

impl Sample {
    fn size(&self) -> u64 {
        let data = self.streams.iter().find_map(|stream| match stream {
            Stream::Data(None, content) => Some(content.size()),
            _ => None,
        });
        data.unwrap_or(0)
    }

    fn entry(&self, path: &str) -> FileEntry {
        FileEntry {
            path: path.parse().expect(path),
            basic_info: self.basic_info,
            size: self.size(),
            metadata_first: self.metadata_first,
        }
    }

    fn given_stream(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.streams
            .iter()
            .for_each(|stream| stream.encode(&mut bytes));
        bytes
    }

    /// Whether the tar entry is a symlink entry, which cannot represent an empty data stream.
    fn is_symlink_entry(&self) -> bool {
        self.size() == 0
            && self.streams.iter().any(|stream| {
                matches!(stream, Stream::Reparse(buffer)
                    if ReparsePoint::decode(buffer).is_ok_and(|point| point.target().is_some()))
            })
    }

    /// Returns the backup stream expressed by a tar of this file.
    fn canonical_stream(&self) -> Vec<u8> {
        let mut streams = self.streams.clone();
        streams.retain(|stream| !matches!(stream, Stream::Data(None, _)) || !self.is_link_or_dir());
        if !self.is_link_or_dir() && !streams.iter().any(|stream| stream.rank() == 4) {
            streams.push(Stream::Data(None, Content::Plain(Vec::new())));
        }
        streams.sort_by_key(Stream::rank);
        let mut bytes = Vec::new();
        for mut stream in streams {
            if let Stream::Attributes(list) = &mut stream {
                // Record keys are sorted; names that do not fit a key come last.
                list.sort_by_key(|attribute| {
                    let in_record = !attribute.name.iter().any(|byte| matches!(byte, b'=' | 0));
                    (!in_record, in_record.then(|| attribute.name.clone()))
                });
            }
            stream.encode(&mut bytes);
        }
        bytes
    }

    fn is_link_or_dir(&self) -> bool {
        self.is_directory || self.is_symlink_entry()
    }
}

fn contents() -> impl Strategy<Value = Content> {
    let blocks = vec((1..3000_u64, vec(any::<u8>(), 1..800)), 0..4);
    let sparse = (blocks, any::<bool>(), 0..2000_u64).prop_map(|(mut blocks, from_start, last)| {
        if let Some((hole, _)) = blocks.first_mut().filter(|_| from_start) {
            *hole = 0;
        }
        Content::Sparse(blocks, if from_start { 0 } else { last })
    });
    prop_oneof![
        3 => vec(any::<u8>(), 0..2000).prop_map(Content::Plain),
        2 => sparse,
    ]
}

fn reparse_buffers() -> impl Strategy<Value = Vec<u8>> {
    let links = ("[a-zé\\\\:.]{1,30}", any::<bool>()).prop_map(|(target, is_mount_point)| {
        let point = ReparsePoint::from_target(target.as_bytes(), is_mount_point);
        point.and_then(|point| point.encode()).expect("short")
    });
    // Bytes after the names are legal, but no link target expresses them.
    let odd_links = links.clone().prop_map(|mut buffer| {
        buffer.extend_from_slice(&[0, 0, b'x', 0]);
        buffer
    });
    let tags = prop::sample::select(vec![
        0x8000_0017_u32,
        0x9000_301A,
        0xA000_001D,
        0x8000_0023,
        0x0000_0123,
    ]);
    let others = (tags, vec(any::<u8>(), 0..60)).prop_map(|(tag, data)| {
        let guid = (tag & 0x8000_0000 == 0).then_some([7; 16]);
        let tag = ntmeta::ReparseTag(tag);
        ReparsePoint::Other { tag, guid, data }
            .encode()
            .expect("short")
    });
    prop_oneof![links, odd_links, others]
}

fn attribute_lists() -> impl Strategy<Value = Vec<ExtendedAttribute>> {
    let name = prop_oneof![
        4 => "[A-Z$._]{1,20}".prop_map(String::into_bytes),
        1 => vec(prop::sample::select(b"A=\n\xff".to_vec()), 1..5),
    ];
    let flags = prop_oneof![Just(0), Just(0x80)];
    btree_map(name, (flags, vec(any::<u8>(), 0..100)), 1..4).prop_map(|attributes| {
        let attribute = |(name, (flags, value))| ExtendedAttribute { flags, name, value };
        attributes.into_iter().map(attribute).collect()
    })
}

fn other_streams() -> impl Strategy<Value = Stream> {
    let ids = [
        StreamId::LINK,
        StreamId::PROPERTY_DATA,
        StreamId::OBJECT_ID,
        StreamId::TXFS_DATA,
        StreamId(77),
    ];
    (prop::sample::select(ids.to_vec()), vec(any::<u8>(), 0..80))
        .prop_map(|(id, body)| Stream::Other(id, body))
}

fn samples() -> impl Strategy<Value = Sample> {
    let maybe = prop::option::weighted::<BoxedStrategy<Stream>>;
    let security = vec(any::<u8>(), 1..200).prop_map(Stream::Security);
    let attributes = attribute_lists().prop_map(Stream::Attributes);
    let reparse = reparse_buffers().prop_map(Stream::Reparse);
    let data = contents().prop_map(|content| Stream::Data(None, content));
    let streams = (
        maybe(0.6, security.boxed()),
        maybe(0.3, attributes.boxed()),
        maybe(0.3, reparse.boxed()),
        vec(other_streams(), 0..3),
        maybe(0.8, data.boxed()),
        btree_map("[a-zA-Zé日 .]{1,20}", contents(), 0..3),
    );
    let times: [_; 4] = std::array::from_fn(|_| any::<u64>());
    let metadata = (any::<bool>(), any::<u32>(), times);
    (streams, metadata, any::<u64>(), any::<bool>()).prop_map(
        |((security, attributes, reparse, others, data, alternates), metadata, seed, first)| {
            let (is_directory, attribute_bits, times) = metadata;
            let mut streams: Vec<Stream> = security.into_iter().collect();
            streams.extend(attributes);
            streams.extend(reparse);
            streams.extend(others);
            streams.extend(data.filter(|_| !is_directory));
            let alternate = |(name, content)| Stream::Data(Some(name), content);
            streams.extend(alternates.into_iter().map(alternate));
            if !first {
                shuffle(&mut streams, seed);
            }
            Sample {
                is_directory,
                basic_info: basic_info(is_directory, attribute_bits, times),
                streams,
                metadata_first: first,
            }
        },
    )
}

fn basic_info(is_directory: bool, attribute_bits: u32, times: [u64; 4]) -> FileBasicInfo {
    let mut attributes = FileAttributes::from_bits_retain(attribute_bits);
    attributes.set(FileAttributes::DIRECTORY, is_directory);
    let [created, accessed, written, changed] = times.map(FileTime::from_ticks);
    FileBasicInfo {
        creation_time: created,
        last_access_time: accessed,
        last_write_time: written,
        change_time: changed,
        attributes,
    }
}

fn shuffle<T>(items: &mut [T], mut seed: u64) {
    for at in (1..items.len()).rev() {
        seed = seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        items.swap(at, (seed >> 33) as usize % (at + 1));
    }
}

/// Writes the samples, a link, a removal and an opaque directory, in pieces of `piece` bytes.
fn write_tar(samples: &[(String, Sample)], piece: usize) -> Vec<u8> {
    let mut writer = TarLayerWriter::new(Vec::new());
    for (path, sample) in samples {
        writer.add(&sample.entry(path)).expect("a legal entry");
        for bytes in sample.given_stream().chunks(piece) {
            writer.write(bytes).expect("a legal stream");
        }
    }
    for entry in other_entries() {
        match &entry {
            Entry::Link(link) => writer.add_link(link),
            Entry::Removal(path) => writer.remove(path),
            Entry::Opaque(path) => writer.remove_contents(path),
            Entry::File(_) => unreachable!("there is none"),
        }
        .expect("memory");
    }
    writer.finish().expect("memory")
}

fn other_entries() -> [Entry; 3] {
    let path = |text: &str| text.parse::<LayerPath>().expect(text);
    [
        Entry::Link(LinkEntry {
            path: path("Files/link"),
            target: path("Files/any"),
            basic_info: Some(basic_info(false, 0x20, [1, 2, 3, u64::MAX])),
        }),
        Entry::Removal(path("Files/gone")),
        Entry::Opaque(path("Files/emptied")),
    ]
}

fn read_all(tar: &[u8], piece: usize) -> Vec<Record> {
    let mut reader = TarLayerReader::new(tar);
    let mut records = Vec::new();
    let mut buffer = vec![0; piece];
    while let Some(entry) = reader.next_entry().expect("our own tar") {
        let mut stream = Vec::new();
        loop {
            match reader.read_stream(&mut buffer).expect("our own tar") {
                0 => break,
                read => stream.extend_from_slice(&buffer[..read]),
            }
        }
        records.push((entry, stream));
    }
    assert_eq!(reader.end(), Some(ArchiveEnd::Complete));
    records
}

/// The result of reading the tar of [`write_tar`].
fn expected(samples: &[(String, Sample)]) -> Vec<Record> {
    let files = samples.iter().map(|(path, sample)| {
        let entry = FileEntry {
            metadata_first: true,
            ..sample.entry(path)
        };
        (Entry::File(entry), sample.canonical_stream())
    });
    let others = other_entries().map(|entry| (entry, Vec::new()));
    files.chain(others).collect()
}

/// Gives the samples names that cover every way to store one.
fn named(samples: Vec<Sample>, tail: &str) -> Vec<(String, Sample)> {
    let name = |(at, sample)| {
        (
            format!("Files/{}/{at}{tail}", "dir/".repeat(at * 20)),
            sample,
        )
    };
    samples.into_iter().enumerate().map(name).collect()
}

#[track_caller]
fn assert_same(actual: &[Record], expected: &[Record]) {
    assert_eq!(actual.len(), expected.len());
    for (actual, expected) in actual.iter().zip(expected) {
        assert_eq!(actual.0, expected.0);
        assert!(
            actual.1 == expected.1,
            "{}: {:?} is not {:?}",
            actual.0.path(),
            String::from_utf8_lossy(&actual.1),
            String::from_utf8_lossy(&expected.1)
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 96,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn written_entries_are_read_in_canonical_order(
        samples in vec(samples(), 1..5),
        tail in "[a-zA-Zäé日 .]{0,40}x",
        write_piece in 1..700_usize,
        read_piece in 1..700_usize,
    ) {
        let samples = named(samples, &tail);
        let tar = write_tar(&samples, write_piece);
        let records = read_all(&tar, read_piece);
        assert_same(&records, &expected(&samples));
        // The size of the pieces has no effect.
        assert!(write_tar(&samples, usize::MAX) == tar);
        // After the first round trip, the bytes stay the same.
        let again = |tar: &[u8]| {
            let mut reader = TarLayerReader::new(tar);
            copy(&mut reader, TarLayerWriter::new(Vec::new()), &()).expect("our own tar")
        };
        let canonical = again(&tar);
        assert_same(&read_all(&canonical, read_piece), &expected(&samples));
        assert!(again(&canonical) == canonical);
    }

    #[test]
    fn garbage_in_a_tar_never_panics(
        samples in vec(samples(), 1..3),
        damage in vec((any::<prop::sample::Index>(), any::<u8>()), 1..40),
    ) {
        let mut tar = write_tar(&named(samples, "x"), usize::MAX);
        for (at, byte) in damage {
            let at = at.index(tar.len());
            tar[at] = byte;
            common::mend_checksum(&mut tar, at);
        }
        let mut reader = TarLayerReader::new(&tar[..]);
        let mut buffer = [0; 512];
        let mut steps = 0;
        // After an error, the reader may only fail again or end.
        while steps < 400 && !matches!(reader.next_entry(), Ok(None)) {
            while matches!(reader.read_stream(&mut buffer), Ok(1..)) {}
            steps += 1;
        }
    }
}

/// Every stream is too large for the writer's memory, and the metadata comes last.
#[test]
fn large_streams_before_their_metadata_are_kept_on_disk() {
    let noise = |len: usize, seed: u64| {
        let mut rng = layergen::Rng::new(seed);
        let mut bytes = vec![0; len];
        bytes.fill_with(|| rng.next_u64() as u8);
        bytes
    };
    let blocks = vec![
        (0, noise(900_000, 1)),
        (5 << 20, noise(700_000, 2)),
        (4096, vec![9; 3]),
    ];
    let streams = vec![
        Stream::Data(Some("first".into()), Content::Plain(noise(1_200_000, 3))),
        Stream::Data(None, Content::Sparse(blocks.clone(), 12_345)),
        Stream::Other(StreamId::OBJECT_ID, vec![1; 64]),
        Stream::Data(Some("second".into()), Content::Sparse(blocks, 0)),
        Stream::Security(vec![2; 5000]),
        Stream::Data(Some("third".into()), Content::Plain(noise(3_000_001, 4))),
        Stream::Attributes(vec![ExtendedAttribute {
            flags: 0x80,
            name: b"LATE".to_vec(),
            value: vec![3; 60_000],
        }]),
    ];
    let sample = Sample {
        is_directory: false,
        basic_info: basic_info(false, 0x220, [4; 4]),
        streams,
        metadata_first: false,
    };
    let samples = vec![("Files/large".to_owned(), sample)];
    let tar = write_tar(&samples, 70_001);
    assert_same(&read_all(&tar, 1 << 20), &expected(&samples));
    assert!(write_tar(&samples, 1 << 20) == tar);
}

/// The expected listing of another program: the name, and for regular members the content's hash.
type Listed = (String, Option<Digest>);

/// A layer with every kind of member, and its listing.
fn layer_for_others() -> (Vec<u8>, Vec<Listed>) {
    let plain = |bytes: &[u8]| Stream::Data(None, Content::Plain(bytes.to_vec()));
    let sparse = Content::Sparse(vec![(0, b"head".to_vec()), (9000, b"tail".to_vec())], 77);
    let wof = ReparsePoint::Other {
        tag: ntmeta::ReparseTag(0x8000_0017),
        guid: None,
        data: vec![1; 24],
    };
    let link = ReparsePoint::from_target(br"dir\x", false);
    let attributes = vec![ExtendedAttribute {
        flags: 0x80,
        name: b"A=B".to_vec(),
        value: b"v".to_vec(),
    }];
    let file = |streams| Sample {
        is_directory: false,
        basic_info: basic_info(false, 0x20, [133_444_736_001_234_567; 4]),
        streams,
        metadata_first: false,
    };
    let directory = Sample {
        is_directory: true,
        basic_info: basic_info(true, 0x10, [0; 4]),
        streams: vec![Stream::Security(vec![1; 20])],
        metadata_first: true,
    };
    let long = format!("Files/{}ü.txt", "directory/".repeat(25));
    let samples = vec![
        ("Files".to_owned(), directory),
        (
            "Files/plain".to_owned(),
            file(vec![plain(b"content"), Stream::Attributes(attributes)]),
        ),
        (
            "Files/sparse".to_owned(),
            file(vec![
                Stream::Data(None, sparse.clone()),
                Stream::Data(Some("alt".into()), sparse.clone()),
                Stream::Other(StreamId::OBJECT_ID, vec![5; 64]),
            ]),
        ),
        (
            "Files/wof".to_owned(),
            file(vec![
                Stream::Reparse(wof.encode().expect("short")),
                plain(&[6; 3000]),
            ]),
        ),
        (
            "Files/symlink".to_owned(),
            file(vec![Stream::Reparse(
                link.and_then(|link| link.encode()).expect("short"),
            )]),
        ),
        (long.clone(), file(vec![plain(b"deep")])),
    ];
    let listed = |name: &str, content: &[u8]| (name.to_owned(), Some(Digest::of(content)));
    let expected = vec![
        ("Files".to_owned(), None),
        listed("Files/plain", b"content"),
        listed("Files/sparse", &sparse.expanded()),
        listed("Files/sparse:alt", &sparse.expanded()),
        listed("Files/wof", &[6; 3000]),
        ("Files/symlink".to_owned(), None),
        listed(&long, b"deep"),
        ("Files/link".to_owned(), None),
        listed("Files/.wh.gone", b""),
        listed("Files/emptied/.wh..wh..opq", b""),
    ];
    (write_tar(&samples, 100), expected)
}

#[test]
fn the_tar_crate_sees_the_same_members() {
    let (tar, expected) = layer_for_others();
    let mut archive = tar::Archive::new(&tar[..]);
    let mut listed = Vec::new();
    for entry in archive.entries().expect("memory") {
        let mut entry = entry.expect("a tar");
        let name = String::from_utf8(entry.path_bytes().into_owned()).expect("UTF-8");
        let mut content = Vec::new();
        entry.read_to_end(&mut content).expect("a tar");
        let is_regular = entry.header().entry_type().is_file();
        listed.push((name, is_regular.then(|| Digest::of(&content))));
    }
    assert_eq!(listed, expected);
}

#[test]
fn python_sees_the_same_members() {
    const SCRIPT: &str = "
import hashlib, io, sys, tarfile
archive = tarfile.open(fileobj=io.BytesIO(sys.stdin.buffer.read()))
for member in archive:
    content = archive.extractfile(member) if member.isreg() else None
    print(member.name, hashlib.sha256(content.read()).hexdigest() if content else '-')
";
    let (tar, expected) = layer_for_others();
    let started = Command::new("python3")
        .args(["-X", "utf8", "-c", SCRIPT])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn();
    let Ok(mut child) = started else {
        eprintln!("skipped: python3 is missing");
        return;
    };
    let mut stdin = child.stdin.take().expect("piped");
    stdin.write_all(&tar).expect("python reads");
    drop(stdin);
    let output = child.wait_with_output().expect("python ends");
    let listed = String::from_utf8(output.stdout).expect("UTF-8");
    let expected: String = expected
        .iter()
        .map(|(name, digest)| {
            let digest = digest.map(|digest| digest.to_string().replace("sha256:", ""));
            format!("{name} {}\n", digest.as_deref().unwrap_or("-"))
        })
        .collect();
    assert_eq!(listed, expected);
}
