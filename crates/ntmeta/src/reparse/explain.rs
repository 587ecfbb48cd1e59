//! Reparse points in words, and two more tags that point somewhere.
//!
//! Data after the header, little-endian:
//!
//! | tag | bytes | field |
//! |---|---|---|
//! | `LX_SYMLINK` | 4 | version, 2 |
//! | | rest | target, in UTF-8, without a NUL |
//! | `APPEXECLINK` | 4 | version, 3 |
//! | | rest | UTF-16 strings, each followed by a NUL: package, application, executable, … |
//!
//! Sources: [MS-FSCC] 2.1.2 for `LX_SYMLINK`; libuv `src/win/fs.c` for the order of the strings in
//! `APPEXECLINK`, which Microsoft does not document.

use std::fmt;

use super::{ReparsePoint, ReparseTag, Symlink};
use crate::wide;

const VERSION_SIZE: usize = 4;
const LX_SYMLINK_VERSION: u32 = 2;

/// An execution alias: an empty file that launches a packaged application.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct AppExecLink {
    /// The package family name, in WTF-8.
    pub package: Vec<u8>,
    /// The application ID, in WTF-8.
    pub application: Vec<u8>,
    /// The program to launch, in WTF-8.
    pub executable: Vec<u8>,
}

impl ReparsePoint {
    /// Returns the target of a symbolic link of the Windows Subsystem for Linux, as stored;
    /// `None` for other tags and other versions.
    pub fn lx_target(&self) -> Option<&[u8]> {
        let (version, target) = self.versioned_data(ReparseTag::LX_SYMLINK)?;
        (version == LX_SYMLINK_VERSION).then_some(target)
    }

    /// Returns the fields of an execution alias; `None` for other tags, and for data with fewer
    /// than three strings.
    pub fn app_exec_link(&self) -> Option<AppExecLink> {
        let (_, texts) = self.versioned_data(ReparseTag::APPEXECLINK)?;
        let units: Vec<u16> = texts
            .chunks_exact(2)
            .map(|unit| u16::from_le_bytes([unit[0], unit[1]]))
            .collect();
        // The part after the last NUL is not a string.
        let texts: Vec<&[u16]> = units.split(|unit| *unit == 0).collect();
        let [package, application, executable, _, ..] = texts[..] else {
            return None;
        };
        Some(AppExecLink {
            package: wide::to_wtf8(package),
            application: wide::to_wtf8(application),
            executable: wide::to_wtf8(executable),
        })
    }

    /// Returns whether the target of a symbolic link is relative to the link's location; `None` for
    /// other tags.
    pub fn is_relative(&self) -> Option<bool> {
        match self {
            Self::Symlink(symlink) => Some(symlink.flags & Symlink::RELATIVE != 0),
            _ => None,
        }
    }

    /// Describes the kind of reparse point and its target, or the length of unknown data.
    ///
    /// ```
    /// use ntmeta::ReparsePoint;
    ///
    /// let junction = ReparsePoint::from_target(br"C:\data", true)?;
    /// assert_eq!(junction.explain().to_string(), r"junction to `C:\data`");
    /// # Ok::<(), ntmeta::ReparseError>(())
    /// ```
    pub fn explain(&self) -> ExplainedReparse<'_> {
        ExplainedReparse(self)
    }

    fn versioned_data(&self, wanted: ReparseTag) -> Option<(u32, &[u8])> {
        let Self::Other { tag, data, .. } = self else {
            return None;
        };
        let (version, rest) = data.split_first_chunk::<VERSION_SIZE>()?;
        (*tag == wanted).then_some((u32::from_le_bytes(*version), rest))
    }
}

/// A reparse point in words; see [`ReparsePoint::explain`].
#[derive(Debug, Clone, Copy)]
pub struct ExplainedReparse<'a>(&'a ReparsePoint);

impl fmt::Display for ExplainedReparse<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let point = self.0;
        if let Some(target) = point.target() {
            let kind = match point.is_relative() {
                Some(true) => "relative symbolic link",
                Some(false) => "absolute symbolic link",
                None => "junction",
            };
            return write!(f, "{kind} to `{}`", wide::display(&target));
        }
        if let Some(target) = point.lx_target() {
            let target = wide::display(target);
            return write!(f, "WSL symbolic link to `{target}`");
        }
        if let Some(link) = point.app_exec_link() {
            let executable = wide::display(&link.executable);
            let application = wide::display(&link.application);
            return write!(f, "alias of application `{application}`, `{executable}`");
        }
        let length = match point {
            ReparsePoint::Other { data, .. } => data.len(),
            _ => 0,
        };
        write!(f, "{}, {length} bytes of data", point.tag())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(tag: ReparseTag, data: &[u8]) -> ReparsePoint {
        let point = ReparsePoint::Other {
            tag,
            guid: None,
            data: data.to_vec(),
        };
        ReparsePoint::decode(&point.encode().unwrap()).unwrap()
    }

    fn texts(texts: &str) -> Vec<u8> {
        let mut data = vec![3, 0, 0, 0];
        data.extend(texts.encode_utf16().flat_map(u16::to_le_bytes));
        data
    }

    #[test]
    fn links_are_described_with_kind_and_target() {
        let link = |target: &str, is_mount_point| {
            let point = ReparsePoint::from_target(target.as_bytes(), is_mount_point).unwrap();
            point.explain().to_string()
        };
        assert_eq!(link(r"..\x", false), r"relative symbolic link to `..\x`");
        assert_eq!(link(r"C:\x", false), r"absolute symbolic link to `C:\x`");
        assert_eq!(link(r"C:\x", true), r"junction to `C:\x`");
    }

    #[test]
    fn the_target_of_a_wsl_link_follows_the_version() {
        let link = decoded(ReparseTag::LX_SYMLINK, b"\x02\0\0\0/usr/bin");
        assert_eq!(link.lx_target(), Some(&b"/usr/bin"[..]));
        let words = link.explain().to_string();
        assert_eq!(words, "WSL symbolic link to `/usr/bin`");
        for data in [&b"\x01\0\0\0/usr"[..], b"\x02\0\0", b""] {
            let other = decoded(ReparseTag::LX_SYMLINK, data);
            assert_eq!(other.lx_target(), None);
            let words = format!("LX_SYMLINK, {} bytes of data", data.len());
            assert_eq!(other.explain().to_string(), words);
        }
    }

    #[test]
    fn an_execution_alias_has_at_least_three_strings() {
        let data = texts("Pack_1\0Pack_1!App\0C:\\a.exe\x000\0");
        let alias = decoded(ReparseTag::APPEXECLINK, &data);
        let link = alias.app_exec_link().unwrap();
        assert_eq!(link.package, b"Pack_1");
        assert_eq!(link.application, b"Pack_1!App");
        assert_eq!(link.executable, br"C:\a.exe");
        let words = alias.explain().to_string();
        assert_eq!(words, r"alias of application `Pack_1!App`, `C:\a.exe`");
        for data in [&texts("a\0b\0c")[..], &texts(""), b"\x03\0", b""] {
            let other = decoded(ReparseTag::APPEXECLINK, data);
            assert_eq!(other.app_exec_link(), None);
        }
    }
}
