//! Sparse files: the three GNU encodings, and the list of ranges in the vendor record.
//!
//! A sparse member stores its allocated ranges one after the other. All encodings are decoded to a
//! [`SparseMap`]: the logical size, and the ranges in ascending order. The vendor record
//! (`WCLAYER.sparse`) only describes ranges: the content of such a member is stored in full, so every
//! other reader sees the whole file.
//!
//! Sources: GNU tar manual, "Storing Sparse Files" (old format 0.0, 0.1 and 1.0); Go
//! `archive/tar/reader.go` (`readGNUSparsePAXHeaders`, `readOldGNUSparseMap`).

use std::fmt::Write as _;

use super::header::{BLOCK, unsigned};
use super::pax::{PaxRecords, key};
use crate::error::TarProblem;

/// The maximum number of ranges of a file: a few MiB of memory, including copies and texts.
const MAX_RANGES: usize = 1 << 17;
/// The maximum logical size of a GNU sparse member, and of the holes of all such members of a tar, in
/// bytes (64 GiB). Holes cost nothing to write but time to read, so a small tar must not contain more.
pub(crate) const MAX_EXPANDED: u64 = 64 << 30;
/// Holes of fewer bytes in total are treated as ordinary zeros: NTFS frees disk space in units of this
/// size.
const MIN_HOLES: u64 = 64 << 10;
/// The number of bytes of holes that are written to a tar as zeros; further holes are omitted.
const MAX_ZEROS: u64 = 16 << 20;

/// An allocated range of a file, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SparseRange {
    /// Its offset in the file.
    pub offset: u64,
    /// Its length.
    pub len: u64,
}

