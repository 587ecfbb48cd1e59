//! Paths inside a layer, validated once on entry.
//!
//! Every name from a tar, a folder or a user becomes a [`LayerPath`] before it is used, so no other
//! code has to expect `..`, an absolute path, a drive or an alternate data stream. A path keeps its
//! spelling and is compared as NTFS does it: unit by unit through the volume's upper-case table
//! ([`ntmeta::upcase`]).
//!
//! The text is stored as WTF-8 ([`ntmeta::wide`]) with `/` between components: UTF-8 for every name
//! that is valid text, and lossless for the unpaired surrogates that NTFS allows.
//!
//! Source of the limits: NTFS (255 UTF-16 units a component), `UNICODE_STRING` (32,767 units).

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;
use std::sync::Arc;

use ntmeta::{upcase, wide};

/// The longest component that NTFS stores, in UTF-16 units.
pub const MAX_COMPONENT_UNITS: usize = 255;
/// The longest path that Windows accepts, in UTF-16 units.
pub const MAX_PATH_UNITS: usize = 32_767;
/// The largest number of components of a path. Windows has no such limit, but images stay far below
/// it, and every lookup of a path searches for each component.
pub const MAX_DEPTH: usize = 1024;

/// A validated path relative to the root of a layer, such as `Files/Windows/notepad.exe`.
///
/// ```
/// use wclayer::LayerPath;
///
/// let path: LayerPath = r"Files\Windows\Notepad.exe".parse()?;
/// assert_eq!(path.to_string(), "Files/Windows/Notepad.exe");
/// assert_eq!(path, "files/WINDOWS/notepad.EXE".parse()?);
/// assert!("Files/../etc".parse::<LayerPath>().is_err());
/// # Ok::<(), wclayer::PathError>(())
/// ```
///
/// Cloning a path and getting its parent are cheap: a path and the directories above it share their
/// text.
#[derive(Clone)]
pub struct LayerPath {
    /// WTF-8, components joined by `/`.
    text: Arc<[u8]>,
    /// The length of the path within the text; never 0.
    length: usize,
}

/// The reason why a name is not a [`LayerPath`] or a [`StreamName`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PathError {
    /// The path has no components.
    #[error("the path is empty")]
    Empty,
    /// A NUL unit, which no Windows name can contain.
    #[error("the path contains a NUL character")]
    Nul,
    /// A path that starts at a root (`/x`, `\\server\share`).
    #[error("the path is absolute")]
    Absolute,
    /// A path that starts with a drive (`C:`).
    #[error("the path names a drive")]
    Drive,
    /// A `..` component, which would lead out of the directory before it.
    #[error("the path contains a `..` component")]
    ParentComponent,
    /// A `:` in a place where it cannot introduce an alternate data stream.
    #[error(
        "`:` in `{component}` is not allowed: it separates a file from its alternate data stream"
    )]
    Colon {
        /// The component with the colon.
        component: String,
    },
    /// A component longer than [`MAX_COMPONENT_UNITS`].
    #[error("a component has {units} UTF-16 units, more than {MAX_COMPONENT_UNITS}")]
    ComponentTooLong {
        /// Its length in UTF-16 units.
        units: usize,
    },
    /// A path longer than [`MAX_PATH_UNITS`].
    #[error("the path has {units} UTF-16 units, more than {MAX_PATH_UNITS}")]
    PathTooLong {
        /// Its length in UTF-16 units.
        units: usize,
    },
    /// A path with more than [`MAX_DEPTH`] components.
    #[error("the path has {components} components, more than {MAX_DEPTH}")]
    TooDeep {
        /// Its number of components.
        components: usize,
    },
    /// The name of an alternate data stream that is empty or contains a separator.
    #[error("`{name}` is not the name of an alternate data stream")]
    StreamName {
        /// The name as given.
        name: String,
    },
}

