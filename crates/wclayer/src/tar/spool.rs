//! Content that cannot be written yet: a tar wants sizes and metadata first.
//!
//! All streams of one file share one temporary file, held in memory up to 1 MiB. Sparse streams
//! keep only their allocated bytes there; holes are put back when they are written out, or left out
//! where the member says which they are.

use std::io::{self, Read, Seek, SeekFrom, Write};

use tempfile::SpooledTempFile;

use super::output::Output;
use super::sparse::{SparseMap, SparseRange};
use crate::error::{Error, Result};

/// How many bytes are held in memory.
const IN_MEMORY: usize = 1 << 20;

/// The streams of one file that are held back.
#[derive(Default)]
pub(super) struct Spool {
    streams: Vec<SpooledStream>,
    file: Option<SpooledTempFile>,
    len: u64,
}

/// One stream in the spool.
pub(super) struct SpooledStream {
    /// The alternate stream's bare name as WTF-8; `None` for the unnamed data.
    pub(super) name: Option<Vec<u8>>,
    /// Where its bytes start in the spool.
    start: u64,
    /// Its allocated ranges and, once known, its logical size; the size of a plain stream.
    ranges: Vec<SparseRange>,
    size: Option<u64>,
    is_sparse: bool,
}

impl Spool {
    pub(super) fn is_empty(&self) -> bool {
        self.streams.is_empty()
    }

    /// Starts a stream whose header announces `size` bytes.
    pub(super) fn start(&mut self, name: Option<Vec<u8>>, size: u64, is_sparse: bool) {
        let whole = SparseRange {
            offset: 0,
            len: size,
        };
        self.streams.push(SpooledStream {
            name,
            start: self.len,
            ranges: if size > 0 { vec![whole] } else { Vec::new() },
            size: if is_sparse && size == 0 {
                None
            } else {
                Some(size)
            },
            is_sparse,
        });
    }

    /// Adds a block to the sparse stream started last; an empty one completes it. Returns whether
    /// the block can stand there.
    pub(super) fn add_block(&mut self, offset: u64, len: u64) -> bool {
        let Some(stream) = self
            .streams
            .last_mut()
            .filter(|stream| stream.size.is_none())
        else {
            return false;
        };
        let end = stream
            .ranges
            .last()
            .map_or(0, |range| range.offset + range.len);
        if offset < end
            || offset
                .checked_add(len)
                .is_none_or(|end| end > i64::MAX as u64)
        {
            return false;
        }
        if len == 0 {
            stream.size = Some(offset);
        } else {
            stream.ranges.push(SparseRange { offset, len });
        }
        true
    }

    /// Returns whether the stream started last has all its blocks.
    pub(super) fn is_complete(&self) -> bool {
        self.streams
            .last()
            .is_none_or(|stream| stream.size.is_some() || stream.ranges.is_empty())
    }

    /// Adds bytes to the stream started last.
    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let file = self
            .file
            .get_or_insert_with(|| SpooledTempFile::new(IN_MEMORY));
        file.write_all(bytes)?;
        self.len += bytes.len() as u64;
        Ok(())
    }

    /// Takes the unnamed data stream out.
    pub(super) fn take_data(&mut self) -> Option<SpooledStream> {
        let at = self
            .streams
            .iter()
            .position(|stream| stream.name.is_none())?;
        Some(self.streams.remove(at))
    }

    /// Takes all alternate streams out, in order.
    pub(super) fn take_alternates(&mut self) -> Vec<SpooledStream> {
        let (alternates, rest) = std::mem::take(&mut self.streams)
            .into_iter()
            .partition(|stream| stream.name.is_some());
        self.streams = rest;
        alternates
    }

    /// Writes a stream with the padding behind it: its holes as zeros, or `without_holes` only what
    /// is in its ranges.
    pub(super) fn copy_out<W: Write>(
        &mut self,
        stream: &SpooledStream,
        without_holes: bool,
        output: &mut Output<W>,
    ) -> Result<()> {
        let (mut position, mut written) = (0, 0);
        let file = self
            .file
            .get_or_insert_with(|| SpooledTempFile::new(IN_MEMORY));
        file.seek(SeekFrom::Start(stream.start))
            .map_err(spool_error)?;
        for range in &stream.ranges {
            if !without_holes {
                write_all_of(&mut io::repeat(0), range.offset - position, output)?;
            }
            write_all_of(file, range.len, output)?;
            position = range.offset + range.len;
            written += range.len;
        }
        if !without_holes {
            write_all_of(&mut io::repeat(0), stream.size() - position, output)?;
            written = stream.size();
        }
        file.seek(SeekFrom::End(0)).map_err(spool_error)?;
        output.pad(written)
    }
}

impl SpooledStream {
    /// Returns the logical size in bytes.
    pub(super) fn size(&self) -> u64 {
        self.size.unwrap_or(0)
    }

    /// Returns the ranges of a sparse stream.
    pub(super) fn map(&self) -> Option<SparseMap> {
        let map = SparseMap {
            ranges: self.ranges.clone(),
            size: self.size(),
        };
        self.is_sparse.then_some(map)
    }
}

fn write_all_of<W: Write>(
    source: &mut impl Read,
    mut count: u64,
    output: &mut Output<W>,
) -> Result<()> {
    let mut piece = [0; 32 * 1024];
    while count > 0 {
        let wanted = count.min(piece.len() as u64) as usize;
        source
            .read_exact(&mut piece[..wanted])
            .map_err(spool_error)?;
        output.write(&piece[..wanted])?;
        count -= wanted as u64;
    }
    Ok(())
}

pub(super) fn spool_error(source: io::Error) -> Error {
    Error::Io {
        action: "use a temporary file in",
        path: std::env::temp_dir(),
        source,
    }
}
