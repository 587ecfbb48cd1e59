//! Layer tars: any bytes, with the header checksums corrected, are read without a panic and in
//! bounded memory; a layer that is read to its end survives writing and reading.

#![no_main]

use libfuzzer_sys::fuzz_target;
use wclayer_fuzz::{check_round_trip, read_layer, repair_checksums};

fuzz_target!(|data: &[u8]| {
    if let Ok(Some(layer)) = read_layer(&repair_checksums(data)) {
        check_round_trip(&layer);
    }
});
