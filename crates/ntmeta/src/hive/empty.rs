//! Empty hives: a root key and its security descriptor in one bin.
//!
//! The hives are built from scratch; the same name always yields the same bytes. The root key
//! grants the system and administrators full control and everyone read access, as in the hives of
//! real layers.

use super::{BASE_BLOCK_SIZE, BIN_HEADER_SIZE, BIN_UNIT, CHECKED_SIZE, CHECKSUM_AT, checksum};

/// The value of an unused offset.
const NONE: u32 = u32::MAX;
/// The fixed time of all hives built here, 2024-01-01 00:00 UTC as a file time, which keeps the
/// output reproducible.
const WRITTEN: u64 = 133_485_408_000_000_000;
/// The longest file name that fits into the base block with a terminator, in UTF-16 units.
const MAX_FILE_NAME: usize = 31;
/// The name of the root key.
const ROOT: &[u8] = b"ROOT";
/// Flags of the root key: ASCII name, cannot be deleted, root of a hive.
const ROOT_FLAGS: u16 = 0x2c;
/// Length of a key's cell up to its name, in bytes, not counting the cell's size field.
const KEY_SIZE: usize = 76;

const SYSTEM: &[u8] = &[1, 1, 0, 0, 0, 0, 0, 5, 18, 0, 0, 0];
const ADMINISTRATORS: &[u8] = &[1, 2, 0, 0, 0, 0, 0, 5, 32, 0, 0, 0, 32, 2, 0, 0];
const EVERYONE: &[u8] = &[1, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0];
const RESTRICTED: &[u8] = &[1, 1, 0, 0, 0, 0, 0, 5, 12, 0, 0, 0];
/// `KEY_ALL_ACCESS` (`winnt.h`).
const ALL_ACCESS: u32 = 0xf003f;
/// `KEY_READ` (`winnt.h`).
const READ: u32 = 0x20019;

/// Builds an empty hive for a base layer, of 8,192 bytes. The base block records up to 31 UTF-16
/// units of `file_name`.
///
/// ```
/// use ntmeta::hive;
///
/// let bytes = hive::empty("SOFTWARE");
/// assert_eq!(hive::check(&bytes, bytes.len() as u64), Ok(()));
/// ```
pub fn empty(file_name: &str) -> Vec<u8> {
    let mut block = base_block(file_name, 3);
    put(&mut block, 12, &WRITTEN.to_le_bytes());
    complete(block, WRITTEN)
}

/// Builds an empty delta hive, of 8,192 bytes, for a layer that does not change its parents'
/// registry. The base block records up to 31 UTF-16 units of `file_name`.
///
/// ```
/// use ntmeta::hive;
///
/// let delta = hive::empty_delta("Software_Delta");
/// assert!(hive::says_nothing(&delta));
/// ```
pub fn empty_delta(file_name: &str) -> Vec<u8> {
    let mut block = base_block(file_name, 6);
    put(&mut block, 144, &2u32.to_le_bytes());
    put(&mut block, 168, &WRITTEN.to_le_bytes());
    put(&mut block, 176, b"OfRg\x01\0\0\0");
    put(&mut block, 512, &WRITTEN.to_le_bytes());
    complete(block, 0)
}

fn put(block: &mut [u8; BASE_BLOCK_SIZE], at: usize, bytes: &[u8]) {
    block[at..at + bytes.len()].copy_from_slice(bytes);
}

/// Fills in the fields that all hives share.
fn base_block(file_name: &str, minor_version: u32) -> [u8; BASE_BLOCK_SIZE] {
    let mut block = [0; BASE_BLOCK_SIZE];
    put(&mut block, 0, super::SIGNATURE);
    for (at, number) in [
        (4, 1),
        (8, 1),
        (20, super::MAJOR_VERSION),
        (24, minor_version),
        (32, 1),
        (36, BIN_HEADER_SIZE),
        (40, BIN_UNIT),
        (44, 1),
    ] {
        put(&mut block, at, &number.to_le_bytes());
    }
    for (index, unit) in file_name.encode_utf16().take(MAX_FILE_NAME).enumerate() {
        put(&mut block, 48 + 2 * index, &unit.to_le_bytes());
    }
    block
}

/// Adds the checksum and appends the bin.
fn complete(mut block: [u8; BASE_BLOCK_SIZE], bin_written: u64) -> Vec<u8> {
    let mut checked = [0; CHECKED_SIZE];
    checked.copy_from_slice(&block[..CHECKED_SIZE]);
    put(&mut block, CHECKSUM_AT, &checksum(&checked).to_le_bytes());
    let mut hive = block.to_vec();
    hive.extend(bin(bin_written));
    hive
}

/// Builds the only bin: its header, the root key, the security descriptor, free space.
fn bin(written: u64) -> Vec<u8> {
    let security_at = BIN_HEADER_SIZE + cell_size(KEY_SIZE + ROOT.len()) as u32;
    let mut bin = b"hbin".to_vec();
    for number in [0, BIN_UNIT, 0, 0] {
        bin.extend_from_slice(&number.to_le_bytes());
    }
    bin.extend_from_slice(&written.to_le_bytes());
    bin.extend_from_slice(&[0; 4]);
    for content in [root_key(security_at), security_cell(security_at)] {
        let size = cell_size(content.len());
        // A cell in use has a negative size.
        bin.extend_from_slice(&(-(size as i32)).to_le_bytes());
        bin.extend_from_slice(&content);
        bin.resize(bin.len() + size - 4 - content.len(), 0);
    }
    let free = BIN_UNIT - bin.len() as u32;
    bin.extend_from_slice(&free.to_le_bytes());
    bin.resize(BIN_UNIT as usize, 0);
    bin
}

