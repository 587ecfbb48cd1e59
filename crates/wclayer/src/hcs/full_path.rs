//! Paths of the user in the form that the service expects: absolute, with a unique spelling.
//!
//! The service treats a path as a name, and a trailing backslash makes it a different name:
//! `DestroyLayer` fails with 0x8007007b, and `layerchain.json` keeps the backslash (moby issue
//! 26873). Therefore every path, including those of parents, passes through [`full_path`] once; no
//! later code considers the spelling.
//!
//! A few calls of `vmcompute.dll` take the long form instead (`long_path`).
//!
//! Source: Go's `filepath.Abs` and `filepath.Clean`, which the reference applies to its arguments;
//! hcsshim `internal/longpath`.

use std::io;
use std::path::{Path, PathBuf};

use crate::error::{Result, io_error};
use crate::parent_chain::ParentChain;

/// Makes a path absolute and cleans it lexically: no `.` and `..`, single separators, and no
/// trailing separator except that of a root. On Windows every separator becomes a backslash.
///
/// Links are not resolved: Windows itself resolves `..` lexically.
///
/// # Errors
///
/// Returns [`Error::Io`](crate::Error::Io) if the path is empty or the working folder is unknown.
pub fn full_path(path: &Path) -> Result<PathBuf> {
    absolute(path).map_err(io_error("resolve", path))
}

/// Makes the paths of a chain absolute and clean.
pub(super) fn full_chain(parents: &ParentChain) -> Result<ParentChain> {
    let parents = parents.iter_nearest_first().map(full_path);
    let parents = parents.collect::<Result<Vec<_>>>()?;
    Ok(ParentChain::from_nearest_first(parents))
}

fn absolute(path: &Path) -> io::Result<PathBuf> {
    Ok(cleaned(&std::path::absolute(path)?))
}

/// Returns a path in the form that may exceed 260 units (`\\?\C:\…`); a path that already has a
/// prefix is returned unchanged.
#[cfg(windows)]
pub(crate) fn long_path(path: &Path) -> io::Result<PathBuf> {
    let path = if has_prefix(&units(path)) {
        path.to_owned()
    } else {
        absolute(path)?
    };
    Ok(from_units(&long_form(&units(&path))))
}

/// Cleans an absolute path.
#[cfg(windows)]
pub(super) fn cleaned(path: &Path) -> PathBuf {
    from_units(&clean(&units(path), Style::Windows))
}

/// Cleans an absolute path.
#[cfg(not(windows))]
pub(super) fn cleaned(path: &Path) -> PathBuf {
    use std::ffi::OsString;
    use std::os::unix::ffi::{OsStrExt, OsStringExt};
    OsString::from_vec(clean(path.as_os_str().as_bytes(), Style::Unix)).into()
}

#[cfg(windows)]
fn units(path: &Path) -> Vec<u16> {
    std::os::windows::ffi::OsStrExt::encode_wide(path.as_os_str()).collect()
}

#[cfg(windows)]
fn from_units(units: &[u16]) -> PathBuf {
    <std::ffi::OsString as std::os::windows::ffi::OsStringExt>::from_wide(units).into()
}

/// The unit of a path: a byte or a UTF-16 unit.
trait Unit: Copy + PartialEq + From<u8> {}

impl Unit for u8 {}
impl Unit for u16 {}

/// The path rules of a system. Both variants are compiled and tested on every system.
#[derive(Clone, Copy, PartialEq, Eq)]
#[cfg_attr(all(windows, not(test)), expect(dead_code, reason = "for tests there"))]
enum Style {
    Unix,
    Windows,
}

impl Style {
    fn separator<T: Unit>(self) -> T {
        match self {
            Self::Unix => b'/'.into(),
            Self::Windows => b'\\'.into(),
        }
    }

    fn is_separator<T: Unit>(self, unit: T) -> bool {
        unit == self.separator() || unit == b'/'.into()
    }
}

fn clean<T: Unit>(path: &[T], style: Style) -> Vec<T> {
    let is_separator = |unit: &T| style.is_separator(*unit);
    let (volume, rest) = path.split_at(match style {
        Style::Unix => 0,
        Style::Windows => volume_length(path),
    });
    let is_rooted = rest.first().is_some_and(is_separator);
    let up = [b'.'.into(); 2];
    let mut names: Vec<&[T]> = Vec::new();
    for name in rest.split(is_separator) {
        if name.is_empty() || *name == up[..1] {
        } else if *name != up {
            names.push(name);
        } else if names.last().is_some_and(|last| **last != up) {
            names.pop();
        } else if !is_rooted {
            names.push(name);
        }
    }
    let separator = style.separator();
    let to_separator = |unit: &T| if is_separator(unit) { separator } else { *unit };
    let mut cleaned: Vec<T> = volume.iter().map(to_separator).collect();
    if is_rooted {
        cleaned.push(separator);
    }
    cleaned.extend(names.join(&separator));
    cleaned
}

