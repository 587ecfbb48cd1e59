//! Security descriptors: a parsed binary form survives encoding and parsing. If SDDL can express
//! it, the text can be parsed and is canonical.

#![no_main]

use libfuzzer_sys::fuzz_target;
use ntmeta::security::SecurityDescriptor;

fuzz_target!(|data: &[u8]| {
    let Ok(descriptor) = SecurityDescriptor::parse(data) else {
        return;
    };
    let bytes = descriptor.to_bytes().expect("a parsed descriptor fits");
    assert_eq!(SecurityDescriptor::parse(&bytes), Ok(descriptor.clone()));
    if let Ok(text) = descriptor.to_sddl() {
        let read = SecurityDescriptor::from_sddl(&text).expect(&text);
        assert_eq!(read.to_sddl(), Ok(text));
    }
});
