//! Contents as given in the vectors: by hash, in base64, in hex, or as a repetition.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::Check;

/// Bytes known by length and hash; the bytes themselves are given only if they are few.
#[derive(Debug, Clone, Deserialize)]
pub struct Blob {
    /// Number of bytes.
    pub len: u64,
    /// Hash of the bytes, in hex.
    pub sha256: String,
    /// The bytes, in base64.
    pub b64: Option<String>,
}

impl Blob {
    /// Checks that `bytes` are the expected ones.
    ///
    /// # Errors
    ///
    /// Returns both if they differ, in hex where they are known and short.
    pub fn check(&self, what: &str, bytes: &[u8]) -> Check {
        if self.len == bytes.len() as u64 && self.sha256 == sha256(bytes) {
            return Ok(());
        }
        let expected = match self.bytes()? {
            Some(bytes) => hex(&bytes),
            None => format!("sha256 {}", self.sha256),
        };
        let len = bytes.len();
        let got = if len > 4096 {
            format!("sha256 {}", sha256(bytes))
        } else {
            hex(bytes)
        };
        let (expected, got) = (crate::shortened(&expected), crate::shortened(&got));
        Err(format!(
            "{what}: expected {} bytes {expected}, got {len} bytes {got}",
            self.len
        ))
    }

    /// Returns the bytes if they are given.
    ///
    /// # Errors
    ///
    /// Fails if the text is not base64 or does not match the hash.
    pub fn bytes(&self) -> Check<Option<Vec<u8>>> {
        let Some(text) = &self.b64 else {
            return Ok((self.len == 0).then(Vec::new));
        };
        let bytes = STANDARD
            .decode(text)
            .map_err(|error| format!("{text}: {error}"))?;
        if self.len == bytes.len() as u64 && self.sha256 == sha256(&bytes) {
            return Ok(Some(bytes));
        }
        Err(format!(
            "the bytes {text} of the vector do not match its hash"
        ))
    }
}

/// Returns the hash in hex.
pub fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// Spells bytes in hex.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Decodes hex digits, or `REPEAT:XX:COUNT`.
///
/// # Errors
///
/// Fails if the text is neither.
pub fn unhex(text: &str) -> Check<Vec<u8>> {
    let fail = || format!("`{text}` is not hex");
    if let Some((byte, count)) = repetition(text) {
        let byte = u8::from_str_radix(byte, 16).map_err(|_| fail())?;
        return Ok(vec![byte; count]);
    }
    if !text.is_ascii() || !text.len().is_multiple_of(2) {
        return Err(fail());
    }
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).map_err(|_| fail()))
        .collect()
}

/// Returns the exact bytes of a text: those in `exact`, in hex, if given; otherwise the text with
/// `REPEAT:CHARACTER:COUNT` expanded.
///
/// # Errors
///
/// Fails if `exact` is not hex.
pub fn text_bytes(text: &str, exact: Option<&str>) -> Check<Vec<u8>> {
    match (exact, repetition(text)) {
        (Some(exact), _) => unhex(exact),
        // A unit is a character, or a byte in two hex digits.
        (None, Some((unit, count))) if unit.chars().count() == 2 => {
            let byte = u8::from_str_radix(unit, 16);
            let byte = byte.map_err(|_| format!("`{unit}` is neither a character nor hex"))?;
            Ok(vec![byte; count])
        }
        (None, Some((unit, count))) => Ok(unit.repeat(count).into_bytes()),
        (None, None) => Ok(text.as_bytes().to_vec()),
    }
}

fn repetition(text: &str) -> Option<(&str, usize)> {
    let (unit, count) = text.strip_prefix("REPEAT:")?.rsplit_once(':')?;
    Some((unit, count.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repetitions_are_expanded() {
        assert_eq!(unhex("REPEAT:07:3"), Ok(vec![7; 3]));
        assert_eq!(unhex("0aff"), Ok(vec![0x0A, 0xFF]));
        assert!(unhex("0").is_err() && unhex("zz").is_err());
        assert_eq!(text_bytes("REPEAT:x:2", None), Ok(b"xx".to_vec()));
        assert_eq!(text_bytes("?", Some("ff")), Ok(vec![0xFF]));
        assert_eq!(text_bytes("REPEAT:ff:2", None), Ok(vec![0xFF; 2]));
        assert_eq!(
            text_bytes("REPEAT:\u{fc}:2", None),
            Ok("üü".as_bytes().to_vec())
        );
        assert_eq!(text_bytes("REPEAT:::2", None), Ok(b"::".to_vec()));
    }

    #[test]
    fn a_blob_is_compared_by_length_and_hash() {
        let hash = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        let blob = Blob {
            len: 0,
            sha256: hash.to_owned(),
            b64: None,
        };
        assert_eq!(blob.check("nothing", b""), Ok(()));
        assert!(blob.check("nothing", b"x").is_err());
    }
}
