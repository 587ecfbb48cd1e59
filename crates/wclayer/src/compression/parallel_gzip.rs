//! [`ParallelGzip`]: one gzip member, compressed on all processors.
//!
//! The input is cut into blocks of a fixed size. Each is compressed on its own, with the end of the
//! previous block as its dictionary, and ends on a byte boundary, so that the concatenated blocks
//! are one deflate stream. The bytes depend only on the input and the level, not on the number of
//! threads or the sizes of writes.
//!
//! Sources: RFC 1951, RFC 1952; the division into blocks follows pigz.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

use flate2::{Compress, Compression, FlushCompress, Status};

use crate::resources::{self, processors};

/// The size of a block in bytes.
const BLOCK: usize = 256 * 1024;
/// How far deflate looks back, in bytes.
const WINDOW: usize = 32 * 1024;
/// A gzip header: deflate, no name, no time, unknown system.
const HEADER: [u8; 10] = [0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 0xFF];
/// The end of a deflate stream: a last block without content.
const LAST_BLOCK: [u8; 2] = [3, 0];

/// Compresses the bytes written to it as one gzip member.
pub(super) struct ParallelGzip<W: Write> {
    output: W,
    /// The block that is being filled.
    block: Vec<u8>,
    /// The last full block: the dictionary of the current one.
    previous: Option<Arc<Vec<u8>>>,
    workers: Workers,
    checksum: crc32fast::Hasher,
    /// Bytes of input.
    len: u64,
    header_written: bool,
}

/// A block to compress.
struct Task {
    block: Arc<Vec<u8>>,
    previous: Option<Arc<Vec<u8>>>,
    done: Sender<io::Result<Compressed>>,
}

struct Compressed {
    bytes: Vec<u8>,
    checksum: crc32fast::Hasher,
}

/// The threads that compress blocks, and the pending results in order.
struct Workers {
    tasks: Vec<Sender<Task>>,
    next: usize,
    pending: VecDeque<Receiver<io::Result<Compressed>>>,
}

impl<W: Write> ParallelGzip<W> {
    /// Starts a member at `level` (0 to 9).
    pub(super) fn new(output: W, level: u32) -> io::Result<Self> {
        Ok(Self {
            output,
            block: resources::buffer(BLOCK)?,
            previous: None,
            workers: Workers::start(level)?,
            checksum: crc32fast::Hasher::new(),
            len: 0,
            header_written: false,
        })
    }

    /// Completes the member and returns the output.
    pub(super) fn finish(mut self) -> io::Result<W> {
        self.hand_over()?;
        while !self.workers.pending.is_empty() {
            self.write_next()?;
        }
        self.write_header()?;
        self.output.write_all(&LAST_BLOCK)?;
        self.output
            .write_all(&self.checksum.finalize().to_le_bytes())?;
        // The format counts bytes modulo 2^32.
        self.output.write_all(&(self.len as u32).to_le_bytes())?;
        Ok(self.output)
    }

    /// Passes the current block to a worker; if all workers are busy, waits for the oldest block.
    fn hand_over(&mut self) -> io::Result<()> {
        if self.block.is_empty() {
            return Ok(());
        }
        let next = resources::buffer(BLOCK)?;
        let block = Arc::new(std::mem::replace(&mut self.block, next));
        self.len += block.len() as u64;
        let previous = self.previous.replace(Arc::clone(&block));
        self.workers.add(block, previous)?;
        if self.workers.pending.len() > 2 * self.workers.tasks.len() {
            self.write_next()?;
        }
        Ok(())
    }

    fn write_next(&mut self) -> io::Result<()> {
        let Some(result) = self.workers.pending.pop_front() else {
            return Ok(());
        };
        let compressed = result.recv().map_err(|_| worker_lost())??;
        self.write_header()?;
        self.checksum.combine(&compressed.checksum);
        self.output.write_all(&compressed.bytes)
    }

    fn write_header(&mut self) -> io::Result<()> {
        if std::mem::replace(&mut self.header_written, true) {
            return Ok(());
        }
        self.output.write_all(&HEADER)
    }
}

impl<W: Write> Write for ParallelGzip<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(BLOCK - self.block.len());
        self.block.extend_from_slice(&bytes[..taken]);
        if self.block.len() == BLOCK {
            self.hand_over()?;
        }
        Ok(taken)
    }

    /// Flushes the output; the current block waits until it is full.
    fn flush(&mut self) -> io::Result<()> {
        self.output.flush()
    }
}

