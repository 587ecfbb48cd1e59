//! [`Output`]: the destination of a tar.

use std::io::Write;

use super::header::BLOCK;
use super::sparse::LeftOut;
use crate::error::{Error, Result};

/// The destination of a tar, and how much of it has been written.
pub(super) struct Output<W> {
    inner: W,
    offset: u64,
    pub(super) left_out: LeftOut,
}

impl<W: Write> Output<W> {
    pub(super) fn new(inner: W) -> Self {
        Self {
            inner,
            offset: 0,
            left_out: LeftOut::default(),
        }
    }

    /// Flushes the destination and returns it.
    pub(super) fn finish(mut self) -> Result<W> {
        self.inner.flush().map_err(Error::Output)?;
        Ok(self.inner)
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.inner.write_all(bytes).map_err(Error::Output)?;
        self.offset += bytes.len() as u64;
        Ok(())
    }

    /// Pads content of `size` bytes to a whole block.
    pub(super) fn pad(&mut self, size: u64) -> Result<()> {
        let padding = size.wrapping_neg() % BLOCK as u64;
        self.write(&[0; BLOCK][..padding as usize])
    }

    pub(super) fn offset(&self) -> u64 {
        self.offset
    }
}
