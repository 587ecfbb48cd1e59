//! [`Encoder`]: bytes as one gzip member or one zstd frame.

use std::io::{self, Write};

use super::parallel_gzip::ParallelGzip;
#[cfg(feature = "zstd")]
use super::zstd_memory::{is_out_of_memory, no_memory, room_for_context};
use super::{Compression, CompressionSpec};
use crate::resources::processors;

/// Encodes the bytes written to it; the same input gives the same output.
///
/// ```
/// use std::io::{Read, Write};
/// use wclayer::compression::{Compression, Decoder, Encoder};
///
/// let mut encoder = Encoder::new(Vec::new(), Compression::Gzip.into())?;
/// encoder.write_all(b"content")?;
/// let compressed = encoder.finish()?;
///
/// let mut decoder = Decoder::new(&compressed[..])?;
/// assert_eq!(decoder.compression(), Compression::Gzip);
/// let mut content = String::new();
/// decoder.read_to_string(&mut content)?;
/// assert_eq!(content, "content");
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct Encoder<W: Write>(Method<W>);

enum Method<W: Write> {
    Plain(W),
    /// One gzip member without name or time.
    Gzip(Box<ParallelGzip<W>>),
    /// One zstd frame with a checksum.
    #[cfg(feature = "zstd")]
    Zstd(Box<zstd::stream::write::Encoder<'static, W>>),
}

impl<W: Write> Encoder<W> {
    /// Starts a compressed stream on `output`.
    ///
    /// # Errors
    ///
    /// Returns an error if the compressor cannot be set up; of the kind `Unsupported` for zstd in
    /// a build without the feature `zstd`.
    pub fn new(output: W, spec: CompressionSpec) -> io::Result<Self> {
        Ok(Self(match spec.method {
            Compression::None => Method::Plain(output),
            Compression::Gzip => {
                let encoder = ParallelGzip::new(output, spec.level.unwrap_or(6))?;
                Method::Gzip(Box::new(encoder))
            }
            #[cfg(feature = "zstd")]
            Compression::Zstd => Method::Zstd(Box::new(zstd_encoder(output, spec.level)?)),
            #[cfg(not(feature = "zstd"))]
            Compression::Zstd => return Err(super::NoZstd.into()),
        }))
    }

    /// Completes the compressed stream and returns the output.
    ///
    /// # Errors
    ///
    /// Returns an error if the output cannot be written.
    pub fn finish(self) -> io::Result<W> {
        match self.0 {
            Method::Plain(mut output) => output.flush().map(|()| output),
            Method::Gzip(encoder) => encoder.finish(),
            #[cfg(feature = "zstd")]
            Method::Zstd(encoder) => encoder.finish().map_err(sort_out),
        }
    }
}

impl<W: Write> Write for Encoder<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.0 {
            Method::Plain(output) => output.write(bytes),
            Method::Gzip(encoder) => encoder.write(bytes),
            #[cfg(feature = "zstd")]
            Method::Zstd(encoder) => encoder.write(bytes).map_err(sort_out),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.0 {
            Method::Plain(output) => output.flush(),
            Method::Gzip(encoder) => encoder.flush(),
            #[cfg(feature = "zstd")]
            Method::Zstd(encoder) => encoder.flush().map_err(sort_out),
        }
    }
}

#[cfg(feature = "zstd")]
fn zstd_encoder<W: Write>(
    output: W,
    level: Option<u32>,
) -> io::Result<zstd::stream::write::Encoder<'static, W>> {
    room_for_context()?;
    let level = level.map_or(3, |level| level as i32);
    let mut encoder = zstd::stream::write::Encoder::new(output, level)?;
    encoder.include_checksum(true)?;
    // Each thread holds some 30 MB of input and output.
    encoder.multithread(processors().min(4) as u32)?;
    Ok(encoder)
}

/// Reports threads that cannot be started as a lack of memory, as zstd itself does.
#[cfg(feature = "zstd")]
fn sort_out(error: io::Error) -> io::Error {
    match is_out_of_memory(&error) {
        true => no_memory(error),
        false => error,
    }
}
