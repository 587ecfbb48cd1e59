//! Reads the backup stream of an entry by its headers: sizes, metadata, and the content of a data
//! stream.
//!
//! Bodies are skipped by moving forward in the file, so an entry in a listing costs a few small
//! reads. Sparse streams come as blocks, as `BackupRead` gives them.
//!
//! Source: Microsoft, `WIN32_STREAM_ID`; go-winio `backuptar/tar.go` for the shapes of sparse
//! streams.

use std::io::{self, BufRead, BufReader, Read};
use std::sync::{Mutex, PoisonError};

use ntmeta::backup_stream::BackupStreamReader;
use ntmeta::{BackupStreamError, StreamAttributes, StreamHeader, StreamId, wide};

use super::entries::{EntryStream, OpenEntry};
use crate::error::EntryProblem;
use crate::error::HcsError;
use crate::error::{Error, Result};
use crate::layer::{Content, Details, StreamDetails};
use crate::path::{LayerPath, StreamName};
use crate::volume::File;

/// How much is read at once if only headers are wanted.
const HEADERS: usize = 4096;
/// How much metadata of an entry is kept at most, and how much of the names of its streams.
const MAX_METADATA: u64 = 1 << 20;
const MAX_STREAMS: usize = 16 << 20;
/// Roughly how many bytes a stream takes apart from its name.
const STREAM: usize = 128;
/// How many bytes of an entry's data may be holes, as in a layer tar.
const MAX_HOLES: u64 = 64 << 30;

type Input<F> = BackupStreamReader<BufReader<EntryStream<F>>>;

/// The part of a backup stream that a listing needs.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Summary {
    /// Length of the unnamed data in bytes, holes included.
    pub(super) size: u64,
    /// Sum of the lengths of all data streams.
    pub(super) total_size: u64,
    /// Whether nothing at all comes after the unnamed data.
    pub(super) metadata_first: bool,
    /// Whether there is a reparse point's buffer.
    pub(super) has_reparse_data: bool,
}

/// Reads the headers of an entry.
pub(super) fn summarize<F: File>(entry: &mut OpenEntry<F>, path: &LayerPath) -> Result<Summary> {
    let length = entry.stat.size.saturating_sub(4);
    let mut streams = BackupStreamReader::new(BufReader::with_capacity(HEADERS, &mut entry.stream));
    let mut found = Summary::default();
    let mut data = Lengths::default();
    while let Some(header) = next_header(&mut streams, length, path)? {
        if header.id == StreamId::DATA && !header.attributes.contains(StreamAttributes::SPARSE) {
            found.metadata_first = streams.offset().saturating_add(header.size) >= length;
        }
        found.has_reparse_data |= header.id == StreamId::REPARSE_DATA;
        data.put(&header);
    }
    found.size = data.unnamed;
    found.total_size = data
        .unnamed
        .saturating_add(data.named_before)
        .saturating_add(data.named);
    check_holes(found.total_size.saturating_sub(data.stored), path)?;
    Ok(found)
}

/// The lengths of data streams, as their headers come in.
#[derive(Default)]
struct Lengths {
    unnamed: u64,
    named_before: u64,
    named: u64,
    in_named: bool,
    /// The bytes of all streams that are stored.
    stored: u64,
}

impl Lengths {
    fn put(&mut self, header: &StreamHeader) {
        let length = match header.id {
            StreamId::DATA => {
                self.in_named = false;
                header.size
            }
            StreamId::ALTERNATE_DATA => {
                self.in_named = true;
                let before = std::mem::take(&mut self.named);
                self.named_before = self.named_before.saturating_add(before);
                header.size
            }
            StreamId::SPARSE_BLOCK => block_end(header),
            _ => return,
        };
        self.stored = self.stored.saturating_add(header.size);
        let current = match self.in_named {
            true => &mut self.named,
            false => &mut self.unnamed,
        };
        *current = length.max(*current);
    }
}

fn block_end(block: &StreamHeader) -> u64 {
    let start = u64::try_from(block.sparse_offset.unwrap_or(0)).unwrap_or(0);
    start.saturating_add(block.size)
}

