//! [`TarLayerWriter`]: a sink of the hub that writes a layer tar.
//!
//! The bytes are those of the reference wherever it loses nothing, and the same for the same
//! entries on every run and host. A tar announces before the data what a backup stream may bring
//! after it; what comes in that order is held back in a [`Spool`](super::spool) until the file is
//! complete. What the standard records cannot carry goes into records of ours
//! (`docs/vendor-records.md`). Holes are written as zeros up to 16 MiB of them; the others are left
//! out as GNU tar does it, in its format 1.0, which the reference reads.
//!
//! Source: go-winio `backuptar/tar.go` (`WriteTarFileFromBackupStream`), hcsshim
//! `pkg/ociwclayer/export.go` (links, whiteouts), Go `archive/tar/writer.go` (layout).

use std::io::Write;

use ntmeta::{
    BackupStreamDecoder, FileAttributes, StreamAttributes, StreamEvent, StreamHeader, StreamId,
};

use super::entries::is_other_stream;
use super::header::BLOCK;
use super::metadata::Metadata;
use super::new_member::{Holes, NewMember};
use super::output::Output;
use super::pax::MAX_EXTENDED_HEADER;
use super::spool::{Spool, SpooledStream, spool_error};
use crate::error::{Error, Result};
use crate::error::{TarError, TarProblem};
use crate::hub::{FileEntry, LayerWriter, LinkEntry};
use crate::layout;
use crate::path::{LayerPath, PathError, StreamName};

/// Writes an uncompressed layer tar.
///
/// ```
/// use std::io::Write;
/// use wclayer::ntmeta::{BackupStreamWriter, FileAttributes, FileBasicInfo, StreamHeader, StreamId};
/// use wclayer::tar::TarLayerWriter;
/// use wclayer::{FileEntry, LayerWriter};
///
/// let mut layer = TarLayerWriter::new(Vec::new());
/// let mut entry = FileEntry {
///     path: "Files".parse()?,
///     basic_info: FileBasicInfo::default(),
///     size: 0,
///     metadata_first: true,
/// };
/// entry.basic_info.attributes = FileAttributes::DIRECTORY;
/// layer.add(&entry)?;
///
/// entry.path = "Files/hello.txt".parse()?;
/// entry.basic_info.attributes = FileAttributes::ARCHIVE;
/// entry.size = 5;
/// layer.add(&entry)?;
/// let mut stream = BackupStreamWriter::new(Vec::new());
/// stream.begin(&StreamHeader::new(StreamId::DATA, 5))?;
/// stream.write_all(b"hello")?;
/// layer.write(&stream.finish()?)?;
///
/// let tar = layer.finish()?;
/// assert_eq!(tar.len() % 512, 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// What was written before an error, or before the writer was dropped, is no complete tar: it is
/// for the owner of `output` to discard.
pub struct TarLayerWriter<W> {
    output: Output<W>,
    file: Option<OpenFile>,
}

/// A file whose backup stream is being taken.
struct OpenFile {
    entry: FileEntry,
    /// Where its first header block goes.
    offset: u64,
    decoder: BackupStreamDecoder,
    metadata: Metadata,
    spool: Spool,
    state: State,
    /// Whether the header is out, after which only alternate streams may come.
    header_written: bool,
}

/// Where the body of the current stream goes.
enum State {
    Metadata(StreamId),
    /// Straight to the output: the bytes that are left of the stream, and their padding.
    Direct {
        padding: u64,
    },
    Spooled,
}

impl<W: Write> TarLayerWriter<W> {
    /// Starts a tar on `output`, which is written in pieces of any size.
    pub fn new(output: W) -> Self {
        Self {
            output: Output::new(output),
            file: None,
        }
    }

    /// Completes the current file.
    fn close_file(&mut self) -> Result<()> {
        let Some(mut file) = self.file.take() else {
            return Ok(());
        };
        file.close(&mut self.output)
    }

    /// Refuses names that a reader would take for a whiteout.
    fn check_name(&self, path: &LayerPath) -> Result<()> {
        if path
            .components()
            .any(|name| name.starts_with(layout::WHITEOUT_PREFIX))
        {
            return Err(self.reserved(path));
        }
        Ok(())
    }

    fn reserved(&self, path: &LayerPath) -> Error {
        TarError::new(
            path.as_bytes(),
            self.output.offset(),
            TarProblem::ReservedName,
        )
        .into()
    }

    /// Writes an entry that consists of a name, as the reference does: no mode, no time.
    fn write_bare(&mut self, name: &[u8]) -> Result<()> {
        self.close_file()?;
        NewMember::whiteout(name).write_headers(&mut self.output)
    }
}

impl<W: Write> LayerWriter for TarLayerWriter<W> {
    type Output = W;

    fn add(&mut self, file: &FileEntry) -> Result<()> {
        self.close_file()?;
        self.check_name(&file.path)?;
        self.file = Some(OpenFile {
            entry: file.clone(),
            offset: self.output.offset(),
            decoder: BackupStreamDecoder::new(),
            metadata: Metadata::default(),
            spool: Spool::default(),
            state: State::Spooled,
            header_written: false,
        });
        Ok(())
    }

