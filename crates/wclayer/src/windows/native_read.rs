//! Reads a backup stream with our own code, for file systems without `BackupRead`.
//!
//! The order is: security, extended attributes, reparse data, the data (or the blocks of a sparse
//! file), alternate data streams. Security and extended attributes are omitted if the file system
//! does not support them; anything else that cannot be read is an error. Object ids and hard-link
//! names are omitted because layers do not contain them.
//!
//! Only metadata is held in memory, at most 64 KiB of each kind.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::windows::io::AsRawHandle;

use ntmeta::{FileAttributes, StreamAttributes, StreamHeader, StreamId};
use windows_sys::Wdk::Storage::FileSystem::{
    FILE_OPEN, FileStandardInformation, FileStreamInformation, NtQueryEaFile,
    NtQueryInformationFile, NtQuerySecurityObject,
};
use windows_sys::Win32::Foundation::{
    GENERIC_READ, STATUS_ACCESS_DENIED, STATUS_EAS_NOT_SUPPORTED, STATUS_INVALID_DEVICE_REQUEST,
    STATUS_INVALID_INFO_CLASS, STATUS_INVALID_PARAMETER, STATUS_NO_EAS_ON_FILE,
    STATUS_NOT_IMPLEMENTED, STATUS_NOT_SUPPORTED, STATUS_PRIVILEGE_NOT_HELD,
};
use windows_sys::Win32::Security::{
    DACL_SECURITY_INFORMATION, GROUP_SECURITY_INFORMATION, OWNER_SECURITY_INFORMATION,
    SACL_SECURITY_INFORMATION,
};
use windows_sys::Win32::System::IO::IO_STATUS_BLOCK;
use windows_sys::Win32::System::Ioctl::{FSCTL_GET_REPARSE_POINT, FSCTL_QUERY_ALLOCATED_RANGES};

use super::file::basic_info;
use super::nt::{self, Buffer, How, SHARE_ALL, Status, u32_at, u64_at, units_of};
use crate::volume::Scope;

/// The maximum size of one kind of metadata, in bytes.
const METADATA_BYTES: usize = 64 * 1024;

/// A part of a stream that has not been read yet.
enum Part {
    /// Bytes that are ready.
    Ready(Vec<u8>),
    /// The complete unnamed data, with its length in bytes.
    Data(u64),
    /// The ranges of a sparse file from an offset on, with the file's size.
    Ranges(u64, u64),
    /// An alternate data stream: `:name:$DATA`, and its size.
    Alternate(Vec<u16>, u64),
}

/// The backup stream of one file.
pub(super) struct NativeReader {
    parts: VecDeque<Part>,
    ready: Vec<u8>,
    at: usize,
    /// The stream whose body is being read, unless it is the file's own data.
    alternate: Option<File>,
    body: u64,
}

impl NativeReader {
    /// Collects the metadata of an opened file.
    pub(super) fn new(file: &File, scope: Scope) -> io::Result<Self> {
        let attributes = basic_info(file)?.attributes;
        let mut parts = VecDeque::new();
        if scope == Scope::WithSecurity
            && let Some(descriptor) = security(file)?
        {
            let mut header = StreamHeader::new(StreamId::SECURITY_DATA, descriptor.len() as u64);
            header.attributes = StreamAttributes::CONTAINS_SECURITY;
            parts.push_back(ready(&header, &descriptor));
        }
        if let Some(list) = extended_attributes(file)? {
            let header = StreamHeader::new(StreamId::EA_DATA, list.len() as u64);
            parts.push_back(ready(&header, &list));
        }
        if attributes.contains(FileAttributes::REPARSE_POINT) {
            let mut buffer = Buffer::new(METADATA_BYTES);
            let length = nt::control(file, FSCTL_GET_REPARSE_POINT, &[], buffer.bytes_mut())?;
            let header = StreamHeader::new(StreamId::REPARSE_DATA, length as u64);
            parts.push_back(ready(&header, &buffer.bytes()[..length]));
        }
        if !attributes.contains(FileAttributes::DIRECTORY) {
            data_parts(file, attributes, &mut parts)?;
        }
        for (name, size) in alternate_streams(file)? {
            parts.push_back(Part::Alternate(name, size));
        }
        Ok(Self {
            parts,
            ready: Vec::new(),
            at: 0,
            alternate: None,
            body: 0,
        })
    }

    /// Reads the next bytes; returns 0 at the end.
    pub(super) fn read(&mut self, file: &File, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            let ready = &self.ready[self.at..];
            if !ready.is_empty() {
                let count = ready.len().min(buffer.len());
                buffer[..count].copy_from_slice(&ready[..count]);
                self.at += count;
                return Ok(count);
            }
            if self.body > 0 {
                let length =
                    usize::try_from(self.body).map_or(buffer.len(), |n| n.min(buffer.len()));
                let mut source = self.alternate.as_ref().unwrap_or(file);
                let count = source.read(&mut buffer[..length])?;
                if count == 0 {
                    // The header promised more: the file was truncated in the meantime.
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                self.body -= count as u64;
                return Ok(count);
            }
            let Some(part) = self.parts.pop_front() else {
                return Ok(0);
            };
            self.start(file, part)?;
        }
    }

