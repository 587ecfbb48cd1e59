//! Sizes on the command line: `+10M`, `-1.5k`, `=0`, `2 GiB`.

use wclayer::find::SizeTest;

/// Reads a sign and a size.
pub(super) fn parse_test(text: &str) -> Result<SizeTest, String> {
    let (make, size): (fn(u64) -> SizeTest, &str) = match text.as_bytes().first() {
        Some(b'+') => (SizeTest::Above, &text[1..]),
        Some(b'-') => (SizeTest::Below, &text[1..]),
        Some(b'=') => (SizeTest::Exactly, &text[1..]),
        _ => (SizeTest::Exactly, text),
    };
    parse(size).map(make)
}

/// Reads a number with a unit of 1024; parts of a byte are cut off.
fn parse(text: &str) -> Result<u64, String> {
    const EXPECTED: &str = "expected a number and k, M, G or T, such as `10M` or `1.5GiB`";
    let wrong = || EXPECTED.to_owned();
    let number = text.trim_end_matches(|unit: char| unit.is_ascii_alphabetic());
    let unit = text[number.len()..].to_ascii_lowercase();
    let shift = match unit.as_str() {
        "" => 0,
        "k" | "kib" => 10,
        "m" | "mib" => 20,
        "g" | "gib" => 30,
        "t" | "tib" => 40,
        _ => return Err(wrong()),
    };
    let number = number.trim_end();
    let (whole, fraction) = match number.split_once('.') {
        // More digits than bytes in a TiB need.
        Some((_, fraction)) if fraction.is_empty() || fraction.len() > 12 || shift == 0 => {
            return Err(wrong());
        }
        Some(parts) => parts,
        None => (number, ""),
    };
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(fraction) {
        return Err(wrong());
    }
    let too_large = || "too large".to_owned();
    let whole: u64 = whole.parse().map_err(|_| too_large())?;
    let part = match fraction {
        "" => 0,
        fraction => {
            let numerator: u128 = fraction.parse().map_err(|_| wrong())?;
            (numerator << shift) / 10_u128.pow(fraction.len() as u32)
        }
    };
    let bytes = (u128::from(whole) << shift) + part;
    u64::try_from(bytes).map_err(|_| too_large())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_a_sign_and_a_unit() {
        let passes = |text: &str, size| parse_test(text).expect(text).passes(size);
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
            assert!(parse_test(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn units_are_spelled_in_several_ways() {
        for (text, bytes) in [
            ("1m", 1 << 20),
            ("1MiB", 1 << 20),
            ("1.50 MiB", 3 << 19),
            ("0.001k", 1),
            ("2T", 2 << 40),
        ] {
            assert_eq!(parse(text), Ok(bytes), "{text}");
        }
    }
}