    fn write(&mut self, mut backup_stream: &[u8]) -> Result<()> {
        let file = self.file.as_mut().ok_or(Error::NoCurrentFile)?;
        loop {
            let event = file.decoder.decode(&mut backup_stream);
            match event.map_err(|error| file.error(TarProblem::BackupStream(error)))? {
                Some(StreamEvent::Header(header)) => file.start_stream(&mut self.output, header)?,
                Some(StreamEvent::Body(bytes)) => file.take_body(&mut self.output, bytes)?,
                None => return Ok(()),
            }
        }
    }

    fn add_link(&mut self, link: &LinkEntry) -> Result<()> {
        self.close_file()?;
        self.check_name(&link.path)?;
        self.check_name(&link.target)?;
        NewMember::link(link).write_headers(&mut self.output)
    }

    fn remove(&mut self, path: &LayerPath) -> Result<()> {
        if let Some(directory) = path.parent() {
            self.check_name(&directory)?;
        }
        let name = path.as_bytes();
        let (directory, base) = name.split_at(name.len() - path.file_name().len());
        // What is removed may look like a whiteout itself: readers take one prefix off.
        let whiteout = [layout::WHITEOUT_PREFIX, base].concat();
        if whiteout == layout::OPAQUE_WHITEOUT {
            return Err(self.reserved(path));
        }
        self.write_bare(&[directory, &whiteout].concat())
    }

    fn remove_contents(&mut self, directory: &LayerPath) -> Result<()> {
        self.check_name(directory)?;
        self.write_bare(&[directory.as_bytes(), b"/", layout::OPAQUE_WHITEOUT].concat())
    }

    fn finish(mut self) -> Result<W> {
        self.close_file()?;
        self.output.write(&[0; 2 * BLOCK])?;
        self.output.finish()
    }
}

impl OpenFile {
    fn error(&self, problem: TarProblem) -> Error {
        TarError::new(self.entry.path.as_bytes(), self.offset, problem).into()
    }

    fn inconsistent(&self, what: &'static str) -> Error {
        self.error(TarProblem::Streams { what })
    }

    fn start_stream<W: Write>(
        &mut self,
        output: &mut Output<W>,
        header: StreamHeader,
    ) -> Result<()> {
        self.end_direct(output)?;
        if header.id == StreamId::SPARSE_BLOCK {
            self.state = State::Spooled;
            let offset = header
                .sparse_offset
                .and_then(|offset| u64::try_from(offset).ok());
            let added = offset.is_some_and(|offset| self.spool.add_block(offset, header.size));
            return if added {
                Ok(())
            } else {
                Err(self.inconsistent("a sparse block is out of place"))
            };
        }
        self.check_sparse_end()?;
        match header.id {
            StreamId::DATA => self.start_data(output, &header),
            StreamId::ALTERNATE_DATA => self.start_alternate(output, &header),
            id => self.start_metadata(id, &header),
        }
    }

    fn start_metadata(&mut self, id: StreamId, header: &StreamHeader) -> Result<()> {
        if self.header_written {
            return Err(self.inconsistent("metadata follows the data, though none was announced"));
        }
        let size = self.metadata.len().saturating_add(header.size);
        if size > MAX_EXTENDED_HEADER {
            let limit = MAX_EXTENDED_HEADER;
            return Err(self.error(TarProblem::ExtendedHeaderTooLarge { size, limit }));
        }
        self.metadata.start(id);
        if is_other_stream(id) {
            header.encode(&mut self.metadata.other_streams);
        }
        self.state = State::Metadata(id);
        Ok(())
    }

    fn start_data<W: Write>(
        &mut self,
        output: &mut Output<W>,
        header: &StreamHeader,
    ) -> Result<()> {
        if std::mem::replace(&mut self.metadata.has_data, true) {
            return Err(self.inconsistent("there are two unnamed data streams"));
        }
        let is_sparse = header.attributes.contains(StreamAttributes::SPARSE);
        if !self.entry.metadata_first || is_sparse {
            self.spool.start(None, header.size, is_sparse);
            self.state = State::Spooled;
            return Ok(());
        }
        self.check_size(header.size)?;
        self.write_header(output, header.size, Holes::None)?;
        self.state = State::Direct {
            padding: header.size,
        };
        Ok(())
    }

    fn start_alternate<W: Write>(
        &mut self,
        output: &mut Output<W>,
        header: &StreamHeader,
    ) -> Result<()> {
        let Some(name) = header.stream_name() else {
            return Err(self.inconsistent("an alternate stream is not named `:NAME:$DATA`"));
        };
        let name = ntmeta::wide::to_wtf8(name);
        self.check_stream_name(&name)?;
        let is_sparse = header.attributes.contains(StreamAttributes::SPARSE);
        if self.header_written && self.spool.is_empty() && !is_sparse {
            self.write_stream_header(output, &name, header.size, Holes::None)?;
            self.state = State::Direct {
                padding: header.size,
            };
        } else {
            self.spool.start(Some(name), header.size, is_sparse);
            self.state = State::Spooled;
        }
        Ok(())
    }