#[cfg(test)]
thread_local! {
    /// How many times a header was looked for.
    pub(super) static HEADERS_READ: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

/// Goes to the next header; bodies that are stored in the file completely are not read.
fn next_header<F: File>(
    streams: &mut BackupStreamReader<BufReader<&mut EntryStream<F>>>,
    length: u64,
    path: &LayerPath,
) -> Result<Option<StreamHeader>> {
    #[cfg(test)]
    HEADERS_READ.set(HEADERS_READ.get() + 1);
    if streams.offset().saturating_add(streams.remaining()) <= length {
        let skipped = streams.skip_body_with(|input, count| {
            skip_buffered(input, count, |entry, left| entry.skip(left))
        });
        skipped.map_err(|error| malformed(path, error))?;
    }
    streams
        .next_header()
        .map_err(|error| malformed(path, error))
}

/// Moves forward by `count` bytes: first in the buffer, then by `skip` in the input.
fn skip_buffered<R: Read>(
    input: &mut BufReader<R>,
    count: u64,
    skip: impl FnOnce(&mut R, u64) -> io::Result<()>,
) -> io::Result<()> {
    let buffered = input.buffer().len();
    let within = usize::try_from(count).map_or(buffered, |count| count.min(buffered));
    input.consume(within);
    match count - within as u64 {
        0 => Ok(()),
        left => skip(input.get_mut(), left),
    }
}

/// The position of a data stream in the backup stream of an entry.
#[derive(Debug, Clone, Copy)]
pub(super) struct StreamPlace {
    /// The offset of its header.
    start: u64,
    /// Its length in bytes, holes included.
    size: u64,
}

/// Reads the metadata of an entry, and finds its data streams.
pub(super) fn details<F: File>(
    entry: &mut OpenEntry<F>,
    path: &LayerPath,
) -> Result<(Details, Vec<StreamPlace>)> {
    let length = match entry.stream {
        EntryStream::Data(_) => entry.stat.size.saturating_sub(4),
        // The length that the disk makes of it is not known in advance.
        EntryStream::Backup(..) => 0,
    };
    let mut streams = BackupStreamReader::new(BufReader::with_capacity(HEADERS, &mut entry.stream));
    let mut found = Details::default();
    let mut data = DataStreams::default();
    let mut left = MAX_METADATA;
    while let Some(header) = next_header(&mut streams, length, path)? {
        let mut body = |header: &StreamHeader| -> Result<Vec<u8>> {
            let kept = left.checked_sub(header.size + header.encoded_len() as u64);
            left = kept.ok_or_else(|| too_much(path))?;
            let mut body = Vec::new();
            let read = (&mut streams).take(header.size).read_to_end(&mut body);
            read.map_err(Error::input)?;
            Ok(body)
        };
        match header.id {
            StreamId::SECURITY_DATA => found.security = Some(body(&header)?),
            StreamId::EA_DATA => found.ea = Some(body(&header)?),
            StreamId::REPARSE_DATA => found.reparse = Some(body(&header)?),
            StreamId::DATA | StreamId::ALTERNATE_DATA | StreamId::SPARSE_BLOCK => {
                data.put(&header, streams.offset(), path)?;
            }
            _ => {
                let body = body(&header)?;
                let other = found.other_streams.get_or_insert_default();
                header.encode(other);
                other.extend_from_slice(&body);
            }
        }
    }
    let holes = |(_, stream): &(u64, StreamDetails)| stream.size.saturating_sub(stream.allocated);
    let holes = data.found.iter().map(holes);
    check_holes(holes.fold(0, u64::saturating_add), path)?;
    data.found.sort_by_key(|(_, stream)| stream.name.is_some());
    let mut places = Vec::with_capacity(data.found.len());
    for (start, stream) in data.found {
        let size = stream.size;
        places.push(StreamPlace { start, size });
        found.streams.push(stream);
    }
    Ok((found, places))
}

fn check_holes(holes: u64, path: &LayerPath) -> Result<()> {
    match holes {
        0..=MAX_HOLES => Ok(()),
        _ => Err(EntryProblem::Holes.of(path)),
    }
}

/// The data streams of an entry and the offsets of their headers, as these come in.
#[derive(Default)]
struct DataStreams {
    found: Vec<(u64, StreamDetails)>,
    /// Roughly how many bytes they take.
    bytes: usize,
}

impl DataStreams {
    /// Takes a header that ends at an offset.
    fn put(&mut self, header: &StreamHeader, end: u64, path: &LayerPath) -> Result<()> {
        let name = match header.id {
            StreamId::DATA => None,
            StreamId::ALTERNATE_DATA => Some(stream_name(header)?),
            _ => {
                if let Some((_, current)) = self.found.last_mut() {
                    current.size = current.size.max(block_end(header));
                    current.allocated = current.allocated.saturating_add(header.size);
                }
                return Ok(());
            }
        };
        self.bytes += STREAM + header.encoded_len();
        if self.bytes > MAX_STREAMS {
            return Err(too_much(path));
        }
        let start = end.saturating_sub(header.encoded_len() as u64);
        let stream = StreamDetails {
            name,
            size: header.size,
            allocated: header.size,
            is_sparse: header.attributes.contains(StreamAttributes::SPARSE),
            sha256: None,
        };
        self.found.push((start, stream));
        Ok(())
    }
}

fn stream_name(header: &StreamHeader) -> Result<StreamName> {
    let name = wide::to_wtf8(header.stream_name().unwrap_or_default());
    StreamName::parse(&name).map_err(|source| Error::Path {
        path: wide::display(&name).into_owned(),
        source,
    })
}

fn too_much(path: &LayerPath) -> Error {
    let what = format!("the metadata of `{path}` is too long");
    Error::Input(io::Error::new(io::ErrorKind::InvalidData, what))
}

fn malformed(path: &LayerPath, error: BackupStreamError) -> Error {
    HcsError::Stream {
        entry: path.clone(),
        source: error.into(),
    }
    .into()
}

/// The content of one data stream.
///
/// A backup stream can only be read forward, but data that is skipped in a file is not read. To go
/// back, the entry is opened again.
pub(super) struct StreamContent<F: File> {
    size: u64,
    /// Opens the stream again, at its start.
    open: Box<dyn Fn() -> Result<Cursor<F>> + Send + Sync>,
    /// `None` after an error.
    cursor: Mutex<Option<Cursor<F>>>,
}

/// A position in the content of a data stream.
pub(super) struct Cursor<F: File> {
    streams: Input<F>,
    position: u64,
    /// The offset of the next data.
    data_start: u64,
    size: u64,
}

impl<F: File> StreamContent<F> {
    /// Takes a stream that was opened; `open` opens it again.
    pub(super) fn new(
        cursor: Cursor<F>,
        open: impl Fn() -> Result<Cursor<F>> + Send + Sync + 'static,
    ) -> Self {
        Self {
            size: cursor.size,
            open: Box::new(open),
            cursor: Mutex::new(Some(cursor)),
        }
    }

    /// Asks a question of the stream at an offset.
    fn at<T>(
        &self,
        offset: u64,
        ask: impl FnOnce(&mut Cursor<F>) -> io::Result<T>,
    ) -> io::Result<T> {
        let mut kept = self.cursor.lock().unwrap_or_else(PoisonError::into_inner);
        let mut cursor = match kept.take() {
            Some(cursor) if cursor.position <= offset => cursor,
            _ => (self.open)().map_err(io::Error::other)?,
        };
        cursor.go_to(offset)?;
        let answer = ask(&mut cursor)?;
        *kept = Some(cursor);
        Ok(answer)
    }
}

impl<F: File + Send> Content for StreamContent<F> {
    fn len(&self) -> u64 {
        self.size
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.size.saturating_sub(offset)).unwrap_or(usize::MAX);
        let wanted = buffer.len().min(left);
        if wanted == 0 {
            return Ok(0);
        }
        self.at(offset, |cursor| cursor.read(&mut buffer[..wanted]))
    }

    fn hole_at(&self, offset: u64) -> io::Result<u64> {
        match offset < self.size {
            true => self.at(offset, Cursor::hole),
            false => Ok(0),
        }
    }
}

