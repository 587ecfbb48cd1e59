//! File times: any accepted PAX text and any ticks survive the round trips through text and the
//! Unix form.

#![no_main]

use std::time::SystemTime;

use libfuzzer_sys::fuzz_target;
use ntmeta::FileTime;

fuzz_target!(|data: &[u8]| {
    if let Ok(time) = FileTime::parse_pax(&String::from_utf8_lossy(data)) {
        check(time);
    }
    if let Some(ticks) = data.first_chunk() {
        check(FileTime::from_ticks(u64::from_le_bytes(*ticks)));
    }
});

fn check(time: FileTime) {
    assert_eq!(FileTime::parse_pax(&time.to_pax()), Ok(time));
    let (seconds, nanoseconds) = time.to_unix();
    assert!(nanoseconds < 1_000_000_000);
    if seconds >= 0 {
        // Before 1970, the fraction counts in the opposite direction.
        assert_eq!(FileTime::from_unix(seconds, nanoseconds), Ok(time));
    }
    if let Ok(system) = SystemTime::try_from(time) {
        assert_eq!(FileTime::try_from(system), Ok(time));
    }
    assert!(time.to_string().ends_with('Z'));
}
