//! Case-insensitive comparison of names, as NTFS does it.
//!
//! NTFS maps each 16-bit unit of a name separately through the table in the volume's `$UpCase`
//! file and compares the results. Surrogate pairs are not combined, no unit becomes two (`ß`
//! stays), and the system language is irrelevant. [`upcase_unit`] is that table; [`eq_ignore_case`]
//! and [`cmp_ignore_case`] are the two comparisons.
//!
//! This is the table that Windows 7 and later, hence every Windows version with containers, writes
//! when it formats a volume: 973 units change, the other 64,563 map to themselves. A volume
//! formatted by an older Windows keeps its own table. The following sources agree in every entry:
//!
//! - Microsoft, \[MS-UCODEREF\] section 3.1.5.3, "Windows 8 Upper Case Mapping Table";
//! - wimlib `src/encoding.c`, the table of volumes formatted by Windows 10;
//! - ntfs-3g `libntfs-3g/unistr.c`, `ntfs_upcase_table_build` for Windows 6.1, with the MD5 of the
//!   whole file (128 KiB, little-endian), `7ff498a44e45e77374cc7c962b1b92f2`;
//! - the CRC-64 that Windows itself stores in `$UpCase:$Info`, which the tests recompute.
//!
//! Two similar tables differ. The recommended up-case table of the exFAT specification (section
//! 7.2.5.1, checksum 0xE619D30D) equals `$UpCase` of Windows Vista: it lacks 104 later letters and
//! maps five units (U+023A, U+023E, U+03C2, U+1FCC, U+1FFC) that this table leaves alone. Wine's
//! `l_intl.nls` follows a recent Unicode version and maps 190 more units, including Georgian
//! Mkhedruli and small Cherokee letters.

use std::cmp::Ordering;

/// Returns the upper-case form of one UTF-16 unit, or the unit itself if it has none.
///
/// A surrogate is treated like any other unit and maps to itself, so letters beyond U+FFFF keep
/// their case.
#[inline]
pub fn upcase_unit(unit: u16) -> u16 {
    if unit < 0x80 {
        let is_lower = unit.wrapping_sub(0x61) < 26;
        return if is_lower { unit - 0x20 } else { unit };
    }
    let page = usize::from(TABLE.page_of[usize::from(unit >> 8)]);
    unit.wrapping_add(TABLE.deltas[page][usize::from(unit & 0xff)])
}

/// Returns whether two names, as UTF-16 units, are the same name to NTFS.
///
/// ```
/// use ntmeta::upcase::eq_ignore_case;
///
/// let wide = |name: &str| name.encode_utf16().collect::<Vec<u16>>();
/// assert!(eq_ignore_case(&wide("System32"), &wide("SYSTEM32")));
/// assert!(!eq_ignore_case(&wide("Straße"), &wide("STRASSE")));
/// ```
pub fn eq_ignore_case(a: &[u16], b: &[u16]) -> bool {
    let same = |(&a, &b): (&u16, &u16)| a == b || upcase_unit(a) == upcase_unit(b);
    a.len() == b.len() && a.iter().zip(b).all(same)
}

/// Compares two names, as UTF-16 units, in the order of an NTFS directory index.
///
/// Upper-case units are compared as numbers, and a name sorts after its own prefixes. The result
/// is [`Ordering::Equal`] exactly if [`eq_ignore_case`] returns true; a case-sensitive directory
/// sorts such names by their original units.
///
/// Source: ntfs-3g `libntfs-3g/unistr.c`, `ntfs_names_full_collate`.
pub fn cmp_ignore_case(a: &[u16], b: &[u16]) -> Ordering {
    let upper = |unit: &u16| upcase_unit(*unit);
    a.iter().map(upper).cmp(b.iter().map(upper))
}

