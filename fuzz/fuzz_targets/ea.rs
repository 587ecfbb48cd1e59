//! Lists of extended attributes: what is decoded from any bytes is encoded so that it decodes to
//! the same.

#![no_main]

use libfuzzer_sys::fuzz_target;
use ntmeta::ea;

fuzz_target!(|data: &[u8]| {
    let Ok(list) = ea::decode_list(data) else {
        return;
    };
    let encoded = ea::encode_list(&list).expect("lengths that were read fit");
    assert_eq!(ea::decode_list(&encoded).expect("our own list"), list);
});