impl Workers {
    fn start(level: u32) -> io::Result<Self> {
        let start_one = |_| {
            let (tasks, received) = channel();
            // The thread ends when the sender is dropped.
            resources::spawn(move || work(level, &received)).map(|_| tasks)
        };
        Ok(Self {
            tasks: resources::spawn_some(processors(), start_one)?,
            next: 0,
            pending: VecDeque::new(),
        })
    }

    fn add(&mut self, block: Arc<Vec<u8>>, previous: Option<Arc<Vec<u8>>>) -> io::Result<()> {
        let (done, result) = channel();
        let task = Task {
            block,
            previous,
            done,
        };
        self.tasks[self.next]
            .send(task)
            .map_err(|_| worker_lost())?;
        self.next = (self.next + 1) % self.tasks.len();
        self.pending.push_back(result);
        Ok(())
    }
}

fn worker_lost() -> io::Error {
    io::Error::other("a compressing thread stopped unexpectedly")
}

fn work(level: u32, tasks: &Receiver<Task>) {
    let mut state = Compress::new(Compression::new(level), false);
    for Task {
        block,
        previous,
        done,
    } in tasks
    {
        // Nobody waits for the result once the encoder is dropped.
        let _ = done.send(compress(&mut state, &block, previous.as_deref()));
    }
}

/// Compresses a block up to a byte boundary.
fn compress(
    state: &mut Compress,
    block: &[u8],
    previous: Option<&Vec<u8>>,
) -> io::Result<Compressed> {
    state.reset();
    if let Some(previous) = previous {
        let window = &previous[previous.len().saturating_sub(WINDOW)..];
        state.set_dictionary(window).map_err(io::Error::other)?;
    }
    let mut bytes = resources::buffer(block.len() / 2)?;
    loop {
        let taken = state.total_in() as usize;
        let status = state
            .compress_vec(&block[taken..], &mut bytes, FlushCompress::Sync)
            .map_err(io::Error::other)?;
        // A flush is complete if it leaves room in the output.
        if bytes.len() < bytes.capacity() && state.total_in() as usize == block.len() {
            break;
        }
        if status == Status::StreamEnd {
            return Err(io::Error::other("the compressor ended its stream early"));
        }
        let more = bytes.capacity().max(1024);
        resources::reserve(&mut bytes, more)?;
    }
    let mut checksum = crc32fast::Hasher::new();
    checksum.update(block);
    Ok(Compressed { bytes, checksum })
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    fn text(len: usize) -> Vec<u8> {
        let mut state = 1u32;
        (0..len)
            .map(|at| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                if at % 3 == 0 {
                    (state >> 24) as u8
                } else {
                    (at / 100) as u8
                }
            })
            .collect()
    }

    fn encode(input: &[u8], level: u32, piece: usize) -> Vec<u8> {
        let mut encoder = ParallelGzip::new(Vec::new(), level).expect("threads");
        for piece in input.chunks(piece) {
            encoder.write_all(piece).expect("memory");
        }
        encoder.finish().expect("memory")
    }

    #[test]
    fn every_length_and_level_gives_one_valid_member() {
        for len in [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 20 * BLOCK + 7] {
            let input = text(len);
            for level in [0, 1, 6, 9] {
                let encoded = encode(&input, level, 100_000);
                let mut decoded = Vec::new();
                // The decoder for a single member: there must be just one.
                let mut decoder = flate2::read::GzDecoder::new(&encoded[..]);
                decoder.read_to_end(&mut decoded).expect("a gzip member");
                assert!(decoded == input, "{len} bytes, level {level}");
            }
        }
    }

    #[test]
    fn the_sizes_of_writes_do_not_matter() {
        let input = text(3 * BLOCK + 11);
        assert_eq!(encode(&input, 6, 1 << 20), encode(&input, 6, 4_093));
    }

    #[test]
    fn a_failing_output_is_reported() {
        struct Full;
        impl Write for Full {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::StorageFull.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let mut encoder = ParallelGzip::new(Full, 6).expect("threads");
        let written = encoder
            .write_all(&text(40 * BLOCK))
            .and_then(|()| encoder.finish().map(drop));
        assert_eq!(
            written.expect_err("full").kind(),
            io::ErrorKind::StorageFull
        );
    }
}
