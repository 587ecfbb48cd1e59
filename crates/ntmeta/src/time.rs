//! File times: 100 ns ticks since 1601-01-01 UTC, and their spelling in a tar.
//!
//! [`FileTime`] is the 64-bit number stored in `FILE_BASIC_INFO`. In a layer tar, a time is a PAX
//! record such as `1700000000.1234567`, in seconds since 1970; [`FileTime::parse_pax`] and
//! [`FileTime::to_pax`] convert between the two. All 2^64 values are supported, from 1601 to the
//! year 60056. The reference implementation uses a signed 64-bit count of nanoseconds, which
//! silently wraps around before 1677 and after 2262; between those years the results are the same.
//!
//! Source: `FILETIME` (`minwinbase.h`); POSIX `pax`, extended header records `atime` and `mtime`;
//! Go `archive/tar` `parsePAXTime` and `formatPAXTime` (`strconv.go`) for the accepted spellings;
//! go-winio `backuptar/strconv.go` and `file.go` for the truncation.

use std::fmt;
use std::time::{Duration, SystemTime};

const TICKS_PER_SECOND: i128 = 10_000_000;
const NANOSECONDS_PER_SECOND: i128 = 1_000_000_000;
const NANOSECONDS_PER_TICK: i128 = 100;

/// A value that is not a [`FileTime`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TimeError {
    /// The text is not a decimal number of seconds.
    #[error("the time is not a decimal number (byte {offset})")]
    Syntax {
        /// Offset of the first byte that is wrong or missing.
        offset: usize,
    },
    /// The number of seconds does not fit into 64 bits.
    #[error("the seconds of the time do not fit into 64 bits")]
    TooManySeconds,
    /// The time is before 1601-01-01 or more than 2^64 ticks after it.
    #[error("{seconds} seconds since 1970 is outside the range of a file time")]
    OutOfRange {
        /// Whole seconds since 1970-01-01 UTC.
        seconds: i64,
    },
    /// The nanoseconds add up to a second or more.
    #[error("{nanoseconds} nanoseconds is not less than a second")]
    Nanoseconds {
        /// The number of nanoseconds.
        nanoseconds: u32,
    },
}

impl TimeError {
    /// Returns the storable file time nearest to a time outside the range, which is either the
    /// earliest or the latest that Windows stores; `None` if the value is not a time at all.
    ///
    /// ```
    /// use ntmeta::FileTime;
    ///
    /// let error = FileTime::parse_pax("-62135596800").expect_err("before 1601");
    /// assert_eq!(error.nearest(), Some(FileTime::EARLIEST_STORED));
    /// ```
    pub fn nearest(self) -> Option<FileTime> {
        match self {
            Self::OutOfRange { seconds: ..0 } => Some(FileTime::EARLIEST_STORED),
            Self::OutOfRange { .. } => Some(FileTime::LATEST_STORED),
            _ => None,
        }
    }
}

/// A point in time: 100 ns ticks since 1601-01-01 UTC, as in `FILETIME`.
///
/// ```
/// use ntmeta::FileTime;
///
/// let time = FileTime::parse_pax("1700000000.1234567")?;
/// assert_eq!(time.ticks(), 133_444_736_001_234_567);
/// assert_eq!(time.to_string(), "2023-11-14T22:13:20.1234567Z");
/// # Ok::<(), ntmeta::TimeError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct FileTime(u64);

impl FileTime {
    /// 1970-01-01 00:00:00 UTC.
    pub const UNIX_EPOCH: Self = Self(116_444_736_000_000_000);

    /// The earliest time that a file can have: one tick after the start of 1601. Windows interprets
    /// 0 as "leave the time unchanged" ([MS-FSCC] 2.4.7).
    pub const EARLIEST_STORED: Self = Self(1);

    /// The latest time that a file can have, in the year 30828. Windows reads larger numbers as
    /// negative; -1 and -2 switch the updating of times off and on ([MS-FSCC] 2.4.7).
    pub const LATEST_STORED: Self = Self(i64::MAX.cast_unsigned());

    /// Creates a time from a number of 100 ns ticks since 1601-01-01 UTC.
    pub const fn from_ticks(ticks: u64) -> Self {
        Self(ticks)
    }

    /// Returns the number of 100 ns ticks since 1601-01-01 UTC.
    pub const fn ticks(self) -> u64 {
        self.0
    }

