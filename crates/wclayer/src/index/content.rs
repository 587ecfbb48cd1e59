//! [`StreamContent`]: the content of a data stream, by its position in a layer tar.

use std::io;
use std::sync::Arc;

use super::IndexedStream;
use super::blocks::{CheckedTar, read_file_at};
use super::compressed::{CompressedReader, CompressedTar};
use crate::blob::Blob;
use crate::digest::Digest;
use crate::layer::Content;
use crate::place::scratch::ScratchFile;
use crate::tar::{SparseMap, SparseRange};

/// A layer tar that content is read from.
#[derive(Clone)]
pub(crate) enum TarContent {
    /// An uncompressed tar, or a compressed one that was decompressed into a temporary file.
    Plain(Blob),
    /// The tar of a portable layer.
    Checked(Arc<CheckedTar>),
    /// A compressed tar.
    Compressed(Arc<CompressedTar>),
}

/// The content of a data stream in a tar.
pub(super) struct StreamContent {
    tar: OpenTar,
    /// The offset of the first stored byte in the tar.
    offset: u64,
    size: u64,
    /// The parts that the tar has, ascending; everything else is holes.
    extents: Vec<Extent>,
    sha256: Option<Digest>,
}

/// A part of the content that the tar has.
struct Extent {
    range: SparseRange,
    /// How many bytes of the content the tar stores before it.
    stored: u64,
}

enum OpenTar {
    Plain(Blob),
    Checked(Arc<CheckedTar>),
    Compressed(CompressedReader),
    /// A temporary file with just this content.
    Kept(ScratchFile),
}

impl TarContent {
    /// Opens the content of a stream. `is_verified` tells whether its hash in the index vouches for
    /// the content.
    pub(super) fn stream(&self, stream: &IndexedStream, is_verified: bool) -> StreamContent {
        let stored = stream.stored.as_ref();
        // Hashing the zeros would cost much more than the rest.
        let is_hashed = is_verified && !stored.is_some_and(SparseMap::is_mostly_holes);
        let tar = match self {
            Self::Plain(blob) => OpenTar::Plain(blob.clone()),
            Self::Checked(tar) => OpenTar::Checked(Arc::clone(tar)),
            Self::Compressed(tar) => OpenTar::Compressed(CompressedReader::new(tar)),
        };
        StreamContent {
            sha256: stream.sha256.filter(|_| is_hashed),
            ..StreamContent::new(tar, stream.offset, stream.size, stored)
        }
    }
}

/// Returns content that was kept in a temporary file; of sparse content, only the `stored` parts.
pub(crate) fn kept_content(
    file: ScratchFile,
    size: u64,
    stored: Option<&SparseMap>,
) -> Box<dyn Content> {
    Box::new(StreamContent::new(OpenTar::Kept(file), 0, size, stored))
}

fn extents(ranges: &[SparseRange]) -> Vec<Extent> {
    let mut stored = 0_u64;
    let filled = ranges.iter().filter(|range| range.len > 0);
    filled
        .map(|range| {
            let extent = Extent {
                range: *range,
                stored,
            };
            stored = stored.saturating_add(range.len);
            extent
        })
        .collect()
}

impl StreamContent {
    fn new(tar: OpenTar, offset: u64, size: u64, stored: Option<&SparseMap>) -> Self {
        let whole = SparseRange {
            offset: 0,
            len: size,
        };
        let ranges = stored.map_or(std::slice::from_ref(&whole), |stored| &stored.ranges[..]);
        Self {
            tar,
            offset,
            size,
            extents: extents(ranges),
            sha256: None,
        }
    }

    /// Returns the first extent that does not end before or at `offset`.
    fn next_extent(&self, offset: u64) -> Option<&Extent> {
        let is_before = |extent: &Extent| extent.range.offset + extent.range.len <= offset;
        self.extents.get(self.extents.partition_point(is_before))
    }

    fn hole(&self, offset: u64) -> u64 {
        let next = self.next_extent(offset);
        let end = next.map_or(self.size, |extent| extent.range.offset);
        end.saturating_sub(offset)
    }
}

impl Content for StreamContent {
    fn len(&self) -> u64 {
        self.size
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let within = |limit: u64| usize::try_from(limit).unwrap_or(usize::MAX);
        let wanted = buffer.len().min(within(self.size.saturating_sub(offset)));
        if wanted == 0 {
            return Ok(0);
        }
        let hole = self.hole(offset);
        if hole > 0 {
            let count = wanted.min(within(hole));
            buffer[..count].fill(0);
            return Ok(count);
        }
        let Some(extent) = self.next_extent(offset) else {
            return Ok(0);
        };
        let passed = offset - extent.range.offset;
        let count = wanted.min(within(extent.range.len - passed));
        let start = self.offset.saturating_add(extent.stored);
        let start = start.saturating_add(passed);
        match self.tar.read_at(start, &mut buffer[..count])? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            read => Ok(read),
        }
    }

    fn hole_at(&self, offset: u64) -> io::Result<u64> {
        Ok(self.hole(offset))
    }

    fn sha256(&self) -> Option<Digest> {
        self.sha256
    }
}

impl OpenTar {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(blob) => blob.read_at(offset, buffer),
            Self::Checked(tar) => tar.read_at(offset, buffer),
            Self::Compressed(tar) => tar.read_at(offset, buffer),
            Self::Kept(kept) => read_file_at(kept.file(), offset, buffer),
        }
    }
}
