//! Writes a backup stream with our own code, for file systems without `BackupWrite`.
//!
//! A failure to write data, sparse blocks, alternate data streams or reparse data is an error.
//! Security descriptors and extended attributes are skipped on a file system that does not support
//! them. Like Windows, this skips object ids, hard-link names, properties and transactions.
//!
//! Only metadata is held in memory, at most 64 KiB of each kind.

use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::os::windows::io::AsRawHandle;

use ntmeta::{
    BackupStreamDecoder, FileBasicInfo, SecurityDescriptor, StreamAttributes, StreamEvent,
    StreamHeader, StreamId,
};
use windows_sys::Wdk::Storage::FileSystem::{
    FILE_NON_DIRECTORY_FILE, FILE_OVERWRITE_IF, NtSetEaFile, NtSetSecurityObject,
};
use windows_sys::Win32::Foundation::{
    GENERIC_WRITE, STATUS_ACCESS_DENIED, STATUS_PRIVILEGE_NOT_HELD,
};
use windows_sys::Win32::Security::{
    DACL_SECURITY_INFORMATION, GROUP_SECURITY_INFORMATION, OWNER_SECURITY_INFORMATION,
    PROTECTED_DACL_SECURITY_INFORMATION, SACL_SECURITY_INFORMATION,
};
use windows_sys::Win32::Storage::FileSystem::FILE_SHARE_READ;
use windows_sys::Win32::System::IO::IO_STATUS_BLOCK;
use windows_sys::Win32::System::Ioctl::{FSCTL_SET_REPARSE_POINT, FSCTL_SET_SPARSE};

use super::backup::stream_error;
use super::file::{basic_info, set_basic_info};
use super::native_read::is_unsupported;
use super::nt::{self, Buffer, How, Status, u32_at};
use crate::volume::Scope;

/// The maximum size of one kind of metadata, in bytes.
const METADATA_BYTES: u64 = 64 * 1024;

/// The destination for the bytes of a body.
enum Target {
    /// The bytes are skipped.
    Skip,
    /// The unnamed data.
    Data,
    /// An alternate data stream.
    Alternate(File),
    /// Memory, until the metadata is complete.
    Metadata(StreamId, Vec<u8>),
}

/// A backup stream that is being written to a file.
pub(super) struct NativeWriter {
    decoder: BackupStreamDecoder,
    scope: Scope,
    target: Target,
    remaining: u64,
    /// The alternate data stream of the sparse blocks; `None` for the unnamed data.
    sparse_alternate: Option<File>,
}

impl NativeWriter {
    pub(super) fn new(scope: Scope) -> Self {
        Self {
            decoder: BackupStreamDecoder::new(),
            scope,
            target: Target::Skip,
            remaining: 0,
            sparse_alternate: None,
        }
    }

    /// Writes the next bytes. Like `BackupWrite`, this keeps the times of the file.
    pub(super) fn write(&mut self, file: &File, bytes: &[u8]) -> io::Result<()> {
        let times = basic_info(file)?;
        self.apply(file, bytes)?;
        let attributes = basic_info(file)?.attributes;
        set_basic_info(
            file,
            &FileBasicInfo {
                attributes,
                ..times
            },
        )
    }

    fn apply(&mut self, file: &File, bytes: &[u8]) -> io::Result<()> {
        let mut rest = bytes;
        while let Some(event) = self.decoder.decode(&mut rest).map_err(stream_error)? {
            match event {
                StreamEvent::Header(header) => {
                    self.remaining = header.size;
                    self.begin(file, header)?;
                }
                StreamEvent::Body(body) => {
                    self.remaining -= body.len() as u64;
                    self.body(file, body)?;
                }
            }
            if self.remaining == 0
                && let Target::Metadata(id, bytes) =
                    std::mem::replace(&mut self.target, Target::Skip)
            {
                apply(file, id, &bytes)?;
            }
        }
        Ok(())
    }

    /// Checks that the stream is complete.
    pub(super) fn finish(self) -> io::Result<()> {
        self.decoder.finish().map_err(stream_error)
    }