impl LayerPath {
    /// Parses a path as a tar or a user spells it. Both `/` and `\` are separators; `.` and empty
    /// components in the middle or at the end are dropped.
    ///
    /// Each byte that is not UTF-8 becomes U+FFFD, as it does on Windows.
    ///
    /// # Errors
    ///
    /// Returns [`PathError`], which has a variant for each rule.
    pub fn parse(name: &[u8]) -> Result<Self, PathError> {
        let repaired;
        let name = if wide::is_wtf8(name) {
            name
        } else {
            repaired = wide::to_wtf8(&wide::from_wtf8(name));
            &repaired
        };
        match name {
            [] => return Err(PathError::Empty),
            [b'/' | b'\\', ..] => return Err(PathError::Absolute),
            [drive, b':', ..] if drive.is_ascii_alphabetic() => return Err(PathError::Drive),
            _ => {}
        }
        let mut path = Vec::with_capacity(name.len());
        let (mut units, mut components) = (0, 0);
        for component in name.split(|byte| matches!(byte, b'/' | b'\\')) {
            if matches!(component, b"" | b".") {
                continue;
            }
            components += 1;
            units += check_component(component)? + usize::from(!path.is_empty());
            if !path.is_empty() {
                path.push(b'/');
            }
            path.extend_from_slice(component);
        }
        match (units, components) {
            (0, _) => Err(PathError::Empty),
            (1..=MAX_PATH_UNITS, 0..=MAX_DEPTH) => Ok(Self {
                length: path.len(),
                text: path.into(),
            }),
            (1..=MAX_PATH_UNITS, _) => Err(PathError::TooDeep { components }),
            _ => Err(PathError::PathTooLong { units }),
        }
    }

    /// Parses a path of UTF-16 units, as Windows calls return it.
    ///
    /// # Errors
    ///
    /// Returns [`PathError`], which has a variant for each rule.
    pub fn from_utf16(units: &[u16]) -> Result<Self, PathError> {
        Self::parse(&wide::to_wtf8(units))
    }

    /// Returns the path as WTF-8 with `/` between components: the name of its tar entry.
    pub fn as_bytes(&self) -> &[u8] {
        &self.text[..self.length]
    }

    /// Returns the path in UTF-16 with `\` between components, as Windows calls take it.
    pub fn to_utf16(&self) -> Vec<u16> {
        let mut units = wide::from_wtf8(self.as_bytes());
        for unit in &mut units {
            if *unit == u16::from(b'/') {
                *unit = u16::from(b'\\');
            }
        }
        units
    }

    /// Iterates over the components, as WTF-8, outermost first.
    pub fn components(&self) -> impl DoubleEndedIterator<Item = &[u8]> {
        self.as_bytes().split(|byte| *byte == b'/')
    }

    /// Returns the last component, as WTF-8.
    pub fn file_name(&self) -> &[u8] {
        let path = self.as_bytes();
        match path.iter().rposition(|byte| *byte == b'/') {
            Some(slash) => &path[slash + 1..],
            None => path,
        }
    }

    /// Returns the directory that contains this path; `None` for a top-level name.
    pub fn parent(&self) -> Option<Self> {
        let length = self.as_bytes().iter().rposition(|byte| *byte == b'/')?;
        Some(Self {
            text: Arc::clone(&self.text),
            length,
        })
    }

    /// Returns whether both are spelled the same.
    pub(crate) fn is_spelled_as(&self, other: &Self) -> bool {
        self.length == other.length
            && (Arc::ptr_eq(&self.text, &other.text) || self.as_bytes() == other.as_bytes())
    }

    /// Returns the number of leading components that are spelled the same as those of `other`.
    pub(crate) fn shared_depth(&self, other: &Self) -> usize {
        let shared = self.shared_length(other);
        let (own, other) = (self.as_bytes(), other.as_bytes());
        let ends = |path: &[u8]| matches!(path.get(shared), None | Some(b'/'));
        let whole = usize::from(ends(own) && ends(other));
        own[..shared].iter().filter(|byte| **byte == b'/').count() + whole
    }

