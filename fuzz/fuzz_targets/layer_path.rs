//! Layer paths: any name is either rejected or has a canonical form that stays inside the layer and
//! survives the round trips through UTF-16 and through its own components.

#![no_main]

use libfuzzer_sys::fuzz_target;
use wclayer::LayerPath;
use wclayer::path::{StreamName, split_stream};

fuzz_target!(|data: &[u8]| {
    if let Ok(path) = LayerPath::parse(data) {
        check(&path);
    }
    if let Ok((path, stream)) = split_stream(data) {
        check(&path);
        if let Some(name) = stream {
            assert_eq!(StreamName::parse(name.as_bytes()), Ok(name));
        }
    }
});

fn check(path: &LayerPath) {
    let same = |other: LayerPath| assert_eq!(other.as_bytes(), path.as_bytes());
    same(LayerPath::parse(path.as_bytes()).expect("canonical"));
    same(LayerPath::from_utf16(&path.to_utf16()).expect("canonical"));
    for component in path.components() {
        assert!(!matches!(component, b"" | b"." | b".."));
        assert!(
            !component
                .iter()
                .any(|byte| matches!(byte, 0 | b'/' | b'\\' | b':'))
        );
    }
    if let Some(parent) = path.parent() {
        assert!(path.is_below(&parent) && !parent.is_below(path));
        same(
            parent
                .join(path.file_name())
                .expect("the components of a path"),
        );
    }
    let upper = String::from_utf8_lossy(path.as_bytes()).to_ascii_uppercase();
    if path.as_bytes().is_ascii() {
        assert_eq!(
            &LayerPath::parse(upper.as_bytes()).expect("a path of the same length"),
            path
        );
    }
}
