//! Paths inside a layer on the command line.
//!
//! Both `/` and `\` separate components and may start a path. `C:` is the volume of the container,
//! which is `Files`. A name that is not valid text can be written as the commands print it, with
//! `\u{1b}` or `\u{d800}` ([`crate::escape`]), or, on systems whose arguments are bytes, as the WTF-8
//! that `find --null` prints. Only escapes of characters that are printed escaped are recognised;
//! in any other `\u{…}` the `\` is a separator.

use std::ffi::OsStr;

use clap::builder::{OsStringValueParser, TypedValueParser};
use wclayer::ntmeta::wide;
use wclayer::path::split_stream;
use wclayer::{LayerPath, PathError, StreamName};

use crate::escape::is_unsafe;

/// The suffix that names the unnamed stream of a file.
const UNNAMED_STREAM: &[u8] = b"::$DATA";

/// A path, or the root of the layer.
#[derive(Debug, Clone)]
pub(crate) struct Place(Option<LayerPath>);

impl Place {
    /// Returns the path; `None` for the root, the default of the commands.
    pub(crate) fn path(argument: &Option<Self>) -> Option<&LayerPath> {
        argument.as_ref().and_then(|place| place.0.as_ref())
    }

    /// Returns the paths; an empty list, for the whole layer, if one of them is the root.
    pub(crate) fn paths(arguments: &[Self]) -> Vec<LayerPath> {
        let paths: Option<Vec<_>> = arguments.iter().map(|place| place.0.clone()).collect();
        paths.unwrap_or_default()
    }
}

/// A file, perhaps with one of its alternate data streams.
#[derive(Debug, Clone)]
pub(crate) struct StreamPath(pub(crate) LayerPath, pub(crate) Option<StreamName>);

/// Why an argument is not a path inside a layer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PathArgumentError {
    /// It breaks a rule of paths.
    #[error(transparent)]
    Path(#[from] PathError),
    /// A stream, where only a file can be named.
    #[error("{0}; `stat FILE` lists the streams of a file, `cat FILE:STREAM` prints one")]
    Stream(PathError),
    /// A drive that no layer has.
    #[error("a layer has no drive `{0}:`, only `C:`, which is its `Files`")]
    Drive(char),
    /// The root, where an entry is needed.
    #[error(
        "the root of a layer is not an entry; paths start with `Files`, `Hives` or `UtilityVM`"
    )]
    Top,
}

/// Parses a path or the root.
pub(crate) fn place() -> impl TypedValueParser<Value = Place> {
    OsStringValueParser::new().try_map(|text| match parse(&text) {
        Ok(path) => Ok(Place(Some(path))),
        Err(PathArgumentError::Top) => Ok(Place(None)),
        Err(error) => Err(error),
    })
}

/// Parses a path.
pub(crate) fn layer_path() -> impl TypedValueParser<Value = LayerPath> {
    OsStringValueParser::new().try_map(|text| parse(&text))
}

/// Parses a path, and the name of an alternate data stream after a colon.
pub(crate) fn stream_path() -> impl TypedValueParser<Value = StreamPath> {
    OsStringValueParser::new().try_map(|text| parse_stream(&text))
}

/// Parses a path.
pub(crate) fn parse(text: &OsStr) -> Result<LayerPath, PathArgumentError> {
    let name = in_layer(unescaped(text))?;
    LayerPath::parse(&name).map_err(|error| match error {
        PathError::Empty if !text.is_empty() => PathArgumentError::Top,
        PathError::Colon { .. } => PathArgumentError::Stream(error),
        error => error.into(),
    })
}

fn parse_stream(text: &OsStr) -> Result<StreamPath, PathArgumentError> {
    let name = in_layer(unescaped(text))?;
    let file = name.len().saturating_sub(UNNAMED_STREAM.len());
    if name[file..].eq_ignore_ascii_case(UNNAMED_STREAM) {
        return Ok(StreamPath(LayerPath::parse(&name[..file])?, None));
    }
    match split_stream(&name) {
        Ok((path, stream)) => Ok(StreamPath(path, stream)),
        Err(PathError::Empty) if !text.is_empty() => Err(PathArgumentError::Top),
        Err(error) => Err(error.into()),
    }
}

/// Turns an absolute path, with or without the container's drive, into a path of the layer.
fn in_layer(name: Vec<u8>) -> Result<Vec<u8>, PathArgumentError> {
    match name.as_slice() {
        [b'/' | b'\\', rest @ ..] => Ok(rest.to_vec()),
        [b'C' | b'c', b':', rest @ ..] => Ok([b"Files/", rest].concat()),
        [drive, b':', ..] if drive.is_ascii_alphabetic() => {
            Err(PathArgumentError::Drive(char::from(*drive)))
        }
        _ => Ok(name),
    }
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

/// Decodes escaped characters; returns WTF-8.
pub(crate) fn unescaped(text: &OsStr) -> Vec<u8> {
    let text = bytes(text);
    let mut plain = Vec::with_capacity(text.len());
    let mut rest = &text[..];
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

/// Decodes an escaped character at the start of a text; also returns the length of the escape.
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
    fn printed_names_are_accepted() {
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
        let nul = parse(OsStr::new(r"a\u{0}"));
        assert_eq!(nul, Err(PathError::Nul.into()));
    }

    #[test]
    fn paths_of_the_container_are_paths_of_the_layer() {
        for (text, path) in [
            ("/Files/x", "Files/x"),
            (r"\Files\x", "Files/x"),
            (r"C:\Users\x", "Files/Users/x"),
            ("c:/Users", "Files/Users"),
            (r"C:\", "Files"),
            ("C:", "Files"),
            (r"\u{d800}x", "\\u{d800}x"),
        ] {
            assert_eq!(parse(OsStr::new(text)).expect(text).to_string(), path);
        }
        for text in ["/", r"\", ".", "./", "/."] {
            let top = parse(OsStr::new(text));
            assert_eq!(top, Err(PathArgumentError::Top), "{text}");
        }
        for (text, error) in [
            ("", PathError::Empty.into()),
            ("D:/x", PathArgumentError::Drive('D')),
            (r"\\server\share", PathError::Absolute.into()),
            ("/../x", PathError::ParentComponent.into()),
            (r"C:\..\x", PathError::ParentComponent.into()),
        ] {
            assert_eq!(parse(OsStr::new(text)), Err(error), "{text}");
        }
    }

    #[test]
    fn streams_are_named_as_windows_names_them() {
        let of = |text: &str| {
            let StreamPath(path, stream) = parse_stream(OsStr::new(text)).expect(text);
            (path.to_string(), stream.map(|stream| stream.to_string()))
        };
        let file = || "Files/x".to_owned();
        assert_eq!(of("Files/x::$data"), (file(), None));
        assert_eq!(of(r"C:\x::$DATA"), (file(), None));
        assert_eq!(of("Files/x:s:$DATA"), (file(), Some("s".to_owned())));
        assert_eq!(of("/Files/x:s"), (file(), Some("s".to_owned())));
        assert!(parse_stream(OsStr::new("::$DATA")).is_err());
        assert!(parse_stream(OsStr::new("Files/x:")).is_err());
        let stream = parse(OsStr::new("Files/x:s")).map_err(|error| error.to_string());
        assert!(stream.is_err_and(|text| text.ends_with("`cat FILE:STREAM` prints one")));
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