    /// Returns the number of leading bytes that are the same as those of `other`.
    pub(crate) fn shared_length(&self, other: &Self) -> usize {
        let length = self.length.min(other.length);
        if Arc::ptr_eq(&self.text, &other.text) {
            return length;
        }
        let (own, other) = (&self.text[..length], &other.text[..length]);
        // Whole pieces first, which are compared as fast as memory is read.
        const PIECE: usize = 64;
        let pieces = own.chunks_exact(PIECE).zip(other.chunks_exact(PIECE));
        let same = PIECE * pieces.take_while(|(own, other)| own == other).count();
        let rest = own[same..].iter().zip(&other[same..]);
        same + rest.take_while(|(own, other)| own == other).count()
    }

    /// Returns the rest of both paths after the components that are spelled the same.
    fn behind_shared<'a>(&'a self, other: &'a Self) -> (&'a [u8], &'a [u8]) {
        let (own, other_bytes) = (self.as_bytes(), other.as_bytes());
        let shared = &own[..self.shared_length(other)];
        let slash = shared.iter().rposition(|byte| *byte == b'/');
        let start = slash.map_or(0, |at| at + 1);
        (&own[start..], &other_bytes[start..])
    }

    /// Returns the [`folded_units`](Self::folded_units) of the last component.
    pub(crate) fn folded_name(&self) -> Vec<u16> {
        folded_units(self.file_name()).collect()
    }

    /// Returns the directories above this path, outermost first.
    pub(crate) fn ancestors(&self) -> Vec<Self> {
        let mut above: Vec<_> = std::iter::successors(self.parent(), Self::parent).collect();
        above.reverse();
        above
    }

    /// Returns the path of `name` (one or more components) inside this directory.
    ///
    /// # Errors
    ///
    /// Same as [`parse`](Self::parse).
    pub fn join(&self, name: &[u8]) -> Result<Self, PathError> {
        let mut joined = self.as_bytes().to_vec();
        joined.push(b'/');
        joined.extend_from_slice(name);
        Self::parse(&joined)
    }

    /// Returns whether this path is below `directory`, at any depth, by the NTFS comparison.
    pub fn is_below(&self, directory: &Self) -> bool {
        let (own, directory) = self.behind_shared(directory);
        let mut own = folded_units(own);
        folded_units(directory).all(|unit| own.next() == Some(unit))
            && own.next() == Some(u16::from(b'/'))
    }

    /// Passes the [`folded_units`](Self::folded_units) as little-endian bytes, piece by piece: equal
    /// paths in equal pieces.
    pub(crate) fn for_folded_bytes(&self, take: impl FnMut(&[u8])) {
        for_folded_bytes(self.as_bytes(), take);
    }

    /// Iterates over the UTF-16 units of the path, with `/` between components, in upper case by the
    /// NTFS rule: two paths name the same file if and only if these are equal.
    pub fn folded_units(&self) -> impl Iterator<Item = u16> + '_ {
        folded_units(self.as_bytes())
    }

    /// Compares paths in the order of a walk through a tree: the content of a directory comes right
    /// after it.
    pub(crate) fn walk_cmp(&self, other: &Self) -> Ordering {
        fn units(path: &[u8]) -> impl Iterator<Item = u16> + '_ {
            let before_all = |unit| if unit == u16::from(b'/') { 0 } else { unit };
            folded_units(path).map(before_all)
        }
        let (own, other) = self.behind_shared(other);
        units(own).cmp(units(other))
    }
}

/// Passes the [`folded_units`] as little-endian bytes, piece by piece.
pub(crate) fn for_folded_bytes(text: &[u8], mut take: impl FnMut(&[u8])) {
    let mut units = folded_units(text);
    let mut piece = [0; 128];
    loop {
        let mut filled = 0;
        for (place, unit) in piece.chunks_exact_mut(2).zip(units.by_ref()) {
            place.copy_from_slice(&unit.to_le_bytes());
            filled += 2;
        }
        take(&piece[..filled]);
        if filled < piece.len() {
            return;
        }
    }
}

/// Iterates over the UTF-16 units of a WTF-8 text in upper case by the NTFS rule.
pub(crate) fn folded_units(text: &[u8]) -> impl Iterator<Item = u16> + '_ {
    let ascii = text.is_ascii();
    let narrow = if ascii { text } else { &[] };
    let wide = if ascii {
        Vec::new()
    } else {
        wide::from_wtf8(text)
    };
    narrow
        .iter()
        .map(|byte| u16::from(byte.to_ascii_uppercase()))
        .chain(wide.into_iter().map(upcase::upcase_unit))
}