/// Returns how many leading units of a path name its volume: a drive, a share, or the part that
/// follows `\\?\` and `\\.\`. `..` never leads out of it.
fn volume_length<T: Unit>(path: &[T]) -> usize {
    let is_separator = |at: usize| {
        path.get(at)
            .is_some_and(|unit| Style::Windows.is_separator(*unit))
    };
    let is = |at: usize, wanted: u8| path.get(at) == Some(&wanted.into());
    let is_letter = |at: usize, upper: u8| is(at, upper) || is(at, upper.to_ascii_lowercase());
    // Returns the end of `count` names that begin at `start`.
    let names = |start: usize, count: usize| {
        let mut separators = (start..path.len()).filter(|at| is_separator(*at));
        separators.nth(count - 1).unwrap_or(path.len())
    };
    if is(1, b':') {
        return 2;
    }
    if !is_separator(0) || !is_separator(1) {
        return 0;
    }
    let has_prefix = (is(2, b'?') || is(2, b'.')) && is_separator(3);
    let has_unc = is_letter(4, b'U') && is_letter(5, b'N') && is_letter(6, b'C') && is_separator(7);
    match (has_prefix, has_unc) {
        (true, true) => names(8, 2),
        (true, false) => names(4, 1),
        (false, _) => names(2, 2),
    }
}

#[cfg(any(windows, test))]
fn has_prefix(path: &[u16]) -> bool {
    [br"\\?\", br"\\.\"]
        .iter()
        .any(|prefix| path.starts_with(&prefix.map(u16::from)))
}

/// Returns the long form of a full path, like `LongAbs` of the reference.
#[cfg(any(windows, test))]
fn long_form(path: &[u16]) -> Vec<u16> {
    let (prefix, rest) = match path {
        path if has_prefix(path) => ("", path),
        path if path.starts_with(&br"\\".map(u16::from)) => (r"\\?\UNC\", &path[2..]),
        path => (r"\\?\", path),
    };
    prefix.encode_utf16().chain(rest.iter().copied()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn windows(path: &str) -> String {
        let units: Vec<u16> = path.encode_utf16().collect();
        String::from_utf16(&clean(&units, Style::Windows)).expect("text")
    }

    fn long(path: &str) -> String {
        let units: Vec<u16> = path.encode_utf16().collect();
        String::from_utf16(&long_form(&units)).expect("text")
    }

    #[test]
    fn windows_paths_have_one_spelling() {
        for (path, expected) in [
            (r"C:\layers\app", r"C:\layers\app"),
            (r"C:\layers\app\", r"C:\layers\app"),
            (r"C:\layers\app\\\", r"C:\layers\app"),
            (r"C:/layers//app/", r"C:\layers\app"),
            (r"C:\layers\.\app\.", r"C:\layers\app"),
            (r"C:\layers\x\..\app", r"C:\layers\app"),
            (r"C:\..\..\layers", r"C:\layers"),
            (r"C:\layers\..", r"C:\"),
            (r"C:\", r"C:\"),
            (r"c:\\", r"c:\"),
            (r"C:\a...\.b\..c", r"C:\a...\.b\..c"),
            (r"\\server\share", r"\\server\share"),
            (r"\\server\share\", r"\\server\share\"),
            (r"//server/share//layers/app/", r"\\server\share\layers\app"),
            (r"\\server\share\..\..\app", r"\\server\share\app"),
            (r"\\?\C:\layers\app\", r"\\?\C:\layers\app"),
            (r"\\?\C:\x\..\..\app", r"\\?\C:\app"),
            (r"\\?\C:\", r"\\?\C:\"),
            (r"\\?\C:", r"\\?\C:"),
            (r"//?/C:/layers/", r"\\?\C:\layers"),
            (r"\\.\C:\layers\", r"\\.\C:\layers"),
            (r"\\?\UNC\server\share\..\app\", r"\\?\UNC\server\share\app"),
            (
                r"\\?\Volume{12345678-0000-0000-0000-000000000000}\app\",
                r"\\?\Volume{12345678-0000-0000-0000-000000000000}\app",
            ),
            (r"\layers\", r"\layers"),
            (r"..\layers\", r"..\layers"),
        ] {
            assert_eq!(windows(path), expected, "{path}");
            assert_eq!(windows(expected), expected, "cleaned twice: {path}");
        }
    }

    #[test]
    fn a_unix_path_keeps_its_backslashes() {
        for (path, expected) in [
            ("/layers/app/", "/layers/app"),
            ("//layers//.//app/.", "/layers/app"),
            ("/layers/x/../app", "/layers/app"),
            ("/../layers", "/layers"),
            ("/", "/"),
            ("/..", "/"),
            (r"/layers/a\b\", r"/layers/a\b\"),
        ] {
            let cleaned = clean(path.as_bytes(), Style::Unix);
            assert_eq!(
                String::from_utf8(cleaned).expect("text"),
                expected,
                "{path}"
            );
        }
    }

    #[test]
    fn the_long_form_matches_the_reference() {
        for (path, expected) in [
            (r"C:\layers\app", r"\\?\C:\layers\app"),
            (r"C:\", r"\\?\C:\"),
            (r"\\server\share\app", r"\\?\UNC\server\share\app"),
            (r"\\?\C:\layers\app", r"\\?\C:\layers\app"),
            (r"\\?\UNC\server\share", r"\\?\UNC\server\share"),
            (r"\\.\C:\layers", r"\\.\C:\layers"),
        ] {
            assert_eq!(long(path), expected, "{path}");
        }
    }

    #[test]
    fn a_relative_path_starts_in_the_working_folder_and_an_empty_one_is_refused() {
        let here = std::env::current_dir().expect("a working folder");
        let path = full_path(Path::new("x/../layers/./app/")).expect("a path");
        assert_eq!(
            path.as_os_str(),
            here.join("layers").join("app").as_os_str()
        );
        assert!(full_path(Path::new("")).is_err());
    }
}
