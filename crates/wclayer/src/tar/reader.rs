//! [`TarLayerReader`]: a layer tar as a source of the hub.
//!
//! For each file the backup stream is put together in the reference's order: security, extended
//! attributes, reparse point, then (ours) the streams of the vendor record, the data, and the
//! alternate streams, which are the members right behind the file.
//!
//! Source: go-winio `backuptar/tar.go`, `WriteBackupStreamFromTarFile`.

use std::collections::VecDeque;
use std::io::BufRead;

use ntmeta::{StreamAttributes, StreamHeader, StreamId, ea};

use super::entries::{FileMember, TarEntries, TarEntry, TarEntryKind};
use super::members::ArchiveEnd;
use super::sparse::SparseMap;
use crate::error::Result;
use crate::error::{TarError, TarProblem};
use crate::hub::{Entry, FileEntry, LayerReader};

/// Reads an uncompressed layer tar as entries with backup streams.
///
/// ```
/// use std::fs::File;
/// use std::io::BufReader;
/// use wclayer::compression::Decoder;
/// use wclayer::tar::TarLayerReader;
/// use wclayer::{Entry, LayerReader};
///
/// let blob = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/sample/app.tar.gz");
/// let tar = BufReader::new(Decoder::new(File::open(blob)?)?);
/// let mut reader = TarLayerReader::new(tar);
/// let mut removals = Vec::new();
/// while let Some(entry) = reader.next_entry()? {
///     if let Entry::Removal(path) = entry {
///         removals.push(path.to_string());
///     }
/// }
/// assert!(!removals.is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct TarLayerReader<R> {
    entries: TarEntries<R>,
    /// The entry that was read to see whether it is a stream of the file before it.
    ahead: Option<TarEntry>,
    stream: StreamState,
    /// The error behind bytes that were given out first.
    deferred: Option<TarError>,
}

/// Where the backup stream of the current file stands.
#[derive(Default)]
struct StreamState {
    /// What comes next, in order.
    parts: VecDeque<Part>,
    /// How far the first part has been read.
    position: u64,
    /// Whether alternate streams may still follow.
    open: bool,
}

enum Part {
    Bytes(Vec<u8>),
    /// That many bytes of the current content.
    Content(u64),
    /// A hole of that many bytes in the current content, which holds zeros there.
    Skip(u64),
}

impl<R: BufRead> TarLayerReader<R> {
    /// Starts at the first byte of an uncompressed tar.
    pub fn new(input: R) -> Self {
        Self {
            entries: TarEntries::new(input),
            ahead: None,
            stream: StreamState::default(),
            deferred: None,
        }
    }

    /// Returns how the tar ended, once [`LayerReader::next_entry`] has returned `None`.
    pub fn end(&self) -> Option<ArchiveEnd> {
        self.entries.end()
    }

    /// Returns what is unusual about the tar so far, though legal: a sentence each.
    pub fn warnings(&self) -> Vec<String> {
        self.entries.warnings()
    }

    /// Gives the input back; what follows the end of the archive is still unread.
    pub fn into_inner(self) -> R {
        self.entries.into_inner()
    }

    /// Goes on to the alternate stream behind the current content, if there is one.
    fn next_stream(&mut self) -> Result<bool, TarError> {
        self.stream.open = false;
        let entry = self.entries.next_entry()?;
        let Some(TarEntry {
            size,
            kind: TarEntryKind::Stream(stream),
            ..
        }) = &entry
        else {
            self.ahead = entry;
            return Ok(false);
        };
        let header = StreamHeader::alternate_data(&stream.name.to_utf16(), *size);
        self.stream.push_data(header, stream.sparse.as_ref());
        self.stream.open = true;
        Ok(true)
    }

    /// Fills `buffer` from the parts of the backup stream; `filled` counts the bytes, which are
    /// good also when an error follows.
    fn fill(&mut self, buffer: &mut [u8], filled: &mut usize) -> Result<(), TarError> {
        while *filled < buffer.len() {
            let Some(part) = self.stream.parts.front() else {
                if self.stream.open && self.next_stream()? {
                    continue;
                }
                break;
            };
            let rest = &mut buffer[*filled..];
            let (step, len, kept) = match part {
                Part::Bytes(bytes) => {
                    let left = &bytes[self.stream.position as usize..];
                    let step = left.len().min(rest.len());
                    rest[..step].copy_from_slice(&left[..step]);
                    (step, bytes.len() as u64, step)
                }
                Part::Content(len) | Part::Skip(len) => {
                    let left = len - self.stream.position;
                    let is_hole = matches!(part, Part::Skip(_));
                    let bytes = if left == 0 {
                        &[][..]
                    } else {
                        self.entries.fill_content()?
                    };
                    let mut step = bytes.len().min(usize::try_from(left).unwrap_or(usize::MAX));
                    if !is_hole {
                        step = step.min(rest.len());
                        rest[..step].copy_from_slice(&bytes[..step]);
                    }
                    self.entries.consume_content(step);
                    (step, *len, if is_hole { 0 } else { step })
                }
            };
            *filled += kept;
            self.stream.position += step as u64;
            if self.stream.position == len {
                self.stream.parts.pop_front();
                self.stream.position = 0;
            }
        }
        Ok(())
    }