    fn begin(&mut self, file: &File, header: StreamHeader) -> io::Result<()> {
        let is_sparse = header.attributes.contains(StreamAttributes::SPARSE);
        if header.id != StreamId::SPARSE_BLOCK {
            self.sparse_alternate = None;
        }
        self.target = match header.id {
            StreamId::DATA => {
                (&*file).seek(SeekFrom::Start(0))?;
                if is_sparse {
                    make_sparse(file)?;
                }
                Target::Data
            }
            StreamId::ALTERNATE_DATA => {
                let stream = open_stream(file, &header)?;
                if is_sparse {
                    make_sparse(&stream)?;
                    self.sparse_alternate = Some(stream.try_clone()?);
                }
                Target::Alternate(stream)
            }
            StreamId::SPARSE_BLOCK => self.begin_block(file, &header)?,
            StreamId::SECURITY_DATA if self.scope == Scope::WithoutSecurity => Target::Skip,
            id @ (StreamId::SECURITY_DATA | StreamId::EA_DATA | StreamId::REPARSE_DATA) => {
                if header.size > METADATA_BYTES {
                    return Err(io::Error::new(
                        io::ErrorKind::InvalidData,
                        format!("the {id} stream is too large ({} bytes)", header.size),
                    ));
                }
                Target::Metadata(id, Vec::new())
            }
            _ => Target::Skip,
        };
        Ok(())
    }

    /// Seeks to the start of a block; the empty block at the end sets the size of the stream.
    fn begin_block(&mut self, file: &File, header: &StreamHeader) -> io::Result<Target> {
        let offset = u64::try_from(header.sparse_offset.unwrap_or(0)).map_err(|_| {
            io::Error::new(
                io::ErrorKind::InvalidData,
                "a sparse block has a negative offset",
            )
        })?;
        let mut stream = self.sparse_alternate.as_ref().unwrap_or(file);
        if header.size == 0 {
            stream.set_len(offset)?;
            return Ok(Target::Skip);
        }
        stream.seek(SeekFrom::Start(offset))?;
        Ok(match &self.sparse_alternate {
            Some(stream) => Target::Alternate(stream.try_clone()?),
            None => Target::Data,
        })
    }

    fn body(&mut self, file: &File, body: &[u8]) -> io::Result<()> {
        match &mut self.target {
            Target::Skip => Ok(()),
            Target::Data => (&*file).write_all(body),
            Target::Alternate(stream) => stream.write_all(body),
            Target::Metadata(_, bytes) => {
                bytes.extend_from_slice(body);
                Ok(())
            }
        }
    }
}

/// Creates an alternate data stream, or truncates an existing one, relative to its file.
fn open_stream(file: &File, header: &StreamHeader) -> io::Result<File> {
    let name = header.stream_name().unwrap_or_default();
    let is_name = |unit: &u16| !matches!(*unit, 0 | 0x2f | 0x3a | 0x5c);
    if name.is_empty() || name.len() > 255 || !name.iter().all(is_name) {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "an alternate data stream has an invalid name",
        ));
    }
    let name = [&[u16::from(b':')], name].concat();
    let how = How {
        access: GENERIC_WRITE,
        share: FILE_SHARE_READ,
        disposition: FILE_OVERWRITE_IF,
        options: FILE_NON_DIRECTORY_FILE,
    };
    Ok(nt::open(file, &name, how)?)
}

/// Makes a file sparse, so that holes take no space; if the file system cannot, they are zeros.
fn make_sparse(file: &File) -> io::Result<()> {
    match nt::control(file, FSCTL_SET_SPARSE, &[], &mut []) {
        Err(status) if !is_unsupported(status) => Err(status.into()),
        _ => Ok(()),
    }
}

fn apply(file: &File, id: StreamId, bytes: &[u8]) -> io::Result<()> {
    let done = match id {
        StreamId::SECURITY_DATA => return set_security(file, bytes),
        // The handle has this right: Wine returns "denied" for an operation that it does not
        // support.
        StreamId::EA_DATA => match set_extended_attributes(file, bytes) {
            Err(Status(STATUS_ACCESS_DENIED)) => Ok(()),
            result => result,
        },
        _ => {
            let mut request = Buffer::new(bytes.len());
            request.bytes_mut().copy_from_slice(bytes);
            nt::control(file, FSCTL_SET_REPARSE_POINT, request.bytes(), &mut [])?;
            return Ok(());
        }
    };
    match done {
        Err(status) if is_unsupported(status) => Ok(()),
        result => Ok(result?),
    }
}

