//! Compressed data that is damaged, endless or designed to exhaust the memory.

use std::io::{Cursor, Read, Write as _};

use wclayer::compression::{Compression, CompressionSpec, Decoder, Encoder};
use wclayer::portable::{self, ImportOptions};
use wclayer::{DiffId, ErrorKind};

use crate::common::{header_block, plain};
use crate::{Ground, built, raw_tar};

fn compressed(content: &[u8], spec: &str) -> Vec<u8> {
    let spec: CompressionSpec = spec.parse().expect(spec);
    let mut encoder = Encoder::new(Vec::new(), spec).expect("memory");
    encoder.write_all(content).expect("memory");
    encoder.finish().expect("memory")
}

fn small_tar() -> Vec<u8> {
    built(|tar| tar.file("Files/x", &plain(), b"content"))
}

/// Imports a blob that must be rejected, and returns the whole chain of messages.
#[track_caller]
fn refused(ground: &Ground, what: &str, blob: &[u8]) {
    let error = ground.import(blob.to_vec(), false).expect_err(what);
    assert_eq!(error.kind(), ErrorKind::InvalidLayer, "{what}: {error:?}");
    ground.assert_untouched(what);
}

#[test]
fn damaged_and_foreign_data_is_rejected() {
    let ground = Ground::new();
    for spec in ["gzip", "zstd"] {
        let whole = compressed(&small_tar(), spec);
        for at in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 0x55;
            // The time or name in a header may change without harm: the tar stays the same.
            match ground.import(damaged, false) {
                Ok(layer) => {
                    let diff_id = layer.descriptor().diff_id;
                    assert_eq!(diff_id, DiffId::of(&small_tar()), "{spec}, byte {at}");
                    portable::remove(layer.path()).expect("ours");
                }
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::InvalidLayer, "{spec}, byte {at}");
                }
            }
            ground.assert_untouched(spec);
        }
        for end in 0..whole.len() {
            refused(&ground, spec, &whole[..end]);
        }
        refused(
            &ground,
            "garbage after the data",
            &[&whole[..], b"garbage"].concat(),
        );
        refused(
            &ground,
            "a truncated second member",
            &[&whole[..], &whole[..20]].concat(),
        );
        refused(&ground, "twice", &compressed(&whole, spec));
    }
}

#[test]
fn unusual_members_and_frames_are_accepted_or_rejected() {
    let ground = Ground::new();
    let tar = small_tar();
    let taken = |what: &str, blob: Vec<u8>| {
        let layer = ground.import(blob, false).expect(what);
        assert_eq!(layer.descriptor().diff_id, DiffId::of(&tar), "{what}");
        portable::remove(layer.path()).expect(what);
        ground.assert_untouched(what);
    };
    let skippable = |len: usize| {
        let len_field = (len as u32).to_le_bytes();
        [&[0x50, 0x2A, 0x4D, 0x18][..], &len_field, &vec![0; len]].concat()
    };
    for spec in ["gzip", "zstd"] {
        let empty = compressed(b"", spec);
        let whole = compressed(&tar, spec);
        taken(
            "empty members",
            [&empty.repeat(2000)[..], &whole, &empty].concat(),
        );
        let pieces = tar.chunks(100).flat_map(|piece| compressed(piece, spec));
        taken("a member for every 100 bytes", pieces.collect());
    }
    let whole = compressed(&tar, "zstd");
    taken(
        "skippable frames",
        [skippable(100_000), whole.clone(), skippable(0)].concat(),
    );
    refused(&ground, "nothing else", &skippable(1000));
    // A 10-byte frame that requests a window of 2^41 bytes, and one that requests 2^31 bytes.
    for window in [0xF8, 0xA8] {
        refused(
            &ground,
            "a huge window",
            &[0x28, 0xB5, 0x2F, 0xFD, 0, window, 1, 0, 0, 0],
        );
    }
    // A gzip header with an endless name.
    let mut name = vec![0x1F, 0x8B, 8, 8, 0, 0, 0, 0, 0, 0xFF];
    name.resize(4 << 20, b'n');
    refused(&ground, "an endless name", &name);
}

/// A thousand times its size in zeros: the danger is not the size, but the memory it takes. The
/// release program is measured elsewhere; this only tests that nothing breaks.
#[test]
fn a_bomb_only_becomes_a_large_layer() {
    const SIZE: u64 = 1 << 25;
    let ground = Ground::new();
    for spec in ["gzip:9", "zstd:19"] {
        let header = header_block(b"Files/zeros", b'0', SIZE, |_| ());
        let start = raw_tar(&[&header]);
        let start = &start[..start.len() - 1024];
        let mut encoder = Encoder::new(Vec::new(), spec.parse().expect(spec)).expect("memory");
        encoder.write_all(start).expect("memory");
        let mut zeros = std::io::repeat(0).take(SIZE + 1024);
        std::io::copy(&mut zeros, &mut encoder).expect("memory");
        let bomb = encoder.finish().expect("memory");
        assert!(bomb.len() < 1 << 19, "{spec}: {} bytes", bomb.len());
        let layer = ground.import(bomb, false).expect(spec);
        assert_eq!(layer.descriptor().content_size, SIZE);
        portable::remove(layer.path()).expect("ours");
        ground.assert_untouched(spec);
    }
}

/// A source that fails in the middle, and one that returns one byte at a time.
#[test]
fn failing_sources_are_reported_and_slow_ones_are_read() {
    struct Failing<R>(R, usize);
    impl<R: Read> Read for Failing<R> {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            if self.1 == 0 {
                return Err(std::io::Error::other("the cable was cut"));
            }
            self.1 -= 1;
            let one = buffer.len().min(1);
            self.0.read(&mut buffer[..one])
        }
    }
    let ground = Ground::new();
    for spec in ["none", "gzip", "zstd"] {
        let blob = compressed(&small_tar(), spec);
        for (calls, works) in [(0, false), (3, false), (100, false), (100_000, true)] {
            let source = Failing(Cursor::new(blob.clone()), calls);
            let result = portable::import(
                source,
                ground.path("layers/new"),
                &ImportOptions::default(),
                &(),
            );
            assert_eq!(result.is_ok(), works, "{spec} after {calls} reads");
            match result {
                Ok(layer) => drop(portable::remove(layer.path()).expect("ours")),
                Err(error) => {
                    let reason = crate::common::root_cause(&error);
                    assert_eq!(reason, "the cable was cut", "{spec} after {calls} reads");
                    assert_eq!(error.kind(), ErrorKind::Io, "{spec} after {calls} reads");
                }
            }
            ground.assert_untouched(spec);
        }
    }
}

#[test]
fn the_decoder_reads_no_more_than_requested() {
    let blob = compressed(&vec![0; 1 << 20], "zstd");
    let mut decoder = Decoder::new(&blob[..]).expect("memory");
    assert_eq!(decoder.compression(), Compression::Zstd);
    let mut one = [1; 1];
    for _ in 0..1000 {
        decoder.read_exact(&mut one).expect("a mebibyte of zeros");
        assert_eq!(one, [0]);
    }
}
