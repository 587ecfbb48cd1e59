//! Files with holes: the three GNU encodings that are read, and the list of ranges that ours is.
//!
//! A sparse member stores its allocated ranges one behind the other. All encodings come to the
//! same [`SparseMap`]: the logical size and the ranges in ascending order. Our own vendor record
//! (`WCLAYER.sparse`) only describes ranges: the content of such a member is stored in full, so
//! that every other reader sees the whole file.
//!
//! Sources: GNU tar manual, "Storing Sparse Files" (old format 0.0, 0.1 and 1.0); Go
//! `archive/tar/reader.go` (`readGNUSparsePAXHeaders`, `readOldGNUSparseMap`).

use std::fmt::Write as _;

use super::error::TarProblem;
use super::header::{BLOCK, unsigned};
use super::pax::PaxRecords;

/// The most ranges that one file may have: some MiB of memory with the copies and texts of them.
const MAX_RANGES: usize = 1 << 17;
/// The largest logical size of a GNU sparse member, and of the holes of all of them in a tar, in
/// bytes (64 GiB): holes cost nothing to write and time to read, so that a small tar must not be
/// able to ask for more.
pub(crate) const MAX_EXPANDED: u64 = 64 << 30;

/// An allocated range of a file, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SparseRange {
    /// Where it starts in the file.
    pub offset: u64,
    /// How long it is.
    pub len: u64,
}

/// Which parts of a file are allocated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SparseMap {
    /// The allocated ranges, ascending, not touching each other's bytes.
    pub ranges: Vec<SparseRange>,
    /// The logical size of the file in bytes, holes included.
    pub size: u64,
}

impl SparseMap {
    /// Checks order, overlap and size.
    pub(crate) fn new(ranges: Vec<SparseRange>, size: u64) -> Result<Self, TarProblem> {
        let mut end = 0;
        for range in &ranges {
            let next = range.offset.checked_add(range.len);
            match next {
                Some(next) if range.offset >= end && next <= size => end = next,
                _ => return Err(TarProblem::SparseMap),
            }
        }
        Ok(Self { ranges, size })
    }

    /// Returns the number of allocated bytes.
    pub fn allocated(&self) -> u64 {
        self.ranges.iter().map(|range| range.len).sum()
    }

    /// Encodes the ranges as the value of `WCLAYER.sparse`: `OFFSET+LENGTH` pairs separated by
    /// commas, or `none`.
    pub(crate) fn to_record(&self) -> String {
        let mut text = String::new();
        for range in &self.ranges {
            let comma = if text.is_empty() { "" } else { "," };
            // Writing to a String cannot fail.
            let _ = write!(text, "{comma}{}+{}", range.offset, range.len);
        }
        if text.is_empty() {
            "none".to_owned()
        } else {
            text
        }
    }

    /// Decodes the value of `WCLAYER.sparse` for a file of `size` bytes.
    pub(crate) fn from_record(value: &[u8], size: u64) -> Result<Self, TarProblem> {
        if value == b"none" {
            return Self::new(Vec::new(), size);
        }
        let mut ranges = Vec::new();
        for pair in value.split(|byte| *byte == b',') {
            let plus = pair
                .iter()
                .position(|byte| *byte == b'+')
                .ok_or(TarProblem::SparseMap)?;
            push(
                &mut ranges,
                decimal(&pair[..plus])?,
                decimal(&pair[plus + 1..])?,
            )?;
        }
        Self::new(ranges, size)
    }
}

/// How a member of a tar is sparse in GNU's ways, apart from the map itself.
pub(crate) enum GnuSparse {
    /// The map is known from the headers.
    Map(SparseMap),
    /// Format 1.0: the map stands at the start of the content; this is the logical size.
    InContent(u64),
}

/// A sparse member as PAX records tell of it: the map, and the member's real name if given.
pub(crate) type PaxSparse = (GnuSparse, Option<Vec<u8>>);

/// Finds out from PAX records whether a member is sparse.
pub(crate) fn from_pax(records: &PaxRecords, stored: u64) -> Result<Option<PaxSparse>, TarProblem> {
    let name = records.get_filled(b"GNU.sparse.name").map(<[u8]>::to_vec);
    let size = records
        .get(b"GNU.sparse.realsize")
        .or_else(|| records.get(b"GNU.sparse.size"));
    let size = size.map(decimal).transpose()?;
    if let (Some(major), Some(minor)) = (
        records.get(b"GNU.sparse.major"),
        records.get(b"GNU.sparse.minor"),
    ) {
        return match (major, minor, size) {
            (b"1", b"0", Some(size)) => Ok(Some((GnuSparse::InContent(size), name))),
            _ => Err(TarProblem::SparseMap),
        };
    }
    let mut ranges = Vec::new();
    if let Some(map) = records.get(b"GNU.sparse.map") {
        let numbers: Vec<_> = map.split(|byte| *byte == b',').collect();
        if numbers.len() % 2 != 0 {
            return Err(TarProblem::SparseMap);
        }
        for pair in numbers.chunks_exact(2) {
            push(&mut ranges, decimal(pair[0])?, decimal(pair[1])?)?;
        }
    } else if records.get(b"GNU.sparse.numblocks").is_some() {
        let mut offset = None;
        for (key, value) in records.iter() {
            match (key, offset) {
                (b"GNU.sparse.offset", None) => offset = Some(decimal(value)?),
                (b"GNU.sparse.numbytes", Some(start)) => {
                    push(&mut ranges, start, decimal(value)?)?;
                    offset = None;
                }
                (b"GNU.sparse.offset" | b"GNU.sparse.numbytes", _) => {
                    return Err(TarProblem::SparseMap);
                }
                _ => {}
            }
        }
    } else {
        return Ok(None);
    }
    let map = stored_map(ranges, size.unwrap_or(stored), stored)?;
    Ok(Some((GnuSparse::Map(map), name)))
}