/// Consecutive letters with consecutive upper-case letters: first, last, upper case of the first.
const BLOCKS: &[(u16, u16, u16)] = &[
    // Latin
    (0x0061, 0x007a, 0x0041),
    (0x00e0, 0x00f6, 0x00c0),
    (0x00f8, 0x00fe, 0x00d8),
    (0x0256, 0x0257, 0x0189),
    (0x028a, 0x028b, 0x01b1),
    // Greek
    (0x037b, 0x037d, 0x03fd),
    (0x03ad, 0x03af, 0x0388),
    (0x03b1, 0x03c1, 0x0391),
    (0x03c3, 0x03cb, 0x03a3),
    (0x03cd, 0x03ce, 0x038e),
    // Cyrillic
    (0x0430, 0x044f, 0x0410),
    (0x0450, 0x045f, 0x0400),
    // Armenian
    (0x0561, 0x0586, 0x0531),
    // Greek with breathings and accents
    (0x1f00, 0x1f07, 0x1f08),
    (0x1f10, 0x1f15, 0x1f18),
    (0x1f20, 0x1f27, 0x1f28),
    (0x1f30, 0x1f37, 0x1f38),
    (0x1f40, 0x1f45, 0x1f48),
    (0x1f60, 0x1f67, 0x1f68),
    (0x1f70, 0x1f71, 0x1fba),
    (0x1f72, 0x1f75, 0x1fc8),
    (0x1f76, 0x1f77, 0x1fda),
    (0x1f78, 0x1f79, 0x1ff8),
    (0x1f7a, 0x1f7b, 0x1fea),
    (0x1f7c, 0x1f7d, 0x1ffa),
    (0x1f80, 0x1f87, 0x1f88),
    (0x1f90, 0x1f97, 0x1f98),
    (0x1fa0, 0x1fa7, 0x1fa8),
    (0x1fb0, 0x1fb1, 0x1fb8),
    (0x1fd0, 0x1fd1, 0x1fd8),
    (0x1fe0, 0x1fe1, 0x1fe8),
    // Roman numerals
    (0x2170, 0x217f, 0x2160),
    // Circled letters
    (0x24d0, 0x24e9, 0x24b6),
    // Glagolitic
    (0x2c30, 0x2c5e, 0x2c00),
    // Georgian: Nuskhuri to Asomtavruli (Mkhedruli and Mtavruli are not paired)
    (0x2d00, 0x2d25, 0x10a0),
    // Full-width Latin
    (0xff41, 0xff5a, 0xff21),
];

/// Ranges in which upper and lower case alternate: first and last lower-case unit. Every second
/// unit maps to the unit before it.
const PAIRS: &[(u16, u16)] = &[
    // Latin
    (0x0101, 0x012f),
    (0x0133, 0x0137),
    (0x013a, 0x0148),
    (0x014b, 0x0177),
    (0x017a, 0x017e),
    (0x0183, 0x0185),
    (0x0188, 0x0188),
    (0x018c, 0x018c),
    (0x0192, 0x0192),
    (0x0199, 0x0199),
    (0x01a1, 0x01a5),
    (0x01a8, 0x01a8),
    (0x01ad, 0x01ad),
    (0x01b0, 0x01b0),
    (0x01b4, 0x01b6),
    (0x01b9, 0x01b9),
    (0x01bd, 0x01bd),
    (0x01ce, 0x01dc),
    (0x01df, 0x01ef),
    (0x01f5, 0x01f5),
    (0x01f9, 0x021f),
    (0x0223, 0x0233),
    (0x023c, 0x023c),
    (0x0242, 0x0242),
    (0x0247, 0x024f),
    // Greek and Coptic
    (0x0371, 0x0373),
    (0x0377, 0x0377),
    (0x03d9, 0x03ef),
    (0x03f8, 0x03f8),
    (0x03fb, 0x03fb),
    // Cyrillic
    (0x0461, 0x0481),
    (0x048b, 0x04bf),
    (0x04c2, 0x04ce),
    (0x04d1, 0x0523),
    // Latin
    (0x1e01, 0x1e95),
    (0x1ea1, 0x1eff),
    // Reversed C
    (0x2184, 0x2184),
    // Latin
    (0x2c61, 0x2c61),
    (0x2c68, 0x2c6c),
    (0x2c73, 0x2c73),
    (0x2c76, 0x2c76),
    // Coptic
    (0x2c81, 0x2ce3),
    // Cyrillic
    (0xa641, 0xa65f),
    (0xa663, 0xa66d),
    (0xa681, 0xa697),
    // Latin
    (0xa723, 0xa72f),
    (0xa733, 0xa76f),
    (0xa77a, 0xa77c),
    (0xa77f, 0xa787),
    (0xa78c, 0xa78c),
];

