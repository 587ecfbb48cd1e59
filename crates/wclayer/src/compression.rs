//! Compressed layers: recognised by content, decoded as a stream, encoded on export.
//!
//! Sources: RFC 1952 (gzip, several members), RFC 8878 (zstd, several frames), image-spec
//! `layer.md` (media types).

use std::fmt;
use std::io::{self, BufRead, BufReader, Chain, Cursor, Read, Write};
use std::str::FromStr;

/// How a layer is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    /// Not at all.
    None,
    /// gzip.
    Gzip,
    /// Zstandard.
    Zstd,
}

impl Compression {
    /// Recognises the compression by the first bytes of a blob.
    pub fn sniff(start: &[u8]) -> Self {
        match start {
            [0x1F, 0x8B, 0x08, ..] => Self::Gzip,
            [0x28, 0xB5, 0x2F, 0xFD, ..] => Self::Zstd,
            // A zstd stream may start with a skippable frame.
            [0x50..=0x5F, 0x2A, 0x4D, 0x18, ..] => Self::Zstd,
            _ => Self::None,
        }
    }

    /// Returns the OCI media type of a layer compressed so.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::None => "application/vnd.oci.image.layer.v1.tar",
            Self::Gzip => "application/vnd.oci.image.layer.v1.tar+gzip",
            Self::Zstd => "application/vnd.oci.image.layer.v1.tar+zstd",
        }
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        })
    }
}

/// The size of the buffer before a decoder, in bytes.
const INPUT_BUFFER: usize = 128 * 1024;

type Sniffed<R> = BufReader<Chain<Cursor<Vec<u8>>, R>>;

/// Decodes a stream whose compression it finds out by itself.
///
/// At the end of the compressed data nothing may follow but zeros (padding, as `gzip` allows it).
pub enum Decoder<R: Read> {
    /// The bytes as they are.
    Plain(Sniffed<R>),
    /// gzip members, one after the other.
    Gzip(Box<GzipDecoder<Sniffed<R>>>),
    /// zstd frames, one after the other.
    Zstd(Box<zstd::stream::read::Decoder<'static, Sniffed<R>>>),
}

impl<R: Read> Decoder<R> {
    /// Reads the first bytes of `input` and chooses the decoder.
    ///
    /// # Errors
    ///
    /// When the input cannot be read.
    pub fn new(mut input: R) -> io::Result<Self> {
        let mut start = Vec::with_capacity(4);
        input.by_ref().take(4).read_to_end(&mut start)?;
        let compression = Compression::sniff(&start);
        let input = BufReader::with_capacity(INPUT_BUFFER, Cursor::new(start).chain(input));
        Ok(match compression {
            Compression::None => Self::Plain(input),
            Compression::Gzip => Self::Gzip(Box::new(GzipDecoder::new(input))),
            Compression::Zstd => {
                Self::Zstd(Box::new(zstd::stream::read::Decoder::with_buffer(input)?))
            }
        })
    }

    /// Returns the compression that was found.
    pub fn compression(&self) -> Compression {
        match self {
            Self::Plain(_) => Compression::None,
            Self::Gzip(_) => Compression::Gzip,
            Self::Zstd(_) => Compression::Zstd,
        }
    }

    /// Gives the input back.
    pub fn into_inner(self) -> R {
        let sniffed = match self {
            Self::Plain(input) => input,
            Self::Gzip(decoder) => decoder.into_inner(),
            Self::Zstd(decoder) => decoder.finish(),
        };
        sniffed.into_inner().into_inner().1
    }
}

impl<R: Read> Read for Decoder<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(input) => input.read(buffer),
            Self::Gzip(decoder) => decoder.read(buffer).map_err(as_damage),
            Self::Zstd(decoder) => decoder.read(buffer).map_err(as_damage),
        }
    }
}

/// The decoders report damaged data under several kinds; here it has one.
fn as_damage(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::InvalidInput | io::ErrorKind::Other => {
            io::Error::new(io::ErrorKind::InvalidData, error)
        }
        _ => error,
    }
}

/// Decodes gzip members until the end of the input.
pub struct GzipDecoder<R> {
    /// `None` while the next member is being looked for.
    member: Option<flate2::bufread::GzDecoder<R>>,
    between: Option<R>,
}

impl<R: BufRead> GzipDecoder<R> {
    /// Starts at the first member.
    pub fn new(input: R) -> Self {
        Self {
            member: Some(flate2::bufread::GzDecoder::new(input)),
            between: None,
        }
    }

    /// Gives the input back.
    ///
    /// # Panics
    ///
    /// Never: the input is always in one of the two places.
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
        if first == 0 {
            return skip_zero_padding(input).map(|()| false);
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

fn skip_zero_padding(input: &mut impl BufRead) -> io::Result<()> {
    loop {
        let bytes = input.fill_buf()?;
        if bytes.is_empty() {
            return Ok(());
        }
        if bytes.iter().any(|byte| *byte != 0) {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "the compressed data is followed by something else",
            ));
        }
        let len = bytes.len();
        input.consume(len);
    }
}

