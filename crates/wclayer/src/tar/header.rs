//! The 512-byte tar header block: v7, POSIX ustar, star and GNU, both directions.
//!
//! Parses a block into a [`Header`], with decoded numbers and a verified checksum. [`encode`] writes the
//! ustar form with the same layout as Go's `archive/tar`, because layers written by this project are
//! byte-equal to those of the reference.
//!
//! Sources: POSIX.1-2017 `pax`, "ustar Interchange Format"; GNU tar manual, "Basic Tar Format"
//! (base-256 numbers, `prefix` replaced by times); Go `archive/tar/format.go`.

use crate::error::TarProblem;

/// The size of a tar block in bytes; a header is one block, and content is padded to whole blocks.
pub const BLOCK: usize = 512;

/// The type of a tar entry, as its header's `typeflag` byte.
pub(crate) mod type_flag {
    pub(crate) const REGULAR: u8 = b'0';
    pub(crate) const REGULAR_V7: u8 = 0;
    pub(crate) const LINK: u8 = b'1';
    pub(crate) const SYMLINK: u8 = b'2';
    pub(crate) const CHARACTER_DEVICE: u8 = b'3';
    pub(crate) const BLOCK_DEVICE: u8 = b'4';
    pub(crate) const DIRECTORY: u8 = b'5';
    pub(crate) const FIFO: u8 = b'6';
    pub(crate) const CONTIGUOUS: u8 = b'7';
    pub(crate) const PAX_LOCAL: u8 = b'x';
    pub(crate) const PAX_GLOBAL: u8 = b'g';
    pub(crate) const GNU_LONG_NAME: u8 = b'L';
    pub(crate) const GNU_LONG_LINK: u8 = b'K';
    pub(crate) const GNU_SPARSE: u8 = b'S';
}

/// The fields of a header block that matter to a layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Header {
    /// `prefix` and `name` joined.
    pub(crate) name: Vec<u8>,
    pub(crate) link_name: Vec<u8>,
    pub(crate) type_flag: u8,
    /// Length of the content as stored, in bytes.
    pub(crate) size: u64,
    /// Seconds since 1970.
    pub(crate) modified: i64,
    /// Seconds since 1970; GNU and star headers may have it.
    pub(crate) accessed: Option<i64>,
    /// Seconds since 1970; GNU and star headers may have it.
    pub(crate) changed: Option<i64>,
}

const NAME: std::ops::Range<usize> = 0..100;
const SIZE: std::ops::Range<usize> = 124..136;
const MODIFIED: std::ops::Range<usize> = 136..148;
const CHECKSUM: std::ops::Range<usize> = 148..156;
const TYPE_FLAG: usize = 156;
const LINK_NAME: std::ops::Range<usize> = 157..257;
const MAGIC: std::ops::Range<usize> = 257..265;
const PREFIX: std::ops::Range<usize> = 345..500;
const STAR_PREFIX: std::ops::Range<usize> = 345..476;
const STAR_ACCESSED: std::ops::Range<usize> = 476..488;
const STAR_CHANGED: std::ops::Range<usize> = 488..500;
const GNU_ACCESSED: std::ops::Range<usize> = 345..357;
const GNU_CHANGED: std::ops::Range<usize> = 357..369;
const STAR_TRAILER: std::ops::Range<usize> = 508..512;

/// Fields that are only examined to report them.
type Fields<const COUNT: usize> = [(std::ops::Range<usize>, &'static str); COUNT];
const OWNERS: Fields<3> = [(100..108, "mode"), (108..116, "uid"), (116..124, "gid")];
const DEVICES: Fields<2> = [(329..337, "devmajor"), (337..345, "devminor")];

/// Parses a header block and verifies its checksum.
pub(crate) fn parse(block: &[u8; BLOCK]) -> Result<Header, TarProblem> {
    verify_checksum(block)?;
    let Extension {
        prefix,
        accessed,
        changed,
    } = Extension::of(block)?;
    let name = text(&block[NAME]);
    Ok(Header {
        name: match prefix {
            b"" => name.to_vec(),
            prefix => [prefix, b"/", name].concat(),
        },
        link_name: text(&block[LINK_NAME]).to_vec(),
        type_flag: block[TYPE_FLAG],
        size: unsigned(&block[SIZE], "size")?,
        modified: number(&block[MODIFIED], "mtime")?,
        accessed,
        changed,
    })
}

/// Returns the malformed numbers among those that layers do not need. Go's reader rejects the whole tar
/// for one of them (`archive/tar/reader.go`, `readHeader`).
pub(crate) fn malformed_numbers(block: &[u8; BLOCK]) -> impl Iterator<Item = &'static str> {
    let has_devices = &block[MAGIC][..6] == b"ustar\0" || &block[MAGIC] == b"ustar  \0";
    let devices = if has_devices { &DEVICES[..] } else { &[] };
    let fields = OWNERS.iter().chain(devices);
    let block = *block;
    fields
        .filter(move |(range, field)| number(&block[range.clone()], field).is_err())
        .map(|(_, field)| *field)
}

/// The fields after those that all forms of the header share.
#[derive(Default)]
struct Extension<'a> {
    /// The directory part of the name; empty without one.
    prefix: &'a [u8],
    accessed: Option<i64>,
    changed: Option<i64>,
}

