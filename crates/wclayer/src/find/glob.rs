//! Patterns for names: `*`, `?` and `[a-z]`.
//!
//! Names are compared as NTFS compares them, upper-cased unit by unit ([`ntmeta::upcase`]).

use std::str::FromStr;

use ntmeta::{upcase, wide};

/// Why a text is not a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GlobError {
    /// A set of characters has no end.
    #[error("`[` without `]`")]
    OpenSet,
}

/// A pattern for names or paths, regardless of case.
///
/// `*` matches any number of UTF-16 units, `/` included, `?` matches one unit, and `[a-z]` or
/// `[!a-z]` one unit that is or is not in a set. `\` matches `/`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Glob(Vec<Token>);

#[derive(Debug, Clone, PartialEq, Eq)]
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
    /// Parses a pattern in WTF-8.
    ///
    /// # Errors
    ///
    /// Returns [`GlobError`] if a set of characters has no end.
    pub fn parse(text: &[u8]) -> Result<Self, GlobError> {
        let units: Vec<u16> = wide::from_wtf8(text).into_iter().map(fold).collect();
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
                    // A `]` at the start belongs to the set.
                    let end = body.iter().skip(1).position(|unit| is(*unit, b']'));
                    let end = end.ok_or(GlobError::OpenSet)? + 1;
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

    /// Returns whether the pattern matches the whole name, in UTF-16.
    ///
    /// Backtracks to the last `*` only, so that the product of both lengths limits the time.
    pub fn matches(&self, name: &[u16]) -> bool {
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

impl FromStr for Glob {
    type Err = GlobError;

    fn from_str(text: &str) -> Result<Self, GlobError> {
        Self::parse(text.as_bytes())
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

/// Upper-cases a unit and turns `\` into `/`.
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
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn patterns_know_no_case() {
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
            let glob: Glob = pattern.parse().expect(pattern);
            assert_eq!(glob.matches(&units), expected, "{pattern} {name}");
        }
        for wrong in ["[a", "[", "[!", "[]"] {
            assert_eq!(wrong.parse::<Glob>(), Err(GlobError::OpenSet), "{wrong}");
        }
    }

    /// Tries every length for each `*`.
    fn matches_slowly(tokens: &[Token], name: &[u16]) -> bool {
        match tokens {
            [] => name.is_empty(),
            [Token::Any, rest @ ..] => {
                (0..=name.len()).any(|skipped| matches_slowly(rest, &name[skipped..]))
            }
            [one, rest @ ..] => match name {
                [unit, name @ ..] => one.matches(fold(*unit)) && matches_slowly(rest, name),
                [] => false,
            },
        }
    }

    proptest! {
        #[test]
        fn backtracking_finds_every_match(
            pattern in "([abC]|\\*|\\?|\\[[!]?a-b\\]){0,8}",
            name in "[abcABC]{0,10}",
        ) {
            let glob: Glob = pattern.parse().expect("complete sets");
            let units: Vec<u16> = name.encode_utf16().collect();
            prop_assert_eq!(glob.matches(&units), matches_slowly(&glob.0, &units));
        }

        #[test]
        fn any_text_is_parsed_without_panic(text: Vec<u8>, name: Vec<u16>) {
            if let Ok(glob) = Glob::parse(&text) {
                glob.matches(&name);
            }
        }
    }
}
