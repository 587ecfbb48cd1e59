//! Reader, decoder and writer agree for pieces of any length, and reject malformed input.

use std::io::{self, ErrorKind, Read, Write};

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

type Streams = Vec<(StreamHeader, Vec<u8>)>;

fn units(text: &str) -> Vec<u16> {
    text.encode_utf16().collect()
}

/// Returns the 20 bytes of a header, followed by `rest`.
fn raw(id: u32, size: u64, name_size: u32, rest: &[u8]) -> Vec<u8> {
    let mut bytes = id.to_le_bytes().to_vec();
    bytes.extend([0; 4]);
    bytes.extend(size.to_le_bytes());
    bytes.extend(name_size.to_le_bytes());
    bytes.extend(rest);
    bytes
}

fn write_all(streams: &Streams) -> Vec<u8> {
    let mut writer = BackupStreamWriter::new(Vec::new());
    for (header, body) in streams {
        writer.begin(header).unwrap();
        writer.write_all(body).unwrap();
    }
    writer.finish().unwrap()
}

fn decode_in_pieces(bytes: &[u8], piece: usize) -> Result<Streams, BackupStreamError> {
    let mut decoder = BackupStreamDecoder::new();
    let mut streams = Streams::new();
    for mut input in bytes.chunks(piece) {
        while let Some(event) = decoder.decode(&mut input)? {
            match event {
                StreamEvent::Header(header) => streams.push((header, Vec::new())),
                StreamEvent::Body(part) => streams.last_mut().unwrap().1.extend_from_slice(part),
            }
        }
        assert!(input.is_empty());
    }
    decoder.finish()?;
    assert_eq!(decoder.offset(), bytes.len() as u64);
    Ok(streams)
}

fn read_all(input: impl Read) -> Result<Streams, BackupStreamError> {
    let mut reader = BackupStreamReader::new(input);
    let mut streams = Streams::new();
    while let Some(header) = reader.next_header()? {
        let mut body = Vec::new();
        match reader.read_to_end(&mut body) {
            Ok(_) => streams.push((header, body)),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
                return Err(error.downcast().unwrap());
            }
        }
        assert_eq!(reader.remaining(), 0);
    }
    Ok(streams)
}

/// Returns one byte at a time, with an interruption before each.
struct Slow<'a>(&'a [u8], bool);

impl Read for Slow<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.1 = !self.1;
        if self.1 {
            return Err(ErrorKind::Interrupted.into());
        }
        let length = buffer.len().min(1);
        self.0.read(&mut buffer[..length])
    }
}

#[test]
fn header_layout_matches_win32_stream_id() {
    let mut bytes = Vec::new();
    let header = StreamHeader::alternate_data(&units("s"), 6);
    header.encode(&mut bytes);
    let expected = b"\x04\0\0\0\0\0\0\0\x06\0\0\0\0\0\0\0\x10\0\0\0:\0s\0:\0$\0D\0A\0T\0A\0";
    assert_eq!(bytes, expected);
    assert_eq!(header.encoded_len(), bytes.len());

    bytes.clear();
    let header = StreamHeader::sparse_block(-2, 4);
    header.encode(&mut bytes);
    let expected =
        b"\x09\0\0\0\x08\0\0\0\x0c\0\0\0\0\0\0\0\0\0\0\0\xfe\xff\xff\xff\xff\xff\xff\xff";
    assert_eq!(bytes, expected);
    assert_eq!(header.encoded_len(), bytes.len());
}

#[test]
fn stream_name_is_between_colon_and_type() {
    for (stored, name) in [
        (":s:$DATA", Some("s")),
        (":a:b:$DATA", Some("a:b")),
        (":s", Some("s")),
        (":s:$data", Some("s:$data")),
        (":a\0b", Some("a")),
        ("::$DATA", Some("")),
        (":$DATA", Some("$DATA")),
        ("s:$DATA", None),
        ("", None),
    ] {
        let header = StreamHeader {
            name: units(stored),
            ..StreamHeader::default()
        };
        assert_eq!(header.stream_name(), name.map(units).as_deref(), "{stored}");
    }
}

