//! Patterns on the command line.
//!
//! A character that commands print escaped can be given escaped ([`path_argument`]).

use std::ffi::OsStr;

use clap::builder::{OsStringValueParser, TypedValueParser};
use wclayer::find::{Glob, GlobError};

use crate::path_argument;

/// Takes a pattern.
pub(super) fn parser() -> impl TypedValueParser<Value = Glob> {
    OsStringValueParser::new().try_map(|text| parse(&text))
}

fn parse(text: &OsStr) -> Result<Glob, GlobError> {
    Glob::parse(&path_argument::unescaped(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn printed_escapes_are_read_back() {
        let matches = |pattern: &str, name: &[u16]| {
            let glob = parse(OsStr::new(pattern));
            glob.expect(pattern).matches(name)
        };
        assert!(matches(r"\u{d800}*", &[0xd800, 0x41]));
        assert!(matches(r"[\u{1b}x]", &[0x1b]));
        assert!(!matches(r"\u{41}", &[0x41]));
    }
}
