//! `tombstones.txt`: the paths of the parents that a layer removes.
//!
//! UTF-8 with a byte-order mark; `Version 1.0` on the first line, then one path a line, below
//! `Files`, starting with `\`. Windows ends lines with CR and LF. In a layer tar the same fact is
//! a whiteout (`.wh.NAME`).
//!
//! More is read than the reference reads: blank lines are skipped and the mark may be missing. A
//! path that leads out of `Files` is refused.
//!
//! Source: hcsshim `internal/wclayer/legacy.go`, `readTombstones`; lines end as in the folders of
//! the golden vectors.

use crate::error::Result;
use crate::error::{TombstoneProblem, TransportError};
use crate::layout;
use crate::path::{LayerPath, PathError};
use crate::rules::Breach;

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
const VERSION: &[u8] = b"Version 1.0";

/// Parses a whole `tombstones.txt`; the paths, with `Files` in front, come back in file order.
///
/// # Errors
///
/// [`TransportError::Tombstones`] naming the line: an unknown version, a path that does not start
/// with `\`, or one that would leave `Files`.
pub fn parse(text: &[u8]) -> Result<Vec<LayerPath>> {
    let text = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text);
    let lines = text.split(|byte| *byte == b'\n');
    let mut lines = lines.map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let fails = |line, problem| TransportError::Tombstones { line, problem };
    if lines.next() != Some(VERSION) {
        return Err(fails(1, TombstoneProblem::Version).into());
    }
    let mut paths = Vec::new();
    for (line, number) in lines.zip(2..) {
        if line.is_empty() {
            continue;
        }
        let relative = line
            .strip_prefix(b"\\")
            .ok_or_else(|| fails(number, TombstoneProblem::NoBackslash))?;
        let path =
            below_files(relative).map_err(|error| fails(number, TombstoneProblem::Path(error)))?;
        paths.push(path);
    }
    Ok(paths)
}

fn below_files(relative: &[u8]) -> Result<LayerPath, PathError> {
    let relative = LayerPath::parse(relative)?;
    LayerPath::parse(layout::FILES.as_bytes())?.join(relative.as_bytes())
}

/// Writes a whole `tombstones.txt`.
///
/// # Errors
///
/// Returns [`Error::Rule`](crate::Error::Rule) if a path is not below `Files` or holds a line
/// break.
pub fn format<'a>(removals: impl IntoIterator<Item = &'a LayerPath>) -> Result<Vec<u8>> {
    let mut text = [BYTE_ORDER_MARK, VERSION, b"\r\n"].concat();
    for path in removals {
        let mut components = path.components();
        let first = components.next().unwrap_or_default();
        if !first.eq_ignore_ascii_case(layout::FILES.as_bytes()) || path.parent().is_none() {
            return Err(Breach::RemovalOutsideFiles.broken_by(path));
        }
        if path
            .as_bytes()
            .iter()
            .any(|byte| matches!(byte, b'\n' | b'\r'))
        {
            return Err(Breach::RemovalWithLineBreak.broken_by(path));
        }
        for component in components {
            text.push(b'\\');
            text.extend_from_slice(component);
        }
        text.extend_from_slice(b"\r\n");
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn path(text: &str) -> LayerPath {
        text.parse().expect(text)
    }

    #[test]
    fn mark_line_ends_and_blank_lines_are_free() {
        for text in [
            "\u{feff}Version 1.0\n\\a\n\\b\\c\n",
            "\u{feff}Version 1.0\r\n\\a\r\n\r\n\\b\\c\r\n",
            "Version 1.0\n\n\\a\n\\b\\c",
        ] {
            let paths = parse(text.as_bytes()).expect(text);
            assert_eq!(paths, [path("Files/a"), path("Files/b/c")], "{text:?}");
        }
        assert_eq!(parse(b"Version 1.0").expect("no removals"), []);
    }

    #[test]
    fn a_wrong_line_is_named() {
        for (text, line, problem) in [
            ("", 1, "is not"),
            ("Version 2.0\n", 1, "is not"),
            ("\\a\n", 1, "is not"),
            ("Version 1.0\na\n", 2, "backslash"),
            ("Version 1.0\n\n\\..\\x\n", 3, "`..`"),
            ("Version 1.0\n\\a\\..\\..\\x\n", 2, "`..`"),
            ("Version 1.0\n\\\\server\\x\n", 2, "absolute"),
            ("Version 1.0\n\\C:\\x\n", 2, "drive"),
            ("Version 1.0\n\\ab:c\n", 2, "`:`"),
            ("Version 1.0\n\\\n", 2, "empty"),
        ] {
            let error = parse(text.as_bytes()).expect_err(text).to_string();
            assert!(
                error.starts_with(&format!("line {line} of")),
                "{text:?}: {error}"
            );
            assert!(error.contains(problem), "{text:?}: {error}");
        }
    }

    #[test]
    fn only_removals_below_files_are_written() {
        let text = format([&path("files/a/B"), &path("Files/c")]).expect("both");
        assert_eq!(text, b"\xef\xbb\xbfVersion 1.0\r\n\\a\\B\r\n\\c\r\n");
        for wrong in [
            "Files",
            "Hives/x",
            "UtilityVM/Files/x",
            "Files/a\nb",
            "Files/a\rb",
        ] {
            assert!(format([&path(wrong)]).is_err(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(names in prop::collection::vec("[^/\\\\:\0\r\n.]{1,9}", 0..9)) {
            let paths: Vec<_> = names.iter().map(|name| path(&format!("Files/d/{name}"))).collect();
            let text = format(&paths).expect("no line breaks");
            prop_assert_eq!(parse(&text).expect("ours"), paths);
        }

        #[test]
        fn anything_is_parsed_without_panic(text: Vec<u8>) {
            if let Ok(paths) = parse(&[&b"Version 1.0\n"[..], &text].concat()) {
                prop_assert!(paths.iter().all(|found| found.is_below(&path("Files"))));
            }
        }
    }
}