#[test]
fn invalid_headers_are_rejected_with_the_offset_of_the_field() {
    use BackupStreamError as E;
    type Check = fn(&E) -> bool;
    let good = raw(1, 0, 0, b"");
    let table: [(Vec<u8>, Check); 5] = [
        (raw(4, 1, 5, b":\0a\0bX"), |error| {
            matches!(
                error,
                E::OddNameSize {
                    offset: 36,
                    actual: 5
                }
            )
        }),
        (raw(4, 1, 65_538, b""), |error| {
            matches!(
                error,
                E::NameTooLong {
                    offset: 36,
                    actual: 65_538,
                    limit: 65_536
                }
            )
        }),
        (raw(1, 1 << 63, 0, b"ab"), |error| {
            matches!(error, E::SizeOutOfRange { offset: 28, .. })
        }),
        (raw(9, 4, 0, &[0; 8]), |error| {
            matches!(
                error,
                E::SparseBlockTooShort {
                    offset: 28,
                    actual: 4
                }
            )
        }),
        (raw(9, u64::MAX, 0, &[0; 8]), |error| {
            matches!(error, E::SizeOutOfRange { offset: 28, .. })
        }),
    ];
    for (bad, check) in table {
        let bytes = [&good[..], &bad].concat();
        for error in [
            read_all(&bytes[..]).unwrap_err(),
            decode_in_pieces(&bytes, bytes.len()).unwrap_err(),
            decode_in_pieces(&bytes, 1).unwrap_err(),
        ] {
            assert!(check(&error), "{error}");
        }
    }
}

#[test]
fn input_that_ends_inside_a_stream_is_an_error() {
    let streams = vec![
        (
            StreamHeader::alternate_data(&units("s"), 3),
            b"abc".to_vec(),
        ),
        (StreamHeader::sparse_block(4096, 2), b"de".to_vec()),
    ];
    let bytes = write_all(&streams);
    let ends = [0, 20 + 16 + 3, bytes.len()];
    for length in 0..=bytes.len() {
        let cut = &bytes[..length];
        let is_whole = ends.contains(&length);
        assert_eq!(read_all(cut).is_ok(), is_whole, "{length}");
        assert_eq!(decode_in_pieces(cut, 7).is_ok(), is_whole, "{length}");
    }
}

#[test]
fn truncation_errors_name_the_stream_and_the_missing_bytes() {
    let bytes = raw(3, 124, 0, &[1; 10]);
    let mut skipping = BackupStreamReader::new(&bytes[..]);
    skipping.next_header().unwrap();
    for error in [
        skipping.next_header().unwrap_err(),
        read_all(&bytes[..]).unwrap_err(),
        decode_in_pieces(&bytes, 4).unwrap_err(),
    ] {
        assert_eq!(
            error.to_string(),
            "backup stream ends at byte 30, 114 bytes before the end of its SECURITY_DATA stream"
        );
    }
}

#[test]
fn next_header_skips_the_rest_of_a_body() {
    let streams = vec![
        (StreamHeader::new(StreamId::DATA, 100_000), vec![7; 100_000]),
        (StreamHeader::new(StreamId(77), 1), b"x".to_vec()),
    ];
    let bytes = write_all(&streams);
    let mut reader = BackupStreamReader::new(&bytes[..]);
    reader.next_header().unwrap();
    reader.read_exact(&mut [0; 10]).unwrap();
    assert_eq!((reader.offset(), reader.remaining()), (30, 99_990));
    assert_eq!(reader.next_header().unwrap().unwrap().id, StreamId(77));
    assert_eq!(reader.offset(), 100_040);
    assert_eq!(reader.into_inner(), b"x");
}

