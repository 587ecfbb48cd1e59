//! The backup stream of a file, assembled from the index and the content in the tar.
//!
//! The order is that of [`TarLayerReader`](crate::tar::TarLayerReader): security, extended
//! attributes, reparse point, other streams, the data, the alternate streams.
//!
//! Source: go-winio `backuptar/tar.go`, `WriteBackupStreamFromTarFile`.

use std::collections::VecDeque;
use std::io::{self, Read};

use ntmeta::{StreamAttributes, StreamHeader, StreamId};

use super::content::TarContent;
use super::{IndexedEntry, IndexedStream};
use crate::layer::ContentReader;

/// Reads a backup stream part by part.
pub(super) struct BackupStreamParts {
    content: TarContent,
    parts: VecDeque<Part>,
    /// The content of the data stream that is being read.
    open: Option<ContentReader>,
    /// Whether the hashes in the index vouch for the content.
    is_verified: bool,
}

enum Part {
    /// These bytes, and how many of them have been read.
    Bytes(Vec<u8>, usize),
    /// The start of a data stream: content that follows is from that stream.
    Open(Box<IndexedStream>),
    /// A hole up to this offset of the content.
    SkipTo(u64),
    /// That many bytes of the content.
    Content(u64),
}

impl BackupStreamParts {
    /// Plans the backup stream of an entry.
    pub(super) fn new(
        content: TarContent,
        security: Option<&[u8]>,
        entry: &IndexedEntry,
        streams: Vec<IndexedStream>,
        is_verified: bool,
    ) -> Self {
        let mut parts = Self {
            content,
            is_verified,
            parts: VecDeque::new(),
            open: None,
        };
        let metadata = [
            (StreamId::SECURITY_DATA, security),
            (StreamId::EA_DATA, entry.ea.as_deref()),
            (StreamId::REPARSE_DATA, entry.reparse.as_deref()),
        ];
        for (id, body) in metadata {
            if let Some(body) = body {
                parts.push_header(&StreamHeader::new(id, body.len() as u64));
                parts.push_bytes(body);
            }
        }
        parts.push_bytes(entry.other_streams.as_deref().unwrap_or_default());
        for stream in streams {
            parts.push_stream(stream);
        }
        parts
    }

    fn push_header(&mut self, header: &StreamHeader) {
        let mut bytes = Vec::with_capacity(header.encoded_len());
        header.encode(&mut bytes);
        self.push_bytes(&bytes);
    }

    fn push_bytes(&mut self, more: &[u8]) {
        if let Some(Part::Bytes(bytes, _)) = self.parts.back_mut() {
            bytes.extend_from_slice(more);
        } else if !more.is_empty() {
            self.parts.push_back(Part::Bytes(more.to_vec(), 0));
        }
    }

    /// Adds a data stream in the shape that `BackupRead` gives to sparse streams: whole if one
    /// range covers it, otherwise as blocks with an empty one at the end.
    fn push_stream(&mut self, stream: IndexedStream) {
        let size = stream.size;
        let mut header = match &stream.name {
            None => StreamHeader::new(StreamId::DATA, size),
            Some(name) => StreamHeader::alternate_data(&name.to_utf16(), size),
        };
        let map = stream.sparse.clone();
        self.parts.push_back(Part::Open(Box::new(stream)));
        if map.is_some() {
            header.attributes |= StreamAttributes::SPARSE;
        }
        let blocks =
            map.filter(|map| size > 0 && map.ranges.first().is_none_or(|range| range.len != size));
        let Some(map) = blocks else {
            self.push_header(&header);
            self.parts.push_back(Part::Content(size));
            return;
        };
        header.size = 0;
        self.push_header(&header);
        // An empty block would look like the last one.
        for range in map.ranges.iter().filter(|range| range.len > 0) {
            self.parts.push_back(Part::SkipTo(range.offset));
            // Offsets are less than a file's size, which fits into 63 bits.
            self.push_header(&StreamHeader::sparse_block(range.offset as i64, range.len));
            self.parts.push_back(Part::Content(range.len));
        }
        self.parts.push_back(Part::SkipTo(size));
        self.push_header(&StreamHeader::sparse_block(size as i64, 0));
    }

    /// Reads from the first part; `None` at its end.
    fn read_part(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        match self.parts.front_mut() {
            Some(Part::Bytes(bytes, read)) => {
                let left = &bytes[*read..];
                let count = left.len().min(buffer.len());
                buffer[..count].copy_from_slice(&left[..count]);
                *read += count;
                Ok((count > 0).then_some(count))
            }
            Some(Part::Open(stream)) => {
                let content = self.content.stream(stream, self.is_verified);
                self.open = Some(ContentReader::new(Box::new(content)));
                Ok(None)
            }
            Some(Part::SkipTo(position)) => {
                if let Some(open) = &mut self.open {
                    open.skip_to(*position)?;
                }
                Ok(None)
            }
            Some(Part::Content(left)) => {
                let count = usize::try_from(*left)
                    .unwrap_or(usize::MAX)
                    .min(buffer.len());
                let open = self.open.as_mut().filter(|_| count > 0);
                let Some(open) = open else {
                    return Ok(None);
                };
                let read = open.read(&mut buffer[..count])?;
                if read == 0 {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                *left -= read as u64;
                Ok(Some(read))
            }
            None => Ok(None),
        }
    }
}

impl Read for BackupStreamParts {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        while !self.parts.is_empty() {
            if let Some(read) = self.read_part(buffer)? {
                return Ok(read);
            }
            self.parts.pop_front();
        }
        Ok(0)
    }
}
