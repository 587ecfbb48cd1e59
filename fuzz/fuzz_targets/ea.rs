//! Lists of extended attributes: a list decoded from any bytes survives encoding and decoding.

#![no_main]

use libfuzzer_sys::fuzz_target;
use ntmeta::ea;

fuzz_target!(|data: &[u8]| {
    let Ok(list) = ea::decode_list(data) else {
        return;
    };
    let encoded = ea::encode_list(&list).expect("lengths that were just read fit");
    assert_eq!(ea::decode_list(&encoded).expect("our own list"), list);
});
