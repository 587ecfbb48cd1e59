//! Reparse points: a decoded buffer survives encoding and decoding, and a buffer made from any
//! target has that target.

#![no_main]

use libfuzzer_sys::fuzz_target;
use ntmeta::{ReparseError, ReparsePoint, wide};

fuzz_target!(|data: &[u8]| {
    if let Ok(point) = ReparsePoint::decode(data) {
        let _ = point.target();
        match point.encode() {
            Ok(bytes) => assert_eq!(ReparsePoint::decode(&bytes), Ok(point)),
            // Names that share bytes in the buffer need more room when they are separate.
            Err(error) => assert!(matches!(error, ReparseError::TooLong { .. }), "{error:?}"),
        }
    }
    for is_mount_point in [false, true] {
        let Ok(point) = ReparsePoint::from_target(data, is_mount_point) else {
            continue;
        };
        let bytes = point.encode().expect("its length was checked");
        assert_eq!(ReparsePoint::decode(&bytes).as_ref(), Ok(&point));
        let target = point.target().expect("links have a target");
        assert_eq!(wide::from_wtf8(&target), wide::from_wtf8(data));
    }
});
