//! [`HostFile`]: a file of Linux or macOS that behaves like a Windows file.

use std::cell::Cell;
use std::collections::VecDeque;
use std::fs;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileExt;

use ntmeta::{
    BackupStreamDecoder, FileAttributes, FileBasicInfo, FileTime, ReparseTag, StreamAttributes,
    StreamEvent, StreamHeader, StreamId,
};
use rustix::fs::{FileType, Mode, OFlags, Timespec, Timestamps};

use super::holes;
use super::metadata::{self, MAX_METADATA, UnixTime};
use crate::place::disk;
use crate::volume::{Access, File, Scope, Stat};

/// The attributes that follow from the kind of file; no call can set them.
const NATURE: FileAttributes = FileAttributes::DIRECTORY.union(FileAttributes::REPARSE_POINT);

/// An opened file, directory or reparse point of Linux or macOS.
#[derive(Debug)]
pub struct HostFile {
    object: Object,
    /// The metadata to set again after everything has been written.
    info: Cell<Option<FileBasicInfo>>,
    reading: Option<Reading>,
    writing: Option<Writing>,
}

#[derive(Debug)]
enum Object {
    Open(fs::File),
    /// Something that only has metadata: a symbolic link, a device, a file without permission.
    Unopened(Stat),
}

/// A backup stream being read: its remaining parts.
#[derive(Debug)]
struct Reading(VecDeque<Part>);

#[derive(Debug)]
enum Part {
    Bytes(io::Cursor<Vec<u8>>),
    /// A range of the data: its offset and length.
    Data(u64, u64),
}

/// A backup stream being written.
#[derive(Debug, Default)]
struct Writing {
    decoder: BackupStreamDecoder,
    target: Target,
    /// The offset of the next bytes of the data.
    position: u64,
    /// The final length of the data.
    length: u64,
    streams: Vec<u8>,
    reparse_tag: Vec<u8>,
}

/// The destination for the body of the current stream.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Target {
    #[default]
    Nowhere,
    Data,
    Streams,
    Reparse,
}

