//! The tests of `find`: what the command line says, and whether an entry passes.
//!
//! Names are compared as NTFS does, upper-cased unit by unit ([`wclayer::ntmeta::upcase`]).

use std::path::Path;

use clap::{Args, ValueEnum};
use wclayer::chain::{Node, NodeKind, Removed, View};
use wclayer::ntmeta::security::Sid;
use wclayer::ntmeta::{FileAttributes, FileTime, SecurityDescriptor, upcase, wide};

use super::view_options::Opened;
use crate::errors::CliError;
use crate::path_argument;

/// What is to be found.
#[derive(Debug, Args)]
#[command(next_help_heading = "Tests")]
pub(super) struct TestOptions {
    /// Name, without case: `*`, `?` and `[a-z]` stand for others
    #[arg(long, value_name = "GLOB", value_parser = Glob::new)]
    name: Option<Glob>,
    /// Whole path, without case; `*` crosses directories
    #[arg(long = "path", value_name = "GLOB", value_parser = Glob::new)]
    whole: Option<Glob>,
    /// Kind of entry
    #[arg(long = "type", value_name = "KIND")]
    kind: Option<Kind>,
    /// Size of a file: `+10M` larger, `-1k` smaller, `=0` or `0` just that; k, M, G, T are of 1024
    #[arg(long, value_name = "SIZE", allow_hyphen_values = true, value_parser = SizeTest::new)]
    size: Option<SizeTest>,
    /// Attributes, all of which it has, separated by commas
    #[arg(long, value_name = "NAME", value_delimiter = ',', value_parser = attribute)]
    attr: Vec<FileAttributes>,
    /// Owner: a SID, its alias such as BA, or its name
    #[arg(long, value_name = "OWNER")]
    owner: Option<String>,
    /// Layer that it comes from: its number, 0 for the nearest, or where that layer is
    #[arg(long, value_name = "N|PLACE")]
    from_layer: Option<String>,
    /// Changed after this: a date (`2024-05-01`, `2024-05-01T12:30:00`, UTC) or an entry of the layer
    #[arg(long, value_name = "TIME|PATH")]
    newer: Option<String>,
    /// Has alternate data streams
    #[arg(long)]
    stream: bool,
}

/// The kind of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// File, of one name or several
    #[value(name = "f")]
    File,
    /// Directory
    #[value(name = "d")]
    Directory,
    /// Reparse point: symbolic link, junction, …
    #[value(name = "l")]
    Reparse,
    /// Hard link: one more name of a file
    #[value(name = "h")]
    HardLink,
    /// Removal of what a parent has (with --this-layer)
    #[value(name = "w")]
    Whiteout,
}

/// Tests that are ready to be used.
pub(super) struct Tests<'a> {
    options: &'a TestOptions,
    layer: Option<usize>,
    newer: Option<FileTime>,
    owner: Option<Owner>,
}

enum Owner {
    Sid(Sid),
    Name(String),
}

impl<'a> Tests<'a> {
    /// Finds what the options name in the view.
    pub(super) fn new(options: &'a TestOptions, opened: &Opened) -> Result<Self, CliError> {
        let newer = match &options.newer {
            None => None,
            Some(text) => Some(match parse_time(text) {
                Some(time) => time,
                None => {
                    let path = path_argument::parse(text.as_ref())
                        .map_err(|source| CliError::PathArgument(text.clone(), source))?;
                    let node = opened.find(&path, false)?;
                    node.basic_info()
                        .map(|info| info.last_write_time)
                        .unwrap_or_default()
                }
            }),
        };
        let layer = match &options.from_layer {
            None => None,
            Some(text) => Some(find_layer(&opened.view, text)?),
        };
        let owner = options.owner.as_deref().map(Owner::new);
        Ok(Self {
            options,
            layer,
            newer,
            owner,
        })
    }

