//! [`ZstdDecoder`]: zstd frames in sequence, and the bytes that may follow them.
//!
//! Each header is examined before it is decoded. This distinguishes padding and foreign bytes from
//! damage at the end of a frame, and gives the window that a frame needs if it is too large.
//!
//! Source: RFC 8878, 3.1.1 (frames), 3.1.2 (skippable frames).

use std::io::{self, BufRead, Read};

use zstd::stream::raw::{self, InBuffer, Operation as _, OutBuffer};

use super::problem::{DecodeProblem, skip_zero_padding};
use super::zstd_memory::{is_out_of_memory, no_memory, room_for_context};

/// The longest header of a frame, in bytes.
const MAX_HEADER: usize = 18;
const MAGIC: [u8; 4] = [0x28, 0xB5, 0x2F, 0xFD];
/// The largest window of a frame, in bytes: zstd's own default.
const MAX_WINDOW: u64 = 128 << 20;

/// Decodes zstd frames until the end of the input.
pub(super) struct ZstdDecoder<R> {
    input: R,
    decoder: raw::Decoder<'static>,
    /// The first bytes of the current frame (or slightly more, if the frame is short), and how many
    /// of them have been decoded.
    head: Vec<u8>,
    decoded: usize,
    /// Whether more output of the frame is to come.
    in_frame: bool,
}

impl<R: BufRead> ZstdDecoder<R> {
    /// Starts at the first frame.
    ///
    /// # Errors
    ///
    /// When there is no memory for the decoder.
    pub(super) fn new(input: R) -> io::Result<Self> {
        room_for_context()?;
        Ok(Self {
            input,
            decoder: raw::Decoder::new()?,
            head: Vec::with_capacity(MAX_HEADER),
            decoded: 0,
            in_frame: false,
        })
    }

    pub(super) fn into_inner(self) -> R {
        self.input
    }

    /// Starts the next frame; returns whether there is one.
    fn next_frame(&mut self) -> io::Result<bool> {
        // The bytes read for a header may extend past a short frame.
        self.head.drain(..self.decoded);
        self.decoded = 0;
        self.fill_head(MAGIC.len())?;
        if self.head.is_empty() {
            return Ok(false);
        }
        if self.head.iter().all(|byte| *byte == 0) {
            return skip_zero_padding(&mut self.input).map(|()| false);
        }
        if !starts_frame(&self.head) {
            return Err(DecodeProblem::BytesBehind.into());
        }
        if self.head.starts_with(&MAGIC) {
            self.fill_head(MAX_HEADER)?;
        }
        self.decoder.reinit()?;
        self.in_frame = true;
        Ok(true)
    }

    /// Reads until `len` bytes of the frame are in `head`, or the input ends.
    fn fill_head(&mut self, len: usize) -> io::Result<()> {
        let missing = len.saturating_sub(self.head.len());
        self.input
            .by_ref()
            .take(missing as u64)
            .read_to_end(&mut self.head)?;
        Ok(())
    }

    /// Decodes a piece of the frame; returns the number of bytes written, which may be 0.
    fn decode(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let is_head = self.decoded < self.head.len();
        let bytes = if is_head {
            &self.head[self.decoded..]
        } else {
            self.input.fill_buf()?
        };
        let is_end = bytes.is_empty();
        let mut input = InBuffer::around(bytes);
        let mut output = OutBuffer::around(buffer);
        let hint = self.decoder.run(&mut input, &mut output);
        let (consumed, written) = (input.pos, output.pos());
        if is_head {
            self.decoded += consumed;
        } else {
            self.input.consume(consumed);
        }
        let left = hint.map_err(|error| match asks_for_too_much(&self.head) {
            Some(problem) => problem.into(),
            None if is_out_of_memory(&error) => no_memory(error),
            None => io::Error::new(io::ErrorKind::InvalidData, error),
        })?;
        self.in_frame = left > 0;
        if self.in_frame && is_end && written == 0 {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "the zstd frame is not complete",
            ));
        }
        Ok(written)
    }
}

impl<R: BufRead> Read for ZstdDecoder<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            if !self.in_frame && !self.next_frame()? {
                return Ok(0);
            }
            let written = self.decode(buffer)?;
            if written > 0 {
                return Ok(written);
            }
        }
    }
}

