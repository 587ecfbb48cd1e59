//! Compressed layers: any bytes decode to the same content in small pieces and in large ones, and
//! the content survives encoding and decoding with every method.

#![no_main]

use std::io::{self, Read, Write};

use libfuzzer_sys::fuzz_target;
use wclayer::compression::{Compression, Decoder, Encoder};

/// The maximum number of bytes decoded from one input, as a small input can expand to a large one.
const LIMIT: u64 = 4 << 20;

fuzz_target!(|data: &[u8]| {
    let (large, small) = (decode(data, 64 * 1024), decode(data, 61));
    let decoded = match (large, small) {
        (Ok(large), Ok(small)) => {
            assert_eq!(large, small);
            large
        }
        (Err(_), Err(_)) => return,
        (large, small) => panic!("{:?} {:?}", large.err(), small.err()),
    };
    for method in [Compression::None, Compression::Gzip, Compression::Zstd] {
        let mut encoder = Encoder::new(Vec::new(), method.into()).expect("a common level");
        encoder.write_all(&decoded).expect("memory");
        let encoded = encoder.finish().expect("memory");
        if Compression::sniff(&encoded) == method {
            assert_eq!(decode(&encoded, 997).expect("whole"), decoded);
        }
    }
});

fn decode(data: &[u8], piece: usize) -> io::Result<Vec<u8>> {
    let mut decoder = Decoder::new(data)?.take(LIMIT);
    let (mut out, mut buffer) = (Vec::new(), vec![0; piece]);
    loop {
        match decoder.read(&mut buffer)? {
            0 => return Ok(out),
            read => out.extend_from_slice(&buffer[..read]),
        }
    }
}
