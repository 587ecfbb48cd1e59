//! Backup streams: for any bytes, the decoder (push) and the reader (pull) find the same streams,
//! and the writer reproduces the bytes. The first byte is the size of the pieces.

#![no_main]

use std::io::{Read, Write};

use libfuzzer_sys::fuzz_target;
use ntmeta::{
    BackupStreamDecoder, BackupStreamError, BackupStreamReader, BackupStreamWriter, StreamEvent,
    StreamHeader,
};

type Streams = Vec<(StreamHeader, Vec<u8>)>;

fuzz_target!(|data: &[u8]| {
    let Some((&piece, bytes)) = data.split_first() else {
        return;
    };
    let (mut pushed, mut pulled) = (Streams::new(), Streams::new());
    let push = push(bytes, usize::from(piece).max(1), &mut pushed);
    let pull = pull(bytes, &mut pulled);
    assert_eq!(push.is_ok(), pull.is_ok(), "{push:?} {pull:?}");
    assert_eq!(pushed, pulled);
    if pull.is_ok() {
        let mut writer = BackupStreamWriter::new(Vec::new());
        for (header, body) in &pulled {
            writer.begin(header).expect("a header that was just read");
            writer.write_all(body).expect("a body that was just read");
        }
        assert_eq!(writer.finish().expect("complete bodies"), bytes);
    }
});

fn push(bytes: &[u8], piece: usize, streams: &mut Streams) -> Result<(), BackupStreamError> {
    let mut decoder = BackupStreamDecoder::new();
    for mut piece in bytes.chunks(piece) {
        while let Some(event) = decoder.decode(&mut piece)? {
            match (event, streams.last_mut()) {
                (StreamEvent::Header(header), _) => streams.push((header, Vec::new())),
                (StreamEvent::Body(part), Some((_, body))) => body.extend_from_slice(part),
                (StreamEvent::Body(_), None) => panic!("a body without a header"),
            }
        }
    }
    decoder.finish()
}

fn pull(bytes: &[u8], streams: &mut Streams) -> Result<(), BackupStreamError> {
    let mut reader = BackupStreamReader::new(bytes);
    while let Some(header) = reader.next_header()? {
        let mut body = Vec::new();
        // The next header reports a truncated body.
        let _ = reader.read_to_end(&mut body);
        streams.push((header, body));
    }
    Ok(())
}
