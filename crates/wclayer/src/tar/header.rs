//! The 512-byte tar header block: v7, POSIX ustar, star and GNU, both directions.
//!
//! A block is parsed into [`Header`], numbers decoded and the checksum verified; [`encode`] writes
//! the ustar form, with the fields laid out as Go's `archive/tar` lays them out, because layers
//! written by this project are byte-equal to the reference's.
//!
//! Sources: POSIX.1-2017 `pax`, "ustar Interchange Format"; GNU tar manual, "Basic Tar Format"
//! (base-256 numbers, `prefix` replaced by times); Go `archive/tar/format.go`.

use super::error::TarProblem;

/// Size of a tar block in bytes; headers are one block, contents are padded to whole blocks.
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
    /// Seconds since 1970; GNU headers may have it.
    pub(crate) accessed: Option<i64>,
    /// Seconds since 1970; GNU headers may have it.
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
const GNU_ACCESSED: std::ops::Range<usize> = 345..357;
const GNU_CHANGED: std::ops::Range<usize> = 357..369;
const STAR_TRAILER: std::ops::Range<usize> = 508..512;

/// Fields that are only looked at to tell of them.
type Fields<const COUNT: usize> = [(std::ops::Range<usize>, &'static str); COUNT];
const OWNERS: Fields<3> = [(100..108, "mode"), (108..116, "uid"), (116..124, "gid")];
const DEVICES: Fields<2> = [(329..337, "devmajor"), (337..345, "devminor")];
const STAR_TIMES: Fields<2> = [(476..488, "atime"), (488..500, "ctime")];

/// Parses a header block whose checksum must be right.
pub(crate) fn parse(block: &[u8; BLOCK]) -> Result<Header, TarProblem> {
    verify_checksum(block)?;
    let ustar = block[MAGIC].starts_with(b"ustar\0");
    let gnu = &block[MAGIC] == b"ustar  \0";
    let mut name = text(&block[NAME]).to_vec();
    if ustar {
        let star = &block[STAR_TRAILER] == b"tar\0";
        let prefix = text(&block[if star { STAR_PREFIX } else { PREFIX }]);
        if !prefix.is_empty() {
            name = [prefix, b"/", &name].concat();
        }
    }
    let gnu_time = |range: std::ops::Range<usize>, field| match block[range.start] {
        0 => Ok(None),
        _ => number(&block[range], field).map(Some),
    };
    Ok(Header {
        name,
        link_name: text(&block[LINK_NAME]).to_vec(),
        type_flag: block[TYPE_FLAG],
        size: unsigned(&block[SIZE], "size")?,
        modified: number(&block[MODIFIED], "mtime")?,
        accessed: if gnu {
            gnu_time(GNU_ACCESSED, "atime")?
        } else {
            None
        },
        changed: if gnu {
            gnu_time(GNU_CHANGED, "ctime")?
        } else {
            None
        },
    })
}

/// Names the numbers that cannot be read among those that no layer needs. Go's reader refuses the
/// whole tar for one of them (`archive/tar/reader.go`, `readHeader`).
pub(crate) fn malformed_numbers(block: &[u8; BLOCK]) -> impl Iterator<Item = &'static str> {
    let is_star = &block[MAGIC][..6] == b"ustar\0" && &block[STAR_TRAILER] == b"tar\0";
    let has_devices = is_star || &block[MAGIC][..6] == b"ustar\0" || &block[MAGIC] == b"ustar  \0";
    let devices = if has_devices { &DEVICES[..] } else { &[] };
    let times = if is_star { &STAR_TIMES[..] } else { &[] };
    let fields = OWNERS.iter().chain(devices).chain(times);
    let block = *block;
    fields
        .filter(move |(range, field)| number(&block[range.clone()], field).is_err())
        .map(|(_, field)| *field)
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

/// Decodes a number that may not be negative.
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

/// What goes into a header block that is written.
#[derive(Debug, Clone, Default)]
pub(crate) struct NewHeader<'a> {
    pub(crate) name: &'a [u8],
    /// The directory part of a long name, ustar's own way; empty where PAX carries the name.
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

/// Encodes a ustar header block. Texts are cut at their field's length and numbers over
/// [`MAX_OCTAL`] become 0: the caller has put the whole of both into a PAX header.
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

/// Writes a text, cut at the field's end. A cut that would end in `/` is shortened: some readers
/// take such a name for a directory whatever its type is.
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