impl HostFile {
    /// Opens a file or directory that was found to be of this kind.
    pub(super) fn open(
        folder: &OwnedFd,
        name: &[u8],
        kind: FileType,
        access: Access,
    ) -> io::Result<Self> {
        let access = match (kind, access) {
            (FileType::RegularFile, Access::Write) => OFlags::RDWR,
            (FileType::Directory, _) => OFlags::RDONLY | OFlags::DIRECTORY,
            _ => OFlags::RDONLY,
        };
        // If anything has replaced it in the meantime, it is neither followed nor waited for.
        let safely = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let file = rustix::fs::openat(folder, name, access | safely, Mode::empty())?;
        if FileType::from_raw_mode(rustix::fs::fstat(&file)?.st_mode) != kind {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "replaced while it was being opened",
            ));
        }
        Ok(Self::new(Object::Open(file.into())))
    }

    pub(super) fn create(folder: &OwnedFd, name: &[u8]) -> io::Result<Self> {
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::RDWR | OFlags::CLOEXEC;
        let mode = Mode::from_raw_mode(0o666);
        let file = rustix::fs::openat(folder, name, flags | OFlags::NOFOLLOW, mode)?;
        Ok(Self::new(Object::Open(file.into())))
    }

    pub(super) fn from_new_directory(directory: OwnedFd) -> Self {
        Self::new(Object::Open(directory.into()))
    }

    pub(super) fn unopened(stat: &rustix::fs::Stat) -> Self {
        Self::new(Object::Unopened(unopened_stat(stat)))
    }

    fn new(object: Object) -> Self {
        Self {
            object,
            info: Cell::new(None),
            reading: None,
            writing: None,
        }
    }

    fn opened(&self) -> io::Result<&fs::File> {
        match &self.object {
            Object::Open(file) => Ok(file),
            Object::Unopened(_) => Err(io::ErrorKind::PermissionDenied.into()),
        }
    }

    /// Sets times and attributes immediately.
    fn apply(&self, info: &FileBasicInfo) -> io::Result<()> {
        let file = self.opened()?;
        rustix::fs::futimens(
            file,
            &Timestamps {
                last_access: timespec(info.last_access_time),
                last_modification: timespec(info.last_write_time),
            },
        )?;
        let set = modified(&rustix::fs::fstat(file)?);
        let mut kept = *info;
        kept.attributes -= NATURE;
        if kept.attributes.is_empty() {
            // As on Windows, no attributes means to keep the current ones.
            kept.attributes = self.stat()?.basic_info.attributes - NATURE;
        }
        metadata::store_basic_info(file.as_fd(), &kept, set)
    }

    fn start_reading(&self, scope: Scope) -> io::Result<Reading> {
        let file = self.opened()?;
        let stat = self.stat()?;
        let mut streams = metadata::streams(file.as_fd())?;
        if scope == Scope::WithoutSecurity {
            streams.retain(|(header, _)| header.id != StreamId::SECURITY_DATA);
        }
        // The order of a layer tar.
        streams.sort_by_key(|(header, _)| match header.id {
            StreamId::SECURITY_DATA => 0,
            StreamId::EA_DATA => 1,
            StreamId::REPARSE_DATA => 2,
            StreamId::ALTERNATE_DATA => 4,
            _ => 3,
        });
        let (mut before, mut after) = (Vec::new(), Vec::new());
        for (header, body) in streams {
            let part = match header.id {
                StreamId::ALTERNATE_DATA => &mut after,
                _ => &mut before,
            };
            header.encode(part);
            part.extend(body);
        }
        let mut parts = VecDeque::new();
        if !stat.is_directory() && (stat.size > 0 || !stat.is_reparse_point()) {
            push_data(&mut parts, before, file, stat.size)?;
        } else {
            parts.push_back(Part::Bytes(io::Cursor::new(before)));
        }
        parts.push_back(Part::Bytes(io::Cursor::new(after)));
        Ok(Reading(parts))
    }
}

/// Adds the data stream after the preceding bytes, in the form that `BackupRead` returns: complete,
/// or, if the file has holes, as sparse blocks with an empty one at the end.
fn push_data(
    parts: &mut VecDeque<Part>,
    mut before: Vec<u8>,
    file: &fs::File,
    size: u64,
) -> io::Result<()> {
    let mut header = StreamHeader::new(StreamId::DATA, size);
    let Some(ranges) = holes::ranges(file, size)? else {
        header.encode(&mut before);
        parts.push_back(Part::Bytes(io::Cursor::new(before)));
        parts.push_back(Part::Data(0, size));
        return Ok(());
    };
    header.attributes |= StreamAttributes::SPARSE;
    header.size = 0;
    header.encode(&mut before);
    for (offset, len) in ranges.into_iter().chain([(size, 0)]) {
        let start = i64::try_from(offset).map_err(|_| io::ErrorKind::InvalidData)?;
        StreamHeader::sparse_block(start, len).encode(&mut before);
        let bytes = std::mem::take(&mut before);
        parts.push_back(Part::Bytes(io::Cursor::new(bytes)));
        parts.push_back(Part::Data(offset, len));
    }
    Ok(())
}

impl File for HostFile {
    fn stat(&self) -> io::Result<Stat> {
        let file = match &self.object {
            Object::Open(file) => file,
            Object::Unopened(stat) => return Ok(*stat),
        };
        let raw = rustix::fs::fstat(file)?;
        let mut stat = unopened_stat(&raw);
        let info = &mut stat.basic_info;
        let nature = info.attributes & NATURE;
        if let Some((kept, when)) = metadata::basic_info(file.as_fd())? {
            if when == modified(&raw) {
                *info = kept;
            } else {
                info.creation_time = kept.creation_time;
                info.attributes = kept.attributes;
            }
            info.attributes = (info.attributes - NATURE) | nature;
        }
        stat.reparse_tag = metadata::reparse_tag(file.as_fd())?;
        if stat.reparse_tag.is_some() {
            info.attributes |= FileAttributes::REPARSE_POINT;
        }
        if info.attributes != FileAttributes::NORMAL {
            // This attribute is valid only on its own.
            info.attributes -= FileAttributes::NORMAL;
        }
        Ok(stat)
    }

