//! `FILE_BASIC_INFO`: the four times and the attributes of a file, 40 bytes.
//!
//! `GetFileInformationByHandleEx` fills in this structure, and `ImportLayerNext` takes it for every
//! file. All fields are little-endian: four times in ticks, the attributes, then four bytes of
//! padding, which are written as zero and ignored when read.
//!
//! Source: `FILE_BASIC_INFO` (`winbase.h`), [MS-FSCC] 2.4.7; go-winio `fileinfo.go`.

use crate::attributes::FileAttributes;
use crate::time::FileTime;

/// The times and attributes of a file.
///
/// ```
/// use ntmeta::{FileAttributes, FileBasicInfo, FileTime};
///
/// let info = FileBasicInfo {
///     last_write_time: FileTime::UNIX_EPOCH,
///     attributes: FileAttributes::ARCHIVE,
///     ..FileBasicInfo::default()
/// };
/// let bytes = info.to_bytes();
/// assert_eq!(bytes[32], 0x20);
/// assert_eq!(FileBasicInfo::from_bytes(&bytes), info);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct FileBasicInfo {
    /// When the file was created.
    pub creation_time: FileTime,
    /// When the file was last read; Windows updates this time lazily.
    pub last_access_time: FileTime,
    /// When the content was last written.
    pub last_write_time: FileTime,
    /// When content or metadata last changed; `ctime` in a tar.
    pub change_time: FileTime,
    /// The attributes.
    pub attributes: FileAttributes,
}

impl FileBasicInfo {
    /// Encodes the structure as Windows lays it out, little-endian.
    pub fn to_bytes(&self) -> [u8; 40] {
        let times = [
            self.creation_time,
            self.last_access_time,
            self.last_write_time,
            self.change_time,
        ];
        let mut bytes = [0; 40];
        let (chunks, _) = bytes.as_chunks_mut::<8>();
        for (chunk, time) in chunks.iter_mut().zip(times) {
            *chunk = time.ticks().to_le_bytes();
        }
        bytes[32..36].copy_from_slice(&self.attributes.bits().to_le_bytes());
        bytes
    }

    /// Returns a copy whose times Windows can store: later ones become
    /// [`FileTime::LATEST_STORED`]. Times of 0, which make Windows leave a time unchanged, stay 0.
    #[must_use]
    pub fn with_storable_times(self) -> Self {
        let storable = |time: FileTime| time.min(FileTime::LATEST_STORED);
        Self {
            creation_time: storable(self.creation_time),
            last_access_time: storable(self.last_access_time),
            last_write_time: storable(self.last_write_time),
            change_time: storable(self.change_time),
            attributes: self.attributes,
        }
    }

    /// Decodes the structure as Windows lays it out, little-endian.
    pub fn from_bytes(bytes: &[u8; 40]) -> Self {
        let word = |index: usize| {
            let mut word = [0; 8];
            word.copy_from_slice(&bytes[index * 8..index * 8 + 8]);
            u64::from_le_bytes(word)
        };
        Self {
            creation_time: FileTime::from_ticks(word(0)),
            last_access_time: FileTime::from_ticks(word(1)),
            last_write_time: FileTime::from_ticks(word(2)),
            change_time: FileTime::from_ticks(word(3)),
            attributes: FileAttributes::from_bits_retain(word(4) as u32),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn fields_are_little_endian_and_in_windows_order() {
        let info = FileBasicInfo {
            creation_time: FileTime::from_ticks(1),
            last_access_time: FileTime::from_ticks(2),
            last_write_time: FileTime::from_ticks(3),
            change_time: FileTime::from_ticks(0x0102_0304_0506_0708),
            attributes: FileAttributes::from_bits_retain(0x8000_0020),
        };
        let mut expected = [0; 40];
        expected[0] = 1;
        expected[8] = 2;
        expected[16] = 3;
        expected[24..32].copy_from_slice(&[8, 7, 6, 5, 4, 3, 2, 1]);
        expected[32..36].copy_from_slice(&[0x20, 0, 0, 0x80]);
        assert_eq!(info.to_bytes(), expected);
        assert_eq!(FileBasicInfo::from_bytes(&expected), info);
    }

    #[test]
    fn times_that_windows_reads_as_negative_become_the_latest() {
        let info = FileBasicInfo {
            creation_time: FileTime::from_ticks(u64::MAX),
            last_access_time: FileTime::from_ticks(1 << 63),
            last_write_time: FileTime::LATEST_STORED,
            change_time: FileTime::from_ticks(0),
            attributes: FileAttributes::READONLY,
        };
        let expected = FileBasicInfo {
            creation_time: FileTime::LATEST_STORED,
            last_access_time: FileTime::LATEST_STORED,
            ..info
        };
        assert_eq!(info.with_storable_times(), expected);
    }

    proptest! {
        #[test]
        fn everything_except_padding_survives(mut bytes: [[u8; 8]; 5], padding: [u8; 4]) {
            bytes[4][4..].copy_from_slice(&padding);
            let mut flat = [0; 40];
            flat.copy_from_slice(bytes.as_flattened());
            let written = FileBasicInfo::from_bytes(&flat).to_bytes();
            prop_assert_eq!(&written[..36], &flat[..36]);
            prop_assert_eq!(&written[36..], &[0; 4]);
        }
    }
}