/// The remaining letters: lower case, upper case.
const SINGLES: &[(u16, u16)] = &[
    // Latin
    (0x00ff, 0x0178),
    (0x0180, 0x0243),
    (0x0195, 0x01f6),
    (0x019a, 0x023d),
    (0x019e, 0x0220),
    (0x01bf, 0x01f7),
    (0x01c6, 0x01c4),
    (0x01c9, 0x01c7),
    (0x01cc, 0x01ca),
    (0x01dd, 0x018e),
    (0x01f3, 0x01f1),
    (0x0250, 0x2c6f),
    (0x0251, 0x2c6d),
    (0x0253, 0x0181),
    (0x0254, 0x0186),
    (0x0259, 0x018f),
    (0x025b, 0x0190),
    (0x0260, 0x0193),
    (0x0263, 0x0194),
    (0x0268, 0x0197),
    (0x0269, 0x0196),
    (0x026b, 0x2c62),
    (0x026f, 0x019c),
    (0x0271, 0x2c6e),
    (0x0272, 0x019d),
    (0x0275, 0x019f),
    (0x027d, 0x2c64),
    (0x0280, 0x01a6),
    (0x0283, 0x01a9),
    (0x0288, 0x01ae),
    (0x0289, 0x0244),
    (0x028c, 0x0245),
    (0x0292, 0x01b7),
    // Greek
    (0x03ac, 0x0386),
    (0x03cc, 0x038c),
    (0x03d7, 0x03cf),
    (0x03f2, 0x03f9),
    // Cyrillic palochka
    (0x04cf, 0x04c0),
    // Latin, from the phonetic extensions
    (0x1d79, 0xa77d),
    (0x1d7d, 0x2c63),
    // Greek with breathings and accents
    (0x1f51, 0x1f59),
    (0x1f53, 0x1f5b),
    (0x1f55, 0x1f5d),
    (0x1f57, 0x1f5f),
    (0x1fb3, 0x1fbc),
    (0x1fc3, 0x1fcc),
    (0x1fe5, 0x1fec),
    (0x1ff3, 0x1ffc),
    // Turned F
    (0x214e, 0x2132),
    // Latin
    (0x2c65, 0x023a),
    (0x2c66, 0x023e),
];

/// The number of pages: one per block of 256 units with a lower-case letter, and one of zeros for
/// all other blocks.
const PAGES: usize = 17;

/// The table in two steps, 9 KiB instead of 128: the high byte of a unit selects a page, and the
/// low byte selects the number that is added to the unit (modulo 65,536).
struct Table {
    page_of: [u8; 256],
    deltas: [[u16; 256]; PAGES],
}

static TABLE: Table = Table::build();

impl Table {
    /// Expands the three lists at compile time, when an index out of range is an error.
    const fn build() -> Self {
        let mut table = Self {
            page_of: [0; 256],
            deltas: [[0; 256]; PAGES],
        };
        let mut used = 0;
        let mut row = 0;
        while row < BLOCKS.len() {
            let (first, last, upper) = BLOCKS[row];
            let mut step = 0;
            while step <= last - first {
                used = table.set(used, first + step, upper + step);
                step += 1;
            }
            row += 1;
        }
        row = 0;
        while row < PAIRS.len() {
            let (first, last) = PAIRS[row];
            let mut lower = first;
            while lower <= last {
                used = table.set(used, lower, lower - 1);
                lower += 2;
            }
            row += 1;
        }
        row = 0;
        while row < SINGLES.len() {
            let (lower, upper) = SINGLES[row];
            used = table.set(used, lower, upper);
            row += 1;
        }
        assert!(used as usize == PAGES - 1);
        table
    }