    /// Creates the time `seconds` + `nanoseconds` / 10^9 after 1970-01-01 UTC.
    ///
    /// Fractions of a tick are truncated towards 1970, as in the reference implementation.
    ///
    /// # Errors
    ///
    /// Returns [`TimeError::Nanoseconds`] if `nanoseconds` is 10^9 or more, and
    /// [`TimeError::OutOfRange`] if the time is outside the range of a file time.
    pub fn from_unix(seconds: i64, nanoseconds: u32) -> Result<Self, TimeError> {
        if i128::from(nanoseconds) >= NANOSECONDS_PER_SECOND {
            return Err(TimeError::Nanoseconds { nanoseconds });
        }
        let total = i128::from(seconds) * NANOSECONDS_PER_SECOND + i128::from(nanoseconds);
        Self::from_unix_nanoseconds(total)
    }

    /// Returns the whole seconds since 1970-01-01 UTC, rounded down, and the remaining nanoseconds.
    pub fn to_unix(self) -> (i64, u32) {
        let ticks = self.unix_ticks();
        let nanoseconds = ticks.rem_euclid(TICKS_PER_SECOND) * NANOSECONDS_PER_TICK;
        // Both fit: the seconds of 2^64 ticks need 41 bits.
        (
            ticks.div_euclid(TICKS_PER_SECOND) as i64,
            nanoseconds as u32,
        )
    }

    /// Parses the value of a PAX time record: decimal seconds since 1970.
    ///
    /// The text may start with `+` or `-` and must have a digit before any decimal point; any
    /// number of digits, even none (`1700000000.`), may follow the point. Fractions of a tick are
    /// truncated towards 1970. An empty text, which cancels a record in PAX, is an error here.
    ///
    /// # Errors
    ///
    /// Returns [`TimeError::Syntax`] or [`TimeError::TooManySeconds`] for text that Go rejects too,
    /// and [`TimeError::OutOfRange`] if the time is outside the range of a file time.
    pub fn parse_pax(text: &str) -> Result<Self, TimeError> {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let negative = whole.starts_with('-');
        let sign = usize::from(negative || whole.starts_with('+'));
        let digits = whole.get(sign..).unwrap_or_default();
        if digits.is_empty() {
            return Err(TimeError::Syntax { offset: sign });
        }
        check_digits(digits, sign)?;
        check_digits(fraction, whole.len() + 1)?;

        let seconds = whole
            .parse::<i64>()
            .map_err(|_| TimeError::TooManySeconds)?;
        let nanoseconds = fraction
            .bytes()
            .chain(std::iter::repeat(b'0'))
            .take(9)
            .fold(0, |sum, digit| sum * 10 + i128::from(digit - b'0'));
        let nanoseconds = if negative { -nanoseconds } else { nanoseconds };
        Self::from_unix_nanoseconds(i128::from(seconds) * NANOSECONDS_PER_SECOND + nanoseconds)
    }

    /// Formats the time as the value of a PAX time record, without trailing zeros.
    pub fn to_pax(self) -> String {
        let ticks = self.unix_ticks();
        let sign = if ticks < 0 { "-" } else { "" };
        let seconds = ticks.abs() / TICKS_PER_SECOND;
        match ticks.abs() % TICKS_PER_SECOND {
            0 => format!("{sign}{seconds}"),
            part => {
                let text = format!("{sign}{seconds}.{part:07}");
                text.trim_end_matches('0').to_owned()
            }
        }
    }

    fn from_unix_nanoseconds(total: i128) -> Result<Self, TimeError> {
        let ticks = i128::from(Self::UNIX_EPOCH.0) + total / NANOSECONDS_PER_TICK;
        u64::try_from(ticks).map(Self).map_err(|_| {
            let seconds = total.div_euclid(NANOSECONDS_PER_SECOND);
            let limit = if seconds < 0 { i64::MIN } else { i64::MAX };
            TimeError::OutOfRange {
                seconds: i64::try_from(seconds).unwrap_or(limit),
            }
        })
    }

    fn unix_ticks(self) -> i128 {
        i128::from(self.0) - i128::from(Self::UNIX_EPOCH.0)
    }
}

/// Writes ISO 8601 in UTC with seven fractional digits: `2023-11-14T22:13:20.1234567Z`.
impl fmt::Display for FileTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ticks_per_second = TICKS_PER_SECOND as u64;
        let (seconds, part) = (self.0 / ticks_per_second, self.0 % ticks_per_second);
        let (days, second) = (seconds / 86_400, seconds % 86_400);
        let (year, month, day) = civil_date(days);
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        write!(
            f,
            "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{part:07}Z"
        )
    }
}