/// Checks one component and returns its length in UTF-16 units.
fn check_component(component: &[u8]) -> Result<usize, PathError> {
    if component == b".." {
        return Err(PathError::ParentComponent);
    }
    if component.contains(&0) {
        return Err(PathError::Nul);
    }
    if component.contains(&b':') {
        return Err(PathError::Colon {
            component: wide::display(component).into_owned(),
        });
    }
    match utf16_len(component) {
        units @ 0..=MAX_COMPONENT_UNITS => Ok(units),
        units => Err(PathError::ComponentTooLong { units }),
    }
}

/// Returns whether Win32 takes a component, up to its first dot, for a device, in whatever directory
/// it is. The Latin-1 digits `¹`, `²` and `³` count as well.
///
/// Source: Microsoft, "Naming Files, Paths, and Namespaces".
pub(crate) fn is_device(name: &[u8]) -> bool {
    let stem = name.split(|byte| *byte == b'.').next().unwrap_or_default();
    let stem = String::from_utf8_lossy(stem.trim_ascii_end()).to_ascii_uppercase();
    if matches!(&*stem, "CON" | "PRN" | "AUX" | "NUL" | "CONIN$" | "CONOUT$") {
        return true;
    }
    let number = stem
        .strip_prefix("COM")
        .or_else(|| stem.strip_prefix("LPT"));
    let mut number = number.unwrap_or_default().chars();
    let is_port = matches!(number.next(), Some('1'..='9' | '¹' | '²' | '³'));
    is_port && number.next().is_none()
}

/// Counts the UTF-16 units of a WTF-8 text without decoding it: two for each four-byte sequence, one
/// for every other.
fn utf16_len(wtf8: &[u8]) -> usize {
    wtf8.iter()
        .map(|byte| match byte {
            0x80..=0xBF => 0,
            0xF0.. => 2,
            _ => 1,
        })
        .sum()
}

impl PartialEq for LayerPath {
    fn eq(&self, other: &Self) -> bool {
        let (own, other) = self.behind_shared(other);
        own == other || folded_units(own).eq(folded_units(other))
    }
}

impl Eq for LayerPath {}

impl Hash for LayerPath {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.for_folded_bytes(|bytes| state.write(bytes));
        state.write_u16(0);
    }
}

impl PartialOrd for LayerPath {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for LayerPath {
    fn cmp(&self, other: &Self) -> Ordering {
        let (own, other) = self.behind_shared(other);
        folded_units(own).cmp(folded_units(other))
    }
}

impl fmt::Display for LayerPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&wide::display(self.as_bytes()))
    }
}

impl fmt::Debug for LayerPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", wide::display(self.as_bytes()))
    }
}

impl FromStr for LayerPath {
    type Err = PathError;

    fn from_str(text: &str) -> Result<Self, PathError> {
        Self::parse(text.as_bytes())
    }
}

/// The name of an alternate data stream: `Zone.Identifier` of `setup.exe:Zone.Identifier`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamName {
    wtf8: Box<[u8]>,
}

impl StreamName {
    /// The type suffix that Windows adds to the name of a data stream.
    const DATA_SUFFIX: &'static [u8] = b":$DATA";

    /// Parses a stream's name, with or without the suffix `:$DATA`.
    ///
    /// # Errors
    ///
    /// Returns [`PathError::StreamName`] if the name is empty or contains a separator, a NUL or another
    /// stream type, and [`PathError::ComponentTooLong`] if it has more than 255 UTF-16 units.
    pub fn parse(name: &[u8]) -> Result<Self, PathError> {
        let repaired = wide::to_wtf8(&wide::from_wtf8(name));
        let bare = strip_data_suffix(&repaired);
        let units = utf16_len(bare);
        if bare.is_empty()
            || bare
                .iter()
                .any(|byte| matches!(byte, b'/' | b'\\' | b':' | 0))
        {
            return Err(PathError::StreamName {
                name: wide::display(name).into_owned(),
            });
        }
        if units > MAX_COMPONENT_UNITS {
            return Err(PathError::ComponentTooLong { units });
        }
        Ok(Self { wtf8: bare.into() })
    }