    /// Returns whether an entry passes all tests, the cheap ones first.
    pub(super) fn pass(&self, view: &View, node: &Node) -> Result<bool, CliError> {
        let options = self.options;
        let passes = options
            .name
            .as_ref()
            .is_none_or(|glob| glob.matches(&wide::from_wtf8(node.path.file_name())))
            && options
                .whole
                .as_ref()
                .is_none_or(|glob| glob.matches(&node.path.to_utf16()))
            && options.kind.is_none_or(|kind| kind.is_of(node))
            && options
                .size
                .is_none_or(|size| node.kind == NodeKind::File && size.passes(node.size()))
            && (options.attr.iter()).all(|&wanted| node.attributes().contains(wanted))
            && self.layer.is_none_or(|layer| node.layer == layer)
            && self.newer.is_none_or(|time| {
                (node.basic_info()).is_some_and(|info| info.last_write_time > time)
            });
        if !passes || (self.owner.is_none() && !options.stream) {
            return Ok(passes);
        }
        let details = view.details(node)?;
        let has_stream = details.streams.iter().any(|stream| stream.name.is_some());
        let security = details.security.as_deref();
        let owner = security.and_then(|bytes| SecurityDescriptor::parse(bytes).ok()?.owner);
        let is_owned = match &self.owner {
            None => true,
            Some(wanted) => owner.is_some_and(|owner| wanted.is(&owner)),
        };
        Ok(is_owned && (has_stream || !options.stream))
    }
}

impl Kind {
    fn is_of(self, node: &Node) -> bool {
        let is_link = node.link.is_some();
        match self {
            Self::File => node.kind == NodeKind::File && !node.is_reparse_point(),
            Self::Directory => node.is_plain_directory(),
            Self::Reparse => node.is_reparse_point(),
            Self::HardLink => is_link,
            Self::Whiteout => {
                node.kind == NodeKind::Removal || matches!(node.removed, Some(Removed::Contents))
            }
        }
    }
}

impl Owner {
    /// An alias or SID as SDDL has them, else a name such as `BUILTIN\Administrators`.
    fn new(text: &str) -> Self {
        let parsed = SecurityDescriptor::from_sddl(&format!("O:{text}"));
        match parsed.ok().and_then(|parsed| parsed.owner) {
            Some(sid) => Self::Sid(sid),
            None => Self::Name(text.to_lowercase()),
        }
    }

    fn is(&self, owner: &Sid) -> bool {
        match self {
            Self::Sid(sid) => sid == owner,
            Self::Name(name) => owner.well_known_name().is_some_and(|known| {
                let known = known.to_lowercase();
                known == *name || known.rsplit('\\').next() == Some(name)
            }),
        }
    }
}

fn find_layer(view: &View, text: &str) -> Result<usize, CliError> {
    if let Ok(number) = text.parse::<usize>()
        && number < view.depth()
    {
        return Ok(number);
    }
    let wanted = Path::new(text);
    let same = |place: &Path| {
        place == wanted
            || matches!((place.canonicalize(), wanted.canonicalize()), (Ok(a), Ok(b)) if a == b)
    };
    view.places().position(same).ok_or_else(|| {
        let place = wanted.to_owned();
        wclayer::Error::NoLayer { place }.into()
    })
}

fn attribute(text: &str) -> Result<FileAttributes, String> {
    let name = text.to_ascii_uppercase().replace('-', "_");
    FileAttributes::from_name(&name).ok_or_else(|| {
        let all = FileAttributes::all();
        let names: Vec<String> = all.names().map(|name| name.to_lowercase()).collect();
        format!("expected one of: {}", names.join(", "))
    })
}

/// Parses `2024-05-01` or `2024-05-01T12:30[:15]`, with or without `Z`.
fn parse_time(text: &str) -> Option<FileTime> {
    let (date, time) = text.split_once('T').unwrap_or((text, "00:00:00"));
    let number = |text: &str| -> Option<i64> {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        digits.then(|| text.parse().ok()).flatten()
    };
    let date: Vec<i64> = date.split('-').map(number).collect::<Option<_>>()?;
    let time = time.strip_suffix('Z').unwrap_or(time);
    let time: Vec<i64> = time.split(':').map(number).collect::<Option<_>>()?;
    let &[year, month, day] = &date[..] else {
        return None;
    };
    let (hour, minute, second) = match time[..] {
        [hour, minute] => (hour, minute, 0),
        [hour, minute, second] => (hour, minute, second),
        _ => return None,
    };
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let lengths = [
        31,
        28 + i64::from(is_leap),
        31,
        30,
        31,
        30,
        31,
        31,
        30,
        31,
        30,
        31,
    ];
    let month_index = usize::try_from(month).ok()?.checked_sub(1)?;
    let in_range = (1601..=30_000).contains(&year)
        && (1..=*lengths.get(month_index)?).contains(&day)
        && hour < 24
        && minute < 60
        && second < 60;
    if !in_range {
        return None;
    }
    let years_before = year - 1;
    let leap_days = years_before / 4 - years_before / 100 + years_before / 400;
    let days_to_1970 = 719_162;
    let in_year: i64 = lengths[..month_index].iter().sum();
    let days = years_before * 365 + leap_days + in_year + day - 1 - days_to_1970;
    FileTime::from_unix(days * 86_400 + hour * 3600 + minute * 60 + second, 0).ok()
}

