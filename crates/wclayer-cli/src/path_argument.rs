//! Paths inside a layer on the command line.
//!
//! `/` and `\` separate. A name that is no text can be given as the commands show it, with
//! `\u{1b}` and `\u{d800}` ([`crate::escape`]), or, where the system's arguments are bytes, as the
//! WTF-8 that `find --null` prints. Only what is escaped when it is shown is read back so: every
//! other `\u{…}` is a separator and a name.

use std::ffi::OsStr;

use clap::builder::{OsStringValueParser, TypedValueParser};
use wclayer::ntmeta::wide;
use wclayer::path::split_stream;
use wclayer::{LayerPath, PathError, StreamName};

use crate::escape::is_unsafe;

/// A file, and maybe one of its alternate streams.
#[derive(Debug, Clone)]
pub(crate) struct StreamPath(pub(crate) LayerPath, pub(crate) Option<StreamName>);

/// Takes a path.
pub(crate) fn layer_path() -> impl TypedValueParser<Value = LayerPath> {
    OsStringValueParser::new().try_map(|text| parse(&text))
}

/// Takes a path, and behind a colon the name of an alternate stream.
pub(crate) fn stream_path() -> impl TypedValueParser<Value = StreamPath> {
    OsStringValueParser::new().try_map(|text| {
        let (path, stream) = split_stream(&unescaped(&bytes(&text)))?;
        Ok::<_, PathError>(StreamPath(path, stream))
    })
}

/// Parses a path.
pub(crate) fn parse(text: &OsStr) -> Result<LayerPath, PathError> {
    LayerPath::parse(&unescaped(&bytes(text)))
}

#[cfg(windows)]
fn bytes(text: &OsStr) -> Vec<u8> {
    use std::os::windows::ffi::OsStrExt;
    wide::to_wtf8(&text.encode_wide().collect::<Vec<u16>>())
}

#[cfg(not(windows))]
fn bytes(text: &OsStr) -> Vec<u8> {
    text.as_encoded_bytes().to_vec()
}

/// Reads escaped characters back.
fn unescaped(text: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [first, after @ ..] = rest {
        match escape(rest) {
            Some((units, length)) => {
                plain.extend(wide::to_wtf8(&units));
                rest = &rest[length..];
            }
            None => {
                plain.push(*first);
                rest = after;
            }
        }
    }
    plain
}

/// Reads the escaped character that a text starts with, and the length of its escape.
fn escape(text: &[u8]) -> Option<(Vec<u16>, usize)> {
    let digits = text.strip_prefix(br"\u{")?;
    let end = digits.iter().take(7).position(|byte| *byte == b'}')?;
    let digits = std::str::from_utf8(&digits[..end]).ok()?;
    let is_hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    let value = u32::from_str_radix(digits, 16).ok().filter(|_| is_hex)?;
    let units = match (value, char::from_u32(value)) {
        (0xd800..=0xdfff, _) => vec![value as u16],
        (_, Some(character)) if is_unsafe(character) => {
            character.encode_utf16(&mut [0; 2]).to_vec()
        }
        _ => return None,
    };
    Some((units, br"\u{}".len() + end))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::escape::escaped;

    #[test]
    fn what_is_shown_is_read_back() {
        let surrogate: &[u8] = b"Files/a\xed\xa0\x80b";
        let names = [
            surrogate,
            b"Files/\x1b[2J\x7f",
            "Files/exe\u{202e}txt".as_bytes(),
        ];
        for name in names {
            let path = LayerPath::parse(name).expect("a path");
            let shown = escaped(&path.to_string()).into_owned();
            assert!(shown.contains(r"\u{"), "{shown}");
            let again = parse(OsStr::new(&shown)).expect("a path");
            assert_eq!(again.as_bytes(), name);
        }
    }

    #[test]
    fn other_backslashes_separate() {
        for (text, path) in [
            (r"Files\u{41}", "Files/u{41}"),
            (r"Files\users\", "Files/users"),
            (r"Files\u{", "Files/u{"),
            (r"Files\u{+1b}", "Files/u{+1b}"),
            (r"Files\u{}", "Files/u{}"),
            (r"Files\u{11111111}", "Files/u{11111111}"),
        ] {
            assert_eq!(parse(OsStr::new(text)).expect(text).to_string(), path);
        }
        assert_eq!(parse(OsStr::new(r"a\u{0}")), Err(PathError::Nul));
    }

    #[cfg(unix)]
    #[test]
    fn arguments_of_bytes_are_wtf8() {
        use std::os::unix::ffi::OsStrExt;
        let name = b"Files/\xed\xb0\x81";
        let path = parse(OsStr::from_bytes(name)).expect("a path");
        assert_eq!(path.as_bytes(), name);
    }
}