/// How to compress: the method and its level.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CompressionSpec {
    /// The method.
    pub method: Compression,
    /// gzip: 0 to 9; zstd: 1 to 22; each has its usual level when this is `None`.
    pub level: Option<u32>,
}

/// Why a text is no [`CompressionSpec`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CompressionSpecError {
    /// An unknown method.
    #[error("`{0}` is not a compression: use gzip, zstd or none")]
    Method(String),
    /// A level that the method does not have.
    #[error("`{level}` is not a level of {method}: use {allowed}")]
    Level {
        /// The level as given.
        level: String,
        /// The method.
        method: Compression,
        /// The levels that it has.
        allowed: &'static str,
    },
}

impl From<Compression> for CompressionSpec {
    fn from(method: Compression) -> Self {
        Self {
            method,
            level: None,
        }
    }
}

impl FromStr for CompressionSpec {
    type Err = CompressionSpecError;

    fn from_str(text: &str) -> Result<Self, CompressionSpecError> {
        let (method, level) = match text.split_once(':') {
            Some((method, level)) => (method, Some(level)),
            None => (text, None),
        };
        let (method, range, allowed) = match method {
            "none" => (Compression::None, 0..=0, "none at all"),
            "gzip" => (Compression::Gzip, 0..=9, "0 to 9"),
            "zstd" => (Compression::Zstd, 1..=22, "1 to 22"),
            other => return Err(CompressionSpecError::Method(other.to_owned())),
        };
        let Some(text) = level else {
            return Ok(method.into());
        };
        match text.parse() {
            Ok(level) if range.contains(&level) && method != Compression::None => Ok(Self {
                method,
                level: Some(level),
            }),
            _ => Err(CompressionSpecError::Level {
                level: text.to_owned(),
                method,
                allowed,
            }),
        }
    }
}

/// Encodes what is written to it; the same input gives the same bytes.
pub enum Encoder<W: Write> {
    /// The bytes as they are.
    Plain(W),
    /// One gzip member without name or time.
    Gzip(Box<flate2::write::GzEncoder<W>>),
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
                let level = flate2::Compression::new(spec.level.unwrap_or(6));
                Self::Gzip(Box::new(flate2::write::GzEncoder::new(output, level)))
            }
            Compression::Zstd => {
                let level = spec.level.map_or(3, |level| level as i32);
                let mut encoder = zstd::stream::write::Encoder::new(output, level)?;
                encoder.include_checksum(true)?;
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
            Self::Zstd(encoder) => encoder.finish(),
        }
    }
}

impl<W: Write> Write for Encoder<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(output) => output.write(bytes),
            Self::Gzip(encoder) => encoder.write(bytes),
            Self::Zstd(encoder) => encoder.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(output) => output.flush(),
            Self::Gzip(encoder) => encoder.flush(),
            Self::Zstd(encoder) => encoder.flush(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encode(text: &[u8], spec: &str) -> Vec<u8> {
        let spec = spec.parse().expect(spec);
        let mut encoder = Encoder::new(Vec::new(), spec).expect("memory");
        encoder.write_all(text).expect("memory");
        encoder.finish().expect("memory")
    }

    fn decode(bytes: &[u8]) -> io::Result<Vec<u8>> {
        let mut text = Vec::new();
        Decoder::new(bytes)?.read_to_end(&mut text)?;
        Ok(text)
    }

    #[test]
    fn every_method_and_several_members_round_trip() {
        for spec in [
            "none", "gzip", "gzip:0", "gzip:9", "zstd", "zstd:1", "zstd:19",
        ] {
            let once = encode(b"some text", spec);
            assert_eq!(decode(&once).expect(spec), b"some text", "{spec}");
            let twice = [once.clone(), encode(b" and more", spec)].concat();
            assert_eq!(decode(&twice).expect(spec), b"some text and more", "{spec}");
            assert_eq!(once, encode(b"some text", spec), "{spec}");
        }
    }

    #[test]
    fn every_cut_and_damage_is_an_error() {
        for spec in ["gzip", "zstd"] {
            let whole = encode(&[7; 5000], spec);
            for end in 4..whole.len() {
                assert!(decode(&whole[..end]).is_err(), "{spec} cut at {end}");
            }
            let mut damaged = whole.clone();
            *damaged.last_mut().expect("not empty") ^= 1;
            let error = decode(&damaged).expect_err(spec);
            assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{spec}");
            assert!(
                decode(&[&whole[..], b"garbage"].concat()).is_err(),
                "{spec}"
            );
        }
        assert!(decode(&[&encode(b"x", "gzip")[..], &[0; 600]].concat()).is_ok());
    }

    #[test]
    fn specs_are_checked() {
        for bad in ["", "lz4", "gzip:10", "gzip:x", "zstd:0", "none:1", "gzip:"] {
            assert!(bad.parse::<CompressionSpec>().is_err(), "{bad}");
        }
    }
}
