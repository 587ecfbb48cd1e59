//! Names of a layer as names of the host, and back.
//!
//! Almost all names are kept. Characters that the host cannot hold become `%XX`, one for each byte
//! of their WTF-8; a `%` that would read as such an escape is escaped too, so that [`real_name`]
//! restores every name. A name that is too long then is cut, and ends with `%~` and 16 hexadecimal
//! digits of the SHA-256 of the real name, which only the report has.
//!
//! Sources: Microsoft, "Naming Files, Paths, and Namespaces" (characters, devices, forbidden
//! endings); Linux `limits.h` (`NAME_MAX`, 255 bytes).

use std::borrow::Cow;

use ntmeta::wide;

use crate::digest::Digest;
use crate::path::is_device;

/// The longest name: bytes on Unix, UTF-16 units on Windows.
const MAX_NAME: usize = 255;
/// How many bytes are kept of a name that is cut.
const KEPT: usize = 200;
/// Hexadecimal digits of the hash of a name that is cut.
const HASH_DIGITS: usize = 16;

/// The rules of a system for names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum NameRules {
    /// UTF-8 of up to 255 bytes, as on Linux and macOS.
    Unix,
    /// No device, no control character, none of `<>"|?*`, no dot or space at the end.
    Windows,
}

impl NameRules {
    /// Returns the rules of the current system.
    pub fn of_this_system() -> Self {
        match cfg!(windows) {
            true => Self::Windows,
            false => Self::Unix,
        }
    }

    fn refuses(self, character: char) -> bool {
        match self {
            Self::Unix => false,
            Self::Windows => {
                character < ' ' || matches!(character, '<' | '>' | '"' | '|' | '?' | '*')
            }
        }
    }

    fn len(self, name: &str) -> usize {
        match self {
            Self::Unix => name.len(),
            Self::Windows => name.encode_utf16().count(),
        }
    }
}

/// Returns the host's name for one component of a path.
pub fn host_name(name: &[u8], rules: NameRules) -> Cow<'_, str> {
    let escaped = escaped(name, rules);
    match rules.len(&escaped) <= MAX_NAME {
        true => escaped,
        false => Cow::Owned(cut(&escaped, name)),
    }
}

/// Returns another name for the same component, for a host that does not distinguish the first name
/// from that of another entry.
pub(super) fn other_name(name: &[u8], rules: NameRules) -> String {
    cut(&escaped(name, rules), name)
}

/// Returns the component from which [`host_name`] made `host`; `None` if it was cut.
pub fn real_name(host: &str) -> Option<Vec<u8>> {
    let mut name = Vec::with_capacity(host.len());
    let mut rest = host.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        match (byte, escape_at(after)) {
            (b'%', Some(value)) => {
                name.push(value);
                rest = &after[2..];
            }
            (b'%', None) if after.first() == Some(&b'~') => return None,
            _ => name.push(byte),
        }
    }
    Some(name)
}

fn escaped(name: &[u8], rules: NameRules) -> Cow<'_, str> {
    if let Ok(text) = std::str::from_utf8(name)
        && is_plain(text, rules)
    {
        return Cow::Borrowed(text);
    }
    let units = wide::from_wtf8(name);
    let mut host = String::with_capacity(name.len() + 8);
    let mut bytes = Vec::with_capacity(name.len());
    for character in char::decode_utf16(units) {
        match character {
            Ok(character) => bytes.extend(character.encode_utf8(&mut [0; 4]).bytes()),
            Err(lone) => bytes.extend(wide::to_wtf8(&[lone.unpaired_surrogate()])),
        }
    }
    let is_device = rules == NameRules::Windows && is_device(name);
    let mut rest = &bytes[..];
    while !rest.is_empty() {
        let (length, character) = first_character(rest);
        let after = &rest[length..];
        let escape = match character {
            None => true,
            Some('%') => escape_at(after).is_some() || after.first() == Some(&b'~'),
            Some('.' | ' ') if after.is_empty() => rules == NameRules::Windows,
            Some(character) => rules.refuses(character) || (is_device && host.is_empty()),
        };
        for byte in &rest[..length] {
            if escape {
                host.push_str(&format!("%{byte:02X}"));
            }
        }
        host.extend(character.filter(|_| !escape));
        rest = after;
    }
    Cow::Owned(host)
}

