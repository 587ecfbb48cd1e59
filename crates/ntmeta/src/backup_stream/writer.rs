//! Writing a backup stream, with bodies of just the length promised.

use std::io::{self, Write};

use super::{BackupStreamError, StreamHeader, StreamId};

/// Writes a backup stream: headers with [`begin`](Self::begin), bodies as a `Write`.
///
/// ```
/// use std::io::Write;
/// use ntmeta::backup_stream::{BackupStreamWriter, StreamHeader, StreamId};
///
/// let mut writer = BackupStreamWriter::new(Vec::new());
/// writer.begin(&StreamHeader::new(StreamId::DATA, 5))?;
/// writer.write_all(b"hello")?;
/// let bytes = writer.finish()?;
/// assert_eq!(bytes.len(), 25);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct BackupStreamWriter<W> {
    inner: W,
    offset: u64,
    id: StreamId,
    remaining: u64,
    header: Vec<u8>,
}

impl<W> BackupStreamWriter<W> {
    /// Makes a writer of a backup stream that starts at the position of `inner`.
    pub fn new(inner: W) -> Self {
        Self {
            inner,
            offset: 0,
            id: StreamId::default(),
            remaining: 0,
            header: Vec::new(),
        }
    }

    /// Returns how many bytes were written so far.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Returns how many bytes of the current body are still to be written.
    pub fn remaining(&self) -> u64 {
        self.remaining
    }

    /// Returns the output; nothing is flushed.
    ///
    /// # Errors
    ///
    /// [`BackupStreamError::BodyTooShort`] when the last body is not complete.
    pub fn finish(self) -> Result<W, BackupStreamError> {
        self.check_body()?;
        Ok(self.inner)
    }

    fn check_body(&self) -> Result<(), BackupStreamError> {
        match self.remaining {
            0 => Ok(()),
            missing => Err(BackupStreamError::BodyTooShort {
                offset: self.offset,
                id: self.id,
                missing,
            }),
        }
    }
}

impl<W: Write> BackupStreamWriter<W> {
    /// Writes a header; its body is to follow.
    ///
    /// # Errors
    ///
    /// [`BackupStreamError::BodyTooShort`] when the body before is not complete, an error for a
    /// header that could not be read again, and [`BackupStreamError::Io`].
    pub fn begin(&mut self, header: &StreamHeader) -> Result<(), BackupStreamError> {
        self.check_body()?;
        header.check(self.offset)?;
        self.header.clear();
        header.encode(&mut self.header);
        self.inner
            .write_all(&self.header)
            .map_err(|source| BackupStreamError::Io {
                offset: self.offset,
                source,
            })?;
        self.offset += self.header.len() as u64;
        self.id = header.id;
        self.remaining = header.size;
        Ok(())
    }
}

/// Writes the current body.
///
/// Nothing of a buffer longer than the rest of the body is written: this is an error of the kind
/// `InvalidInput` that holds [`BackupStreamError::BodyTooLong`].
impl<W: Write> Write for BackupStreamWriter<W> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let excess = (buffer.len() as u64).saturating_sub(self.remaining);
        if excess > 0 {
            let error = BackupStreamError::BodyTooLong {
                offset: self.offset,
                id: self.id,
                excess,
            };
            return Err(io::Error::new(io::ErrorKind::InvalidInput, error));
        }
        let count = self.inner.write(buffer)?;
        self.offset += count as u64;
        self.remaining = self.remaining.saturating_sub(count as u64);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}
