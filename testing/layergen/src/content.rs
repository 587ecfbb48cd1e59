//! File contents that compress about as well as Windows binaries (2 to 2.6 times with `gzip -6`).
//!
//! Contents consist of blocks of four kinds: instructions, tables full of zeros, UTF-16 text, and
//! incompressible data. Each block comes from the file's own generator, so a compressor with a
//! large window finds no repetitions across files.

use std::io::{self, Read};

use crate::rng::Rng;

const BLOCK: usize = 4096;

/// Common x86-64 instruction forms: the fixed bytes, then the number of operand bytes.
const INSTRUCTIONS: [(&[u8], usize); 24] = [
    (&[0x48, 0x8b], 1),
    (&[0x48, 0x89, 0x5c, 0x24], 1),
    (&[0xe8], 4),
    (&[0x48, 0x8d, 0x0d], 4),
    (&[0x48, 0x83, 0xec], 1),
    (&[0x48, 0x83, 0xc4], 1),
    (&[0x85, 0xc0, 0x74], 1),
    (&[0x0f, 0x84], 4),
    (&[0x75], 1),
    (&[0xeb], 1),
    (&[0x33, 0xc0], 0),
    (&[0xc3, 0xcc, 0xcc, 0xcc, 0xcc, 0xcc, 0xcc, 0xcc], 0),
    (&[0x48, 0x8b, 0x44, 0x24], 1),
    (&[0x89, 0x44, 0x24], 1),
    (&[0xff, 0x15], 4),
    (&[0x4c, 0x8b], 1),
    (&[0x41, 0xb8], 4),
    (&[0x8b, 0xc8], 0),
    (&[0x48, 0x85, 0xc9, 0x74], 1),
    (&[0x0f, 0xb7], 1),
    (&[0x66, 0x89], 1),
    (&[0x57, 0x48, 0x83, 0xec, 0x20], 0),
    (&[0x48, 0x8b, 0xd9], 0),
    (&[0xba], 4),
];

const WORDS: [&str; 32] = [
    "Windows",
    "System",
    "error",
    "Failed to ",
    "the ",
    "service",
    "Microsoft",
    " Corporation",
    "version",
    "file",
    "%s",
    "0x%08x",
    "registry",
    "key ",
    "value",
    "policy",
    "network",
    "adapter ",
    "certificate",
    "store",
    "\\Device\\",
    "security",
    " descriptor",
    "for ",
    "user",
    "not found",
    ".dll",
    "Get",
    "Set",
    "Query",
    "Handle",
    "Information",
];

/// Yields endless content; `read` never fails and always fills the buffer.
pub(crate) struct Content {
    rng: Rng,
    block: Vec<u8>,
    used: usize,
}

impl Content {
    /// Starts the content determined by `rng`.
    pub(crate) fn new(rng: Rng) -> Self {
        Self {
            rng,
            block: Vec::with_capacity(BLOCK + 128),
            used: 0,
        }
    }

    /// Starts new content in the same buffer.
    pub(crate) fn restart(&mut self, rng: Rng) {
        self.rng = rng;
        self.block.clear();
        self.used = 0;
    }

    fn refill(&mut self) {
        self.block.clear();
        self.used = 0;
        match self.rng.below(100) {
            0..56 => instructions(&mut self.rng, &mut self.block),
            56..75 => table(&mut self.rng, &mut self.block),
            75..91 => text(&mut self.rng, &mut self.block),
            _ => noise(&mut self.rng, &mut self.block),
        }
        self.block.truncate(BLOCK);
    }
}

impl Read for Content {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        while filled < buffer.len() {
            if self.used == self.block.len() {
                self.refill();
            }
            let piece = (buffer.len() - filled).min(self.block.len() - self.used);
            buffer[filled..filled + piece]
                .copy_from_slice(&self.block[self.used..self.used + piece]);
            self.used += piece;
            filled += piece;
        }
        Ok(filled)
    }
}

fn instructions(rng: &mut Rng, block: &mut Vec<u8>) {
    while block.len() < BLOCK {
        let bits = rng.next_u64();
        // The smaller of two numbers, which makes the first forms the most frequent.
        let smaller = (bits & 0xff).min(bits >> 8 & 0xff) as usize;
        let (fixed, operands) = INSTRUCTIONS[(smaller * INSTRUCTIONS.len()) >> 8];
        block.extend_from_slice(fixed);
        match operands {
            0 => {}
            // Usually one of 16 registers or stack slots.
            1 => block.push(((bits >> 16 & 0xf) << 3) as u8),
            // A 32-bit distance: two varying bytes; the upper bytes are 0 or -1.
            _ => {
                let upper = if bits >> 63 == 0 { 0x00 } else { 0xff };
                block.extend_from_slice(&[(bits >> 24) as u8, (bits >> 32) as u8 & 0x1f]);
                block.extend_from_slice(&[upper, upper]);
            }
        }
    }
}

/// Rows of 16 bytes with a growing offset and few other values, and runs of zeros.
fn table(rng: &mut Rng, block: &mut Vec<u8>) {
    let mut offset = rng.next_u64() as u32 & 0x00ff_fff0;
    while block.len() < BLOCK {
        let bits = rng.next_u64();
        if bits & 0xf == 0 {
            block.resize(block.len() + 64, 0);
        }
        offset = offset.wrapping_add((bits >> 8) as u32 & 0x1ff);
        block.extend_from_slice(&offset.to_le_bytes());
        block.extend_from_slice(&((bits >> 20) as u32 & 0x3f).to_le_bytes());
        block.extend_from_slice(&[0, 0, 0, 0x80, (bits >> 32) as u8, 0, 0, 0]);
    }
}

fn text(rng: &mut Rng, block: &mut Vec<u8>) {
    while block.len() < BLOCK {
        let bits = rng.next_u64();
        let words = [bits & 31, bits >> 5 & 31, bits >> 10 & 31, bits >> 15 & 31];
        for word in words {
            for byte in WORDS[word as usize].bytes() {
                block.extend_from_slice(&[byte, 0]);
            }
        }
        block.extend_from_slice(&[b'0' + (bits >> 20) as u8 % 10, 0, 0, 0]);
    }
}

fn noise(rng: &mut Rng, block: &mut Vec<u8>) {
    while block.len() < BLOCK {
        block.extend_from_slice(&rng.next_u64().to_le_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_does_not_depend_on_the_size_of_reads() {
        let mut whole = vec![0; 20_000];
        Content::new(Rng::new(5)).read_exact(&mut whole).unwrap();
        let mut pieces = vec![0; 20_000];
        let mut content = Content::new(Rng::new(1));
        content.restart(Rng::new(5));
        for piece in pieces.chunks_mut(777) {
            content.read_exact(piece).unwrap();
        }
        assert!(whole == pieces);
    }
}