#[test]
fn input_errors_are_kept_as_the_source() {
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(ErrorKind::PermissionDenied.into())
        }
    }
    let error = BackupStreamReader::new(Broken).next_header().unwrap_err();
    let source = std::error::Error::source(&error).unwrap();
    let source = source.downcast_ref::<io::Error>().unwrap();
    assert_eq!(source.kind(), ErrorKind::PermissionDenied);
}

#[test]
fn writer_enforces_the_size_of_bodies() {
    let header = StreamHeader::new(StreamId::DATA, 3);
    let mut writer = BackupStreamWriter::new(Vec::new());
    writer.begin(&header).unwrap();
    let error = writer.write(b"abcd").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert_eq!(
        error.to_string(),
        "1 bytes too many for the DATA stream at byte 20"
    );
    writer.write_all(b"ab").unwrap();
    assert_eq!(writer.remaining(), 1);
    let error = writer.begin(&header).unwrap_err();
    assert!(matches!(
        error,
        BackupStreamError::BodyTooShort {
            offset: 22,
            missing: 1,
            ..
        }
    ));
    assert!(writer.finish().is_err());
}

#[test]
fn writer_rejects_headers_that_could_not_be_read_back() {
    use BackupStreamError as E;
    let mut no_offset = StreamHeader::new(StreamId::SPARSE_BLOCK, 0);
    let mut writer = BackupStreamWriter::new(Vec::new());
    let mut refusal = |header: &StreamHeader| writer.begin(header).unwrap_err();
    assert!(matches!(
        refusal(&no_offset),
        E::SparseOffsetMismatch { .. }
    ));
    no_offset = StreamHeader::sparse_block(0, 0);
    no_offset.id = StreamId::DATA;
    assert!(matches!(
        refusal(&no_offset),
        E::SparseOffsetMismatch { .. }
    ));
    let long = StreamHeader::alternate_data(&[0x61; 32_768], 0);
    assert!(matches!(refusal(&long), E::NameTooLong { .. }));
    let large = StreamHeader::new(StreamId::DATA, 1 << 63);
    assert!(matches!(refusal(&large), E::SizeOutOfRange { .. }));
    let large = StreamHeader::sparse_block(0, (1 << 63) - 8);
    assert!(matches!(refusal(&large), E::SizeOutOfRange { .. }));
    assert_eq!(writer.finish().unwrap(), b"");
}

fn stream() -> impl Strategy<Value = (StreamHeader, Vec<u8>)> {
    let name = vec(any::<u16>(), 0..6);
    let body = vec(any::<u8>(), 0..40);
    (0..12_u32, any::<u32>(), name, any::<i64>(), body).prop_map(
        |(id, attributes, name, offset, body)| {
            let id = StreamId(id);
            let header = StreamHeader {
                id,
                attributes: StreamAttributes::from_bits_retain(attributes),
                size: body.len() as u64,
                name,
                sparse_offset: (id == StreamId::SPARSE_BLOCK).then_some(offset),
            };
            (header, body)
        },
    )
}

proptest! {
    #[test]
    fn streams_survive_in_pieces_of_any_length(
        streams in vec(stream(), 0..5),
        piece in 1..64_usize,
    ) {
        let bytes = write_all(&streams);
        prop_assert_eq!(&decode_in_pieces(&bytes, piece).unwrap(), &streams);
        prop_assert_eq!(&read_all(&bytes[..]).unwrap(), &streams);
        prop_assert_eq!(&read_all(Slow(&bytes, false)).unwrap(), &streams);
    }

    #[test]
    fn reader_and_decoder_agree_on_garbage(
        bytes in vec(prop_oneof![6 => Just(0_u8), 2 => 0..10_u8, 1 => any::<u8>()], 0..200),
        piece in 1..64_usize,
    ) {
        let read = read_all(&bytes[..]).map_err(|error| error.to_string());
        let decoded = decode_in_pieces(&bytes, piece).map_err(|error| error.to_string());
        prop_assert_eq!(read, decoded);
    }
}
