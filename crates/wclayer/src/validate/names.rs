//! Rules on the name of an entry, beyond those that [`LayerPath`](crate::LayerPath) enforces.
//!
//! Source: Microsoft, "Naming Files, Paths, and Namespaces".

use ntmeta::wide;

use super::Rule;
use crate::layout;
use crate::path::is_device;
use crate::rules::Breach;

/// Calls `report` for each rule that the spelling of a name breaks. `name` is as the tar spells it,
/// without the name of an alternate stream.
pub(super) fn check_spelling(name: &[u8], mut report: impl FnMut(Rule)) {
    if !wide::is_wtf8(name) {
        report(Rule::PathNotText);
    }
    // Absolute and empty names are reported elsewhere.
    let stem = name.strip_prefix(b"/").unwrap_or(name);
    let stem = stem.strip_suffix(b"/").unwrap_or(stem);
    let mut pieces = stem.split(|byte| *byte == b'/');
    if stem.contains(&b'\\') || (pieces.any(is_odd) && !components(name).all(is_odd)) {
        report(Rule::PathSpelling);
    }
}

fn components(name: &[u8]) -> impl Iterator<Item = &[u8]> {
    name.split(|byte| matches!(byte, b'/' | b'\\'))
}

/// Returns whether a component names nothing.
fn is_odd(component: &[u8]) -> bool {
    matches!(component, b"" | b".")
}

/// Calls `report` for each rule that the components of a name break, whatever its source.
pub(super) fn check(name: &[u8], mut report: impl FnMut(Rule, String)) {
    let mut reported = [false; 4];
    for component in components(name).filter(|component| !is_odd(component) && *component != b"..")
    {
        let broken = [
            (Rule::PathCharacter, component.iter().any(is_refused)),
            (Rule::PathReservedName, is_device(component)),
            (
                Rule::PathTrailingDot,
                matches!(component, [.., b'.' | b' ']),
            ),
            (
                Rule::PathTransportName,
                layout::describes_directory(component),
            ),
        ];
        for ((rule, is_broken), reported) in broken.into_iter().zip(&mut reported) {
            // Once for each name.
            if is_broken && !std::mem::replace(reported, true) {
                let detail = match rule {
                    Rule::PathTransportName => Breach::ReservedName.to_string(),
                    _ => format!("`{}`", wide::display(component)),
                };
                report(rule, detail);
            }
        }
    }
}

/// Returns whether NTFS refuses a character in a name; NUL is reported elsewhere.
fn is_refused(byte: &u8) -> bool {
    matches!(byte, 1..=31 | b'"' | b'*' | b'<' | b'>' | b'?' | b'|')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_rule_of_names_by_examples() {
        use Rule::*;
        let table: [(&[u8], &[Rule]); 22] = [
            (b"Files/a b.txt", &[]),
            (b"Files/dir/", &[]),
            (b"Files/.wh.a", &[]),
            (b"/Files", &[]),
            (b"./", &[]),
            (b"Files/COM0", &[]),
            (b"Files/NULL", &[]),
            (b"Files/nul", &[PathReservedName]),
            (b"Files/Com1.tar.gz", &[PathReservedName]),
            ("Files/com¹".as_bytes(), &[PathReservedName]),
            ("Files/LPT³.txt".as_bytes(), &[PathReservedName]),
            ("Files/COM¹²".as_bytes(), &[]),
            (b"Files/con .txt", &[PathReservedName]),
            (b"Files/a.", &[PathTrailingDot]),
            (b"Files/a /b ", &[PathTrailingDot]),
            (b"Files/a?b", &[PathCharacter]),
            (b"Files/a\x01", &[PathCharacter]),
            (b"Files/a.$WCIDIRS$", &[PathTransportName]),
            (b"./Files", &[PathSpelling]),
            (b"Files//a", &[PathSpelling]),
            (b"Files\\a", &[PathSpelling]),
            (b"Files/\xff", &[PathNotText]),
        ];
        for (name, rules) in table {
            let mut found = Vec::new();
            check_spelling(name, |rule| found.push(rule));
            check(name, |rule, _| found.push(rule));
            assert_eq!(found, rules, "{}", wide::display(name));
        }
    }
}
