//! Registry hives: recognises valid ones and builds empty ones.
//!
//! A hive consists of a base block of 4,096 bytes followed by bins of cells. A base layer has five
//! complete hives; every other layer has five hives of differences (delta hives). This module knows
//! the following fields of the base block, all little-endian:
//!
//! | bytes | field |
//! |---|---|
//! | 0 | `regf` |
//! | 4, 8 | first and second sequence number; equal unless a write was in progress |
//! | 12 | time of the last write |
//! | 20, 24 | major version 1, minor version |
//! | 28, 32 | file type, 0 for a hive (not a log); memory format, 1 |
//! | 36 | offset of the root key, from the first bin |
//! | 40 | total length of the bins, a multiple of 4,096 |
//! | 44 | clustering factor, 1 |
//! | 48 | end of the file's path, 64 bytes of UTF-16 |
//! | 144 | flags; 2: keys may be layered (delta hives) |
//! | 168 | time of the last reorganisation |
//! | 176, 180 | `OfRg` and 1 in hives written by the offline registry library |
//! | 508 | checksum: XOR of the 127 words before it, with 0 replaced by 1 and -1 by -2 |
//! | 512 | time at which the offline registry library wrote the hive |
//!
//! [`check`] validates a base block, [`says_nothing`] examines the root key, and [`empty`] and
//! [`empty_delta`] build hives without values.
//!
//! Source: msuhanov's regf specification. The flag for layered keys and `OfRg` were observed in a
//! `Software_Delta` of a real container (minor version 6), the base form in an empty hive from
//! Microsoft (minor version 3).

mod empty;

pub use self::empty::{empty, empty_delta};

/// Length of the base block, in bytes.
pub const BASE_BLOCK_SIZE: usize = 4096;
/// Length of the part of the base block covered by its checksum, including the checksum, in bytes.
pub const CHECKED_SIZE: usize = 512;

const SIGNATURE: &[u8; 4] = b"regf";
const MAJOR_VERSION: u32 = 1;
const MINOR_VERSIONS: std::ops::RangeInclusive<u32> = 3..=6;
const CHECKSUM_AT: usize = 508;
/// Bins are multiples of this size, in bytes.
const BIN_UNIT: u32 = 4096;
/// Length of a bin's header, in bytes.
const BIN_HEADER_SIZE: u32 = 32;

/// The reason why a file is not a usable hive; offsets are bytes from the start of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HiveError {
    /// The file, or the available part of its base block, is too short.
    #[error("a registry hive has at least {expected} bytes, but this file has {actual}")]
    TooShort {
        /// The minimum length, in bytes.
        expected: u64,
        /// The actual length, in bytes.
        actual: u64,
    },
    /// The file does not start with the signature of hives.
    #[error("not a registry hive: the file does not start with `regf`")]
    Signature,
    /// The checksum is wrong.
    #[error(
        "the base block has the checksum {actual:#010x}, but its content yields {expected:#010x}"
    )]
    Checksum {
        /// The checksum of the content.
        expected: u32,
        /// The stored checksum.
        actual: u32,
    },
    /// The file was copied during a write; the missing changes are in its transaction log.
    #[error("sequence numbers {first} and {second} differ: the hive needs its transaction log")]
    Unfinished {
        /// The number before the last write.
        first: u32,
        /// The number after the last write.
        second: u32,
    },
    /// A field has a value that is invalid in a hive.
    #[error("byte {offset} of the hive: {field} is {actual:#x}")]
    Field {
        /// The name of the field.
        field: &'static str,
        /// Offset of the field.
        offset: usize,
        /// The value.
        actual: u32,
    },
    /// The bins extend past the end of the file.
    #[error("the base block declares {bins} bytes of bins, but the file has room for {room}")]
    BinsTooLong {
        /// The length declared in the base block, in bytes.
        bins: u32,
        /// Length of the file without the base block, in bytes.
        room: u64,
    },
}