    /// Returns the bare name as WTF-8.
    pub fn as_bytes(&self) -> &[u8] {
        &self.wtf8
    }

    /// Returns the bare name in UTF-16.
    pub fn to_utf16(&self) -> Vec<u16> {
        wide::from_wtf8(&self.wtf8)
    }

    /// Returns whether both name the same stream of a file, by the NTFS comparison.
    pub fn is_same(&self, other: &Self) -> bool {
        folded_units(&self.wtf8).eq(folded_units(&other.wtf8))
    }

    /// Returns its UTF-16 units in upper case by the NTFS rule.
    pub(crate) fn folded(&self) -> Vec<u16> {
        folded_units(&self.wtf8).collect()
    }
}

impl fmt::Display for StreamName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&wide::display(&self.wtf8))
    }
}

/// Cuts `:$DATA` (in any case) from the end of a stream's name.
fn strip_data_suffix(name: &[u8]) -> &[u8] {
    let cut = name.len().saturating_sub(StreamName::DATA_SUFFIX.len());
    if name[cut..].eq_ignore_ascii_case(StreamName::DATA_SUFFIX) {
        &name[..cut]
    } else {
        name
    }
}

/// Splits a name of a tar into the file and the alternate data stream, if it names one
/// (`dir/file:stream`).
///
/// # Errors
///
/// Returns [`PathError`] if either part is not valid; [`PathError::Drive`] for `C:\x`.
pub fn split_stream(name: &[u8]) -> Result<(LayerPath, Option<StreamName>), PathError> {
    let last = name
        .iter()
        .rposition(|byte| matches!(byte, b'/' | b'\\'))
        .map_or(0, |at| at + 1);
    match name[last..].iter().position(|byte| *byte == b':') {
        Some(colon) if last + colon > 1 => {
            let file = LayerPath::parse(&name[..last + colon])?;
            Ok((file, Some(StreamName::parse(&name[last + colon + 1..])?)))
        }
        _ => Ok((LayerPath::parse(name)?, None)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> LayerPath {
        text.parse().expect(text)
    }

    #[test]
    fn what_paths_share_does_not_change_how_they_compare() {
        let texts = [
            "a",
            "A",
            "a/b",
            "A/b",
            "a/B",
            "a/bc",
            "a/b/c",
            "ab",
            "a b/c",
            "a-b",
            "a/b-c/d",
            "ä/b",
            "Ä/b",
            "Ä/B/c",
            "a/ä",
            "a/Ä",
            "a/\u{10400}",
            "a/\u{10428}",
        ];
        for left in texts {
            for right in texts {
                let (left, right) = (path(left), path(right));
                let folded = |path: &LayerPath| path.folded_units().collect::<Vec<_>>();
                let (own, other) = (folded(&left), folded(&right));
                assert_eq!(left.cmp(&right), own.cmp(&other), "{left} {right}");
                assert_eq!(left == right, own == other, "{left} {right}");
                let below = [&other[..], &[u16::from(b'/')]].concat();
                assert_eq!(
                    left.is_below(&right),
                    own.starts_with(&below),
                    "{left} {right}"
                );
                let shared = left.components().zip(right.components());
                let shared = shared.take_while(|(own, other)| own == other).count();
                assert_eq!(left.shared_depth(&right), shared, "{left} {right}");
            }
        }
        let long = path(&["Dir"; 200].join("/"));
        let above: LayerPath = long.parent().expect("deep");
        assert_eq!(long.shared_depth(&above), 199);
        assert_eq!(path(&long.to_string()).shared_depth(&long), 200);
        assert!(long.is_below(&above) && above < long);
    }

    #[test]
    fn separators_and_dots_give_one_canonical_form() {
        for spelling in ["Files/a/b", r"Files\a\b", "./Files//a/./b/", r"Files/a\b"] {
            assert_eq!(path(spelling).as_bytes(), b"Files/a/b", "{spelling}");
        }
    }

    #[test]
    fn hostile_names_are_refused() {
        let long = "x".repeat(256);
        for (name, error) in [
            ("", PathError::Empty),
            ("./.", PathError::Empty),
            ("/Files", PathError::Absolute),
            (r"\\server\share", PathError::Absolute),
            (r"C:\Files", PathError::Drive),
            ("c:x", PathError::Drive),
            ("Files/../x", PathError::ParentComponent),
            (r"Files\..\x", PathError::ParentComponent),
            ("Files/a\0b", PathError::Nul),
            (
                "Files/a:b",
                PathError::Colon {
                    component: "a:b".into(),
                },
            ),
            (&long, PathError::ComponentTooLong { units: 256 }),
            (
                &"dd/".repeat(16_384),
                PathError::PathTooLong { units: 49_151 },
            ),
        ] {
            assert_eq!(
                LayerPath::parse(name.as_bytes()).expect_err(name),
                error,
                "{name}"
            );
        }
        assert!(LayerPath::parse("d/".repeat(MAX_DEPTH).as_bytes()).is_ok());
    }

    #[test]
    fn devices_are_known_by_their_names() {
        let ports = ["COM", "LPT"].into_iter().flat_map(|port| {
            ('1'..='9')
                .chain(['¹', '²', '³'])
                .map(move |number| format!("{port}{number}"))
        });
        let others = ["CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"].map(str::to_owned);
        for name in ports.chain(others) {
            for spelled in [
                &name,
                &name.to_lowercase(),
                &format!("{name}.txt"),
                &format!("{name} .x"),
            ] {
                assert!(is_device(spelled.as_bytes()), "{spelled}");
            }
            for other in [format!("x{name}"), format!("{name}x"), format!("x.{name}")] {
                assert!(!is_device(other.as_bytes()), "{other}");
            }
        }
        assert!(!is_device(b"COM0") && !is_device(b"COM10") && !is_device(b"COM"));
    }

    #[test]
    fn comparison_ignores_case_as_ntfs_does_and_keeps_the_spelling() {
        assert_eq!(path("Files/ÄÖ.TXT"), path("files/äö.txt"));
        assert_ne!(path("Files/straße"), path("Files/STRASSE"));
        assert_eq!(path("files/X").to_string(), "files/X");
        assert_eq!(path("a/b").cmp(&path("A/B")), Ordering::Equal);
    }

    #[test]
    fn parent_name_and_below() {
        let file = path("Files/dir/x.txt");
        assert_eq!(file.file_name(), b"x.txt");
        assert_eq!(file.parent(), Some(path("Files/dir")));
        assert_eq!(path("Files").parent(), None);
        assert!(file.is_below(&path("FILES")) && file.is_below(&path("files/DIR")));
        assert!(!path("Files2").is_below(&path("Files")) && !file.is_below(&file));
    }

    #[test]
    fn an_unpaired_surrogate_survives() {
        let units = [0x46, 0xD800, 0x5C, 0x61];
        let path = LayerPath::from_utf16(&units).expect("a legal NTFS name");
        assert_eq!(path.to_utf16(), units);
    }

    #[test]
    fn streams_are_split_from_the_last_component_only() {
        for (name, file, stream) in [
            ("Files/a:s", "Files/a", Some("s")),
            ("Files/a:s:$DATA", "Files/a", Some("s")),
            ("Files/a:s:$data", "Files/a", Some("s")),
            ("Files/d/:s", "Files/d", Some("s")),
            ("Files/a", "Files/a", None),
        ] {
            let (got, got_stream) = split_stream(name.as_bytes()).expect(name);
            assert_eq!(got.to_string(), file);
            assert_eq!(
                got_stream.map(|stream| stream.to_string()).as_deref(),
                stream
            );
        }
        for name in [
            "C:x",
            "Files/a:",
            "Files/a:b:c",
            "Files/a::$DATA",
            "C:/x",
            ":s",
            "a:b/c",
        ] {
            assert!(split_stream(name.as_bytes()).is_err(), "{name}");
        }
    }
}