/// The allocated parts of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SparseMap {
    /// The allocated ranges, ascending, without overlaps.
    pub ranges: Vec<SparseRange>,
    /// The logical size of the file in bytes, including holes.
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

    /// Returns the number of bytes in holes.
    pub(crate) fn holes(&self) -> u64 {
        self.size.saturating_sub(self.allocated())
    }

    /// Returns whether reading the holes as zeros would cost much more than the rest.
    pub(crate) fn is_mostly_holes(&self) -> bool {
        self.holes() >= MIN_HOLES.saturating_add(self.allocated())
    }

    /// Returns the intersection of these ranges with `other`.
    fn within(&self, other: &Self) -> Self {
        let mut ranges = Vec::new();
        let mut others = other.ranges.iter().peekable();
        for range in &self.ranges {
            let end = range.offset + range.len;
            while let Some(other) = others.peek() {
                let other_end = other.offset + other.len;
                let offset = range.offset.max(other.offset);
                let len = end.min(other_end).saturating_sub(offset);
                if len > 0 {
                    ranges.push(SparseRange { offset, len });
                }
                if other_end > end {
                    break;
                }
                others.next();
            }
        }
        Self {
            ranges,
            size: self.size,
        }
    }

    /// Encodes the map before the content of a GNU member of format 1.0, including padding; `None` if
    /// readers would not accept that many ranges.
    pub(crate) fn to_content(&self) -> Option<Vec<u8>> {
        let mut ranges = self.ranges.clone();
        let end = ranges.last().map_or(0, |range| range.offset + range.len);
        if end < self.size {
            // GNU tar derives the length of the file from this.
            ranges.push(SparseRange {
                offset: self.size,
                len: 0,
            });
        }
        if ranges.len() > MAX_RANGES {
            return None;
        }
        let mut text = format!("{}\n", ranges.len());
        for range in ranges {
            // Writing to a String cannot fail.
            let _ = write!(text, "{}\n{}\n", range.offset, range.len);
        }
        let mut content = text.into_bytes();
        content.resize(content.len().next_multiple_of(BLOCK), 0);
        Some(content)
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

/// Returns the ranges of a data stream that is sparse on Windows: those of the vendor record without the
/// parts that the tar omits; or, without a record and if the tar omits much, those in the tar.
pub(crate) fn ranges_on_windows(
    record: Option<SparseMap>,
    stored: Option<&SparseMap>,
) -> Option<SparseMap> {
    let Some(stored) = stored.filter(|stored| stored.holes() >= MIN_HOLES) else {
        return record;
    };
    let whole = || SparseMap {
        ranges: vec![SparseRange {
            offset: 0,
            len: stored.size,
        }],
        size: stored.size,
    };
    Some(record.unwrap_or_else(whole).within(stored))
}

/// Decides which holes of a new tar are omitted.
///
/// The first ones are written as zeros, which every reader understands. Their number is limited because a
/// source may have any number of holes.
#[derive(Debug, Default)]
pub(super) struct LeftOut {
    /// Bytes of holes omitted so far.
    left_out: u64,
    /// Bytes of holes written as zeros so far.
    as_zeros: u64,
}

impl LeftOut {
    /// Returns the map to write before the content if the holes of a stream are omitted; `None` if they
    /// are written as zeros, because there are few, or more than readers accept.
    pub(super) fn map_of(&mut self, map: &SparseMap) -> Option<Vec<u8>> {
        let as_zeros = self.as_zeros.saturating_add(map.holes());
        let left_out = self.left_out.saturating_add(map.holes());
        let is_few = map.holes() < MIN_HOLES || as_zeros <= MAX_ZEROS;
        let is_too_much = map.size > MAX_EXPANDED || left_out > MAX_EXPANDED;
        let content = map.to_content().filter(|_| !is_few && !is_too_much);
        match content {
            Some(_) => self.left_out = left_out,
            None => self.as_zeros = as_zeros,
        }
        content
    }
}

/// The GNU encoding of a sparse member.
pub(crate) enum GnuSparse {
    /// The map is known from the headers.
    Map(SparseMap),
    /// Format 1.0: the map is at the start of the content; this is the logical size.
    InContent(u64),
}

/// The PAX records of a sparse member: its encoding, and its real name if given.
pub(crate) type PaxSparse = (GnuSparse, Option<Vec<u8>>);

/// Determines from PAX records whether a member is sparse.
pub(crate) fn from_pax(records: &PaxRecords, stored: u64) -> Result<Option<PaxSparse>, TarProblem> {
    let name = records.get_filled(key::GNU_SPARSE_NAME).map(<[u8]>::to_vec);
    let size = records
        .get(key::GNU_SPARSE_SIZE)
        .or_else(|| records.get(b"GNU.sparse.size"));
    let size = size.map(decimal).transpose()?;
    if let (Some(major), Some(minor)) = (
        records.get(key::GNU_SPARSE_MAJOR),
        records.get(key::GNU_SPARSE_MINOR),
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

/// Reads the map at the start of a format 1.0 member, and returns its length in bytes as well;
/// `next_block` returns the blocks of the member.
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

/// The ranges in an old GNU header and its extension blocks.
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

    /// Completes the map of a member that stores `stored` bytes.
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

/// Compares a map with the number of bytes that its member stores.
fn stored_map(ranges: Vec<SparseRange>, size: u64, stored: u64) -> Result<SparseMap, TarProblem> {
    check_expanded(size)?;
    let map = SparseMap::new(ranges, size)?;
    if map.allocated() == stored {
        Ok(map)
    } else {
        Err(TarProblem::SparseMap)
    }
}

/// Checks the size of a sparse member, or of the holes of all of them.
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
    fn ranges_are_those_of_both() {
        let map = |text: &str| SparseMap::from_record(text.as_bytes(), 200).expect(text);
        for (one, other, both) in [
            ("0+200", "none", "none"),
            ("0+200", "3+4,50+1", "3+4,50+1"),
            (
                "0+10,20+10,40+100",
                "5+20,28+20,139+1,160+1",
                "5+5,20+5,28+2,40+8,139+1",
            ),
            ("5+0,6+1", "0+7", "6+1"),
        ] {
            assert_eq!(map(one).within(&map(other)).to_record(), both);
            assert_eq!(map(other).within(&map(one)).to_record(), both);
        }
    }

    #[test]
    fn a_map_in_content_comes_back() {
        for text in ["none", "0+100000", "99999+1", "5+6,70000+30000"] {
            let map = SparseMap::from_record(text.as_bytes(), 100_000).expect(text);
            let content = map.to_content().expect("few ranges");
            let stored = content.len() as u64 + map.allocated();
            let mut blocks = content.chunks_exact(BLOCK);
            let (read, used) = from_content(100_000, stored, || {
                let block = blocks.next().ok_or(TarProblem::SparseMap)?;
                block.try_into().map_err(|_| TarProblem::SparseMap)
            })
            .expect(text);
            assert_eq!(used, content.len() as u64);
            let read = ranges_on_windows(None, Some(&read)).unwrap_or(map.clone());
            assert_eq!(read, map, "{text}");
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