impl<'a> Extension<'a> {
    fn of(block: &'a [u8; BLOCK]) -> Result<Self, TarProblem> {
        if &block[MAGIC] == b"ustar  \0" {
            return Ok(Self::of_gnu(block));
        }
        if !block[MAGIC].starts_with(b"ustar\0") {
            return Ok(Self::default());
        }
        if &block[STAR_TRAILER] != b"tar\0" {
            return Ok(Self {
                prefix: text(&block[PREFIX]),
                ..Self::default()
            });
        }
        Ok(Self {
            prefix: text(&block[STAR_PREFIX]),
            accessed: Some(number(&block[STAR_ACCESSED], "atime")?),
            changed: Some(number(&block[STAR_CHANGED], "ctime")?),
        })
    }

    /// GNU's times, or the prefix that Go before 1.8 wrote in their place.
    ///
    /// After a number that needed base 256, that writer used GNU's magic for the rest of the tar but
    /// continued to write ustar's prefix (golang/go#12594, #21005); Docker up to 17.05 created such
    /// images. As in Go's reader, if one of the two times is not a number, neither is a time, and the
    /// text is a prefix if it is ASCII.
    fn of_gnu(block: &'a [u8; BLOCK]) -> Self {
        let time = |range: std::ops::Range<usize>, field| match block[range.start] {
            0 => Ok(None),
            _ => number(&block[range], field).map(Some),
        };
        if let (Ok(accessed), Ok(changed)) =
            (time(GNU_ACCESSED, "atime"), time(GNU_CHANGED, "ctime"))
        {
            return Self {
                prefix: b"",
                accessed,
                changed,
            };
        }
        let prefix = text(&block[PREFIX]);
        Self {
            prefix: if prefix.is_ascii() { prefix } else { b"" },
            ..Self::default()
        }
    }
}

/// Whether a block, or its start, has the magic of ustar or GNU tar.
pub(crate) fn has_magic(block: &[u8]) -> bool {
    block
        .get(MAGIC.start..MAGIC.start + 5)
        .is_some_and(|magic| magic == b"ustar")
}

/// Sums the bytes with the checksum field read as spaces; old tars summed signed bytes.
fn verify_checksum(block: &[u8; BLOCK]) -> Result<(), TarProblem> {
    let stored = number(&block[CHECKSUM], "checksum")?;
    let (mut plain, mut signed) = (0i64, 0i64);
    for (at, &byte) in block.iter().enumerate() {
        let byte = if CHECKSUM.contains(&at) { b' ' } else { byte };
        plain += i64::from(byte);
        signed += i64::from(byte as i8);
    }
    if stored == plain || stored == signed {
        Ok(())
    } else {
        Err(TarProblem::Checksum {
            stored,
            computed: plain,
        })
    }
}

/// Returns a text field up to its first NUL.
fn text(field: &[u8]) -> &[u8] {
    let end = field
        .iter()
        .position(|byte| *byte == 0)
        .unwrap_or(field.len());
    &field[..end]
}

/// Decodes a number that must not be negative.
pub(crate) fn unsigned(bytes: &[u8], field: &'static str) -> Result<u64, TarProblem> {
    u64::try_from(number(bytes, field)?).map_err(|_| TarProblem::Number { field })
}