#[derive(Debug, Clone, Copy)]
enum SizeTest {
    Above(u64),
    Below(u64),
    Exactly(u64),
}

impl SizeTest {
    fn new(text: &str) -> Result<Self, String> {
        let (make, number): (fn(u64) -> Self, &str) = match text.as_bytes().first() {
            Some(b'+') => (Self::Above, &text[1..]),
            Some(b'-') => (Self::Below, &text[1..]),
            Some(b'=') => (Self::Exactly, &text[1..]),
            _ => (Self::Exactly, text),
        };
        let digits = number.trim_end_matches(|unit: char| unit.is_ascii_alphabetic());
        let shift = match &number[digits.len()..] {
            "" => 0,
            "k" | "K" => 10,
            "M" => 20,
            "G" => 30,
            "T" => 40,
            _ => return Err("expected a number and k, M, G or T".to_owned()),
        };
        let value: u64 = digits.parse().map_err(|_| "expected a number".to_owned())?;
        let bytes = value.checked_mul(1 << shift).ok_or("too large")?;
        Ok(make(bytes))
    }

    fn passes(self, size: u64) -> bool {
        match self {
            Self::Above(limit) => size > limit,
            Self::Below(limit) => size < limit,
            Self::Exactly(wanted) => size == wanted,
        }
    }
}

/// A pattern for names, without case.
#[derive(Debug, Clone)]
struct Glob(Vec<Token>);

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
    fn new(text: &str) -> Result<Self, String> {
        let units: Vec<u16> = text.encode_utf16().map(fold).collect();
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
                    // A `]` that comes first is one of the set.
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

    /// Goes back to the last `*` only, so that time is bounded by the product of both lengths.
    fn matches(&self, name: &[u16]) -> bool {
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

/// In a pattern `\` is as good as `/`.
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
            let glob = Glob::new(pattern).expect(pattern);
            assert_eq!(glob.matches(&units), expected, "{pattern} {name}");
        }
        assert!(Glob::new("[a").is_err());
        assert!(Glob::new("[").is_err());
        assert!(Glob::new("[!").is_err());
    }

    #[test]
    fn times_are_those_of_the_calendar() {
        let shown = |text: &str| parse_time(text).map(|time| time.to_string());
        for (text, expected) in [
            ("1970-01-01", "1970-01-01T00:00:00.0000000Z"),
            ("2024-02-29T23:59", "2024-02-29T23:59:00.0000000Z"),
            ("2000-12-31T01:02:03Z", "2000-12-31T01:02:03.0000000Z"),
            ("1601-01-01", "1601-01-01T00:00:00.0000000Z"),
        ] {
            assert_eq!(shown(text).as_deref(), Some(expected));
        }
        for wrong in [
            "2023-02-29",
            "2024-13-01",
            "1600-01-01",
            "Files",
            "2024-01-01T24:00",
            "--",
        ] {
            assert_eq!(parse_time(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn sizes_have_a_sign_and_a_unit() {
        let passes = |text: &str, size| SizeTest::new(text).expect(text).passes(size);
        assert!(passes("+1k", 1025) && !passes("+1k", 1024));
        assert!(passes("-1k", 1023) && !passes("-1k", 1024));
        assert!(passes("=0", 0) && passes("2M", 2 << 20));
        for wrong in ["", "+", "1x", "99999999999999999999", "99999999T", "ä"] {
            assert!(SizeTest::new(wrong).is_err(), "{wrong}");
        }
    }
}
