//! The push parser: decodes a backup stream that arrives in pieces of any length.

use super::header::{Parsed, parse};
use super::{BackupStreamError, StreamHeader, StreamId};

/// The next item that [`BackupStreamDecoder::decode`] found in its input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StreamEvent<'a> {
    /// The start of a stream.
    Header(StreamHeader),
    /// More of the current stream's body; never empty.
    Body(&'a [u8]),
}

/// Decodes a backup stream that arrives in pieces of any length.
///
/// Bodies are returned as slices of the input; only a header split across pieces is buffered.
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
    /// Bytes consumed so far, including `pending`.
    offset: u64,
    /// The start of an incomplete header; empty inside a body.
    pending: Vec<u8>,
    id: StreamId,
    /// Bytes of the current body that have not arrived yet.
    remaining: u64,
}

impl BackupStreamDecoder {
    /// Creates a decoder at the start of a backup stream.
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns the number of bytes consumed so far.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Consumes `input` up to the next event; returns `None` once the input is used up.
    ///
    /// # Errors
    ///
    /// Returns [`BackupStreamError`] if a header is invalid. The decoder cannot be used after that.
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

    /// Checks that the backup stream may end here.
    ///
    /// # Errors
    ///
    /// Returns [`BackupStreamError::TruncatedHeader`] inside a header, and
    /// [`BackupStreamError::TruncatedBody`] inside a body.
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

    /// Appends `input` to the pending header until that is complete.
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

    /// Removes the first `length` bytes of `input`, which must be at least that long.
    fn take<'a>(&mut self, input: &mut &'a [u8], length: usize) -> &'a [u8] {
        let (part, rest) = input.split_at(length);
        *input = rest;
        self.offset += length as u64;
        part
    }
}
