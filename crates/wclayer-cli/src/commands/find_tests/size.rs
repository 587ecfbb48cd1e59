//! `--size`: `+10M`, `-1.5k`, `=0`, `2 GiB`.

use wclayer::find::SizeTest;

use crate::units;

/// Parses a sign and a size.
pub(super) fn parse(text: &str) -> Result<SizeTest, String> {
    let (make, size): (fn(u64) -> SizeTest, &str) = match text.as_bytes().first() {
        Some(b'+') => (SizeTest::Above, &text[1..]),
        Some(b'-') => (SizeTest::Below, &text[1..]),
        Some(b'=') => (SizeTest::Exactly, &text[1..]),
        _ => (SizeTest::Exactly, text),
    };
    units::parse_size(size).map(make)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_a_sign_and_a_unit() {
        let passes = |text: &str, size| parse(text).expect(text).passes(size);
        assert!(passes("+1k", 1025) && !passes("+1k", 1024));
        assert!(passes("-1k", 1023) && !passes("-1k", 1024));
        assert!(passes("=0", 0) && passes("2M", 2 << 20));
        for wrong in [
            "",
            "+",
            "1x",
            "99999999999999999999",
            "99999999T",
            "ä",
            "1.5",
            "1.k",
            ".5k",
            "1.-5k",
            "1kB",
            "+-1",
        ] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
