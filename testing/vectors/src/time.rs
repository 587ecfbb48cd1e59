//! The exact meaning of PAX texts and FILETIMEs, in arithmetic that cannot overflow.

/// Nanoseconds from 1601 to 1970.
const EPOCH: i128 = 11_644_473_600 * 1_000_000_000;

/// Returns the nanoseconds since 1970 of a PAX time; `None` for text that is not a decimal number
/// or whose seconds do not fit into 64 bits.
pub fn parse_pax(text: &str) -> Option<i128> {
    let (sign, rest) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let (whole, fraction) = rest.split_once('.').unwrap_or((rest, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(fraction) {
        return None;
    }
    let fraction: String = fraction
        .chars()
        .chain("000000000".chars())
        .take(9)
        .collect();
    let seconds = sign * whole.parse::<i128>().ok()?;
    let seconds = i128::from(i64::try_from(seconds).ok()?);
    Some(seconds * 1_000_000_000 + sign * fraction.parse::<i128>().ok()?)
}

/// Returns the FILETIME of nanoseconds since 1970, truncated towards 1970; `None` outside its
/// range.
pub fn to_filetime(nanoseconds: i128) -> Option<u64> {
    u64::try_from(nanoseconds / 100 + EPOCH / 100).ok()
}

/// Returns the FILETIME of nanoseconds since 1970, or the nearest that Windows stores: Windows
/// gives 0 and numbers that are negative when signed another meaning.
pub fn to_nearest_filetime(nanoseconds: i128) -> u64 {
    let limit = if nanoseconds < 0 { 1 } else { i64::MAX as u64 };
    to_filetime(nanoseconds).unwrap_or(limit)
}

/// Returns the nanoseconds since 1970 of a FILETIME.
pub fn from_filetime(filetime: u64) -> i128 {
    i128::from(filetime) * 100 - EPOCH
}

/// Returns the FILETIME that the reference derives from nanoseconds since 1970: it counts in 64
/// bits and wraps around.
pub fn to_filetime_of_reference(nanoseconds: i128) -> u64 {
    (nanoseconds as i64 / 100 + (EPOCH / 100) as i64) as u64
}

/// Returns whether the reference can represent a time.
pub fn reference_can_count(nanoseconds: i128) -> bool {
    i64::try_from(nanoseconds).is_ok()
}

/// Formats a FILETIME as a PAX time.
pub fn to_pax(filetime: u64) -> String {
    let nanoseconds = from_filetime(filetime);
    let sign = if nanoseconds < 0 { "-" } else { "" };
    let (seconds, part) = (
        nanoseconds.abs() / 1_000_000_000,
        nanoseconds.abs() % 1_000_000_000,
    );
    let text = format!("{sign}{seconds}.{part:09}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_and_filetimes_agree() {
        for (text, filetime) in [
            ("0", 116_444_736_000_000_000),
            ("-0.5", 116_444_735_995_000_000),
            ("1700000000.1234567", 133_444_736_001_234_567),
            ("-11644473600", 0),
            ("1833029933770.9551615", u64::MAX),
        ] {
            assert_eq!(parse_pax(text).and_then(to_filetime), Some(filetime));
            assert_eq!(to_pax(filetime), text);
        }
        for text in ["", ".", "-.5", "1e9", "1.+5", "+-1", "99999999999999999999"] {
            assert_eq!(parse_pax(text), None, "{text}");
        }
        assert_eq!(
            parse_pax("-11644473600.0000001").and_then(to_filetime),
            None
        );
        for (text, nearest) in [
            ("-62135596800", 1),
            ("9223372036854775807", i64::MAX as u64),
        ] {
            let nanoseconds = parse_pax(text).expect(text);
            assert_eq!(to_nearest_filetime(nanoseconds), nearest);
        }
    }
}
