//! [`Encoder`]: bytes as one gzip member or one zstd frame.

use std::io::{self, Write};

use super::parallel_gzip::ParallelGzip;
use super::zstd_memory::{is_out_of_memory, no_memory, room_for_context};
use super::{Compression, CompressionSpec};
use crate::resources::processors;

/// Encodes the bytes written to it; the same input gives the same output.
pub enum Encoder<W: Write> {
    /// The bytes as they are.
    Plain(W),
    /// One gzip member without name or time.
    Gzip(Box<ParallelGzip<W>>),
    /// One zstd frame with a checksum.
    Zstd(Box<zstd::stream::write::Encoder<'static, W>>),
}

impl<W: Write> Encoder<W> {
    /// Starts a compressed stream on `output`.
    ///
    /// # Errors
    ///
    /// When the compressor cannot be set up.
    pub fn new(output: W, spec: CompressionSpec) -> io::Result<Self> {
        Ok(match spec.method {
            Compression::None => Self::Plain(output),
            Compression::Gzip => {
                let encoder = ParallelGzip::new(output, spec.level.unwrap_or(6))?;
                Self::Gzip(Box::new(encoder))
            }
            Compression::Zstd => {
                let level = spec.level.map_or(3, |level| level as i32);
                room_for_context()?;
                let mut encoder = zstd::stream::write::Encoder::new(output, level)?;
                encoder.include_checksum(true)?;
                // Each holds some 30 MB of input and output.
                encoder.multithread(processors().min(4) as u32)?;
                Self::Zstd(Box::new(encoder))
            }
        })
    }

    /// Completes the compressed stream and gives the output back.
    ///
    /// # Errors
    ///
    /// When the output cannot be written.
    pub fn finish(self) -> io::Result<W> {
        match self {
            Self::Plain(mut output) => output.flush().map(|()| output),
            Self::Gzip(encoder) => encoder.finish(),
            Self::Zstd(encoder) => encoder.finish().map_err(sort_out),
        }
    }
}

impl<W: Write> Write for Encoder<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(output) => output.write(bytes),
            Self::Gzip(encoder) => encoder.write(bytes),
            Self::Zstd(encoder) => encoder.write(bytes).map_err(sort_out),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(output) => output.flush(),
            Self::Gzip(encoder) => encoder.flush(),
            Self::Zstd(encoder) => encoder.flush().map_err(sort_out),
        }
    }
}

/// Threads that cannot be started are a lack of memory to zstd.
fn sort_out(error: io::Error) -> io::Error {
    match is_out_of_memory(&error) {
        true => no_memory(error),
        false => error,
    }
}