/// Validates the base block of a hive. `header` is the start of a file of `file_length` bytes;
/// its first [`CHECKED_SIZE`] bytes are examined.
///
/// # Errors
///
/// Returns [`HiveError`] if the file is too short (or empty), is not a hive, is damaged, was copied
/// during a write, or has a version outside 1.3 to 1.6.
pub fn check(header: &[u8], file_length: u64) -> Result<(), HiveError> {
    let least = (BASE_BLOCK_SIZE as u64) + u64::from(BIN_UNIT);
    if file_length < least {
        return Err(HiveError::TooShort {
            expected: least,
            actual: file_length,
        });
    }
    let header = header
        .first_chunk::<CHECKED_SIZE>()
        .ok_or(HiveError::TooShort {
            expected: CHECKED_SIZE as u64,
            actual: header.len() as u64,
        })?;
    if !header.starts_with(SIGNATURE) {
        return Err(HiveError::Signature);
    }
    let (expected, actual) = (checksum(header), word(header, CHECKSUM_AT));
    if expected != actual {
        return Err(HiveError::Checksum { expected, actual });
    }
    let (first, second) = (word(header, 4), word(header, 8));
    if first != second {
        return Err(HiveError::Unfinished { first, second });
    }
    check_fields(header)?;
    let (bins, room) = (word(header, 40), file_length - BASE_BLOCK_SIZE as u64);
    if u64::from(bins) > room {
        return Err(HiveError::BinsTooLong { bins, room });
    }
    Ok(())
}

/// Returns whether a hive that begins with `start` certainly contains neither keys nor values, so
/// that, as a delta, it changes nothing. This is also true for an empty file.
///
/// The following parts of the root key's cell are read, with offsets after the cell's size: `nk` at
/// 0, the layer semantics in the low two bits of byte 13, the number of subkeys at 20, and the
/// number of values at 36.
pub fn says_nothing(start: &[u8]) -> bool {
    if start.is_empty() {
        return true;
    }
    let word_at = |at: usize| {
        let bytes = start.get(at..)?.first_chunk::<4>()?;
        Some(u32::from_le_bytes(*bytes))
    };
    let root = || {
        if !start.starts_with(SIGNATURE) {
            return None;
        }
        let key = BASE_BLOCK_SIZE + 4 + usize::try_from(word_at(36)?).ok()?;
        let is_key = start.get(key..)?.starts_with(b"nk");
        let semantics = start.get(key + 13)? & 0x3;
        Some(is_key && semantics == 0 && word_at(key + 20)? == 0 && word_at(key + 36)? == 0)
    };
    root().unwrap_or(false)
}

fn check_fields(header: &[u8; CHECKED_SIZE]) -> Result<(), HiveError> {
    let bins = word(header, 40);
    let is_cell = |at: u32| at >= BIN_HEADER_SIZE && at.is_multiple_of(8) && at < bins;
    let field = |field, offset, is_right: &dyn Fn(u32) -> bool| {
        let actual = word(header, offset);
        match is_right(actual) {
            true => Ok(()),
            false => Err(HiveError::Field {
                field,
                offset,
                actual,
            }),
        }
    };
    field("the major version", 20, &|value| value == MAJOR_VERSION)?;
    field("the minor version", 24, &|value| {
        MINOR_VERSIONS.contains(&value)
    })?;
    field("the type of the file", 28, &|value| value == 0)?;
    field("the format of the file", 32, &|value| value == 1)?;
    field("the length of the bins", 40, &|value| {
        value > 0 && value.is_multiple_of(BIN_UNIT)
    })?;
    field("the offset of the root key", 36, &is_cell)
}

/// Returns the checksum of a base block.
fn checksum(header: &[u8; CHECKED_SIZE]) -> u32 {
    let (words, _) = header[..CHECKSUM_AT].as_chunks::<4>();
    let sum = words
        .iter()
        .fold(0, |sum, word| sum ^ u32::from_le_bytes(*word));
    match sum {
        0 => 1,
        u32::MAX => u32::MAX - 1,
        sum => sum,
    }
}