/// Truncates fractions of a tick towards 1970.
impl TryFrom<SystemTime> for FileTime {
    type Error = TimeError;

    fn try_from(time: SystemTime) -> Result<Self, TimeError> {
        // The nanoseconds of a `Duration` need 94 bits.
        Self::from_unix_nanoseconds(match time.duration_since(SystemTime::UNIX_EPOCH) {
            Ok(after) => after.as_nanos() as i128,
            Err(error) => -(error.duration().as_nanos() as i128),
        })
    }
}

/// Fails if the clock of the host ends before the year 60056.
impl TryFrom<FileTime> for SystemTime {
    type Error = TimeError;

    fn try_from(time: FileTime) -> Result<Self, TimeError> {
        let (seconds, nanoseconds) = time.to_unix();
        let whole = Duration::from_secs(seconds.unsigned_abs());
        let start = if seconds < 0 {
            Self::UNIX_EPOCH.checked_sub(whole)
        } else {
            Self::UNIX_EPOCH.checked_add(whole)
        };
        start
            .and_then(|start| start.checked_add(Duration::from_nanos(u64::from(nanoseconds))))
            .ok_or(TimeError::OutOfRange { seconds })
    }
}

fn check_digits(text: &str, start: usize) -> Result<(), TimeError> {
    match text.bytes().position(|byte| !byte.is_ascii_digit()) {
        Some(index) => Err(TimeError::Syntax {
            offset: start + index,
        }),
        None => Ok(()),
    }
}

