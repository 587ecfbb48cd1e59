//! Compressed layers: recognised by content, decoded as a stream, encoded on export.
//!
//! [`Decoder`] wraps any reader, [`Encoder`] any writer. The encoder uses all processors; its
//! output does not depend on their number.
//!
//! Sources: RFC 1952 (gzip, several members), RFC 8878 (zstd, several frames), image-spec
//! `layer.md` (media types).

mod decode;
mod encode;
mod parallel_gzip;
mod problem;
#[cfg(feature = "zstd")]
mod zstd_frames;
#[cfg(feature = "zstd")]
mod zstd_memory;

pub use decode::Decoder;
pub use encode::Encoder;
pub use problem::DecodeProblem;

use std::fmt;
use std::str::FromStr;

/// How a layer is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Compression {
    /// Not at all.
    None,
    /// gzip.
    Gzip,
    /// Zstandard.
    Zstd,
}

impl Compression {
    /// Recognises the compression from the first bytes of a blob.
    pub fn sniff(start: &[u8]) -> Self {
        match start {
            [0x1F, 0x8B, 0x08, ..] => Self::Gzip,
            [0x28, 0xB5, 0x2F, 0xFD, ..] => Self::Zstd,
            // A zstd stream may start with a skippable frame.
            [0x50..=0x5F, 0x2A, 0x4D, 0x18, ..] => Self::Zstd,
            _ => Self::None,
        }
    }

    /// Returns the OCI media type of a layer with this compression.
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

/// zstd was asked for, or found in a blob, in a build that cannot handle it.
#[cfg(not(feature = "zstd"))]
#[derive(Debug, thiserror::Error)]
#[error("zstd is not supported by this build (feature `zstd` of wclayer)")]
struct NoZstd;

#[cfg(not(feature = "zstd"))]
impl From<NoZstd> for std::io::Error {
    fn from(error: NoZstd) -> Self {
        Self::new(std::io::ErrorKind::Unsupported, error)
    }
}

/// How to compress: the method and its level.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct CompressionSpec {
    /// The method.
    pub method: Compression,
    /// gzip: 0 to 9; zstd: 1 to 22; each has its usual level when this is `None`.
    pub level: Option<u32>,
}

/// Why a text is not a [`CompressionSpec`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
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
        /// The levels of the method.
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

#[cfg(test)]
mod tests {
    use std::io::{self, Read, Write};

    use super::*;

    fn encode(text: &[u8], spec: &str) -> Vec<u8> {
        let spec = spec.parse().expect(spec);
        let mut encoder = Encoder::new(Vec::new(), spec).expect("memory");
        encoder.write_all(text).expect("memory");
        encoder.finish().expect("memory")
    }

    /// Leaves out what this build does not support.
    fn supported(specs: &[&'static str]) -> impl Iterator<Item = &'static str> {
        let has_zstd = cfg!(feature = "zstd");
        let specs = specs.iter().copied();
        specs.filter(move |spec| has_zstd || !spec.starts_with("zstd"))
    }

    fn decode(bytes: &[u8]) -> io::Result<Vec<u8>> {
        let mut text = Vec::new();
        Decoder::new(bytes)?.read_to_end(&mut text)?;
        Ok(text)
    }

    #[test]
    fn every_method_and_several_members_round_trip() {
        let specs = [
            "none", "gzip", "gzip:0", "gzip:9", "zstd", "zstd:1", "zstd:19",
        ];
        for spec in supported(&specs) {
            let once = encode(b"some text", spec);
            assert_eq!(decode(&once).expect(spec), b"some text", "{spec}");
            let twice = [once.clone(), encode(b" and more", spec)].concat();
            assert_eq!(decode(&twice).expect(spec), b"some text and more", "{spec}");
            assert_eq!(once, encode(b"some text", spec), "{spec}");
        }
    }

    #[test]
    fn truncated_and_damaged_data_is_an_error() {
        for spec in supported(&["gzip", "zstd"]) {
            let whole = encode(&[7; 5000], spec);
            for end in 4..whole.len() {
                assert!(decode(&whole[..end]).is_err(), "{spec} cut at {end}");
            }
            let mut damaged = whole.clone();
            *damaged.last_mut().expect("not empty") ^= 1;
            let error = decode(&damaged).expect_err(spec);
            assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{spec}");
            for garbage in [&b"garbage"[..], b"x", b"\0\0x"] {
                let error = decode(&[&whole[..], garbage].concat()).expect_err(spec);
                let problem = DecodeProblem::of(&error);
                assert_eq!(problem, Some(&DecodeProblem::BytesBehind), "{spec}");
            }
            for zeros in [1, 3, 4, 600, 1 << 20] {
                let padded = decode(&[&whole[..], &vec![0; zeros]].concat());
                assert_eq!(padded.expect(spec).len(), 5000, "{spec}");
            }
        }
    }

    #[test]
    fn only_an_early_end_is_reported_as_one() {
        let kind = |bytes: &[u8]| decode(bytes).expect_err("refused").kind();
        for spec in supported(&["gzip", "zstd"]) {
            let whole = encode(&[7; 5000], spec);
            for end in [4, 9, whole.len() - 1] {
                assert_eq!(kind(&whole[..end]), io::ErrorKind::UnexpectedEof, "{spec}");
            }
            // A second part that is cut off within its first bytes.
            let second = [&whole[..], &whole[..3]].concat();
            assert_eq!(kind(&second), io::ErrorKind::UnexpectedEof, "{spec}");
        }
    }

    #[cfg(not(feature = "zstd"))]
    #[test]
    fn zstd_is_refused_in_a_build_without_it() {
        let decoder = Decoder::new(&[0x28, 0xB5, 0x2F, 0xFD][..]).err();
        let encoder = Encoder::new(Vec::new(), Compression::Zstd.into()).err();
        for error in [decoder, encoder] {
            let error = error.expect("refused");
            assert_eq!(error.kind(), io::ErrorKind::Unsupported);
            let text = error.to_string();
            assert!(text.starts_with("zstd is not supported"), "{text}");
        }
    }

    #[test]
    fn specs_are_checked() {
        for bad in ["", "lz4", "gzip:10", "gzip:x", "zstd:0", "none:1", "gzip:"] {
            assert!(bad.parse::<CompressionSpec>().is_err(), "{bad}");
        }
    }
}