    fn set_basic_info(&self, info: &FileBasicInfo) -> io::Result<()> {
        self.apply(info)?;
        self.info.set(Some(*info));
        Ok(())
    }

    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut file = self.opened()?;
        loop {
            match file.read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => return read,
            }
        }
    }

    fn skip(&mut self, count: u64) -> io::Result<()> {
        let count = i64::try_from(count).map_err(|_| io::ErrorKind::InvalidInput)?;
        self.opened()?.seek(SeekFrom::Current(count)).map(|_| ())
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.opened()?.write_all(bytes)
    }

    fn backup_read(&mut self, buffer: &mut [u8], scope: Scope) -> io::Result<usize> {
        let mut reading = match self.reading.take() {
            Some(reading) => reading,
            None => self.start_reading(scope)?,
        };
        let mut read = 0;
        while let Some(part) = reading
            .0
            .front_mut()
            .filter(|_| read == 0 && !buffer.is_empty())
        {
            let is_over = match part {
                Part::Bytes(bytes) => {
                    read = bytes.read(buffer)?;
                    read == 0
                }
                Part::Data(_, 0) => true,
                Part::Data(offset, left) => {
                    let most = usize::try_from(*left).map_or(buffer.len(), |n| n.min(buffer.len()));
                    read = read_at(self.opened()?, &mut buffer[..most], *offset)?;
                    *offset += read as u64;
                    *left -= read as u64;
                    false
                }
            };
            if is_over {
                reading.0.pop_front();
            }
        }
        self.reading = Some(reading);
        Ok(read)
    }

    fn backup_write(&mut self, mut bytes: &[u8], scope: Scope) -> io::Result<()> {
        let mut writing = self.writing.take().unwrap_or_default();
        let file = self.opened()?;
        while let Some(event) = writing.decoder.decode(&mut bytes).map_err(invalid_stream)? {
            match event {
                StreamEvent::Header(header) => writing.start(&header, scope, file)?,
                StreamEvent::Body(body) => writing.body(body, file)?,
            }
        }
        self.writing = Some(writing);
        Ok(())
    }

    fn close(mut self) -> io::Result<()> {
        let Object::Open(file) = &self.object else {
            return Ok(());
        };
        if let Some(writing) = self.writing.take() {
            writing.finish(file)?;
        }
        // Writing has changed the times.
        if let Some(info) = self.info.take() {
            self.apply(&info)?;
        }
        match self.object {
            Object::Open(file) => disk::close(file),
            Object::Unopened(_) => Ok(()),
        }
    }
}

impl Writing {
    fn start(&mut self, header: &StreamHeader, scope: Scope, file: &fs::File) -> io::Result<()> {
        self.target = match header.id {
            StreamId::DATA | StreamId::SPARSE_BLOCK => {
                if file.metadata()?.is_dir() {
                    let message = "a directory has no data";
                    return Err(io::Error::new(io::ErrorKind::InvalidData, message));
                }
                if header.id == StreamId::DATA {
                    file.set_len(0)?;
                }
                let start = u64::try_from(header.sparse_offset.unwrap_or(0));
                self.position = start.map_err(|_| io::ErrorKind::InvalidData)?;
                let end = self.position.checked_add(header.size);
                let end = end.filter(|end| i64::try_from(*end).is_ok());
                self.length = self.length.max(end.ok_or(io::ErrorKind::InvalidData)?);
                Target::Data
            }
            StreamId::SECURITY_DATA if scope == Scope::WithoutSecurity => Target::Nowhere,
            id => {
                let room = MAX_METADATA.saturating_sub(self.streams.len() + header.encoded_len());
                if header.size > room as u64 {
                    let size = usize::try_from(header.size).unwrap_or(usize::MAX);
                    return Err(metadata::too_large(size));
                }
                header.encode(&mut self.streams);
                match id {
                    StreamId::REPARSE_DATA => Target::Reparse,
                    _ => Target::Streams,
                }
            }
        };
        Ok(())
    }

