//! Writes a backup stream, and checks that each body has the promised length.

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
    /// Creates a writer for a backup stream that starts at the current position of `inner`.
    pub fn new(inner: W) -> Self {
        Self {
            inner,
            offset: 0,
            id: StreamId::default(),
            remaining: 0,
            header: Vec::new(),
        }
    }

    /// Returns the number of bytes written so far.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Returns the number of bytes of the current body that have not been written yet.
    pub fn remaining(&self) -> u64 {
        self.remaining
    }

    /// Returns the output without flushing it.
    ///
    /// # Errors
    ///
    /// Returns [`BackupStreamError::BodyTooShort`] if the last body is incomplete.
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
    /// Writes a header; the body must follow.
    ///
    /// # Errors
    ///
    /// Returns [`BackupStreamError::BodyTooShort`] if the previous body is incomplete,
    /// [`BackupStreamError::Io`] if writing fails, and another [`BackupStreamError`] if the header
    /// could not be read back.
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
/// A buffer longer than the rest of the body is rejected as a whole: the error has the kind
/// `InvalidInput` and wraps [`BackupStreamError::BodyTooLong`].
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