    /// Enters one letter; returns the number of pages in use, not counting page 0.
    const fn set(&mut self, used: u8, lower: u16, upper: u16) -> u8 {
        let high = (lower >> 8) as usize;
        let is_new = self.page_of[high] == 0;
        let used = if is_new { used + 1 } else { used };
        if is_new {
            self.page_of[high] = used;
        }
        self.deltas[self.page_of[high] as usize][(lower & 0xff) as usize] =
            upper.wrapping_sub(lower);
        used
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn wide(text: &str) -> Vec<u16> {
        text.encode_utf16().collect()
    }

    fn upcase(name: &[u16]) -> Vec<u16> {
        name.iter().copied().map(upcase_unit).collect()
    }

    /// The checksum in `$UpCase:$Info`: CRC-64 with the reflected polynomial 0x9A6C9329AC4BC9B5,
    /// and all ones as initial value and final XOR (ntfs-3g `ntfsprogs/mkntfs.c`).
    fn crc64(bytes: impl Iterator<Item = u8>) -> u64 {
        let step = |crc: u64, _| (crc >> 1) ^ (0x9a6c_9329_ac4b_c9b5 * (crc & 1));
        !bytes.fold(!0, |crc, byte| (0..8).fold(crc ^ u64::from(byte), step))
    }

    #[test]
    fn whole_table_has_the_checksum_that_windows_stores() {
        let file = (0..=u16::MAX).flat_map(|unit| upcase_unit(unit).to_le_bytes());
        assert_eq!(crc64(file), 0xdadc_7e77_6b1b_690c);
    }

    #[test]
    fn units_map_as_in_the_windows_table() {
        let table = [
            ("ASCII", 'a', 'A'),
            ("ASCII", 'z', 'Z'),
            ("before a", '`', '`'),
            ("after z", '{', '{'),
            ("last of ASCII", '\u{7f}', '\u{7f}'),
            ("Latin-1", 'à', 'À'),
            ("division sign is not a letter", '÷', '÷'),
            ("upper case outside Latin-1", 'ÿ', 'Ÿ'),
            ("sharp s has no single upper case", 'ß', 'ß'),
            ("capital sharp s", 'ẞ', 'ẞ'),
            ("micro sign", 'µ', 'µ'),
            ("dotless i", 'ı', 'ı'),
            ("dotted capital I", 'İ', 'İ'),
            ("long s", 'ſ', 'ſ'),
            ("n preceded by apostrophe", 'ŉ', 'ŉ'),
            ("title case stays", 'ǅ', 'ǅ'),
            ("digraph", 'ǆ', 'Ǆ'),
            ("S with comma below", 'ș', 'Ș'),
            ("upper case in another block", 'ɐ', 'Ɐ'),
            ("not in exFAT's table", '\u{2c65}', '\u{23a}'),
            ("only in exFAT's table", '\u{23a}', '\u{23a}'),
            ("Greek", 'ά', 'Ά'),
            ("sigma", 'σ', 'Σ'),
            ("final sigma maps to itself", 'ς', 'ς'),
            ("iota subscript", 'ᾳ', 'ᾼ'),
            ("combining iota", '\u{345}', '\u{345}'),
            ("Cyrillic", 'я', 'Я'),
            ("Cyrillic", 'ё', 'Ё'),
            ("palochka", '\u{4cf}', '\u{4c0}'),
            ("Armenian", 'ա', 'Ա'),
            ("Georgian Nuskhuri", '\u{2d00}', '\u{10a0}'),
            ("Georgian Mkhedruli", 'ა', 'ა'),
            ("Cherokee", '\u{ab70}', '\u{ab70}'),
            ("Cherokee", '\u{13f8}', '\u{13f8}'),
            ("farthest mapping", '\u{1d79}', '\u{a77d}'),
            ("Kelvin sign", '\u{212a}', '\u{212a}'),
            ("Roman numeral", 'ⅰ', 'Ⅰ'),
            ("circled", 'ⓐ', 'Ⓐ'),
            ("full-width", 'ａ', 'Ａ'),
            ("last unit", '\u{ffff}', '\u{ffff}'),
        ];
        for (what, lower, upper) in table {
            let unit = |c| u16::try_from(u32::from(c)).unwrap();
            assert_eq!(upcase_unit(unit(lower)), unit(upper), "{what}: {lower}");
        }
    }

    #[test]
    fn surrogates_map_to_themselves() {
        assert!((0xd800..=0xdfff).all(|unit| upcase_unit(unit) == unit));
        assert!(!eq_ignore_case(&wide("\u{10428}"), &wide("\u{10400}")));
    }

    #[test]
    fn upper_case_is_final_and_belongs_to_one_lower_case() {
        let lower: Vec<u16> = (0..=u16::MAX).filter(|&u| upcase_unit(u) != u).collect();
        assert_eq!(lower.len(), 973);
        let mut upper = upcase(&lower);
        assert!(upper.iter().all(|&unit| upcase_unit(unit) == unit));
        upper.sort_unstable();
        upper.dedup();
        assert_eq!(upper.len(), lower.len());
    }

    #[test]
    fn names_of_different_length_are_never_equal() {
        for (a, b) in [("", "a"), ("a", "A "), ("ß", "SS"), ("ŉ", "ʼN")] {
            assert!(!eq_ignore_case(&wide(a), &wide(b)), "{a} {b}");
        }
    }

    #[test]
    fn order_is_by_upper_case_unit_then_length() {
        // `_` comes between `Z` and `a`, so it follows every letter. U+FF5E follows a surrogate
        // pair.
        let sorted = [
            "",
            "$MFT",
            "a",
            "A.txt",
            "ab",
            "B",
            "z",
            "_",
            "é",
            "\u{10000}",
            "～",
        ];
        for pair in sorted.windows(2) {
            let (a, b) = (wide(pair[0]), wide(pair[1]));
            assert_eq!(cmp_ignore_case(&a, &b), Ordering::Less, "{pair:?}");
            assert_eq!(cmp_ignore_case(&b, &a), Ordering::Greater, "{pair:?}");
        }
        assert_eq!(cmp_ignore_case(&wide("É"), &wide("é")), Ordering::Equal);
    }

    proptest! {
        #[test]
        fn comparisons_agree_with_the_mapped_names(
            a in prop::collection::vec(any::<u16>(), 0..12),
            b in prop::collection::vec(any::<u16>(), 0..12),
        ) {
            let (upper_a, upper_b) = (upcase(&a), upcase(&b));
            prop_assert!(eq_ignore_case(&a, &upper_a));
            prop_assert_eq!(eq_ignore_case(&a, &b), upper_a == upper_b);
            prop_assert_eq!(cmp_ignore_case(&a, &b), upper_a.cmp(&upper_b));
            prop_assert_eq!(cmp_ignore_case(&a, &upper_a), Ordering::Equal);
        }
    }
}
