//! [`BlockSums`]: the checksum of each block of a layer tar, computed while it passes.

use std::io::{self, Read};

use twox_hash::xxhash3_64;

/// The size of a block in bytes; the last one of a tar may be shorter.
pub(crate) const BLOCK: usize = 64 * 1024;

/// Computes the sums of bytes given in pieces, with eight bytes of memory per block.
#[derive(Default)]
pub(crate) struct BlockSums {
    hasher: xxhash3_64::Hasher,
    /// How many bytes of the current block have been given.
    filled: usize,
    sums: Vec<u64>,
}

impl BlockSums {
    /// Adds `bytes`.
    pub(crate) fn update(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let (now, later) = bytes.split_at(bytes.len().min(BLOCK - self.filled));
            bytes = later;
            if now.len() == BLOCK {
                self.sums.push(xxhash3_64::Hasher::oneshot(now));
                continue;
            }
            std::hash::Hasher::write(&mut self.hasher, now);
            self.filled += now.len();
            if self.filled == BLOCK {
                self.end_block();
            }
        }
    }

    /// Returns the sums of all blocks.
    pub(crate) fn finish(mut self) -> Vec<u64> {
        if self.filled > 0 {
            self.end_block();
        }
        self.sums
    }

    fn end_block(&mut self) {
        let hasher = std::mem::take(&mut self.hasher);
        self.sums.push(std::hash::Hasher::finish(&hasher));
        self.filled = 0;
    }
}

/// Passes bytes through and computes their sums.
pub(crate) struct Summing<R> {
    inner: R,
    sums: BlockSums,
}

impl<R> Summing<R> {
    pub(crate) fn new(inner: R) -> Self {
        Self {
            inner,
            sums: BlockSums::default(),
        }
    }

    pub(crate) fn finish(self) -> Vec<u64> {
        self.sums.finish()
    }
}

impl<R: Read> Read for Summing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.sums.update(&buffer[..read]);
        Ok(read)
    }
}