/// Decodes a number: octal text between spaces and NULs, or GNU's base-256 (the first bit set; a
/// big-endian two's complement number otherwise).
fn number(bytes: &[u8], field: &'static str) -> Result<i64, TarProblem> {
    let fail = || TarProblem::Number { field };
    if bytes[0] & 0x80 != 0 {
        let negative = bytes[0] & 0x40 != 0;
        let first = if negative { bytes[0] } else { bytes[0] & 0x7F };
        let mut value = i128::from(first as i8);
        for &byte in &bytes[1..] {
            value = (value << 8) | i128::from(byte);
        }
        return i64::try_from(value).map_err(|_| fail());
    }
    let padding = |byte: &u8| matches!(byte, b' ' | 0);
    let Some(start) = bytes.iter().position(|byte| !padding(byte)) else {
        return Ok(0);
    };
    let end = bytes
        .iter()
        .rposition(|byte| !padding(byte))
        .unwrap_or(start)
        + 1;
    text(&bytes[start..end])
        .iter()
        .try_fold(0i64, |value, &byte| match byte {
            b'0'..=b'7' => value
                .checked_mul(8)
                .and_then(|value| value.checked_add(i64::from(byte - b'0')))
                .ok_or_else(fail),
            _ => Err(fail()),
        })
}

/// The content of a header block to write.
#[derive(Debug, Clone, Default)]
pub(crate) struct NewHeader<'a> {
    pub(crate) name: &'a [u8],
    /// The directory part of a long name (ustar); empty if a PAX header has the name.
    pub(crate) prefix: &'a [u8],
    pub(crate) mode: u32,
    pub(crate) size: u64,
    /// Seconds since 1970.
    pub(crate) modified: u64,
    pub(crate) type_flag: u8,
    pub(crate) link_name: &'a [u8],
    /// Whether the device numbers are written as zeros (entries) or left out (PAX headers).
    pub(crate) device_fields: bool,
}

/// The largest number that an 12-byte octal field holds.
pub(crate) const MAX_OCTAL: u64 = 0o77_777_777_777;

/// Encodes a ustar header block. Truncates texts to the length of their field, and writes 0 for numbers
/// over [`MAX_OCTAL`]: the caller has put both into a PAX header.
pub(crate) fn encode(header: &NewHeader<'_>) -> [u8; BLOCK] {
    let mut block = [0; BLOCK];
    put_text(&mut block[NAME], header.name);
    put_octal(&mut block[100..108], header.mode.into());
    put_octal(&mut block[108..116], 0);
    put_octal(&mut block[116..124], 0);
    put_octal(&mut block[SIZE], header.size);
    put_octal(&mut block[MODIFIED], header.modified);
    block[TYPE_FLAG] = header.type_flag;
    put_text(&mut block[LINK_NAME], header.link_name);
    block[MAGIC].copy_from_slice(b"ustar\x0000");
    if header.device_fields {
        put_octal(&mut block[329..337], 0);
        put_octal(&mut block[337..345], 0);
    }
    put_text(&mut block[PREFIX], header.prefix);
    block[CHECKSUM].fill(b' ');
    let sum: u64 = block.iter().map(|byte| u64::from(*byte)).sum();
    put_octal(&mut block[148..155], sum);
    block
}

/// Writes a text, truncated at the end of the field. A truncated text that would end in `/` is shortened
/// further: some readers treat any such name as a directory.
fn put_text(field: &mut [u8], text: &[u8]) {
    let len = field.len().min(text.len());
    field[..len].copy_from_slice(&text[..len]);
    if text.len() > field.len() && field.ends_with(b"/") {
        let kept = field
            .iter()
            .rposition(|byte| *byte != b'/')
            .map_or(0, |at| at + 1);
        field[kept] = 0;
    }
}