/// Returns whether these bytes can be the start of a frame.
fn starts_frame(start: &[u8]) -> bool {
    let magic = &start[..start.len().min(MAGIC.len())];
    let is_skippable =
        matches!(magic, [0x50..=0x5F, rest @ ..] if [0x2A, 0x4D, 0x18].starts_with(rest));
    is_skippable || MAGIC.starts_with(magic)
}

/// Returns the requirement of a frame's header that is not met.
fn asks_for_too_much(head: &[u8]) -> Option<DecodeProblem> {
    let (&descriptor, fields) = head.strip_prefix(&MAGIC)?.split_first()?;
    let is_single_segment = descriptor & 0x20 != 0;
    let (window_len, dictionary_len) = (
        usize::from(!is_single_segment),
        [0, 1, 2, 4][usize::from(descriptor & 3)],
    );
    let number = |bytes: &[u8]| {
        bytes
            .iter()
            .rev()
            .fold(0, |sum, byte| sum << 8 | u64::from(*byte))
    };
    let dictionary = number(fields.get(window_len..window_len + dictionary_len)?);
    let size = fields.get(window_len + dictionary_len..)?;
    let window = match (is_single_segment, descriptor >> 6) {
        (false, _) => {
            let (exponent, mantissa) = (fields[0] >> 3, u64::from(fields[0] & 7));
            let base = 1 << (10 + exponent);
            base + base / 8 * mantissa
        }
        // The window is the whole content; a field of 1 to 8 bytes has its size.
        (true, flag) => number(size.get(..1 << flag)?) + if flag == 1 { 256 } else { 0 },
    };
    if window > MAX_WINDOW {
        let limit = MAX_WINDOW;
        return Some(DecodeProblem::Window { window, limit });
    }
    match u32::try_from(dictionary) {
        Ok(id @ 1..) => Some(DecodeProblem::Dictionary { id }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use super::*;

    fn decode(bytes: &[u8], piece: usize) -> io::Result<Vec<u8>> {
        let mut text = Vec::new();
        ZstdDecoder::new(BufReader::with_capacity(piece, bytes))?.read_to_end(&mut text)?;
        Ok(text)
    }

    fn frame(text: &[u8]) -> Vec<u8> {
        zstd::bulk::compress(text, 3).expect("memory")
    }

    #[test]
    fn frames_of_every_size_follow_one_another() {
        let skippable = b"\x5A\x2A\x4D\x18\x03\0\0\0abc";
        let whole = [
            &skippable[..],
            &frame(b""),
            &frame(b"a"),
            skippable,
            skippable,
            &frame(&[b'b'; 300_000]),
            &frame(b""),
        ]
        .concat();
        let expected = [&b"a"[..], &[b'b'; 300_000]].concat();
        for piece in [1, 3, 19, 1 << 16] {
            assert_eq!(decode(&whole, piece).expect("frames"), expected, "{piece}");
            let padded = [&whole[..], &[0; 700]].concat();
            assert_eq!(decode(&padded, piece).expect("padding"), expected);
            let error = decode(&[&whole[..], b"more"].concat(), piece).expect_err("text");
            assert_eq!(
                DecodeProblem::of(&error),
                Some(&DecodeProblem::BytesBehind),
                "{piece}"
            );
        }
        assert_eq!(decode(skippable, 2).expect("nothing"), b"");
    }

    #[test]
    fn a_frame_with_too_large_needs_is_reported() {
        let problem = |head: &[u8]| {
            let frame = [&MAGIC, head, &[0; 40]].concat();
            let error = decode(&frame, 64).expect_err("refused");
            DecodeProblem::of(&error).cloned()
        };
        let limit = MAX_WINDOW;
        let window = |window| Some(DecodeProblem::Window { window, limit });
        // 2 GiB, as `--long=31` asks for; an eighth more than the limit; the content as the window.
        assert_eq!(problem(&[0, 21 << 3]), window(1 << 31));
        assert_eq!(problem(&[0, 17 << 3 | 1]), window((128 << 20) + (16 << 20)));
        assert_eq!(problem(&[0xA0, 1, 0, 0, 0x10]), window((0x10 << 24) + 1));
        assert_eq!(
            problem(&[0x21, 7, 1]),
            Some(DecodeProblem::Dictionary { id: 7 })
        );
        // Damage is damage.
        assert_eq!(problem(&[0x08, 0]), None);
    }
}
