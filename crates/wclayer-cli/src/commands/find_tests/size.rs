//! `--size`: `+10M`, `-1.5k`, `=0`, `2 GiB`.

use crate::units;

/// A test of the size of a file.
#[derive(Debug, Clone, Copy)]
pub(super) enum SizeTest {
    Above(u64),
    Below(u64),
    Exactly(u64),
}

impl SizeTest {
    /// Parses a sign and a size.
    pub(super) fn new(text: &str) -> Result<Self, String> {
        let (make, size): (fn(u64) -> Self, &str) = match text.as_bytes().first() {
            Some(b'+') => (Self::Above, &text[1..]),
            Some(b'-') => (Self::Below, &text[1..]),
            Some(b'=') => (Self::Exactly, &text[1..]),
            _ => (Self::Exactly, text),
        };
        units::parse_size(size).map(make)
    }

    /// Returns whether a file of `size` bytes passes.
    pub(super) fn passes(self, size: u64) -> bool {
        match self {
            Self::Above(limit) => size > limit,
            Self::Below(limit) => size < limit,
            Self::Exactly(wanted) => size == wanted,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_a_sign_and_a_unit() {
        let passes = |text: &str, size| SizeTest::new(text).expect(text).passes(size);
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
            assert!(SizeTest::new(wrong).is_err(), "{wrong}");
        }
    }
}
