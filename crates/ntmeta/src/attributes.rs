//! File attributes: the `FILE_ATTRIBUTE_*` bits of a file.
//!
//! A layer tar stores them as a decimal number in the PAX record `MSWINDOWS.fileattr`
//! ([`FileAttributes::parse_decimal`]); a file in a transport folder starts with them, in four
//! bytes. Bits without a name are kept, so every number survives a round trip.
//!
//! Source: `winnt.h` and [MS-FSCC] 2.6; for the record, go-winio `backuptar/tar.go`,
//! `FileInfoFromHeader` (Go `strconv.ParseUint(text, 10, 32)`).

use std::borrow::Cow;
use std::fmt;

/// Text that is not a 32-bit decimal number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AttributesError {
    /// The text is empty.
    #[error("file attributes are empty")]
    Empty,
    /// A byte is not a decimal digit; signs and blanks are not allowed either.
    #[error("byte {offset} of the file attributes is {actual:#04x}, not a decimal digit")]
    NotADigit {
        /// Byte offset in the text.
        offset: usize,
        /// The byte at that offset.
        actual: u8,
    },
    /// The number is 2^32 or more.
    #[error("file attributes of {digits} digits do not fit into 32 bits")]
    TooLarge {
        /// Number of digits.
        digits: usize,
    },
}

bitflags::bitflags! {
    /// The attributes of a file or directory; unknown bits are kept.
    ///
    /// ```
    /// use ntmeta::FileAttributes;
    ///
    /// let attributes = FileAttributes::parse_decimal("1040")?;
    /// assert_eq!(attributes, FileAttributes::DIRECTORY | FileAttributes::REPARSE_POINT);
    /// assert_eq!(attributes.to_string(), "DIRECTORY|REPARSE_POINT");
    /// assert_eq!(attributes.bits().to_string(), "1040");
    /// # Ok::<(), ntmeta::AttributesError>(())
    /// ```
    #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
    pub struct FileAttributes: u32 {
        /// The file cannot be changed or deleted.
        const READONLY = 0x1;
        /// Ordinary listings omit the file.
        const HIDDEN = 0x2;
        /// The file belongs to the operating system.
        const SYSTEM = 0x4;
        /// The object is a directory.
        const DIRECTORY = 0x10;
        /// The file has changed since the last backup.
        const ARCHIVE = 0x20;
        /// Reserved for devices.
        const DEVICE = 0x40;
        /// No other attribute is set; only valid on its own.
        const NORMAL = 0x80;
        /// The file is temporary.
        const TEMPORARY = 0x100;
        /// Parts of the file may occupy no disk space.
        const SPARSE_FILE = 0x200;
        /// The file has a reparse point.
        const REPARSE_POINT = 0x400;
        /// The file system stores the content compressed.
        const COMPRESSED = 0x800;
        /// The content is not available immediately.
        const OFFLINE = 0x1000;
        /// The indexing service skips the file.
        const NOT_CONTENT_INDEXED = 0x2000;
        /// The file system stores the content encrypted.
        const ENCRYPTED = 0x4000;
        /// The content is protected by checksums (ReFS).
        const INTEGRITY_STREAM = 0x8000;
        /// Reserved.
        const VIRTUAL = 0x1_0000;
        /// The data scrubber skips the file.
        const NO_SCRUB_DATA = 0x2_0000;
        /// The file has extended attributes; in listings of cloud files, recall on open.
        const EA = 0x4_0000;
        /// The content must be kept on this machine.
        const PINNED = 0x8_0000;
        /// The content does not have to be kept on this machine.
        const UNPINNED = 0x10_0000;
        /// The content is fetched when it is read.
        const RECALL_ON_DATA_ACCESS = 0x40_0000;
        /// The file is only written sequentially (SMR disks).
        const STRICTLY_SEQUENTIAL = 0x2000_0000;
        const _ = !0;
    }
}

impl FileAttributes {
    /// The second meaning of [`FileAttributes::EA`]: the content is fetched on open.
    pub const RECALL_ON_OPEN: Self = Self::EA;

    /// Parses the PAX record `MSWINDOWS.fileattr`, which consists of decimal digits only.
    ///
    /// # Errors
    ///
    /// Returns [`AttributesError`] if the text is empty, contains anything but digits, or is 2^32
    /// or more.
    pub fn parse_decimal(text: &str) -> Result<Self, AttributesError> {
        if text.is_empty() {
            return Err(AttributesError::Empty);
        }
        if let Some((offset, actual)) = text
            .bytes()
            .enumerate()
            .find(|(_, byte)| !byte.is_ascii_digit())
        {
            return Err(AttributesError::NotADigit { offset, actual });
        }
        text.parse()
            .map(Self::from_bits_retain)
            .map_err(|_| AttributesError::TooLarge { digits: text.len() })
    }

    /// Returns the names of the bits that are set, lowest first. Bits without a name come last, as
    /// one hexadecimal item.
    pub fn names(&self) -> impl Iterator<Item = Cow<'static, str>> + use<> {
        let known = self.iter_names();
        let unknown = self.difference(Self::all_named()).bits();
        let unknown = (unknown != 0).then(|| Cow::Owned(format!("{unknown:#x}")));
        known.map(|(name, _)| Cow::Borrowed(name)).chain(unknown)
    }

    fn all_named() -> Self {
        Self::all()
            .iter_names()
            .fold(Self::empty(), |all, (_, flag)| all.union(flag))
    }
}

/// Writes the names separated by `|`, or `0` if no bit is set.
impl fmt::Display for FileAttributes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("0");
        }
        for (index, name) in self.names().enumerate() {
            if index > 0 {
                f.write_str("|")?;
            }
            f.write_str(&name)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_a_32_bit_decimal_number_is_accepted() {
        use AttributesError::{Empty, NotADigit, TooLarge};
        let not_a_digit = |offset, actual| Err(NotADigit { offset, actual });
        for (text, expected) in [
            ("0", Ok(0)),
            ("32", Ok(0x20)),
            ("0000001040", Ok(0x410)),
            ("4294967295", Ok(u32::MAX)),
            ("4294967296", Err(TooLarge { digits: 10 })),
            ("", Err(Empty)),
            ("-1", not_a_digit(0, b'-')),
            ("+32", not_a_digit(0, b'+')),
            ("0x20", not_a_digit(1, b'x')),
            (" 32", not_a_digit(0, b' ')),
            ("32.0", not_a_digit(2, b'.')),
        ] {
            let expected = expected.map(FileAttributes::from_bits_retain);
            assert_eq!(FileAttributes::parse_decimal(text), expected, "{text}");
        }
    }

    #[test]
    fn display_names_each_bit_and_keeps_unknown_ones() {
        for (bits, text) in [
            (0, "0"),
            (0x20, "ARCHIVE"),
            (0x410, "DIRECTORY|REPARSE_POINT"),
            (0x4_0000, "EA"),
            (0x8000_0009, "READONLY|0x80000008"),
        ] {
            assert_eq!(FileAttributes::from_bits_retain(bits).to_string(), text);
        }
    }

    proptest! {
        #[test]
        fn every_number_survives(bits: u32) {
            let parsed = FileAttributes::parse_decimal(&bits.to_string());
            prop_assert_eq!(parsed, Ok(FileAttributes::from_bits_retain(bits)));
        }

        #[test]
        fn no_text_panics(text: String) {
            let _ = FileAttributes::parse_decimal(&text);
        }
    }
}
