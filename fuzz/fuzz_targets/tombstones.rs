//! `tombstones.txt`: any text is either rejected or yields paths below `Files`, and these survive
//! writing and reading.

#![no_main]

use libfuzzer_sys::fuzz_target;
use wclayer::LayerPath;
use wclayer::transport::tombstones;

fuzz_target!(|data: &[u8]| {
    let whole = [b"\xef\xbb\xbfVersion 1.0\n", data].concat();
    let _ = tombstones::parse(data);
    let Ok(paths) = tombstones::parse(&whole) else {
        return;
    };
    let files: LayerPath = "Files".parse().expect("a path");
    for path in &paths {
        assert!(path.is_below(&files), "{path}");
    }
    // A carriage return inside a line is accepted when reading, and never written.
    if let Ok(written) = tombstones::format(&paths) {
        assert_eq!(tombstones::parse(&written).expect("our own list"), paths);
    }
});
