//! Lossless conversion between Windows UTF-16 and the bytes of a tar.
//!
//! Windows names are sequences of 16-bit units that need not be valid UTF-16: an unpaired surrogate
//! is legal in a file name. [`to_wtf8`] writes such a unit in the three bytes that UTF-8 would use
//! if surrogates were characters (WTF-8), so that every name survives the round trip through a tar
//! and [`from_wtf8`].
//!
//! Source: the WTF-8 encoding, <https://simonsapin.github.io/wtf-8/>; for bytes that are neither
//! UTF-8 nor WTF-8, Go `syscall` `UTF16FromString` (`wtf8_windows.go`), which the reference
//! implementation uses.

use std::borrow::Cow;

/// Converts UTF-16 to UTF-8, and each unpaired surrogate to its three WTF-8 bytes.
///
/// ```
/// use ntmeta::wide::{from_wtf8, to_wtf8};
///
/// let name = [0x61, 0xd800, 0x62]; // `a`, an unpaired surrogate, `b`
/// let bytes = to_wtf8(&name);
/// assert_eq!(bytes, b"a\xed\xa0\x80b");
/// assert_eq!(from_wtf8(&bytes), name);
/// ```
pub fn to_wtf8(units: &[u16]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(units.len() + units.len() / 8);
    for unit in char::decode_utf16(units.iter().copied()) {
        match unit {
            Ok(character) if character.is_ascii() => bytes.push(character as u8),
            Ok(character) => {
                bytes.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
            }
            Err(unpaired) => {
                let unit = unpaired.unpaired_surrogate();
                bytes.extend_from_slice(&[
                    0xe0 | (unit >> 12) as u8,
                    0x80 | (unit >> 6 & 0x3f) as u8,
                    0x80 | (unit & 0x3f) as u8,
                ]);
            }
        }
    }
    bytes
}

/// Converts UTF-8 or WTF-8 to UTF-16; every byte that is part of neither becomes one U+FFFD.
pub fn from_wtf8(bytes: &[u8]) -> Vec<u16> {
    if bytes.is_ascii() {
        return bytes.iter().map(|&byte| u16::from(byte)).collect();
    }
    let mut units = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    loop {
        let (valid, invalid) = split_valid(rest);
        units.extend(valid.encode_utf16());
        let Some(&first) = invalid.first() else {
            return units;
        };
        let skip = match (first, invalid.get(1), invalid.get(2)) {
            (0xed, Some(&second @ 0xa0..=0xbf), Some(&third @ 0x80..=0xbf)) => {
                units.push(0xd000 | u16::from(second & 0x3f) << 6 | u16::from(third & 0x3f));
                3
            }
            _ => {
                units.push(char::REPLACEMENT_CHARACTER as u16);
                1
            }
        };
        rest = invalid.get(skip..).unwrap_or_default();
    }
}

/// Returns whether [`from_wtf8`] converts `bytes` without loss, so that [`to_wtf8`] restores them.
///
/// False for bytes that are not WTF-8. This includes a surrogate pair encoded as two groups of
/// three bytes, which would come back as one four-byte character.
pub fn is_wtf8(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_ok() || to_wtf8(&from_wtf8(bytes)) == bytes
}

/// Returns printable text: an unpaired surrogate becomes `\u{d800}`, every other invalid byte
/// U+FFFD. The result is unambiguous for WTF-8 names, as Windows names never contain a `\`.
pub fn display(bytes: &[u8]) -> Cow<'_, str> {
    if let Ok(text) = std::str::from_utf8(bytes) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(bytes.len() + 8);
    for character in char::decode_utf16(from_wtf8(bytes)) {
        match character {
            Ok(character) => shown.push(character),
            Err(unpaired) => {
                shown.push_str(&format!("\\u{{{:x}}}", unpaired.unpaired_surrogate()));
            }
        }
    }
    Cow::Owned(shown)
}

/// Splits `bytes` at the end of the valid UTF-8.
fn split_valid(bytes: &[u8]) -> (&str, &[u8]) {
    match std::str::from_utf8(bytes) {
        Ok(text) => (text, &[]),
        Err(error) => {
            let (valid, invalid) = bytes.split_at(error.valid_up_to());
            (std::str::from_utf8(valid).unwrap_or_default(), invalid)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn units_and_bytes_convert_both_ways() {
        let table: [(&[u16], &[u8]); 6] = [
            (&[], b""),
            (&[0x43, 0x3a, 0x5c], b"C:\\"),
            (&[0xfc, 0x65e5], "ü日".as_bytes()),
            (&[0xd83d, 0xde00], "😀".as_bytes()),
            (&[0xd800, 0x7a], b"\xed\xa0\x80z"),
            (&[0xdfff, 0xd83d], b"\xed\xbf\xbf\xed\xa0\xbd"),
        ];
        for (units, bytes) in table {
            assert_eq!(to_wtf8(units), bytes);
            assert_eq!(from_wtf8(bytes), units);
            assert!(is_wtf8(bytes));
        }
    }

    #[test]
    fn each_invalid_byte_becomes_one_replacement_character() {
        for (bytes, units) in [
            (&b"a\xff\xfe"[..], &[0x61, 0xfffd, 0xfffd][..]),
            (b"\xe2\x82", &[0xfffd, 0xfffd]),
            (b"\xed\xa0", &[0xfffd, 0xfffd]),
            (b"\xc0\x80", &[0xfffd, 0xfffd]),
            (b"\xf4\x90\x80\x80", &[0xfffd; 4]),
        ] {
            assert_eq!(from_wtf8(bytes), units, "{bytes:x?}");
            assert!(!is_wtf8(bytes));
        }
    }

    #[test]
    fn a_surrogate_pair_in_six_bytes_is_not_wtf8() {
        let bytes = b"\xed\xa0\xbd\xed\xb8\x80";
        assert_eq!(from_wtf8(bytes), [0xd83d, 0xde00]);
        assert!(!is_wtf8(bytes));
    }

    #[test]
    fn display_distinguishes_lone_surrogates() {
        assert_eq!(display(b"plain"), "plain");
        assert_eq!(display(b"\xed\xa0\x80z"), "\\u{d800}z");
        assert_eq!(display(b"\xed\xa0\x81\xffz"), "\\u{d801}\u{fffd}z");
    }

    proptest! {
        #[test]
        fn every_unit_sequence_survives(units: Vec<u16>) {
            let bytes = to_wtf8(&units);
            prop_assert_eq!(from_wtf8(&bytes), units);
            prop_assert!(is_wtf8(&bytes));
        }

        #[test]
        fn is_wtf8_means_lossless(bytes: Vec<u8>) {
            prop_assert_eq!(is_wtf8(&bytes), to_wtf8(&from_wtf8(&bytes)) == bytes);
        }
    }
}