    fn body(&mut self, body: &[u8], file: &fs::File) -> io::Result<()> {
        match self.target {
            Target::Nowhere => {}
            Target::Data => {
                file.write_all_at(body, self.position)?;
                self.position += body.len() as u64;
            }
            Target::Streams => self.streams.extend_from_slice(body),
            Target::Reparse => {
                let missing = 4_usize.saturating_sub(self.reparse_tag.len());
                let start = &body[..missing.min(body.len())];
                self.reparse_tag.extend_from_slice(start);
                self.streams.extend_from_slice(body);
            }
        }
        Ok(())
    }

    fn finish(self, file: &fs::File) -> io::Result<()> {
        self.decoder
            .finish()
            .map_err(|error| io::Error::new(io::ErrorKind::UnexpectedEof, error))?;
        if self.length > file.metadata()?.len() {
            file.set_len(self.length)?;
        }
        let tag = match self.reparse_tag.is_empty() {
            true => None,
            false => {
                let tag = self.reparse_tag.try_into();
                let tag = tag.map_err(|_| io::Error::from(io::ErrorKind::InvalidData))?;
                Some(ReparseTag(u32::from_le_bytes(tag)))
            }
        };
        metadata::store_streams(file.as_fd(), &self.streams, tag)
    }
}

/// Reads data that is known to exist.
fn read_at(file: &fs::File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    loop {
        match file.read_at(buffer, offset) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            read => return read,
        }
    }
}

fn invalid_stream(error: ntmeta::BackupStreamError) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

/// Returns the metadata that the system itself keeps.
#[allow(clippy::unnecessary_cast)] // the types differ from system to system
pub(super) fn unopened_stat(stat: &rustix::fs::Stat) -> Stat {
    let kind = FileType::from_raw_mode(stat.st_mode);
    let written = file_time(modified(stat));
    let read = file_time((stat.st_atime as i64, stat.st_atime_nsec as u32));
    let mut id = [0; 16];
    id[..8].copy_from_slice(&(stat.st_dev as u64).to_le_bytes());
    id[8..].copy_from_slice(&(stat.st_ino as u64).to_le_bytes());
    Stat {
        basic_info: FileBasicInfo {
            creation_time: written,
            last_access_time: read,
            last_write_time: written,
            change_time: written,
            attributes: match kind {
                FileType::RegularFile => FileAttributes::ARCHIVE,
                FileType::Directory => FileAttributes::DIRECTORY,
                FileType::Symlink => FileAttributes::REPARSE_POINT,
                _ => FileAttributes::DEVICE,
            },
        },
        size: match kind {
            FileType::RegularFile => stat.st_size as u64,
            _ => 0,
        },
        links: stat.st_nlink as u32,
        id,
        // The tag that Windows uses for links of Linux.
        reparse_tag: (kind == FileType::Symlink).then_some(ReparseTag::LX_SYMLINK),
    }
}

#[allow(clippy::unnecessary_cast)] // the types differ from system to system
fn modified(stat: &rustix::fs::Stat) -> UnixTime {
    (stat.st_mtime as i64, stat.st_mtime_nsec as u32)
}

/// Converts a time; a time that is too early for Windows becomes the earliest that it supports.
fn file_time((seconds, nanoseconds): UnixTime) -> FileTime {
    FileTime::from_unix(seconds, nanoseconds).unwrap_or(FileTime::from_ticks(0))
}

fn timespec(time: FileTime) -> Timespec {
    let (tv_sec, nanoseconds) = time.to_unix();
    Timespec {
        tv_sec,
        tv_nsec: nanoseconds.into(),
    }
}