/// Converts days since 1601-01-01 to year, month and day of the proleptic Gregorian calendar.
///
/// Years are counted from March, so that the leap day is the last day of its year: 1601-01-01 is
/// day 306 of the 400-year cycle that starts on 1600-03-01.
fn civil_date(days_since_1601: u64) -> (u64, u64, u64) {
    const DAYS_PER_CYCLE: u64 = 146_097;
    let days = days_since_1601 + 306;
    let (cycle, day) = (days / DAYS_PER_CYCLE, days % DAYS_PER_CYCLE);
    let year = (day - day / 1_460 + day / 36_524 - day / (DAYS_PER_CYCLE - 1)) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    // From March on, months have 31, 30, 31, 30, 31 days, repeating: 153 days for five months.
    let march_month = (5 * day + 2) / 153;
    let day = day - (153 * march_month + 2) / 5 + 1;
    let month = (march_month + 2) % 12 + 1;
    (
        1600 + 400 * cycle + year + u64::from(month <= 2),
        month,
        day,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn fractions_of_a_tick_in_pax_text_are_truncated_towards_1970() {
        for (text, ticks) in [
            ("0", 116_444_736_000_000_000),
            ("1700000000.", 133_444_736_000_000_000),
            ("1700000000.12345678", 133_444_736_001_234_567),
            ("1700000000.00000009", 133_444_736_000_000_000),
            ("-0.5", 116_444_735_995_000_000),
            ("-0.0000001", 116_444_735_999_999_999),
            ("-1.000000001", 116_444_735_990_000_000),
            ("-0000000001.25", 116_444_735_987_500_000),
            ("+5.25", 116_444_736_052_500_000),
            ("-11644473600", 0),
            ("-11644473600.00000001", 0),
            ("1833029933770.9551615", u64::MAX),
        ] {
            assert_eq!(FileTime::parse_pax(text), Ok(FileTime(ticks)), "{text}");
        }
    }

    #[test]
    fn text_that_is_not_a_number_is_rejected_with_its_offset() {
        for (text, offset) in [
            ("", 0),
            (".", 0),
            ("-", 1),
            ("-.5", 1),
            ("+", 1),
            ("+-5", 1),
            ("1e9", 1),
            ("0x10", 1),
            ("1700000000,5", 10),
            (" 1", 0),
            ("1 ", 1),
            ("1.+5", 2),
            ("1.5.5", 3),
            ("1.123456789x", 11),
            ("1_0", 1),
            ("١", 0),
        ] {
            let expected = Err(TimeError::Syntax { offset });
            assert_eq!(FileTime::parse_pax(text), expected, "{text}");
        }
    }

    #[test]
    fn times_outside_the_range_are_rejected() {
        for (text, seconds) in [
            ("-11644473600.0000001", -11_644_473_601),
            ("-62135596800", -62_135_596_800),
            ("1833029933770.9551616", 1_833_029_933_770),
            ("9223372036854775807", i64::MAX),
            ("-9223372036854775808", i64::MIN),
        ] {
            let expected = Err(TimeError::OutOfRange { seconds });
            assert_eq!(FileTime::parse_pax(text), expected, "{text}");
        }
        for text in ["9223372036854775808", "-99999999999999999999.5"] {
            let expected = Err(TimeError::TooManySeconds);
            assert_eq!(FileTime::parse_pax(text), expected, "{text}");
        }
    }

    #[test]
    fn the_nearest_time_is_storable() {
        let nearest = |text| FileTime::parse_pax(text).expect_err(text).nearest();
        assert_eq!(nearest("-11644473600.0000001"), Some(FileTime(1)));
        assert_eq!(nearest("-9223372036854775808"), Some(FileTime(1)));
        let latest = Some(FileTime(0x7FFF_FFFF_FFFF_FFFF));
        assert_eq!(nearest("1833029933770.9551616"), latest);
        assert_eq!(nearest("9223372036854775807.999"), latest);
        assert_eq!(nearest("x"), None);
        assert_eq!(nearest("99999999999999999999"), None);
    }

    #[test]
    fn pax_text_has_no_trailing_zeros() {
        for (ticks, text) in [
            (116_444_736_000_000_000, "0"),
            (116_444_735_999_999_999, "-0.0000001"),
            (116_444_735_990_000_000, "-1"),
            (116_444_735_989_999_999, "-1.0000001"),
            (133_444_736_001_000_000, "1700000000.1"),
            (0, "-11644473600"),
            (1, "-11644473599.9999999"),
            (u64::MAX, "1833029933770.9551615"),
        ] {
            assert_eq!(FileTime(ticks).to_pax(), text);
        }
    }

    #[test]
    fn unix_seconds_are_rounded_down() {
        let before = FileTime(116_444_735_999_999_999);
        assert_eq!(before.to_unix(), (-1, 999_999_900));
        assert_eq!(FileTime::from_unix(-1, 999_999_900), Ok(before));
        // 50 ns before 1970 is truncated towards 1970.
        assert_eq!(
            FileTime::from_unix(-1, 999_999_950),
            Ok(FileTime::UNIX_EPOCH)
        );
        assert_eq!(
            FileTime::from_unix(0, 1_000_000_000),
            Err(TimeError::Nanoseconds {
                nanoseconds: 1_000_000_000
            })
        );
    }

    #[test]
    fn display_is_iso_8601() {
        for (ticks, text) in [
            (0, "1601-01-01T00:00:00.0000000Z"),
            (133_444_736_001_234_567, "2023-11-14T22:13:20.1234567Z"),
            (FileTime::UNIX_EPOCH.0, "1970-01-01T00:00:00.0000000Z"),
            (125_962_991_990_000_000, "2000-02-29T11:59:59.0000000Z"),
            (2_650_467_743_999_999_999, "9999-12-31T23:59:59.9999999Z"),
            (u64::MAX, "60056-05-28T05:36:10.9551615Z"),
        ] {
            assert_eq!(FileTime(ticks).to_string(), text);
        }
    }

    proptest! {
        #[test]
        fn every_file_time_survives_pax(ticks: u64) {
            let time = FileTime(ticks);
            prop_assert_eq!(FileTime::parse_pax(&time.to_pax()), Ok(time));
        }

        #[test]
        fn every_file_time_survives_unix_and_system_time(ticks: u64) {
            let time = FileTime(ticks);
            let (seconds, nanoseconds) = time.to_unix();
            prop_assert_eq!(FileTime::from_unix(seconds, nanoseconds), Ok(time));
            if let Ok(system) = SystemTime::try_from(time) {
                prop_assert_eq!(FileTime::try_from(system), Ok(time));
            }
        }

        #[test]
        fn no_text_panics(text in "[-+.0-9 e]{0,24}") {
            let _ = FileTime::parse_pax(&text);
        }

        #[test]
        fn dates_advance_by_one_day(days in 0..21_350_398_u64) {
            let (year, month, day) = civil_date(days);
            let (next_year, next_month, next_day) = civil_date(days + 1);
            if (next_year, next_month) == (year, month) {
                prop_assert_eq!(next_day, day + 1);
            } else {
                prop_assert_eq!(next_day, 1);
                let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
                let length = match month {
                    4 | 6 | 9 | 11 => 30,
                    2 => 28 + u64::from(leap),
                    _ => 31,
                };
                prop_assert_eq!(day, length);
                prop_assert_eq!((next_year, next_month), (year + month / 12, month % 12 + 1));
            }
        }
    }
}
