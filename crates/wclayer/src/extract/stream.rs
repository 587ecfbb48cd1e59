//! Splits a backup stream: content goes to a [`Content`], metadata is kept within limits.
//!
//! Source: [`ntmeta::backup_stream`]. Sparse blocks belong to the data stream before them.

use std::io;

use ntmeta::backup_stream::{BackupStreamDecoder, StreamEvent, StreamHeader, StreamId};
use ntmeta::wide;

/// The longest value to keep, in bytes: no system accepts longer extended attributes, and no
/// reparse point is longer.
const MAX_VALUE: u64 = 64 * 1024;
/// The most alternate streams of an entry to keep.
const MAX_STREAMS: usize = 64;

/// The destination for the content of a file.
pub(super) trait Content {
    /// Takes bytes of the unnamed data stream at `offset`.
    fn write_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()>;
}

/// Drops content.
pub(super) struct NoContent;

impl Content for NoContent {
    fn write_at(&mut self, _: &[u8], _: u64) -> io::Result<()> {
        Ok(())
    }
}

/// A value of the metadata.
#[derive(Debug, Default)]
pub(super) struct Value {
    /// Its length in bytes.
    pub(super) size: u64,
    /// The value; `None` if it is too long.
    pub(super) bytes: Option<Vec<u8>>,
}

/// The metadata in a backup stream.
#[derive(Debug, Default)]
pub(super) struct Metadata {
    pub(super) security: Option<Value>,
    pub(super) ea: Option<Value>,
    pub(super) reparse: Option<Value>,
    /// Alternate streams with their names in WTF-8.
    pub(super) streams: Vec<(Vec<u8>, Value)>,
    /// The number of further alternate streams, and their bytes.
    pub(super) more_streams: (u64, u64),
    /// The number of streams of other kinds, and their bytes.
    pub(super) others: (u64, u64),
}

/// Takes a backup stream in pieces of any size.
#[derive(Debug, Default)]
pub(super) struct Taker {
    decoder: BackupStreamDecoder,
    current: Current,
    metadata: Metadata,
    /// The offset of the next byte of content.
    position: u64,
    /// Whether sparse blocks belong to the unnamed data.
    in_data: bool,
}

#[derive(Debug, Default, Clone, Copy)]
enum Current {
    #[default]
    Skipped,
    Data,
    Security,
    Ea,
    Reparse,
    /// The last of the alternate streams.
    Stream,
}

impl Taker {
    /// Takes the next bytes.
    pub(super) fn take(&mut self, mut bytes: &[u8], content: &mut impl Content) -> io::Result<()> {
        while let Some(event) = self.decoder.decode(&mut bytes).map_err(invalid)? {
            match event {
                StreamEvent::Header(header) => self.header(&header)?,
                StreamEvent::Body(body) => match self.current {
                    Current::Data => {
                        content.write_at(body, self.position)?;
                        self.position = self
                            .position
                            .checked_add(body.len() as u64)
                            .ok_or(io::ErrorKind::InvalidData)?;
                    }
                    _ => self.keep(body),
                },
            }
        }
        Ok(())
    }

    /// Checks that the stream is complete, and returns the metadata.
    pub(super) fn finish(self) -> io::Result<Metadata> {
        self.decoder.finish().map_err(invalid)?;
        Ok(self.metadata)
    }

    fn header(&mut self, header: &StreamHeader) -> io::Result<()> {
        let value = |current| (current, Some(Value::of(header.size)));
        let metadata = &mut self.metadata;
        self.current = match header.id {
            StreamId::DATA => {
                (self.position, self.in_data) = (0, true);
                Current::Data
            }
            StreamId::SPARSE_BLOCK if self.in_data => {
                self.position =
                    u64::try_from(header.sparse_offset.unwrap_or(0)).map_err(invalid)?;
                Current::Data
            }
            StreamId::SPARSE_BLOCK => {
                // An extended attribute cannot hold an alternate stream with holes.
                if let Some((_, stream)) = metadata.streams.last_mut() {
                    stream.bytes = None;
                    stream.size = stream.size.saturating_add(header.size);
                }
                Current::Skipped
            }
            StreamId::SECURITY_DATA => {
                let current;
                (current, metadata.security) = value(Current::Security);
                current
            }
            StreamId::EA_DATA => {
                let current;
                (current, metadata.ea) = value(Current::Ea);
                current
            }
            StreamId::REPARSE_DATA => {
                let current;
                (current, metadata.reparse) = value(Current::Reparse);
                current
            }
            StreamId::ALTERNATE_DATA => {
                self.in_data = false;
                if metadata.streams.len() < MAX_STREAMS {
                    let name = wide::to_wtf8(header.stream_name().unwrap_or_default());
                    metadata.streams.push((name, Value::of(header.size)));
                    Current::Stream
                } else {
                    metadata.more_streams.0 += 1;
                    metadata.more_streams.1 = metadata.more_streams.1.saturating_add(header.size);
                    Current::Skipped
                }
            }
            _ => {
                metadata.others.0 += 1;
                metadata.others.1 = metadata.others.1.saturating_add(header.size);
                Current::Skipped
            }
        };
        Ok(())
    }

    fn keep(&mut self, body: &[u8]) {
        let metadata = &mut self.metadata;
        let value = match self.current {
            Current::Security => metadata.security.as_mut(),
            Current::Ea => metadata.ea.as_mut(),
            Current::Reparse => metadata.reparse.as_mut(),
            Current::Stream => metadata.streams.last_mut().map(|(_, value)| value),
            Current::Skipped | Current::Data => None,
        };
        if let Some(bytes) = value.and_then(|value| value.bytes.as_mut()) {
            bytes.extend_from_slice(body);
        }
    }
}

impl Value {
    fn of(size: u64) -> Self {
        Self {
            size,
            bytes: (size <= MAX_VALUE).then(Vec::new),
        }
    }
}

fn invalid(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}
