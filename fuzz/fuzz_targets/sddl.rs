//! SDDL: a descriptor parsed from text survives the round trips through text and through its binary
//! form.

#![no_main]

use libfuzzer_sys::fuzz_target;
use ntmeta::security::{SddlError, SecurityDescriptor};

fuzz_target!(|text: &str| {
    let Ok(descriptor) = SecurityDescriptor::from_sddl(text) else {
        return;
    };
    match descriptor.to_sddl() {
        Ok(again) => assert_eq!(
            SecurityDescriptor::from_sddl(&again),
            Ok(descriptor.clone())
        ),
        Err(error) => assert!(matches!(error, SddlError::Empty), "{error:?}"),
    }
    let bytes = descriptor.to_bytes().expect("a text this short fits");
    assert_eq!(SecurityDescriptor::parse(&bytes), Ok(descriptor));
});