    fn take_body<W: Write>(&mut self, output: &mut Output<W>, bytes: &[u8]) -> Result<()> {
        match self.state {
            State::Metadata(id) => {
                self.metadata.add(id, bytes);
                Ok(())
            }
            State::Direct { .. } => output.write(bytes),
            State::Spooled => self.spool.write(bytes).map_err(spool_error),
        }
    }

    /// Pads the stream that went straight to the output, and lets out what waited for it.
    fn end_direct<W: Write>(&mut self, output: &mut Output<W>) -> Result<()> {
        let State::Direct { padding } = self.state else {
            return Ok(());
        };
        self.state = State::Spooled;
        output.pad(padding)?;
        self.write_spooled(output)
    }

    fn check_sparse_end(&self) -> Result<()> {
        if self.spool.is_complete() {
            Ok(())
        } else {
            Err(self.inconsistent("the last block of a sparse stream is missing"))
        }
    }

    /// Refuses a name that no stream of NTFS has, and that would be another one when it is read
    /// back: `x:$DATA` would be `x`.
    fn check_stream_name(&self, name: &[u8]) -> Result<()> {
        let read_back = StreamName::parse(name).map_err(TarProblem::Path);
        match read_back {
            Ok(read_back) if read_back.as_bytes() == name => Ok(()),
            Ok(_) => Err(self.error(TarProblem::Path(PathError::StreamName {
                name: ntmeta::wide::display(name).into_owned(),
            }))),
            Err(problem) => Err(self.error(problem)),
        }
    }

    /// Checks the announced size; Windows gives large directories one, which is not that of data.
    fn check_size(&self, actual: u64) -> Result<()> {
        let is_directory = self
            .entry
            .basic_info
            .attributes
            .contains(FileAttributes::DIRECTORY);
        if actual == self.entry.size || (is_directory && actual == 0) {
            Ok(())
        } else {
            Err(self.error(TarProblem::SizeMismatch {
                announced: self.entry.size,
                actual,
            }))
        }
    }

    fn close<W: Write>(&mut self, output: &mut Output<W>) -> Result<()> {
        self.decoder
            .finish()
            .map_err(|error| self.error(TarProblem::BackupStream(error)))?;
        self.end_direct(output)?;
        self.check_sparse_end()?;
        if !self.header_written {
            let data = self.spool.take_data();
            let size = data.as_ref().map_or(0, SpooledStream::size);
            self.check_size(size)?;
            let holes = data
                .as_ref()
                .map_or(Holes::None, |data| holes_of(data, output));
            let without_holes = self.write_header(output, size, holes)?;
            if let Some(data) = data {
                self.spool.copy_out(&data, without_holes, output)?;
            }
        }
        self.write_spooled(output)
    }

    /// Writes the alternate streams that were held back.
    fn write_spooled<W: Write>(&mut self, output: &mut Output<W>) -> Result<()> {
        for stream in self.spool.take_alternates() {
            let name = stream.name.clone().unwrap_or_default();
            let holes = holes_of(&stream, output);
            let without_holes = self.write_stream_header(output, &name, stream.size(), holes)?;
            self.spool.copy_out(&stream, without_holes, output)?;
        }
        Ok(())
    }

    /// Writes the headers of the file; returns whether its holes are to be left out.
    fn write_header<W: Write>(
        &mut self,
        output: &mut Output<W>,
        size: u64,
        holes: Holes,
    ) -> Result<bool> {
        let without_holes = matches!(holes, Holes::LeftOut { .. });
        let member = NewMember::file(&self.entry, size, &self.metadata, holes)
            .map_err(|problem| self.error(problem))?;
        self.header_written = true;
        member.write_headers(output)?;
        Ok(without_holes)
    }

    /// Writes the headers of an alternate stream; returns whether its holes are to be left out.
    fn write_stream_header<W: Write>(
        &mut self,
        output: &mut Output<W>,
        name: &[u8],
        size: u64,
        holes: Holes,
    ) -> Result<bool> {
        let without_holes = matches!(holes, Holes::LeftOut { .. });
        let member = NewMember::stream(&self.entry, name, size, &self.metadata, holes);
        member.write_headers(output)?;
        Ok(without_holes)
    }
}

/// Returns how the holes of a stream are told.
fn holes_of<W>(stream: &SpooledStream, output: &mut Output<W>) -> Holes {
    let Some(map) = stream.map() else {
        return Holes::None;
    };
    match output.left_out.map_of(&map) {
        Some(content) => Holes::LeftOut {
            content,
            stored: map.allocated(),
        },
        None => Holes::AsZeros {
            record: map.to_record(),
        },
    }
}