fn word(header: &[u8; CHECKED_SIZE], at: usize) -> u32 {
    let mut word = [0; 4];
    word.copy_from_slice(&header[at..at + 4]);
    u32::from_le_bytes(word)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn changed(at: usize, value: u32) -> Vec<u8> {
        let mut hive = empty("System");
        hive[at..at + 4].copy_from_slice(&value.to_le_bytes());
        let header = hive.first_chunk().expect("a whole block");
        let sum = checksum(header);
        hive[CHECKSUM_AT..CHECKED_SIZE].copy_from_slice(&sum.to_le_bytes());
        hive
    }

    #[test]
    fn every_field_is_checked() {
        let error = |at, value| {
            let hive = changed(at, value);
            check(&hive, hive.len() as u64).err()
        };
        let field = |field, offset, actual| {
            Some(HiveError::Field {
                field,
                offset,
                actual,
            })
        };
        assert_eq!(error(20, 1), None);
        assert_eq!(error(24, 6), None);
        assert_eq!(error(0, 0), Some(HiveError::Signature));
        let (first, second) = (2, 1);
        assert_eq!(error(4, 2), Some(HiveError::Unfinished { first, second }));
        assert_eq!(error(20, 2), field("the major version", 20, 2));
        assert_eq!(error(24, 2), field("the minor version", 24, 2));
        assert_eq!(error(24, 7), field("the minor version", 24, 7));
        assert_eq!(error(28, 6), field("the type of the file", 28, 6));
        assert_eq!(error(32, 0), field("the format of the file", 32, 0));
        for at in [0, 24, 36, 4096, u32::MAX] {
            assert_eq!(error(36, at), field("the offset of the root key", 36, at));
        }
        for bins in [0, 4095, 5000] {
            assert_eq!(error(40, bins), field("the length of the bins", 40, bins));
        }
        let (bins, room) = (8192, 4096);
        assert_eq!(error(40, bins), Some(HiveError::BinsTooLong { bins, room }));
    }

    #[test]
    fn short_and_damaged_files_are_rejected() {
        let hive = empty("Sam");
        let too_short = |expected, actual| Err(HiveError::TooShort { expected, actual });
        assert_eq!(check(&[], 0), too_short(8192, 0));
        assert_eq!(check(&hive, 8191), too_short(8192, 8191));
        assert_eq!(check(&hive[..511], 8192), too_short(512, 511));
        assert_eq!(check(&hive[..512], 8192), Ok(()));
        let mut damaged = hive;
        damaged[200] ^= 1;
        assert!(matches!(
            check(&damaged, 8192),
            Err(HiveError::Checksum { .. })
        ));
    }

    #[test]
    fn only_an_empty_root_says_nothing() {
        let hive = empty_delta("Software_Delta");
        assert!(says_nothing(&[]) && says_nothing(&hive) && says_nothing(&empty("SOFTWARE")));
        let root = BASE_BLOCK_SIZE + BIN_HEADER_SIZE as usize + 4;
        for at in [0, root, root + 13, root + 20, root + 36] {
            let mut changed = hive.clone();
            changed[at] ^= 1;
            assert!(!says_nothing(&changed), "byte {at}");
        }
        assert!(!says_nothing(&hive[..root + 38]));
        assert!(!says_nothing(b"regf"));
    }

    #[test]
    fn a_checksum_is_never_0_or_minus_1() {
        let mut header = [0; CHECKED_SIZE];
        assert_eq!(checksum(&header), 1);
        header[..4].fill(0xff);
        assert_eq!(checksum(&header), 0xffff_fffe);
    }

    proptest! {
        #[test]
        fn no_input_panics(
            bytes in prop::collection::vec(any::<u8>(), 0..600), length: u64,
        ) {
            prop_assert!(check(&bytes, length).is_err());
            says_nothing(&bytes);
        }

        #[test]
        fn one_wrong_bit_is_detected(at in 0..CHECKED_SIZE, bit in 0..8u32) {
            let mut hive = empty_delta("Software_Delta");
            hive[at] ^= 1 << bit;
            prop_assert!(check(&hive, hive.len() as u64).is_err());
        }
    }
}