/// Returns the length of the first character of WTF-8, and the character unless it is a surrogate.
fn first_character(bytes: &[u8]) -> (usize, Option<char>) {
    let length = match bytes[0] {
        0..=0x7F => 1,
        0x80..=0xDF => 2,
        0xE0..=0xEF => 3,
        _ => 4,
    };
    let length = length.min(bytes.len());
    let text = std::str::from_utf8(&bytes[..length]).ok();
    (length, text.and_then(|text| text.chars().next()))
}

fn is_plain(name: &str, rules: NameRules) -> bool {
    if name.contains('%') {
        return false;
    }
    rules == NameRules::Unix
        || !(name.contains(|character| rules.refuses(character))
            || name.ends_with(['.', ' '])
            || is_device(name.as_bytes()))
}

/// Returns the value of two upper-case hexadecimal digits.
fn escape_at(text: &[u8]) -> Option<u8> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    };
    match text {
        [high, low, ..] => Some(digit(*high)? << 4 | digit(*low)?),
        _ => None,
    }
}

/// Shortens a name and makes it unique.
fn cut(host: &str, name: &[u8]) -> String {
    let mut end = host.len().min(KEPT);
    while !host.is_char_boundary(end) {
        end -= 1;
    }
    // Half an escape must not stay: it would read as something else.
    if let Some(start) = host[..end].rfind('%').filter(|start| end - start < 3) {
        end = start;
    }
    let hash = Digest::of(name).to_string();
    let digits = hash.rsplit(':').next().unwrap_or_default();
    format!("{}%~{}", &host[..end], &digits[..HASH_DIGITS])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_change_only_where_the_host_needs_it() {
        let lone = wide::to_wtf8(&[0xD800, u16::from(b'x')]);
        for (name, unix, windows) in [
            (&b"notepad.exe"[..], "notepad.exe", "notepad.exe"),
            (b"100%", "100%", "100%"),
            (b"a%2Fb", "a%252Fb", "a%252Fb"),
            (b"a%2fb", "a%2fb", "a%2fb"),
            (b"a%~b", "a%25~b", "a%25~b"),
            (b"%%41", "%%2541", "%%2541"),
            (b"x.", "x.", "x%2E"),
            (b"x ", "x ", "x%20"),
            (b"NUL", "NUL", "%4EUL"),
            (b"con.txt", "con.txt", "%63on.txt"),
            (b"com10", "com10", "com10"),
            (b"a*?\x01", "a*?\x01", "a%2A%3F%01"),
            (&lone, "%ED%A0%80x", "%ED%A0%80x"),
        ] {
            assert_eq!(host_name(name, NameRules::Unix), unix);
            assert_eq!(host_name(name, NameRules::Windows), windows);
            for host in [unix, windows] {
                assert_eq!(real_name(host).as_deref(), Some(name), "{host}");
            }
        }
    }

    #[test]
    fn long_names_are_cut_and_stay_apart() {
        let long = "ä".repeat(254);
        let names = [format!("{long}x"), format!("{long}y")];
        let hosts = names
            .each_ref()
            .map(|name| host_name(name.as_bytes(), NameRules::Unix));
        assert_ne!(hosts[0], hosts[1]);
        for host in &hosts {
            assert!(host.len() <= MAX_NAME && host.contains("%~"), "{host}");
            assert_eq!(real_name(host), None);
        }
        assert_eq!(host_name(names[0].as_bytes(), NameRules::Windows), names[0]);
    }

    proptest! {
        #[test]
        fn every_name_comes_back_or_is_cut(units in prop::collection::vec(
            prop_oneof![1..0x80_u16, Just(0x25), 0x30..0x47_u16, 0xD7FE..0xE001_u16], 1..255)) {
            let name = wide::to_wtf8(&units);
            for rules in [NameRules::Unix, NameRules::Windows] {
                let host = host_name(&name, rules);
                prop_assert!(rules.len(&host) <= MAX_NAME && !host.is_empty());
                match real_name(&host) {
                    Some(real) => prop_assert_eq!(&real, &name),
                    None => prop_assert!(host.contains("%~")),
                }
            }
        }
    }
}