impl<F: File> Cursor<F> {
    /// Goes to a stream of an entry that was just opened.
    pub(super) fn start(
        mut entry: OpenEntry<F>,
        place: StreamPlace,
        path: &LayerPath,
    ) -> Result<Self> {
        let skipped = entry.stream.skip(place.start);
        skipped.map_err(Error::input)?;
        let mut streams = BackupStreamReader::new(BufReader::new(entry.stream));
        let header = streams.next_header();
        match header.map_err(|error| malformed(path, error))? {
            Some(_) => Ok(Self {
                streams,
                position: 0,
                data_start: 0,
                size: place.size,
            }),
            None => Err(Error::Input(io::ErrorKind::UnexpectedEof.into())),
        }
    }

    /// Goes forward to an offset.
    fn go_to(&mut self, offset: u64) -> io::Result<()> {
        while self.position < offset {
            let hole = self.hole()?;
            let left = offset - self.position;
            let count = match hole {
                0 => self.skip_data(left)?,
                hole => hole.min(left),
            };
            if count == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            self.position += count;
        }
        Ok(())
    }

    /// Skips data, at most to its end; returns how many bytes.
    fn skip_data(&mut self, count: u64) -> io::Result<u64> {
        let count = count.min(self.streams.remaining());
        let skipped = self.streams.skip_with(count, |input, count| {
            skip_buffered(input, count, EntryStream::skip)
        });
        skipped.map_err(io::Error::other)?;
        Ok(count)
    }

    /// Returns how many bytes from here on are a hole.
    fn hole(&mut self) -> io::Result<u64> {
        while self.data_start <= self.position
            && self.streams.remaining() == 0
            && self.position < self.size
        {
            self.next_block()?;
        }
        Ok(self.data_start.saturating_sub(self.position))
    }

    /// Goes to the next data, or to the end of the stream.
    fn next_block(&mut self) -> io::Result<()> {
        let invalid = |error| io::Error::new(io::ErrorKind::InvalidData, error);
        let next = self.streams.next_header().map_err(io::Error::other)?;
        self.data_start = match next {
            Some(block) if block.id == StreamId::SPARSE_BLOCK => {
                let start = u64::try_from(block.sparse_offset.unwrap_or(0)).unwrap_or(0);
                if start < self.position {
                    return Err(invalid("sparse blocks are out of order"));
                }
                start.min(self.size)
            }
            _ => self.size,
        };
        Ok(())
    }

    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let hole = self.hole()?;
        let read = match usize::try_from(hole).unwrap_or(usize::MAX) {
            0 => self.streams.read(buffer)?,
            hole => {
                let count = buffer.len().min(hole);
                buffer[..count].fill(0);
                count
            }
        };
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.position += read as u64;
        Ok(read)
    }
}
