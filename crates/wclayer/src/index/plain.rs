//! [`PlainTar`]: an uncompressed tar of which only the headers are read.

use std::io::{self, BufRead, BufReader, Read};

use crate::blob::{Blob, BlobBytes};
use crate::hub::{Progress, poll};
use crate::pipeline::read_buffered;
use crate::tar::MemberReader;

/// How much is read at once, in bytes: a few headers. Most of what follows a header is skipped.
const BUFFER: usize = 8 * 1024;

/// Reads a tar from a blob, and skips content without reading it.
pub(super) struct PlainTar<'a> {
    file: BufReader<BlobBytes>,
    /// Bytes from here to the end of the blob.
    left: u64,
    progress: &'a dyn Progress,
}

impl<'a> PlainTar<'a> {
    /// Starts at the beginning of a blob.
    pub(super) fn new(tar: &Blob, progress: &'a dyn Progress) -> Self {
        Self {
            left: tar.len(),
            file: BufReader::with_capacity(BUFFER, tar.reader()),
            progress,
        }
    }

    /// Reads the members, skipping content that nobody asks for.
    pub(super) fn members(self) -> MemberReader<Self> {
        MemberReader::skipping_by(self, Self::skip)
    }

    fn skip(&mut self, count: u64) -> io::Result<u64> {
        self.check_cancelled()?;
        let count = count.min(self.left);
        let distance = i64::try_from(count).map_err(io::Error::other)?;
        self.file.seek_relative(distance)?;
        self.passed(count);
        Ok(count)
    }

    fn passed(&mut self, count: u64) {
        self.left = self.left.saturating_sub(count);
        self.progress.advance(count);
    }

    fn check_cancelled(&self) -> io::Result<()> {
        poll(self.progress).map_err(io::Error::other)
    }
}

impl BufRead for PlainTar<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.check_cancelled()?;
        self.file.fill_buf()
    }

    fn consume(&mut self, count: usize) {
        self.file.consume(count);
        self.passed(count as u64);
    }
}

impl Read for PlainTar<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        read_buffered(self, buffer)
    }
}
