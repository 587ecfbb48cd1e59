//! Compares the content of two streams.

use std::io::Read as _;

use crate::digest::{Digest, Hasher};
use crate::error::{Error, Result};
use crate::hub::{Progress, poll};
use crate::layer::{ContentReader, StreamDetails};

/// Size of the pieces in which content is read, in bytes.
const PIECE: usize = 256 * 1024;
/// Size of the blocks that [`hash_blocks`] leaves out if they are all zeros, in bytes.
const BLOCK: usize = 4096;
/// Holes below this many bytes are hashed as zeros.
const FEW_HOLES: u64 = 64 * 1024;

/// The properties that are compared for two streams of one name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// The lengths, which differ, and any SHA-256 that is known.
    Length,
    /// Length and SHA-256.
    Sha256,
    /// Length and the hash of [`hash_blocks`].
    Blocks,
}

impl Form {
    /// Chooses the form from what is known about both streams.
    pub(super) fn of(left: Option<&StreamDetails>, right: Option<&StreamDetails>) -> Self {
        let mut sides = [left, right].into_iter().flatten();
        if left.map(|at| at.size) != right.map(|at| at.size) {
            return Self::Length;
        }
        let is_costly = |stream: &StreamDetails| {
            let holes = stream.holes();
            stream.sha256.is_none() && holes >= FEW_HOLES.saturating_add(stream.allocated)
        };
        match sides.any(is_costly) {
            true => Self::Blocks,
            false => Self::Sha256,
        }
    }
}

/// Computes the SHA-256 of content, holes as zeros.
pub(super) fn hash(content: &mut ContentReader, progress: &dyn Progress) -> Result<Digest> {
    let mut hasher = Hasher::new();
    let mut piece = vec![0; PIECE];
    loop {
        let read = read(content, &mut piece, progress)?;
        if read == 0 {
            return Ok(hasher.finish());
        }
        hasher.update(&piece[..read]);
    }
}

/// Computes the SHA-256 of the blocks that are not all zeros, each preceded by its number (64 bits,
/// little-endian); the last one is padded with zeros. Contents of the same length have the same
/// hash exactly if they are equal, wherever a layer has holes in them.
pub(super) fn hash_blocks(content: &mut ContentReader, progress: &dyn Progress) -> Result<Digest> {
    let mut blocks = Blocks::default();
    let mut piece = vec![0; PIECE];
    loop {
        let hole = content.skip_hole().map_err(Error::input)?;
        blocks.skip(hole);
        let read = read(content, &mut piece, progress)?;
        if read == 0 && hole == 0 {
            return Ok(blocks.finish());
        }
        blocks.add(&piece[..read]);
    }
}

fn read(content: &mut ContentReader, piece: &mut [u8], progress: &dyn Progress) -> Result<usize> {
    poll(progress)?;
    let read = content.read(piece).map_err(Error::input)?;
    progress.advance(read as u64);
    Ok(read)
}

/// Content cut into blocks.
#[derive(Default)]
struct Blocks {
    hasher: Hasher,
    /// The number of the block that is being filled.
    number: u64,
    block: Vec<u8>,
}

impl Blocks {
    fn add(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let (part, rest) = bytes.split_at(bytes.len().min(BLOCK - self.block.len()));
            self.block.extend_from_slice(part);
            bytes = rest;
            self.end_full_block();
        }
    }

    /// Adds that many zeros.
    fn skip(&mut self, count: u64) {
        let room = (BLOCK - self.block.len()) as u64;
        let first = count.min(room) as usize;
        self.block.resize(self.block.len() + first, 0);
        self.end_full_block();
        let left = count - first as u64;
        self.number += left / BLOCK as u64;
        let last = (left % BLOCK as u64) as usize;
        self.block.resize(self.block.len() + last, 0);
    }

    fn end_full_block(&mut self) {
        if self.block.len() < BLOCK {
            return;
        }
        if self.block.iter().any(|byte| *byte != 0) {
            self.hasher.update(&self.number.to_le_bytes());
            self.hasher.update(&self.block);
        }
        self.number += 1;
        self.block.clear();
    }

    fn finish(mut self) -> Digest {
        if !self.block.is_empty() {
            self.block.resize(BLOCK, 0);
            self.end_full_block();
        }
        self.hasher.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Hashes parts: bytes, or a hole of a given length.
    fn hash_of(parts: &[Result<&[u8], u64>]) -> Digest {
        let mut blocks = Blocks::default();
        for part in parts {
            match part {
                Ok(bytes) => blocks.add(bytes),
                Err(hole) => blocks.skip(*hole),
            }
        }
        blocks.finish()
    }

    #[test]
    fn holes_do_not_change_the_hash_but_moved_bytes_do() {
        let zeros = vec![0; 20_000];
        let same = [
            hash_of(&[Err(10_000), Ok(b"x"), Err(9_999)]),
            hash_of(&[Ok(&zeros[..10_000]), Ok(b"x"), Ok(&zeros[..9_999])]),
            hash_of(&[Err(1), Ok(&zeros[..9_998]), Err(1), Ok(b"x\0"), Err(9_998)]),
            hash_of(&[Err(8_192), Ok(&zeros[..1_808]), Ok(b"x"), Err(9_999)]),
        ];
        assert!(same.iter().all(|hash| *hash == same[0]));
        for other in [
            hash_of(&[Err(10_001), Ok(b"x"), Err(9_998)]),
            hash_of(&[Err(10_000 - 4_096), Ok(b"x"), Err(9_999 + 4_096)]),
            hash_of(&[Err(10_000), Ok(b"y"), Err(9_999)]),
            hash_of(&[Err(20_000)]),
        ] {
            assert_ne!(other, same[0]);
        }
        assert_eq!(hash_of(&[Err(20_000)]), hash_of(&[Ok(&zeros)]));
        assert_eq!(hash_of(&[Err(60 << 30)]), hash_of(&[]));
    }
}
