//! Sizes, times and rates for people.

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
}
