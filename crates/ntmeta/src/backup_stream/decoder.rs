//! The push side: a backup stream that comes in pieces of any length.

use super::header::{Parsed, parse};
use super::{BackupStreamError, StreamHeader, StreamId};

/// What [`BackupStreamDecoder::decode`] found in its input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StreamEvent<'a> {
    /// A stream starts.
    Header(StreamHeader),
    /// Some more of the body of the last header; never empty.
    Body(&'a [u8]),
}

/// Takes a backup stream apart that arrives in pieces of any length.
///
/// Bodies are handed on where they lie; only a header that is cut into pieces is kept for a while.
///
/// ```
/// use ntmeta::backup_stream::{BackupStreamDecoder, StreamEvent, StreamHeader, StreamId};
///
/// let mut bytes = Vec::new();
/// StreamHeader::new(StreamId::DATA, 5).encode(&mut bytes);
/// bytes.extend_from_slice(b"hello");
///
/// let mut decoder = BackupStreamDecoder::new();
/// let mut body = Vec::new();
/// for mut piece in bytes.chunks(3) {
///     while let Some(event) = decoder.decode(&mut piece)? {
///         match event {
///             StreamEvent::Header(header) => assert_eq!(header.size, 5),
///             StreamEvent::Body(part) => body.extend_from_slice(part),
///         }
///     }
/// }
/// decoder.finish()?;
/// assert_eq!(body, b"hello");
/// # Ok::<(), ntmeta::BackupStreamError>(())
/// ```
#[derive(Debug, Default)]
pub struct BackupStreamDecoder {
    /// Bytes taken so far, those of `pending` included.
    offset: u64,
    /// The start of a header that was cut off; empty inside a body.
    pending: Vec<u8>,
    id: StreamId,
    /// Bytes of the current body that are still to come.
    remaining: u64,
}

impl BackupStreamDecoder {
    /// Makes a decoder that is at the start of a backup stream.
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns how many bytes were taken so far.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Takes bytes from the front of `input` up to the next event; `None` when they are used up.
    ///
    /// # Errors
    ///
    /// [`BackupStreamError`] for a header that cannot be true; the decoder is of no further use
    /// then.
    pub fn decode<'a>(
        &mut self,
        input: &mut &'a [u8],
    ) -> Result<Option<StreamEvent<'a>>, BackupStreamError> {
        if input.is_empty() {
            return Ok(None);
        }
        if self.remaining > 0 {
            let length =
                usize::try_from(self.remaining).map_or(input.len(), |n| n.min(input.len()));
            let body = self.take(input, length);
            self.remaining -= length as u64;
            return Ok(Some(StreamEvent::Body(body)));
        }
        let header = if self.pending.is_empty() {
            match parse(input, self.offset)? {
                Parsed::Header(header, length) => {
                    self.take(input, length);
                    Some(header)
                }
                Parsed::Needs(_) => self.collect(input)?,
            }
        } else {
            self.collect(input)?
        };
        Ok(header.map(|header| {
            self.id = header.id;
            self.remaining = header.size;
            StreamEvent::Header(header)
        }))
    }

    /// Checks that the backup stream ends here.
    ///
    /// # Errors
    ///
    /// [`BackupStreamError::TruncatedHeader`] or [`BackupStreamError::TruncatedBody`] in the
    /// middle of one.
    pub fn finish(&self) -> Result<(), BackupStreamError> {
        let offset = self.offset;
        if !self.pending.is_empty() {
            return Err(BackupStreamError::TruncatedHeader { offset });
        }
        match self.remaining {
            0 => Ok(()),
            missing => Err(BackupStreamError::TruncatedBody {
                offset,
                id: self.id,
                missing,
            }),
        }
    }

    /// Adds `input` to the pending header until it is complete.
    fn collect(&mut self, input: &mut &[u8]) -> Result<Option<StreamHeader>, BackupStreamError> {
        loop {
            let start = self.offset - self.pending.len() as u64;
            match parse(&self.pending, start)? {
                Parsed::Header(header, _) => {
                    self.pending.clear();
                    return Ok(Some(header));
                }
                Parsed::Needs(_) if input.is_empty() => return Ok(None),
                Parsed::Needs(length) => {
                    let length = length.saturating_sub(self.pending.len()).min(input.len());
                    let part = self.take(input, length);
                    self.pending.extend_from_slice(part);
                }
            }
        }
    }

    /// Cuts `length` bytes off the front of `input`, which has as many.
    fn take<'a>(&mut self, input: &mut &'a [u8], length: usize) -> &'a [u8] {
        let (part, rest) = input.split_at(length);
        *input = rest;
        self.offset += length as u64;
        part
    }
}