    fn check_deferred(&mut self) -> Result<(), TarError> {
        self.deferred.take().map_or(Ok(()), Err)
    }
}

impl StreamState {
    fn of_file(file: &FileMember, size: u64) -> Result<Self, TarProblem> {
        let mut state = Self {
            open: true,
            ..Self::default()
        };
        if let Some(security) = &file.security {
            state.push_small(StreamId::SECURITY_DATA, security);
        }
        if !file.ea.is_empty() {
            let list = ea::encode_list(&file.ea).map_err(TarProblem::Ea)?;
            state.push_small(StreamId::EA_DATA, &list);
        }
        if let Some(reparse) = &file.reparse {
            state.push_small(StreamId::REPARSE_DATA, reparse);
        }
        state.push_bytes(&file.other_streams);
        if file.has_data {
            state.push_data(
                StreamHeader::new(StreamId::DATA, size),
                file.sparse.as_ref(),
            );
        }
        Ok(state)
    }

    fn push_small(&mut self, id: StreamId, body: &[u8]) {
        self.push_header(&StreamHeader::new(id, body.len() as u64));
        self.push_bytes(body);
    }

    fn push_header(&mut self, header: &StreamHeader) {
        let mut bytes = Vec::with_capacity(header.encoded_len());
        header.encode(&mut bytes);
        self.push_bytes(&bytes);
    }

    fn push_bytes(&mut self, more: &[u8]) {
        if let Some(Part::Bytes(bytes)) = self.parts.back_mut() {
            bytes.extend_from_slice(more);
        } else if !more.is_empty() {
            self.parts.push_back(Part::Bytes(more.to_vec()));
        }
    }

    /// Adds the current content as a data stream, in the shape that `BackupRead` gives to sparse
    /// streams: whole when one range covers it, else as blocks with an empty one at the end.
    fn push_data(&mut self, mut header: StreamHeader, sparse: Option<&SparseMap>) {
        let Some(map) = sparse else {
            self.push_header(&header);
            self.parts.push_back(Part::Content(header.size));
            return;
        };
        header.attributes |= StreamAttributes::SPARSE;
        let size = header.size;
        if size == 0 || map.ranges.first().is_some_and(|range| range.len == size) {
            self.push_header(&header);
            self.parts.push_back(Part::Content(size));
            return;
        }
        header.size = 0;
        self.push_header(&header);
        let mut position = 0;
        // An empty block would be taken for the last one.
        for range in map.ranges.iter().filter(|range| range.len > 0) {
            self.parts.push_back(Part::Skip(range.offset - position));
            // Offsets are below a file's size, which fits into 63 bits.
            self.push_header(&StreamHeader::sparse_block(range.offset as i64, range.len));
            self.parts.push_back(Part::Content(range.len));
            position = range.offset + range.len;
        }
        self.push_header(&StreamHeader::sparse_block(size as i64, 0));
    }
}

impl<R: BufRead> LayerReader for TarLayerReader<R> {
    fn next_entry(&mut self) -> Result<Option<Entry>> {
        self.check_deferred()?;
        while self.stream.open && self.next_stream()? {}
        self.stream = StreamState::default();
        let Some(entry) = self
            .ahead
            .take()
            .map_or_else(|| self.entries.next_entry(), |e| Ok(Some(e)))?
        else {
            return Ok(None);
        };
        Ok(Some(match entry.kind {
            TarEntryKind::File(file) => {
                self.stream = StreamState::of_file(&file, entry.size).map_err(|problem| {
                    TarError::new(file.path.as_bytes(), entry.offset, problem)
                })?;
                Entry::File(FileEntry {
                    path: file.path,
                    basic_info: file.basic_info,
                    size: entry.size,
                    metadata_first: true,
                })
            }
            TarEntryKind::Link(link) => Entry::Link(link),
            TarEntryKind::Whiteout(path) => Entry::Removal(path),
            TarEntryKind::Opaque(path) => Entry::Opaque(path),
            TarEntryKind::Stream(_) => {
                unreachable!("streams are taken by `next_stream`, behind their file only")
            }
        }))
    }

    fn read_stream(&mut self, buffer: &mut [u8]) -> Result<usize> {
        self.check_deferred()?;
        let mut filled = 0;
        match self.fill(buffer, &mut filled) {
            Err(error) if filled > 0 => self.deferred = Some(error),
            result => result?,
        }
        Ok(filled)
    }
}
