//! Content by its place in a layer tar: read directly, or found by decompressing up to there.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::PathBuf;
use std::sync::Arc;

use super::blocks::{CheckedTar, read_file_at};
use crate::compression::Decoder;
use crate::digest::{Digest, Hasher};
use crate::error::{Error, Result, io_error};
use crate::layer::Content;
use crate::tar::{SparseMap, SparseRange};

/// A layer tar whose bytes can be read from any place.
#[derive(Debug, Clone)]
pub(crate) enum TarContent {
    /// An uncompressed tar.
    Plain(Arc<File>),
    /// That of a portable layer.
    Checked(Arc<CheckedTar>),
    /// A compressed tar, decompressed up to the place each time.
    Compressed(PathBuf),
}

/// The content of one stream as it lies in a tar.
pub(super) struct StreamContent {
    input: Input,
    /// Where in the tar the next stored byte is.
    offset: u64,
    /// The stored ranges that are still to come, as parts of the content, the nearest last.
    ranges: Vec<SparseRange>,
    /// How far the content has been read.
    position: u64,
    size: u64,
    /// What has been read, and what all of it must hash to; `None` when that is not known, or when
    /// something was left out.
    check: Option<(Hasher, Digest)>,
    /// Whether holes are too long to be hashed.
    is_mostly_holes: bool,
}

enum Input {
    Plain(Arc<File>),
    Checked(Arc<CheckedTar>),
    Compressed {
        decoder: Box<Decoder<BufReader<File>>>,
        position: u64,
    },
}

impl TarContent {
    /// Opens a stream of `size` bytes that starts at `offset`; of a sparse one, `stored` says what
    /// the tar has. Reading it to its end fails when it is not what `sha256` says.
    pub(super) fn stream(
        &self,
        offset: u64,
        size: u64,
        stored: Option<&SparseMap>,
        sha256: Option<Digest>,
    ) -> Result<StreamContent> {
        let input = match self {
            Self::Plain(file) => Input::Plain(Arc::clone(file)),
            Self::Checked(tar) => Input::Checked(Arc::clone(tar)),
            Self::Compressed(path) => {
                let file = File::open(path).map_err(io_error("open", path))?;
                let decoder = Decoder::new(BufReader::with_capacity(256 * 1024, file));
                Input::Compressed {
                    decoder: Box::new(decoder.map_err(io_error("read", path))?),
                    position: 0,
                }
            }
        };
        let whole = || {
            vec![SparseRange {
                offset: 0,
                len: size,
            }]
        };
        let mut ranges = stored.map_or_else(whole, |stored| stored.ranges.clone());
        ranges.retain(|range| range.len > 0);
        ranges.reverse();
        Ok(StreamContent {
            input,
            offset,
            ranges,
            position: 0,
            size,
            check: sha256.map(|sha256| (Hasher::new(), sha256)),
            is_mostly_holes: stored.is_some_and(SparseMap::is_mostly_holes),
        })
    }
}

impl StreamContent {
    /// Goes forward to a place in the content.
    pub(super) fn skip_to(&mut self, position: u64) -> io::Result<()> {
        let skipped = position.min(self.size).saturating_sub(self.position);
        match &mut self.check {
            Some((hasher, _)) if skipped <= hole_at(&self.ranges, self.position, self.size) => {
                if self.is_mostly_holes {
                    self.check = None;
                } else {
                    hasher.update_zeros(skipped);
                }
            }
            _ => self.check = None,
        }
        while let Some(range) = self.ranges.last().copied() {
            let end = range.offset + range.len;
            if position < end {
                let from = self.position.max(range.offset);
                self.offset = self.offset.saturating_add(position.saturating_sub(from));
                break;
            }
            let left = end - self.position.max(range.offset);
            self.offset = self.offset.saturating_add(left);
            self.ranges.pop();
            self.position = self.position.max(end);
        }
        self.position = self.position.max(position.min(self.size));
        self.check_at_end()
    }

    /// Compares the content with its hash, once all of it has passed.
    fn check_at_end(&mut self) -> io::Result<()> {
        if self.position == self.size
            && let Some((hasher, expected)) = self.check.take()
        {
            let actual = hasher.finish();
            if actual != expected {
                let mismatch = Error::DigestMismatch {
                    what: "content",
                    expected,
                    actual,
                };
                return Err(io::Error::new(io::ErrorKind::InvalidData, mismatch));
            }
        }
        Ok(())
    }

    fn read_unchecked(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.size - self.position).unwrap_or(usize::MAX);
        let wanted = buffer.len().min(left);
        if wanted == 0 {
            return Ok(0);
        }
        let next = self.ranges.last().copied();
        let hole = hole_at(&self.ranges, self.position, self.size);
        if hole > 0 {
            let count = wanted.min(usize::try_from(hole).unwrap_or(usize::MAX));
            buffer[..count].fill(0);
            self.position += count as u64;
            return Ok(count);
        }
        let Some(range) = next else {
            return Ok(0);
        };
        let stored = range.offset + range.len - self.position;
        let count = wanted.min(usize::try_from(stored).unwrap_or(usize::MAX));
        let read = self.input.read_at(self.offset, &mut buffer[..count])?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.offset = self.offset.saturating_add(read as u64);
        self.position += read as u64;
        if self.position == range.offset + range.len {
            self.ranges.pop();
        }
        Ok(read)
    }
}

/// Returns how much of the content from a place on is a hole; the ranges that are still to come are
/// given, the nearest last.
fn hole_at(ranges: &[SparseRange], position: u64, size: u64) -> u64 {
    let start = ranges.last().map_or(size, |range| range.offset);
    start.saturating_sub(position)
}

impl Content for StreamContent {
    fn skip_hole(&mut self) -> io::Result<u64> {
        let hole = hole_at(&self.ranges, self.position, self.size);
        if hole > 0 {
            self.skip_to(self.position + hole)?;
        }
        Ok(hole)
    }
}

impl Read for StreamContent {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.read_unchecked(buffer)?;
        if let Some((hasher, _)) = &mut self.check {
            hasher.update(&buffer[..read]);
        }
        self.check_at_end()?;
        Ok(read)
    }
}

impl Input {
    /// Reads at a place that is never before the last one.
    fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(file) => read_file_at(file, offset, buffer),
            Self::Checked(tar) => tar.read_at(offset, buffer),
            Self::Compressed { decoder, position } => {
                let skipped = io::copy(
                    &mut decoder.by_ref().take(offset.saturating_sub(*position)),
                    &mut io::sink(),
                )?;
                *position += skipped;
                if *position < offset {
                    return Ok(0);
                }
                let read = decoder.read(buffer)?;
                *position += read as u64;
                Ok(read)
            }
        }
    }
}