    fn start(&mut self, file: &File, part: Part) -> io::Result<()> {
        self.alternate = None;
        self.ready.clear();
        self.at = 0;
        match part {
            Part::Ready(bytes) => self.ready = bytes,
            Part::Data(size) => {
                StreamHeader::new(StreamId::DATA, size).encode(&mut self.ready);
                (&*file).seek(SeekFrom::Start(0))?;
                self.body = size;
            }
            Part::Ranges(from, size) => self.start_range(file, from, size)?,
            Part::Alternate(name, size) => {
                let how = How {
                    access: GENERIC_READ,
                    share: SHARE_ALL,
                    disposition: FILE_OPEN,
                    options: 0,
                };
                self.alternate = Some(nt::open(file, &name, how)?);
                let header = StreamHeader {
                    name,
                    ..StreamHeader::new(StreamId::ALTERNATE_DATA, size)
                };
                header.encode(&mut self.ready);
                self.body = size;
            }
        }
        Ok(())
    }

    /// Starts the next allocated range of a sparse file, or its end.
    fn start_range(&mut self, file: &File, from: u64, size: u64) -> io::Result<()> {
        let (start, length) = next_range(file, from, size)?.unwrap_or((size, 0));
        let offset = i64::try_from(start).map_err(|_| io::ErrorKind::InvalidData)?;
        StreamHeader::sparse_block(offset, length).encode(&mut self.ready);
        if length > 0 {
            (&*file).seek(SeekFrom::Start(start))?;
            self.body = length;
            self.parts.push_front(Part::Ranges(start + length, size));
        }
        Ok(())
    }
}

fn ready(header: &StreamHeader, body: &[u8]) -> Part {
    let mut bytes = Vec::with_capacity(header.encoded_len() + body.len());
    header.encode(&mut bytes);
    bytes.extend_from_slice(body);
    Part::Ready(bytes)
}

fn data_parts(
    file: &File,
    attributes: FileAttributes,
    parts: &mut VecDeque<Part>,
) -> io::Result<()> {
    let standard: [u8; 24] = nt::query(file, FileStandardInformation)?;
    let size = u64_at(&standard, 8);
    if !attributes.contains(FileAttributes::SPARSE_FILE) || size == 0 {
        parts.push_back(Part::Data(size));
    } else if next_range(file, 0, size)? == Some((0, size)) {
        // One range that covers the file is not a hole: Windows returns plain data for it.
        parts.push_back(Part::Data(size));
    } else {
        let mut header = StreamHeader::new(StreamId::DATA, 0);
        header.attributes = StreamAttributes::SPARSE;
        parts.push_back(ready(&header, &[]));
        parts.push_back(Part::Ranges(0, size));
    }
    Ok(())
}

/// Returns the offset and length of the first allocated range at or after an offset.
fn next_range(file: &File, from: u64, size: u64) -> io::Result<Option<(u64, u64)>> {
    if from >= size {
        return Ok(None);
    }
    let mut request = Buffer::new(16);
    request.bytes_mut()[..8].copy_from_slice(&from.to_le_bytes());
    request.bytes_mut()[8..].copy_from_slice(&(size - from).to_le_bytes());
    let mut answer = Buffer::new(16);
    let length = nt::control(
        file,
        FSCTL_QUERY_ALLOCATED_RANGES,
        request.bytes(),
        answer.bytes_mut(),
    )?;
    if length < 16 {
        return Ok(None);
    }
    // Limit the kernel's answer to the requested range.
    let start = u64_at(answer.bytes(), 0).max(from);
    let end = u64_at(answer.bytes(), 0)
        .saturating_add(u64_at(answer.bytes(), 8))
        .min(size);
    Ok((start < end).then(|| (start, end - start)))
}

/// Returns the descriptor, with the audit list if the file was opened with access to it.
fn security(file: &File) -> io::Result<Option<Vec<u8>>> {
    const PLAIN: u32 =
        OWNER_SECURITY_INFORMATION | GROUP_SECURITY_INFORMATION | DACL_SECURITY_INFORMATION;
    let ask = |what: u32| {
        let mut buffer = Buffer::new(METADATA_BYTES);
        let mut length = 0;
        // SAFETY: the buffer has the given length.
        let status = unsafe {
            NtQuerySecurityObject(
                file.as_raw_handle(),
                what,
                buffer.bytes_mut().as_mut_ptr().cast(),
                METADATA_BYTES as u32,
                &raw mut length,
            )
        };
        if status < 0 {
            return Err(Status(status));
        }
        let length = (length as usize).min(METADATA_BYTES);
        Ok(buffer.bytes()[..length].to_vec())
    };
    let answer = match ask(PLAIN | SACL_SECURITY_INFORMATION) {
        Err(Status(STATUS_ACCESS_DENIED | STATUS_PRIVILEGE_NOT_HELD)) => ask(PLAIN),
        answer => answer,
    };
    match answer {
        Err(status) if is_unsupported(status) => Ok(None),
        answer => Ok(Some(answer?)),
    }
}

