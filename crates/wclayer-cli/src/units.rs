//! Sizes, times and rates in human-readable form.

use std::fmt;
use std::time::Duration;

use indicatif::HumanBytes;

/// A size in bytes: `1.50 MiB`.
pub(crate) fn size(bytes: u64) -> impl fmt::Display {
    HumanBytes(bytes)
}

/// A time: `0.25 s`, `12.3 s`, `4 min 5 s`.
pub(crate) fn time(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    match seconds {
        ..9.995 => format!("{seconds:.2} s"),
        ..59.95 => format!("{seconds:.1} s"),
        _ => {
            let whole = seconds.round() as u64;
            format!("{} min {} s", whole / 60, whole % 60)
        }
    }
}

/// The time for a number of bytes with the rate: `0.25 s (96.00 MiB/s)`.
pub(crate) fn time_and_rate(bytes: u64, taken: Duration) -> String {
    let rate = bytes as f64 / taken.as_secs_f64().max(1e-6);
    format!("{} ({}/s)", time(taken), HumanBytes(rate as u64))
}

/// Seconds for JSON, to the millisecond.
pub(crate) fn seconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 1000.0).round() / 1000.0
}

/// Parses a size such as `10M` or `1.5GiB`; units are powers of 1024. Rounds down to bytes.
pub(crate) fn parse_size(text: &str) -> Result<u64, String> {
    const EXPECTED: &str = "expected a number and k, M, G or T, such as `10M` or `1.5GiB`";
    let wrong = || EXPECTED.to_owned();
    let number = text.trim_end_matches(|unit: char| unit.is_ascii_alphabetic());
    let unit = text[number.len()..].to_ascii_lowercase();
    let shift = match unit.as_str() {
        "" => 0,
        "k" | "kib" => 10,
        "m" | "mib" => 20,
        "g" | "gib" => 30,
        "t" | "tib" => 40,
        _ => return Err(wrong()),
    };
    let number = number.trim_end();
    let (whole, fraction) = match number.split_once('.') {
        // A TiB has fewer digits.
        Some((_, fraction)) if fraction.is_empty() || fraction.len() > 12 || shift == 0 => {
            return Err(wrong());
        }
        Some(parts) => parts,
        None => (number, ""),
    };
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(fraction) {
        return Err(wrong());
    }
    let too_large = || "too large".to_owned();
    let whole: u64 = whole.parse().map_err(|_| too_large())?;
    let part = match fraction {
        "" => 0,
        fraction => {
            let numerator: u128 = fraction.parse().map_err(|_| wrong())?;
            (numerator << shift) / 10_u128.pow(fraction.len() as u32)
        }
    };
    let bytes = (u128::from(whole) << shift) + part;
    u64::try_from(bytes).map_err(|_| too_large())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_keep_three_digits() {
        for (milliseconds, text) in [
            (0, "0.00 s"),
            (250, "0.25 s"),
            (9_994, "9.99 s"),
            (9_996, "10.0 s"),
            (59_940, "59.9 s"),
            (59_960, "1 min 0 s"),
            (245_000, "4 min 5 s"),
        ] {
            assert_eq!(time(Duration::from_millis(milliseconds)), text);
        }
    }

    #[test]
    fn rates_survive_no_time_at_all() {
        assert_eq!(
            time_and_rate(3 << 20, Duration::from_secs(2)),
            "2.00 s (1.50 MiB/s)"
        );
        assert!(time_and_rate(1 << 20, Duration::ZERO).starts_with("0.00 s ("));
    }

    #[test]
    fn sizes_are_spelled_in_several_ways() {
        for (text, bytes) in [
            ("1m", 1 << 20),
            ("1MiB", 1 << 20),
            ("1.50 MiB", 3 << 19),
            ("0.001k", 1),
            ("2T", 2 << 40),
        ] {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
        }
    }
}
