//! Registry hives: any file is accepted or rejected without a panic, an accepted file has the
//! length that it declares, and an empty hive of any name is accepted.

#![no_main]

use libfuzzer_sys::fuzz_target;
use ntmeta::hive;

fuzz_target!(|data: &[u8]| {
    if hive::check(data, data.len() as u64).is_ok() {
        assert!(data.starts_with(b"regf") && data.len() >= 2 * hive::BASE_BLOCK_SIZE);
    }
    let name = String::from_utf8_lossy(data);
    for made in [hive::empty(&name), hive::empty_delta(&name)] {
        assert_eq!(hive::check(&made, made.len() as u64), Ok(()));
    }
});