/// Reads the map that stands at the start of a format 1.0 member, and how many bytes it takes;
/// `next_block` gives the member's blocks.
pub(crate) fn from_content(
    size: u64,
    stored: u64,
    mut next_block: impl FnMut() -> Result<[u8; BLOCK], TarProblem>,
) -> Result<(SparseMap, u64), TarProblem> {
    let mut numbers = MapNumbers::default();
    let mut used = 0;
    while !numbers.complete() {
        used += BLOCK as u64;
        if used > stored {
            return Err(TarProblem::SparseMap);
        }
        numbers.add(&next_block()?)?;
    }
    let mut ranges = Vec::new();
    for pair in numbers.values.chunks_exact(2) {
        push(&mut ranges, pair[0], pair[1])?;
    }
    Ok((stored_map(ranges, size, stored - used)?, used))
}

/// The numbers of a format 1.0 map: a count of ranges, then two numbers a range, each on a line.
#[derive(Default)]
struct MapNumbers {
    wanted: Option<usize>,
    values: Vec<u64>,
    line: Vec<u8>,
}

impl MapNumbers {
    fn complete(&self) -> bool {
        self.wanted == Some(self.values.len())
    }

    fn add(&mut self, block: &[u8]) -> Result<(), TarProblem> {
        for &byte in block {
            if self.complete() {
                break;
            }
            if byte != b'\n' {
                // 20 digits hold every 64-bit number.
                if self.line.len() == 20 {
                    return Err(TarProblem::SparseMap);
                }
                self.line.push(byte);
                continue;
            }
            let number = decimal(&self.line)?;
            self.line.clear();
            match self.wanted {
                Some(_) => self.values.push(number),
                None if number <= MAX_RANGES as u64 => self.wanted = Some(number as usize * 2),
                None => return Err(TarProblem::SparseMap),
            }
        }
        Ok(())
    }
}

/// The part of an old GNU header (or of its extension blocks) that holds ranges.
pub(crate) struct OldGnu {
    ranges: Vec<SparseRange>,
    size: u64,
}

impl OldGnu {
    /// Starts with the four ranges of the header; returns whether extension blocks follow.
    pub(crate) fn from_header(block: &[u8; BLOCK]) -> Result<(Self, bool), TarProblem> {
        let mut map = Self {
            ranges: Vec::new(),
            size: unsigned(&block[483..495], "realsize")?,
        };
        map.add(&block[386..482])?;
        Ok((map, block[482] != 0))
    }

    /// Adds an extension block; returns whether another one follows.
    pub(crate) fn extend(&mut self, block: &[u8; BLOCK]) -> Result<bool, TarProblem> {
        self.add(&block[..504])?;
        Ok(block[504] != 0)
    }

    /// Completes the map for a member that stores `stored` bytes.
    pub(crate) fn finish(self, stored: u64) -> Result<SparseMap, TarProblem> {
        stored_map(self.ranges, self.size, stored)
    }

    fn add(&mut self, fields: &[u8]) -> Result<(), TarProblem> {
        for pair in fields.chunks_exact(24) {
            if pair[0] == 0 {
                break;
            }
            let (offset, len) = (
                unsigned(&pair[..12], "offset")?,
                unsigned(&pair[12..], "size")?,
            );
            push(&mut self.ranges, offset, len)?;
        }
        Ok(())
    }
}

/// Checks a map against the bytes that its member stores.
fn stored_map(ranges: Vec<SparseRange>, size: u64, stored: u64) -> Result<SparseMap, TarProblem> {
    check_expanded(size)?;
    let map = SparseMap::new(ranges, size)?;
    if map.allocated() == stored {
        Ok(map)
    } else {
        Err(TarProblem::SparseMap)
    }
}

/// Checks what a sparse member, or the holes of all of them, come to.
pub(super) fn check_expanded(size: u64) -> Result<(), TarProblem> {
    if size > MAX_EXPANDED {
        return Err(TarProblem::SparseTooLarge {
            size,
            limit: MAX_EXPANDED,
        });
    }
    Ok(())
}

fn push(ranges: &mut Vec<SparseRange>, offset: u64, len: u64) -> Result<(), TarProblem> {
    if ranges.len() == MAX_RANGES {
        return Err(TarProblem::SparseMap);
    }
    ranges.push(SparseRange { offset, len });
    Ok(())
}

fn decimal(text: &[u8]) -> Result<u64, TarProblem> {
    match text {
        [b'0'..=b'9', ..] => std::str::from_utf8(text)
            .ok()
            .and_then(|text| text.parse().ok()),
        _ => None,
    }
    .ok_or(TarProblem::SparseMap)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_record_round_trips() {
        for (ranges, text) in [
            (vec![], "none"),
            (vec![SparseRange { offset: 0, len: 6 }], "0+6"),
            (
                vec![
                    SparseRange { offset: 3, len: 1 },
                    SparseRange { offset: 10, len: 0 },
                ],
                "3+1,10+0",
            ),
        ] {
            let map = SparseMap::new(ranges, 20).expect("in order");
            assert_eq!(map.to_record(), text);
            assert_eq!(SparseMap::from_record(text.as_bytes(), 20).ok(), Some(map));
        }
    }

    #[test]
    fn overlaps_and_ranges_outside_the_file_are_refused() {
        for text in [
            "5+5,9+1",
            "15+6",
            "18446744073709551615+2",
            "",
            "1",
            "1+",
            "+1",
            "a+1",
        ] {
            assert!(
                SparseMap::from_record(text.as_bytes(), 20).is_err(),
                "{text}"
            );
        }
    }
}