/// Writes a number as octal digits that fill the field up to a closing NUL.
fn put_octal(field: &mut [u8], value: u64) {
    let digits = field.len() - 1;
    let value = if digits < 21 && value >> (3 * digits) != 0 {
        0
    } else {
        value
    };
    for (at, byte) in field[..digits].iter_mut().rev().enumerate() {
        *byte = b'0' + (value >> (3 * at) & 7) as u8;
    }
    field[digits] = 0;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_every_spelling() {
        for (bytes, value) in [
            (&b"00000000017\0"[..], Some(15)),
            (b"  17 \0\0\0\0\0\0\0", Some(15)),
            (b"\0\0\0\0\0\0\0\0\0\0\0\0", Some(0)),
            (b"\x80\0\0\0\0\0\0\0\0\0\x01\0", Some(256)),
            (
                b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
                Some(-1),
            ),
            (b"\x80\0\0\0\x80\0\0\0\0\0\0\0", None),
            (b"18\0\0\0\0\0\0\0\0\0\0", None),
            (b"-1\0\0\0\0\0\0\0\0\0\0", None),
        ] {
            assert_eq!(number(bytes, "field").ok(), value, "{bytes:?}");
        }
        assert!(unsigned(b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", "size").is_err());
    }

    /// Returns a header with the name `name`, GNU's magic, and `fields` at their offsets.
    fn gnu(fields: &[(usize, &[u8])]) -> [u8; BLOCK] {
        with_magic(b"ustar  \0", fields)
    }

    fn with_magic(magic: &[u8], fields: &[(usize, &[u8])]) -> [u8; BLOCK] {
        let mut block = encode(&NewHeader {
            name: b"name",
            type_flag: type_flag::REGULAR,
            ..NewHeader::default()
        });
        block[MAGIC].copy_from_slice(magic);
        for (at, bytes) in fields {
            block[*at..at + bytes.len()].copy_from_slice(bytes);
        }
        block[CHECKSUM].fill(b' ');
        let sum: u64 = block.iter().map(|byte| u64::from(*byte)).sum();
        put_octal(&mut block[148..155], sum);
        block
    }

    #[test]
    fn gnu_times_that_are_no_numbers_are_a_prefix() {
        let long = [b'd'; 155];
        let (accessed, changed) = (GNU_ACCESSED.start, GNU_CHANGED.start);
        let base_256 = b"\x80\0\0\0\0\0\0\0\0\0\x01\0";
        type Fields<'a> = &'a [(usize, &'a [u8])];
        type Times = (Option<i64>, Option<i64>);
        let cases: [(Fields<'_>, &[u8], Times); 13] = [
            // Times, or none.
            (&[], b"name", (None, None)),
            (
                &[(accessed, b"00000000017\0"), (changed, b"         21\0")],
                b"name",
                (Some(15), Some(17)),
            ),
            (&[(changed, base_256)], b"name", (None, Some(256))),
            (&[(accessed, b"            ")], b"name", (Some(0), None)),
            // A time of octal digits is indistinguishable from a prefix of octal digits.
            (&[(accessed, b"17")], b"name", (Some(15), None)),
            // A prefix, as long as there is room.
            (&[(accessed, b"Files/a")], b"Files/a/name", (None, None)),
            (&[(accessed, b"17/x")], b"17/x/name", (None, None)),
            (
                &[(accessed, &long)],
                &[&long[..], b"/name"].concat(),
                (None, None),
            ),
            // The text ends at its NUL, whatever follows it.
            (
                &[(accessed, b"Files\0"), (changed, b"00000000021\0")],
                b"Files/name",
                (None, None),
            ),
            // Only the change time is not a number: there is no text before the NUL.
            (&[(changed, b"x")], b"name", (None, None)),
            (
                &[(accessed, b"17\0"), (changed, b"x")],
                b"17/name",
                (None, None),
            ),
            // Bytes that are not ASCII are neither.
            (
                &[(accessed, "Fil\u{e9}s".as_bytes())],
                b"name",
                (None, None),
            ),
            (&[(accessed, b"Files\xff")], b"name", (None, None)),
        ];
        for (fields, name, times) in cases {
            let header = parse(&gnu(fields)).expect("a header that Go reads");
            assert_eq!(header.name, name, "{fields:?}");
            assert_eq!((header.accessed, header.changed), times, "{fields:?}");
        }
    }

    #[test]
    fn star_has_a_short_prefix_and_times_behind_it() {
        let star = |fields: &[(usize, &[u8])]| {
            let trailer = (STAR_TRAILER.start, &b"tar\0"[..]);
            parse(&with_magic(b"ustar\x0000", &[fields, &[trailer]].concat()))
        };
        let header = star(&[
            (PREFIX.start, &[b'd'; 131]),
            (STAR_ACCESSED.start, b"00000000017 "),
            (STAR_CHANGED.start, b"00000000021 "),
        ])
        .expect("a star header");
        assert_eq!(header.name, [&[b'd'; 131][..], b"/name"].concat());
        assert_eq!((header.accessed, header.changed), (Some(15), Some(17)));
        assert!(star(&[(STAR_CHANGED.start, b"x")]).is_err());
    }

    #[test]
    fn what_is_encoded_is_parsed_again() {
        let block = encode(&NewHeader {
            name: b"Files/a",
            mode: 0o100_000,
            size: 5,
            modified: 1_700_000_000,
            type_flag: type_flag::REGULAR,
            device_fields: true,
            ..NewHeader::default()
        });
        let header = parse(&block).expect("our own header");
        assert_eq!(header.name, b"Files/a");
        assert_eq!((header.size, header.modified), (5, 1_700_000_000));
        let mut broken = block;
        broken[0] = b'X';
        assert!(matches!(parse(&broken), Err(TarProblem::Checksum { .. })));
    }
}
