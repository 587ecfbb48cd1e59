//! `--newer`: an absolute or relative time, or an entry of the layer.

use std::ffi::OsStr;
use std::time::SystemTime;

use clap::builder::{OsStringValueParser, TypedValueParser};
use wclayer::LayerPath;
use wclayer::ntmeta::FileTime;

use crate::path_argument;

/// The number of decimal places of a second: 100 ns.
const FRACTION_DIGITS: usize = 7;

/// Seconds of a day.
const DAY: i64 = 86_400;
const TOO_LONG_AGO: &str = "file times begin in 1601";

/// The time that entries must be newer than.
#[derive(Debug, Clone)]
pub(super) enum Newer {
    Than(FileTime),
    /// The last write time of this entry.
    ThanEntry(LayerPath),
}

/// Parses a time or a path.
pub(super) fn parser() -> impl TypedValueParser<Value = Newer> {
    OsStringValueParser::new().try_map(|text| parse(&text))
}

fn parse(text: &OsStr) -> Result<Newer, String> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let now = i64::try_from(now.unwrap_or_default().as_secs()).unwrap_or(i64::MAX);
    if let Some(seconds) = text.to_str().and_then(|text| relative(text, now)) {
        let time = FileTime::from_unix(seconds, 0);
        return time.map(Newer::Than).map_err(|_| TOO_LONG_AGO.to_owned());
    }
    match text.to_str().filter(|text| is_time(text)) {
        Some(time) => parse_time(time).map(Newer::Than).ok_or_else(|| {
            "expected a time such as `2024-05-01`, `2024-05-01T12:30:00.1234567Z` or \
             `2024-05-01 12:30+02:00`"
                .to_owned()
        }),
        None => path_argument::parse(text)
            .map(Newer::ThanEntry)
            .map_err(|error| error.to_string()),
    }
}

/// Parses `now`, `today` (midnight, UTC), `yesterday` (24 hours ago) or `2 days ago` into seconds
/// since 1970.
fn relative(text: &str, now: i64) -> Option<i64> {
    let text = text.to_ascii_lowercase();
    let words: Vec<&str> = text.split_whitespace().collect();
    let ago = match words[..] {
        ["now"] => 0,
        ["today"] => now % DAY,
        ["yesterday"] => DAY,
        [count, unit, "ago"] => {
            let count = match count {
                "a" | "an" | "one" => 1,
                digits => number(digits, digits.len(), i64::MAX)?,
            };
            count.saturating_mul(seconds_of(unit)?)
        }
        _ => return None,
    };
    Some(now.saturating_sub(ago))
}

fn seconds_of(unit: &str) -> Option<i64> {
    Some(match unit.strip_suffix('s').unwrap_or(unit) {
        "second" | "sec" => 1,
        "minute" | "min" => 60,
        "hour" => 3600,
        "day" => DAY,
        "week" => 7 * DAY,
        _ => return None,
    })
}

/// Returns whether a text looks like a time: it starts with a year, as no path of a layer does.
fn is_time(text: &str) -> bool {
    let year = text.bytes().take_while(u8::is_ascii_digit).count();
    year >= 4 && text.as_bytes().get(year) == Some(&b'-')
}

/// Parses a date, a time after `T` or a space, and an offset; without an offset, the time is UTC.
fn parse_time(text: &str) -> Option<FileTime> {
    let (date, time) = match text.find(['T', 't', ' ']) {
        Some(at) => (&text[..at], Some(&text[at + 1..])),
        None => (text, None),
    };
    let days = days_since_1970(date)?;
    let (seconds, nanoseconds) = match time {
        Some(time) => {
            let (time, offset) = split_offset(time)?;
            let (seconds, nanoseconds) = time_of_day(time)?;
            (seconds - offset, nanoseconds)
        }
        None => (0, 0),
    };
    FileTime::from_unix(days * DAY + seconds, nanoseconds).ok()
}

/// Splits `Z`, `+02:00` or `-02:00` off the end; also returns the offset from UTC in seconds.
fn split_offset(text: &str) -> Option<(&str, i64)> {
    if let Some(time) = text.strip_suffix(['Z', 'z']) {
        return Some((time, 0));
    }
    let Some(at) = text.find(['+', '-']) else {
        return Some((text, 0));
    };
    let (hours, minutes) = text[at + 1..].split_once(':')?;
    let seconds = number(hours, 2, 23)? * 3600 + number(minutes, 2, 59)? * 60;
    let is_west = text.as_bytes().get(at) == Some(&b'-');
    Some((&text[..at], if is_west { -seconds } else { seconds }))
}

/// Parses `12:30`, `12:30:15` or `12:30:15.1234567` into seconds and nanoseconds.
fn time_of_day(text: &str) -> Option<(i64, u32)> {
    let (time, fraction) = match text.split_once('.') {
        Some((time, fraction)) => (time, Some(fraction)),
        None => (text, None),
    };
    let parts: Vec<&str> = time.split(':').collect();
    let (hour, minute, second) = match (&parts[..], fraction) {
        ([hour, minute], None) => (hour, minute, &"00"),
        ([hour, minute, second], _) => (hour, minute, second),
        _ => return None,
    };
    let seconds = number(hour, 2, 23)? * 3600 + number(minute, 2, 59)? * 60;
    let seconds = seconds + number(second, 2, 59)?;
    let nanoseconds = match fraction {
        None => 0,
        Some(digits) if (1..=FRACTION_DIGITS).contains(&digits.len()) => {
            number(digits, digits.len(), i64::MAX)? * 10_i64.pow(9 - digits.len() as u32)
        }
        Some(_) => return None,
    };
    Some((seconds, u32::try_from(nanoseconds).ok()?))
}