fn root_key(security_at: u32) -> Vec<u8> {
    let mut key = b"nk".to_vec();
    key.extend_from_slice(&ROOT_FLAGS.to_le_bytes());
    key.extend_from_slice(&WRITTEN.to_le_bytes());
    // Access bits, parent; numbers and lists of subkeys, stable and volatile; number and list of
    // values; security descriptor; class.
    let references = [0, 0, 0, 0, NONE, NONE, 0, NONE, security_at, NONE];
    // The longest names and values below, and a field used only while the hive is loaded.
    let longest = [0; 5];
    for number in references.iter().chain(&longest) {
        key.extend_from_slice(&number.to_le_bytes());
    }
    key.extend_from_slice(&[ROOT.len() as u8, 0, 0, 0]);
    key.extend_from_slice(ROOT);
    key
}

/// Builds the cell of the security descriptor: alone in its ring, and used once.
fn security_cell(at: u32) -> Vec<u8> {
    let descriptor = descriptor();
    let mut cell = b"sk\0\0".to_vec();
    for number in [at, at, 1, descriptor.len() as u32] {
        cell.extend_from_slice(&number.to_le_bytes());
    }
    cell.extend_from_slice(&descriptor);
    cell
}

/// Builds the self-relative security descriptor: header, DACL, owner, group.
fn descriptor() -> Vec<u8> {
    let mut dacl = Vec::new();
    for (sid, mask) in [
        (SYSTEM, ALL_ACCESS),
        (ADMINISTRATORS, ALL_ACCESS),
        (EVERYONE, READ),
        (RESTRICTED, READ),
    ] {
        // Access allowed, inherited by subkeys.
        dacl.extend_from_slice(&[0, 2, 8 + sid.len() as u8, 0]);
        dacl.extend_from_slice(&mask.to_le_bytes());
        dacl.extend_from_slice(sid);
    }
    let dacl_size = 8 + dacl.len() as u32;
    let owner_at = 20 + dacl_size;
    let group_at = owner_at + ADMINISTRATORS.len() as u32;
    let mut descriptor = vec![1, 0, 4, 0x80];
    for number in [owner_at, group_at, 0, 20] {
        descriptor.extend_from_slice(&number.to_le_bytes());
    }
    descriptor.extend_from_slice(&[2, 0, dacl_size as u8, 0, 4, 0, 0, 0]);
    descriptor.extend_from_slice(&dacl);
    descriptor.extend_from_slice(ADMINISTRATORS);
    descriptor.extend_from_slice(ADMINISTRATORS);
    descriptor
}

/// Returns the bytes of a cell: its size, then the content padded to a multiple of 8.
fn cell_size(content: usize) -> usize {
    (4 + content).next_multiple_of(8)
}

#[cfg(test)]
mod tests {
    use super::super::{BASE_BLOCK_SIZE, check};
    use super::*;
    use crate::SecurityDescriptor;

    #[test]
    fn both_kinds_are_valid_and_reproducible() {
        for hive in [empty("SYSTEM"), empty_delta("System_Delta")] {
            assert_eq!(hive.len(), 8192);
            assert_eq!(check(&hive, 8192), Ok(()));
        }
        assert_eq!(empty("x"), empty("x"));
        let long = empty(&"long".repeat(20));
        assert_eq!(check(&long, 8192), Ok(()));
        assert_eq!(long[110..112], [0, 0], "the name has a terminator");
    }

    #[test]
    fn only_a_delta_hive_may_have_layered_keys() {
        let (base, delta) = (empty("a"), empty_delta("a"));
        assert_eq!((base[24], base[144], &base[176..180]), (3, 0, &[0; 4][..]));
        assert_eq!(
            (delta[24], delta[144], &delta[176..180]),
            (6, 2, &b"OfRg"[..])
        );
    }

    #[test]
    fn cells_fill_the_bin_to_its_end() {
        let hive = empty("a");
        let mut at = BASE_BLOCK_SIZE + BIN_HEADER_SIZE as usize;
        let mut cells = 0;
        while at < hive.len() {
            let bytes = hive[at..].first_chunk().expect("a whole size");
            let size = i32::from_le_bytes(*bytes);
            assert!(size != 0 && size % 8 == 0);
            at += size.unsigned_abs() as usize;
            cells += 1;
        }
        assert_eq!((at, cells), (hive.len(), 3));
    }

    #[test]
    fn the_security_descriptor_matches_real_layers() {
        let parsed = SecurityDescriptor::parse(&descriptor()).expect("well-formed");
        assert_eq!(
            parsed.to_sddl().expect("plain"),
            "O:BAG:BAD:(A;CI;KA;;;SY)(A;CI;KA;;;BA)(A;CI;KR;;;WD)(A;CI;KR;;;RC)"
        );
    }
}