/// Returns the list of extended attributes; the kernel uses the layout of the stream.
fn extended_attributes(file: &File) -> io::Result<Option<Vec<u8>>> {
    let mut buffer = Buffer::new(METADATA_BYTES);
    let mut block = IO_STATUS_BLOCK::default();
    // SAFETY: the buffer has the given length; without a list of names, all are returned.
    let status = unsafe {
        NtQueryEaFile(
            file.as_raw_handle(),
            &raw mut block,
            buffer.bytes_mut().as_mut_ptr().cast(),
            METADATA_BYTES as u32,
            false,
            std::ptr::null(),
            0,
            std::ptr::null(),
            true,
        )
    };
    match Status(status) {
        Status(STATUS_NO_EAS_ON_FILE) => Ok(None),
        status if is_unsupported(status) => Ok(None),
        status if status.0 < 0 => Err(status.into()),
        _ => {
            let length = block.Information.min(METADATA_BYTES);
            Ok((length > 0).then(|| buffer.bytes()[..length].to_vec()))
        }
    }
}

/// Returns name (`:name:$DATA`) and size of the alternate data streams.
fn alternate_streams(file: &File) -> io::Result<Vec<(Vec<u16>, u64)>> {
    let mut buffer = Buffer::new(METADATA_BYTES);
    let mut block = IO_STATUS_BLOCK::default();
    // SAFETY: the buffer has the given length.
    let status = unsafe {
        NtQueryInformationFile(
            file.as_raw_handle(),
            &raw mut block,
            buffer.bytes_mut().as_mut_ptr().cast(),
            METADATA_BYTES as u32,
            FileStreamInformation,
        )
    };
    match Status(status) {
        status if is_unsupported(status) => Ok(Vec::new()),
        status if status.0 < 0 => Err(status.into()),
        _ => {
            let length = block.Information.min(METADATA_BYTES);
            read_streams(&buffer.bytes()[..length])
        }
    }
}

/// Parses `FILE_STREAM_INFORMATION` entries; the unnamed stream is skipped.
fn read_streams(mut bytes: &[u8]) -> io::Result<Vec<(Vec<u16>, u64)>> {
    let unnamed: Vec<u16> = "::$DATA".encode_utf16().collect();
    let mut streams = Vec::new();
    while !bytes.is_empty() {
        let length = u32_at(bytes, 4) as usize;
        let name = bytes
            .get(24..)
            .and_then(|rest| rest.get(..length))
            .ok_or(io::ErrorKind::InvalidData)?;
        let name = units_of(name);
        if name != unnamed && !name.is_empty() {
            streams.push((name, u64_at(bytes, 8)));
        }
        match u32_at(bytes, 0) as usize {
            0 => break,
            next => bytes = bytes.get(next..).ok_or(io::ErrorKind::InvalidData)?,
        }
    }
    Ok(streams)
}

/// Returns whether a status means that the file system does not support this kind of metadata.
pub(super) fn is_unsupported(Status(status): Status) -> bool {
    matches!(
        status,
        STATUS_NOT_SUPPORTED
            | STATUS_NOT_IMPLEMENTED
            | STATUS_EAS_NOT_SUPPORTED
            | STATUS_INVALID_DEVICE_REQUEST
            | STATUS_INVALID_INFO_CLASS
            | STATUS_INVALID_PARAMETER
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(name: &str, size: u64, next: u32) -> Vec<u8> {
        let name: Vec<u8> = name.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let mut bytes = next.to_le_bytes().to_vec();
        bytes.extend((name.len() as u32).to_le_bytes());
        bytes.extend(size.to_le_bytes());
        bytes.extend([0; 8]);
        bytes.extend(name);
        bytes
    }

    #[test]
    fn streams_are_listed_without_the_unnamed_one() {
        let mut bytes = stream("::$DATA", 3, 40);
        bytes.resize(40, 0);
        bytes.extend(stream(":a:$DATA", 7, 0));
        let expected = (":a:$DATA".encode_utf16().collect(), 7);
        assert_eq!(read_streams(&bytes).unwrap(), [expected]);
        assert!(read_streams(&[]).unwrap().is_empty());
    }

    #[test]
    fn a_list_of_streams_with_wrong_lengths_is_refused() {
        assert!(read_streams(&stream(":a:$DATA", 0, 4096)).is_err());
        assert!(read_streams(&stream(":a:$DATA", 0, 0)[..30]).is_err());
    }
}
