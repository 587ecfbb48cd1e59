//! [`Decoder`]: gzip members or zstd frames in sequence, or plain bytes.

use std::io::{self, BufRead, BufReader, Chain, Cursor, Read};

use super::Compression;
use super::problem::{DecodeProblem, skip_zero_padding};
#[cfg(feature = "zstd")]
use super::zstd_frames::ZstdDecoder;
#[cfg(feature = "zstd")]
use super::zstd_memory::{is_out_of_memory, no_memory};

/// The size of the buffer before a decoder, in bytes.
const INPUT_BUFFER: usize = 128 * 1024;
/// The first byte of a gzip member (RFC 1952).
const GZIP_START: u8 = 0x1f;

type Sniffed<R> = BufReader<Chain<Cursor<Vec<u8>>, Source<R>>>;

/// Decodes a stream and detects its compression automatically.
///
/// Only zeros (padding, as `gzip` allows) may follow the compressed data. The format bounds the
/// memory: 32 KiB for gzip, and for zstd the window of the frame, up to 128 MiB (8 MiB at the usual
/// levels).
pub struct Decoder<R: Read>(Method<R>);

enum Method<R: Read> {
    Plain(Sniffed<R>),
    Gzip(Box<GzipDecoder<Sniffed<R>>>),
    #[cfg(feature = "zstd")]
    Zstd(Box<ZstdDecoder<Sniffed<R>>>),
}

impl<R: Read> Decoder<R> {
    /// Reads the first bytes of `input` and chooses the decoder.
    ///
    /// # Errors
    ///
    /// Returns an error if the input cannot be read; of the kind `Unsupported` for zstd in a build
    /// without the feature `zstd`.
    pub fn new(mut input: R) -> io::Result<Self> {
        let mut start = Vec::with_capacity(4);
        input.by_ref().take(4).read_to_end(&mut start)?;
        let compression = Compression::sniff(&start);
        let input = Cursor::new(start).chain(Source(input));
        let input = BufReader::with_capacity(INPUT_BUFFER, input);
        Ok(Self(match compression {
            Compression::None => Method::Plain(input),
            Compression::Gzip => Method::Gzip(Box::new(GzipDecoder::new(input))),
            #[cfg(feature = "zstd")]
            Compression::Zstd => Method::Zstd(Box::new(ZstdDecoder::new(input)?)),
            #[cfg(not(feature = "zstd"))]
            Compression::Zstd => return Err(super::NoZstd.into()),
        }))
    }

    /// Returns the compression that was found.
    pub fn compression(&self) -> Compression {
        match self.0 {
            Method::Plain(_) => Compression::None,
            Method::Gzip(_) => Compression::Gzip,
            #[cfg(feature = "zstd")]
            Method::Zstd(_) => Compression::Zstd,
        }
    }

    /// Returns the input.
    pub fn into_inner(self) -> R {
        let sniffed = match self.0 {
            Method::Plain(input) => input,
            Method::Gzip(decoder) => decoder.into_inner(),
            #[cfg(feature = "zstd")]
            Method::Zstd(decoder) => decoder.into_inner(),
        };
        sniffed.into_inner().into_inner().1.0
    }
}

impl<R: Read> Read for Decoder<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.0 {
            Method::Plain(input) => input.read(buffer),
            Method::Gzip(decoder) => decoder.read(buffer),
            #[cfg(feature = "zstd")]
            Method::Zstd(decoder) => decoder.read(buffer),
        }
        .map_err(sort_out)
    }
}

/// The compressed input. It marks its errors, because the decoders pass them on along with their
/// own.
struct Source<R>(R);

/// An error of the compressed input.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
struct SourceError(io::Error);

impl<R: Read> Read for Source<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer).map_err(|error| match error.kind() {
            // The reader tries again.
            io::ErrorKind::Interrupted => error,
            kind => io::Error::new(kind, SourceError(error)),
        })
    }
}

/// Restores an error of the input. The decoders report damaged data as errors of several kinds;
/// this makes them one kind.
fn sort_out(error: io::Error) -> io::Error {
    match error.downcast::<SourceError>() {
        Ok(SourceError(source)) => source,
        #[cfg(feature = "zstd")]
        Err(error) if is_out_of_memory(&error) => no_memory(error),
        Err(error) => match error.kind() {
            io::ErrorKind::InvalidInput | io::ErrorKind::Other => {
                io::Error::new(io::ErrorKind::InvalidData, error)
            }
            _ => error,
        },
    }
}

/// Decodes gzip members until the end of the input.
struct GzipDecoder<R> {
    /// `None` between two members.
    member: Option<flate2::bufread::GzDecoder<R>>,
    between: Option<R>,
}

impl<R: BufRead> GzipDecoder<R> {
    /// Starts at the first member.
    fn new(input: R) -> Self {
        Self {
            member: Some(flate2::bufread::GzDecoder::new(input)),
            between: None,
        }
    }

    /// Returns the input.
    ///
    /// # Panics
    ///
    /// Never: the input is always in one of the two fields.
    fn into_inner(self) -> R {
        match (self.member, self.between) {
            (Some(member), _) => member.into_inner(),
            (None, Some(input)) => input,
            (None, None) => unreachable!("the input moves between the two places"),
        }
    }

    /// Starts the next member; returns whether there is one.
    fn next_member(&mut self) -> io::Result<bool> {
        let Some(input) = self.between.as_mut() else {
            return Ok(true);
        };
        let Some(&first) = input.fill_buf()?.first() else {
            return Ok(false);
        };
        match first {
            GZIP_START => {}
            0 => return skip_zero_padding(input).map(|()| false),
            _ => return Err(DecodeProblem::BytesBehind.into()),
        }
        self.member = self.between.take().map(flate2::bufread::GzDecoder::new);
        Ok(true)
    }
}

impl<R: BufRead> Read for GzipDecoder<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        while self.next_member()? {
            let Some(member) = self.member.as_mut() else {
                break;
            };
            let read = member.read(buffer)?;
            if read > 0 {
                return Ok(read);
            }
            self.between = self
                .member
                .take()
                .map(flate2::bufread::GzDecoder::into_inner);
        }
        Ok(0)
    }
}
