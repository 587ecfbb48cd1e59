//! PAX records: any bytes as the extended header of a file, the source of security descriptors,
//! extended attributes, times and vendor records. The first byte selects the type of the entry and
//! whether the header is global.

#![no_main]

use libfuzzer_sys::fuzz_target;
use wclayer_fuzz::{check_round_trip, member, read_layer};

fuzz_target!(|data: &[u8]| {
    let Some((&choice, records)) = data.split_first() else {
        return;
    };
    let header_type = if choice & 0x80 == 0 { b'x' } else { b'g' };
    let (type_flag, content) = match choice & 3 {
        0 => (b'5', &b""[..]),
        1 => (b'2', &b""[..]),
        2 => (b'1', &b""[..]),
        _ => (b'0', &b"content"[..]),
    };
    let mut tar = member("PaxHeaders.0/file", header_type, records);
    tar.extend(member("Files/file", type_flag, content));
    if let Ok(Some(layer)) = read_layer(&tar) {
        check_round_trip(&layer);
    }
});
