//! Security descriptors: a binary form that is read is written so that it reads as the same; when
//! SDDL can express it, the text reads and is its own spelling.

#![no_main]

use libfuzzer_sys::fuzz_target;
use ntmeta::security::SecurityDescriptor;

fuzz_target!(|data: &[u8]| {
    let Ok(descriptor) = SecurityDescriptor::parse(data) else {
        return;
    };
    let bytes = descriptor.to_bytes().expect("what was read fits");
    assert_eq!(SecurityDescriptor::parse(&bytes), Ok(descriptor.clone()));
    if let Ok(text) = descriptor.to_sddl() {
        let read = SecurityDescriptor::from_sddl(&text).expect(&text);
        assert_eq!(read.to_sddl(), Ok(text));
    }
});