fn set_extended_attributes(file: &File, list: &[u8]) -> Result<(), Status> {
    let mut buffer = Buffer::new(list.len());
    buffer.bytes_mut().copy_from_slice(list);
    let mut block = IO_STATUS_BLOCK::default();
    // SAFETY: the buffer has the given length, and the kernel checks the list.
    let status = unsafe {
        NtSetEaFile(
            file.as_raw_handle(),
            &raw mut block,
            buffer.bytes().as_ptr().cast(),
            list.len() as u32,
        )
    };
    if status < 0 {
        return Err(Status(status));
    }
    Ok(())
}

/// Sets the owner, group and access lists that the descriptor has. The audit list is skipped if the
/// process may not set it.
fn set_security(file: &File, descriptor: &[u8]) -> io::Result<()> {
    SecurityDescriptor::parse(descriptor)
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
    let (parts, mut buffer) = security_request(descriptor);
    let mut set = |parts: u32| {
        // SAFETY: the bytes are a complete self-relative descriptor, which has just been parsed.
        let status = unsafe {
            NtSetSecurityObject(
                file.as_raw_handle(),
                parts,
                buffer.bytes_mut().as_mut_ptr().cast(),
            )
        };
        if status < 0 {
            return Err(Status(status));
        }
        Ok(())
    };
    let result = match set(parts) {
        Err(Status(STATUS_PRIVILEGE_NOT_HELD | STATUS_ACCESS_DENIED))
            if parts & SACL_SECURITY_INFORMATION != 0 =>
        {
            set(parts & !SACL_SECURITY_INFORMATION)
        }
        result => result,
    };
    match result {
        Err(status) if is_unsupported(status) => Ok(()),
        result => Ok(result?),
    }
}

/// Returns the parts that a descriptor has, and the descriptor with the "request" bits that make
/// Windows keep its "inherited automatically" bits.
fn security_request(descriptor: &[u8]) -> (u32, Buffer) {
    /// Control bits, in the third and fourth byte.
    const DACL_PRESENT: u32 = 0x4;
    const SACL_PRESENT: u32 = 0x10;
    const DACL_REQUEST: u32 = 0x100;
    const SACL_REQUEST: u32 = 0x200;
    const DACL_INHERITED: u32 = 0x400;
    const SACL_INHERITED: u32 = 0x800;
    const DACL_PROTECTED: u32 = 0x1000;

    let mut control = u32_at(descriptor, 0) >> 16;
    let has = |bits: u32| control & bits != 0;
    let mut parts = 0;
    if u32_at(descriptor, 4) != 0 {
        parts |= OWNER_SECURITY_INFORMATION;
    }
    if u32_at(descriptor, 8) != 0 {
        parts |= GROUP_SECURITY_INFORMATION;
    }
    if has(DACL_PRESENT) {
        parts |= DACL_SECURITY_INFORMATION;
        if has(DACL_PROTECTED) {
            parts |= PROTECTED_DACL_SECURITY_INFORMATION;
        }
    }
    if has(SACL_PRESENT) {
        parts |= SACL_SECURITY_INFORMATION;
    }
    if has(DACL_INHERITED) {
        control |= DACL_REQUEST;
    }
    if control & SACL_INHERITED != 0 {
        control |= SACL_REQUEST;
    }
    let mut buffer = Buffer::new(descriptor.len());
    let bytes = buffer.bytes_mut();
    bytes.copy_from_slice(descriptor);
    bytes[2..4].copy_from_slice(&(control as u16).to_le_bytes());
    (parts, buffer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_parts_of_a_descriptor_are_set() {
        let descriptor = SecurityDescriptor::from_sddl("O:BAD:PAI(A;;FA;;;SY)").unwrap();
        let bytes = descriptor.to_bytes().unwrap();
        let (parts, buffer) = security_request(&bytes);
        assert_eq!(
            parts,
            OWNER_SECURITY_INFORMATION
                | DACL_SECURITY_INFORMATION
                | PROTECTED_DACL_SECURITY_INFORMATION
        );
        assert_eq!(
            buffer.bytes()[3] & 0x05,
            0x05,
            "inherited, and requested so"
        );
        assert_eq!(buffer.bytes()[4..], bytes[4..]);
    }
}
