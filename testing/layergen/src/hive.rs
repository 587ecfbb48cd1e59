//! The smallest registry hive: one base block, one bin, a root key and its descriptor.
//!
//! Numbers are little-endian; cell offsets count from the first bin, at byte 4096.
//!
//! Source: msuhanov's regf specification; the flag for layered keys and the `OfRg` mark were
//! observed in a `Software_Delta` of a real container.

use crate::descriptor::{Ace, security_descriptor, sid};

const BLOCK: usize = 4096;
const NONE: u32 = u32::MAX;
const BIN_HEADER: u32 = 32;
/// The time that `examples/sample` uses too: 2024-05-08 00:01:00 UTC as a FILETIME.
const WRITTEN: u64 = 133_596_000_600_000_000;

/// Builds a hive of 8,192 bytes. Its header records `file_name` (at most 31 characters); `delta`
/// marks it as the hive of a layer with parents.
pub fn minimal_hive(file_name: &str, delta: bool) -> Vec<u8> {
    let stamp = if delta { 0 } else { WRITTEN };
    let mut block = [0; BLOCK];
    let mut put = |at: usize, bytes: &[u8]| block[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, b"regf");
    put(12, &stamp.to_le_bytes());
    let minor = if delta { 6 } else { 3 };
    for (at, number) in [
        (4, 1),
        (8, 1),
        (20, 1),
        (24, minor),
        (32, 1),
        (36, BIN_HEADER),
        (40, BLOCK as u32),
        (44, 1),
    ] {
        put(at, &u32::to_le_bytes(number));
    }
    for (index, unit) in file_name.encode_utf16().take(31).enumerate() {
        put(48 + 2 * index, &unit.to_le_bytes());
    }
    if delta {
        put(144, &2u32.to_le_bytes());
        put(168, &WRITTEN.to_le_bytes());
        put(176, b"OfRg\x01\0\0\0");
        put(512, &WRITTEN.to_le_bytes());
    }
    let checksum = checksum(&block);
    block[508..512].copy_from_slice(&checksum.to_le_bytes());
    [&block[..], &bin(stamp)].concat()
}

/// The XOR of the first 127 words, with 0 and -1 replaced.
fn checksum(block: &[u8; BLOCK]) -> u32 {
    let words = block[..508].chunks_exact(4);
    let sum = words.fold(0, |sum, word| {
        sum ^ u32::from_le_bytes([word[0], word[1], word[2], word[3]])
    });
    match sum {
        0 => 1,
        u32::MAX => u32::MAX - 1,
        sum => sum,
    }
}

fn bin(stamp: u64) -> Vec<u8> {
    const ROOT: &[u8] = b"ROOT";
    let at_security = BIN_HEADER + cell_size(76 + ROOT.len()) as u32;

    let mut root = b"nk\x2c\0".to_vec();
    root.extend_from_slice(&WRITTEN.to_le_bytes());
    for number in [
        0,
        0,
        0,
        0,
        NONE,
        NONE,
        0,
        NONE,
        at_security,
        NONE,
        0,
        0,
        0,
        0,
        0,
    ] {
        root.extend_from_slice(&u32::to_le_bytes(number));
    }
    root.extend_from_slice(&[ROOT.len() as u8, 0, 0, 0]);
    root.extend_from_slice(ROOT);

    let administrators = sid(5, &[32, 544]);
    let system = sid(5, &[18]);
    let full = |sid: &[u8]| Ace {
        sid: sid.to_vec(),
        mask: 0x000f_003f,
        flags: 2,
    };
    let dacl = [full(&system), full(&administrators)];
    let descriptor = security_descriptor(&administrators, &system, &dacl, 0);
    let mut security = b"sk\0\0".to_vec();
    for number in [at_security, at_security, 1, descriptor.len() as u32] {
        security.extend_from_slice(&number.to_le_bytes());
    }
    security.extend_from_slice(&descriptor);

    let mut bin = b"hbin\0\0\0\0\x00\x10\0\0".to_vec();
    bin.extend_from_slice(&[0; 8]);
    bin.extend_from_slice(&stamp.to_le_bytes());
    bin.extend_from_slice(&[0; 4]);
    for content in [&root, &security] {
        let size = cell_size(content.len());
        bin.extend_from_slice(&(-(size as i32)).to_le_bytes());
        bin.extend_from_slice(content);
        bin.resize(bin.len() + size - 4 - content.len(), 0);
    }
    let free = (BLOCK - bin.len()) as i32;
    bin.extend_from_slice(&free.to_le_bytes());
    bin.resize(BLOCK, 0);
    bin
}

/// Returns the bytes of a cell: its size field, then the content padded to a multiple of 8.
fn cell_size(content: usize) -> usize {
    (4 + content).next_multiple_of(8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hive_has_a_correct_checksum_and_complete_cells() {
        for delta in [false, true] {
            let hive = minimal_hive("System_Base", delta);
            assert_eq!(hive.len(), 8192);
            let words = hive[..512].chunks_exact(4);
            let sum = words.fold(0, |sum, w| {
                sum ^ u32::from_le_bytes([w[0], w[1], w[2], w[3]])
            });
            assert_eq!(sum, 0, "the XOR including the checksum is zero");
            let mut at = BLOCK + BIN_HEADER as usize;
            while at < hive.len() {
                let size = i32::from_le_bytes([hive[at], hive[at + 1], hive[at + 2], hive[at + 3]]);
                assert!(size != 0 && size % 8 == 0);
                at += size.unsigned_abs() as usize;
            }
            assert_eq!(at, hive.len());
        }
    }
}
