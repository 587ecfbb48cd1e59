//! The pull parser: reads a backup stream from a `Read`.

use std::io::{self, Read};

use super::header::{Parsed, parse};
use super::{BackupStreamError, StreamHeader, StreamId};

/// Reads a backup stream: headers with [`next_header`](Self::next_header), bodies as a `Read`.
///
/// Nothing is buffered between calls; the reader never consumes more than the header or body that
/// was requested.
///
/// ```
/// use std::io::Read;
/// use ntmeta::backup_stream::{BackupStreamReader, StreamHeader, StreamId};
///
/// let mut bytes = Vec::new();
/// StreamHeader::new(StreamId::DATA, 5).encode(&mut bytes);
/// bytes.extend_from_slice(b"hello");
///
/// let mut reader = BackupStreamReader::new(&bytes[..]);
/// while let Some(header) = reader.next_header()? {
///     assert_eq!(header.id, StreamId::DATA);
///     let mut body = String::new();
///     reader.read_to_string(&mut body)?;
///     assert_eq!(body, "hello");
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct BackupStreamReader<R> {
    inner: R,
    offset: u64,
    id: StreamId,
    remaining: u64,
    header: Vec<u8>,
}

impl<R> BackupStreamReader<R> {
    /// Creates a reader for the backup stream that starts at the current position of `inner`.
    pub fn new(inner: R) -> Self {
        Self {
            inner,
            offset: 0,
            id: StreamId::default(),
            remaining: 0,
            header: Vec::new(),
        }
    }

    /// Returns the number of bytes read from the input so far.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Returns the number of bytes left in the current body.
    pub fn remaining(&self) -> u64 {
        self.remaining
    }

    /// Returns the input, at its current position.
    pub fn into_inner(self) -> R {
        self.inner
    }

    fn truncated_body(&self) -> BackupStreamError {
        BackupStreamError::TruncatedBody {
            offset: self.offset,
            id: self.id,
            missing: self.remaining,
        }
    }
}

impl<R: Read> BackupStreamReader<R> {
    /// Skips the rest of the current body and reads the next header; returns `None` at the end of
    /// the input.
    ///
    /// # Errors
    ///
    /// Returns [`BackupStreamError`] if a header is invalid, the input ends early, or reading
    /// fails. The reader cannot be used after that.
    pub fn next_header(&mut self) -> Result<Option<StreamHeader>, BackupStreamError> {
        self.skip_body()?;
        self.header.clear();
        let start = self.offset;
        loop {
            match parse(&self.header, start)? {
                Parsed::Header(header, _) => {
                    self.id = header.id;
                    self.remaining = header.size;
                    return Ok(Some(header));
                }
                Parsed::Needs(length) => self.fill_header(length)?,
            }
            if self.header.is_empty() {
                return Ok(None);
            }
        }
    }

    /// Moves to the end of the current body by calling `skip`, which must advance the input by the
    /// given number of bytes. The caller guarantees that the input has that many.
    ///
    /// # Errors
    ///
    /// Returns [`BackupStreamError::Io`] if `skip` fails.
    pub fn skip_body_with(
        &mut self,
        skip: impl FnOnce(&mut R, u64) -> io::Result<()>,
    ) -> Result<(), BackupStreamError> {
        self.skip_with(self.remaining, skip)
    }

    /// Goes forward in the current body by `count` bytes, or to its end: `skip` moves the input by
    /// the number of bytes that it is given, which the caller knows to be there.
    ///
    /// # Errors
    ///
    /// [`BackupStreamError::Io`] with what `skip` returns.
    pub fn skip_with(
        &mut self,
        count: u64,
        skip: impl FnOnce(&mut R, u64) -> io::Result<()>,
    ) -> Result<(), BackupStreamError> {
        let count = count.min(self.remaining);
        skip(&mut self.inner, count).map_err(|source| BackupStreamError::Io {
            offset: self.offset,
            source,
        })?;
        self.offset += count;
        self.remaining -= count;
        Ok(())
    }

    fn skip_body(&mut self) -> Result<(), BackupStreamError> {
        if self.remaining == 0 {
            return Ok(());
        }
        let mut body = (&mut self.inner).take(self.remaining);
        let result = io::copy(&mut body, &mut io::sink());
        let left = body.limit();
        self.offset += self.remaining - left;
        self.remaining = left;
        match result {
            Ok(_) if left == 0 => Ok(()),
            Ok(_) => Err(self.truncated_body()),
            Err(source) => Err(BackupStreamError::Io {
                offset: self.offset,
                source,
            }),
        }
    }

    /// Reads until the header has `length` bytes; leaves it empty if the input ends before it.
    fn fill_header(&mut self, length: usize) -> Result<(), BackupStreamError> {
        let mut filled = self.header.len();
        self.header.resize(length, 0);
        while filled < length {
            match self.inner.read(&mut self.header[filled..]) {
                Ok(0) if filled == 0 => {
                    self.header.clear();
                    return Ok(());
                }
                Ok(0) => {
                    return Err(BackupStreamError::TruncatedHeader {
                        offset: self.offset,
                    });
                }
                Ok(count) => {
                    filled += count;
                    self.offset += count as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(source) => {
                    return Err(BackupStreamError::Io {
                        offset: self.offset,
                        source,
                    });
                }
            }
        }
        Ok(())
    }
}

/// Reads the current body; returns 0 bytes at its end and before the first header.
///
/// If the input ends early, the error has the kind `UnexpectedEof` and wraps
/// [`BackupStreamError::TruncatedBody`].
impl<R: Read> Read for BackupStreamReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = usize::try_from(self.remaining).map_or(buffer.len(), |n| n.min(buffer.len()));
        if length == 0 {
            return Ok(0);
        }
        let count = self.inner.read(&mut buffer[..length])?;
        if count == 0 {
            let kind = io::ErrorKind::UnexpectedEof;
            return Err(io::Error::new(kind, self.truncated_body()));
        }
        self.offset += count as u64;
        self.remaining -= count as u64;
        Ok(count)
    }
}
