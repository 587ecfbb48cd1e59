//! How long to wait before a request is made again.

use std::hash::{BuildHasher as _, Hasher as _};
use std::thread;
use std::time::{Duration, Instant};

use crate::error::{Error, Result};
use crate::hub::Progress;

/// How often a request is made in all.
pub(super) const ATTEMPTS: u32 = 6;
/// The longest time between two attempts that the registry did not ask for.
const MOST: Duration = Duration::from_secs(30);
/// The longest time that a registry may ask for.
pub(super) const MOST_ASKED: Duration = Duration::from_secs(300);
/// How often a waiting thread looks whether it is to stop.
const POLL: Duration = Duration::from_millis(50);

/// Returns how long to wait before attempt number `attempt`, from 1: twice as long each time, less
/// up to a half, so that many clients do not come back at once.
pub(super) fn delay(attempt: u32, first: Duration) -> Duration {
    let whole = first.saturating_mul(1 << attempt.min(16)) / 2;
    let whole = whole.min(MOST);
    // A new state has new keys.
    let random = std::collections::hash_map::RandomState::new()
        .build_hasher()
        .finish();
    whole / 2 + whole.mul_f64((random >> 11) as f64 / (1_u64 << 53) as f64) / 2
}

/// Waits, unless the operation is cancelled.
pub(super) fn wait(time: Duration, progress: &dyn Progress) -> Result<()> {
    let end = Instant::now() + time;
    loop {
        if progress.is_cancelled() {
            return Err(Error::Cancelled);
        }
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(());
        }
        thread::sleep(left.min(POLL));
    }
}

/// Reads `Retry-After`, where it is a number of seconds.
pub(super) fn asked(header: Option<&str>) -> Option<Duration> {
    header?.trim().parse().ok().map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_grow_to_a_bound_and_differ() {
        let first = Duration::from_secs(1);
        for attempt in 1..40 {
            let whole = (first * (1 << attempt.min(16)) / 2).min(MOST);
            let found = delay(attempt, first);
            assert!(found >= whole / 2 && found <= whole, "{attempt}: {found:?}");
        }
        let mut all: Vec<_> = (0..8).map(|_| delay(6, first)).collect();
        all.dedup();
        assert!(all.len() > 1);
        assert_eq!(asked(Some(" 7 ")), Some(Duration::from_secs(7)));
        assert_eq!(asked(Some("Wed, 21 Oct 2026 07:28:00 GMT")), None);
    }
}
