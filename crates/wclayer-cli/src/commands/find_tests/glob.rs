//! Patterns for names: `*`, `?` and `[a-z]`.
//!
//! Names are compared as NTFS does, upper-cased unit by unit ([`wclayer::ntmeta::upcase`]). Characters
//! that are printed escaped can be written so ([`path_argument`]).

use std::ffi::OsStr;

use clap::builder::{OsStringValueParser, TypedValueParser};
use wclayer::ntmeta::{upcase, wide};

use crate::path_argument;

/// Parses a pattern.
pub(super) fn parser() -> impl TypedValueParser<Value = Glob> {
    OsStringValueParser::new().try_map(|text| Glob::new(&text))
}

/// A pattern for names that ignores case.
#[derive(Debug, Clone)]
pub(super) struct Glob(Vec<Token>);

#[derive(Debug, Clone)]
enum Token {
    Any,
    One,
    Unit(u16),
    Set {
        ranges: Vec<(u16, u16)>,
        negated: bool,
    },
}

impl Glob {
    fn new(text: &OsStr) -> Result<Self, String> {
        let text = path_argument::unescaped(text);
        let units: Vec<u16> = wide::from_wtf8(&text).into_iter().map(fold).collect();
        let is = |unit: u16, byte: u8| unit == u16::from(byte);
        let mut tokens = Vec::new();
        let mut rest = &units[..];
        while let [first, after @ ..] = rest {
            rest = after;
            tokens.push(match *first {
                unit if is(unit, b'*') => Token::Any,
                unit if is(unit, b'?') => Token::One,
                unit if is(unit, b'[') => {
                    let start = usize::from(rest.first().is_some_and(|unit| is(*unit, b'!')));
                    let body = &rest[start..];
                    // A leading `]` is part of the set.
                    let end = body.iter().skip(1).position(|unit| is(*unit, b']'));
                    let end = end.ok_or("`[` without `]`")? + 1;
                    rest = &body[end + 1..];
                    Token::Set {
                        ranges: ranges(&body[..end]),
                        negated: start == 1,
                    }
                }
                unit => Token::Unit(unit),
            });
        }
        Ok(Self(tokens))
    }

    /// Returns whether the pattern matches the whole name.
    ///
    /// Backtracks only to the last `*`, so that the time is bounded by the product of both lengths.
    pub(super) fn matches(&self, name: &[u16]) -> bool {
        let tokens = &self.0;
        let (mut token, mut unit) = (0, 0);
        let mut last_any: Option<(usize, usize)> = None;
        while unit < name.len() {
            match tokens.get(token) {
                Some(Token::Any) => {
                    last_any = Some((token, unit));
                    token += 1;
                }
                Some(one) if one.matches(fold(name[unit])) => {
                    token += 1;
                    unit += 1;
                }
                _ => match &mut last_any {
                    Some((any, from)) => {
                        *from += 1;
                        (token, unit) = (*any + 1, *from);
                    }
                    None => return false,
                },
            }
        }
        tokens[token..]
            .iter()
            .all(|left| matches!(left, Token::Any))
    }
}

impl Token {
    fn matches(&self, unit: u16) -> bool {
        match self {
            Self::Any => false,
            Self::One => true,
            Self::Unit(wanted) => *wanted == unit,
            Self::Set { ranges, negated } => {
                ranges
                    .iter()
                    .any(|(low, high)| (*low..=*high).contains(&unit))
                    != *negated
            }
        }
    }
}

/// Upper-cases a unit; treats `\` as `/`.
fn fold(unit: u16) -> u16 {
    match unit == u16::from(b'\\') {
        true => u16::from(b'/'),
        false => upcase::upcase_unit(unit),
    }
}

fn ranges(mut body: &[u16]) -> Vec<(u16, u16)> {
    let mut ranges = Vec::new();
    while let [low, rest @ ..] = body {
        body = rest;
        match rest {
            [dash, high, rest @ ..] if *dash == u16::from(b'-') => {
                ranges.push((*low, *high));
                body = rest;
            }
            _ => ranges.push((*low, *low)),
        }
    }
    ranges
}

#[cfg(test)]
mod tests {
    use super::*;

    fn glob(text: &str) -> Result<Glob, String> {
        Glob::new(OsStr::new(text))
    }

    #[test]
    fn patterns_ignore_case() {
        for (pattern, name, expected) in [
            ("*.dll", "Kernel32.DLL", true),
            ("*.dll", "kernel32.dll.mui", false),
            ("a?c", "ABC", true),
            ("a?c", "ac", false),
            ("[a-c]x", "Bx", true),
            ("[!a-c]x", "Bx", false),
            ("[]]", "]", true),
            ("*ä*", "XÄY", true),
            ("a*b*c", "a__b_b__c", true),
            ("a*b*c", "a__c__b", false),
            ("files\\*\\x", "Files/a/b/X", true),
            ("", "", true),
            ("*", "", true),
        ] {
            let units: Vec<u16> = name.encode_utf16().collect();
            let glob = glob(pattern).expect(pattern);
            assert_eq!(glob.matches(&units), expected, "{pattern} {name}");
        }
        assert!(glob("[a").is_err());
        assert!(glob("[").is_err());
        assert!(glob("[!").is_err());
    }

    #[test]
    fn escaped_characters_are_accepted() {
        let matches = |pattern: &str, name: &[u16]| glob(pattern).expect(pattern).matches(name);
        assert!(matches(r"\u{d800}*", &[0xd800, 0x41]));
        assert!(matches(r"[\u{1b}x]", &[0x1b]));
        assert!(!matches(r"\u{41}", &[0x41]));
    }
}