/// Parses `2024-05-01` into days since 1970-01-01, in the proleptic Gregorian calendar.
fn days_since_1970(date: &str) -> Option<i64> {
    const DAYS_TO_1970: i64 = 719_162;
    let parts: Vec<&str> = date.split('-').collect();
    let &[year, month, day] = &parts[..] else {
        return None;
    };
    // File times end in the year 60056.
    let year = number(year, year.len().clamp(4, 5), 60_056)?;
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let february = 28 + i64::from(is_leap);
    let lengths = [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let month = usize::try_from(number(month, 2, 12)?)
        .ok()?
        .checked_sub(1)?;
    let day = number(day, 2, *lengths.get(month)?)?;
    if year == 0 || day == 0 {
        return None;
    }
    let before = year - 1;
    let leap_days = before / 4 - before / 100 + before / 400;
    let in_year: i64 = lengths[..month].iter().sum();
    Some(before * 365 + leap_days + in_year + day - 1 - DAYS_TO_1970)
}

/// Parses a number of exactly `digits` digits that is at most `largest`.
fn number(text: &str, digits: usize, largest: i64) -> Option<i64> {
    let is_number = text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit());
    let value = is_number.then(|| text.parse().ok()).flatten()?;
    (value <= largest).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Option<String> {
        match parse(OsStr::new(text)) {
            Ok(Newer::Than(time)) => Some(time.to_string()),
            Ok(Newer::ThanEntry(path)) => panic!("{path}"),
            Err(_) => None,
        }
    }

    #[test]
    fn times_follow_the_calendar() {
        for (text, expected) in [
            ("1970-01-01", "1970-01-01T00:00:00.0000000Z"),
            ("2024-02-29T23:59", "2024-02-29T23:59:00.0000000Z"),
            ("2000-12-31T01:02:03Z", "2000-12-31T01:02:03.0000000Z"),
            ("1601-01-01", "1601-01-01T00:00:00.0000000Z"),
            ("2024-05-08 21:40:53", "2024-05-08T21:40:53.0000000Z"),
            ("2024-05-08t21:40:53.5z", "2024-05-08T21:40:53.5000000Z"),
            (
                "2024-05-08T01:40:53.25+02:00",
                "2024-05-07T23:40:53.2500000Z",
            ),
            ("2024-12-31 23:30-01:30", "2025-01-01T01:00:00.0000000Z"),
        ] {
            assert_eq!(shown(text).as_deref(), Some(expected));
        }
        for wrong in [
            "2023-02-29",
            "2024-13-01",
            "2024-00-01",
            "2024-01-00",
            "2024-05",
            "2024-5-1",
            "2024-",
            "0000-01-01",
            "1600-01-01",
            "99999-01-01",
            "2024-01-01T24:00",
            "2024-01-01T",
            "2024-01-01 12",
            "2024-01-01T12:30.5",
            "2024-01-01T12:30:00.",
            "2024-01-01T12:30:00.12345678",
            "2024-01-01T12:30:00.-123456",
            "2024-01-01T12:30+0200",
            "2024-01-01T12:30+24:00",
            "2024-01-01T+1:30",
            "2024-01-01ä12:30",
        ] {
            assert_eq!(shown(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn printed_times_are_accepted() {
        for ticks in [
            0,
            1,
            116_444_736_000_000_000,
            133_596_780_530_349_372,
            u64::MAX,
        ] {
            let text = FileTime::from_ticks(ticks).to_string();
            assert_eq!(shown(&text), Some(text));
        }
    }

    #[test]
    fn relative_times_are_accepted() {
        let now = 10 * DAY + 5;
        for (text, seconds) in [
            ("now", now),
            ("Today", 10 * DAY),
            ("yesterday", 9 * DAY + 5),
            ("2 days ago", 8 * DAY + 5),
            ("  1  Week  ago ", 3 * DAY + 5),
            ("an hour ago", now - 3600),
            ("90 minutes ago", now - 5400),
            ("1 sec ago", now - 1),
        ] {
            assert_eq!(relative(text, now), Some(seconds), "{text}");
        }
        for text in [
            "tomorrow",
            "2 days",
            "ago",
            "-1 days ago",
            "2 fortnights ago",
            "Files",
        ] {
            assert_eq!(relative(text, now), None, "{text}");
        }
        assert!(parse(OsStr::new("9223372036854775807 weeks ago")).is_err());
        assert!(parse(OsStr::new("99999999999999999999 days ago")).is_ok());
    }

    #[test]
    fn other_texts_are_paths() {
        for text in ["Files", "2024", "Files/2024-01-01"] {
            let parsed = parse(OsStr::new(text));
            assert!(matches!(parsed, Ok(Newer::ThanEntry(_))), "{text}");
        }
        assert!(parse(OsStr::new("")).is_err());
    }
}
