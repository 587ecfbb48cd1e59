//! An opened folder: names below it are opened relative to its handle.
//!
//! `OBJ_DONT_REPARSE` makes the kernel reject reparse points above a name, and the backup intent
//! makes it check privileges instead of security descriptors.
//!
//! Source: hcsshim `internal/safefile/safeopen.go`.

use std::fs::File;
use std::io;
use std::mem::offset_of;
use std::os::windows::io::AsRawHandle;
use std::path::{Path, PathBuf};

use ntmeta::{FileAttributes, FileBasicInfo, wide};
use windows_sys::Wdk::Storage::FileSystem::{
    FILE_CREATE, FILE_DIRECTORY_FILE, FILE_LINK_INFORMATION, FILE_NON_DIRECTORY_FILE, FILE_OPEN,
    FileDirectoryInformation, FileLinkInformation, NtQueryDirectoryFile,
};
use windows_sys::Win32::Foundation::{
    ERROR_REPARSE_POINT_ENCOUNTERED, GENERIC_READ, GENERIC_WRITE, STATUS_ACCESS_DENIED,
    STATUS_CANNOT_DELETE, STATUS_INVALID_INFO_CLASS, STATUS_INVALID_PARAMETER,
    STATUS_NO_MORE_FILES, STATUS_NO_SUCH_FILE, STATUS_NOT_IMPLEMENTED, STATUS_NOT_SUPPORTED,
    STATUS_PRIVILEGE_NOT_HELD,
};
use windows_sys::Win32::Storage::FileSystem::{
    DELETE, FILE_LIST_DIRECTORY, FILE_READ_ATTRIBUTES, FILE_SHARE_READ, FILE_WRITE_ATTRIBUTES,
    WRITE_DAC, WRITE_OWNER,
};
use windows_sys::Win32::System::IO::IO_STATUS_BLOCK;

use super::file::{NtFile, basic_info, set_basic_info};
use super::nt::{self, Aligned, Buffer, How, SHARE_ALL, Status, u32_at, units_of};
use crate::path::LayerPath;
use crate::volume::{Access, Kind, Listed, Root};

/// `ACCESS_SYSTEM_SECURITY`: access to audit lists. The backup and restore privileges grant it.
const AUDIT: u32 = 0x0100_0000;
/// `FileDispositionInformation`.
const DISPOSITION: i32 = 13;
/// `FileDispositionInformationEx`, since Windows 10 1607.
const DISPOSITION_EX: i32 = 64;
/// `FILE_DISPOSITION_DELETE`.
const DELETE_IT: u32 = 1;
/// `FILE_DISPOSITION_POSIX_SEMANTICS | FILE_DISPOSITION_IGNORE_READONLY_ATTRIBUTE`: the name is
/// gone immediately, even if other programs have the file open, and the attribute, which other
/// names of the file share, is kept. Since Windows 10 1809.
const POSIX_AND_READ_ONLY: u32 = 2 | 0x10;
/// The size of each piece of a listing, in bytes.
const LISTING_BYTES: usize = 64 * 1024;

/// An opened folder of a Windows disk.
#[derive(Debug)]
pub struct NtRoot {
    path: PathBuf,
    handle: File,
}

impl NtRoot {
    pub(super) fn new(path: PathBuf, handle: File) -> Self {
        Self { path, handle }
    }

    /// Opens a name; the access may include audit lists if the process holds the right.
    fn open_name(&self, path: Option<&LayerPath>, how: How) -> Result<File, Status> {
        let name = path.map(LayerPath::to_utf16).unwrap_or_default();
        match nt::open(&self.handle, &name, how) {
            Err(Status(STATUS_PRIVILEGE_NOT_HELD | STATUS_ACCESS_DENIED))
                if how.access & AUDIT != 0 =>
            {
                let access = how.access & !AUDIT;
                nt::open(&self.handle, &name, How { access, ..how })
            }
            result => result,
        }
    }

    /// Opens a directory that is not a reparse point.
    fn open_directory(&self, path: Option<&LayerPath>) -> io::Result<File> {
        let directory = self.open_name(
            path,
            How {
                access: FILE_LIST_DIRECTORY | FILE_READ_ATTRIBUTES,
                share: SHARE_ALL,
                disposition: FILE_OPEN,
                options: FILE_DIRECTORY_FILE,
            },
        )?;
        let attributes = basic_info(&directory)?.attributes;
        if path.is_some() && attributes.contains(FileAttributes::REPARSE_POINT) {
            return Err(io::Error::from_raw_os_error(
                ERROR_REPARSE_POINT_ENCOUNTERED.cast_signed(),
            ));
        }
        Ok(directory)
    }
}

impl Root for NtRoot {
    type File = NtFile;

    fn path(&self) -> &Path {
        &self.path
    }

    fn open(&self, path: Option<&LayerPath>, access: Access) -> io::Result<NtFile> {
        let (access, share) = match access {
            Access::Look => (FILE_READ_ATTRIBUTES, SHARE_ALL),
            Access::Info => (FILE_READ_ATTRIBUTES | FILE_WRITE_ATTRIBUTES, SHARE_ALL),
            Access::Read => (GENERIC_READ | AUDIT, SHARE_ALL),
            Access::Write => (WRITE, FILE_SHARE_READ),
        };
        let file = self.open_name(
            path,
            How {
                access,
                share,
                disposition: FILE_OPEN,
                options: 0,
            },
        )?;
        Ok(NtFile::new(file))
    }

    fn create(&self, path: &LayerPath, kind: Kind) -> io::Result<NtFile> {
        let file = self.open_name(
            Some(path),
            How {
                access: WRITE,
                share: FILE_SHARE_READ,
                disposition: FILE_CREATE,
                options: match kind {
                    Kind::File => FILE_NON_DIRECTORY_FILE,
                    Kind::Directory => FILE_DIRECTORY_FILE,
                },
            },
        )?;
        Ok(NtFile::new(file))
    }

    fn link(&self, from: &Self, existing: &LayerPath, new: &LayerPath) -> io::Result<()> {
        let file = from.open_name(
            Some(existing),
            How {
                access: FILE_WRITE_ATTRIBUTES,
                share: SHARE_ALL,
                disposition: FILE_OPEN,
                options: FILE_NON_DIRECTORY_FILE,
            },
        )?;
        // The kernel opens nothing else to create the name, so it cannot meet a reparse point.
        let parent = self.open_directory(new.parent().as_ref())?;
        let request = link_request(&parent, &wide::from_wtf8(new.file_name()));
        Ok(nt::set(&file, FileLinkInformation, request.bytes())?)
    }

    fn delete(&self, path: &LayerPath) -> io::Result<()> {
        let file = self.open_name(
            Some(path),
            How {
                access: DELETE | FILE_READ_ATTRIBUTES | FILE_WRITE_ATTRIBUTES,
                share: SHARE_ALL,
                disposition: FILE_OPEN,
                options: 0,
            },
        )?;
        delete_opened(file)
    }

    fn list(&self, directory: Option<&LayerPath>) -> io::Result<Vec<Listed>> {
        let handle = self.open_directory(directory)?;
        let mut buffer = Buffer::new(LISTING_BYTES);
        let mut listed = Vec::new();
        while let Some(length) = next_names(&handle, &mut buffer)? {
            read_names(&buffer.bytes()[..length], &mut listed)?;
        }
        listed.sort_by(|a: &Listed, b: &Listed| a.name.cmp(&b.name));
        Ok(listed)
    }
}

/// Data, metadata, owner and descriptor.
const WRITE: u32 = GENERIC_READ | GENERIC_WRITE | WRITE_DAC | WRITE_OWNER | AUDIT;

/// `FILE_LINK_INFORMATION` for a name in an opened directory; an existing name is not replaced.
fn link_request(directory: &File, name: &[u16]) -> Buffer {
    let at = offset_of!(FILE_LINK_INFORMATION, FileName);
    let length = (at + name.len() * 2).max(size_of::<FILE_LINK_INFORMATION>());
    let mut request = Buffer::new(length);
    let bytes = request.bytes_mut();
    let root = directory.as_raw_handle() as usize;
    let root_at = offset_of!(FILE_LINK_INFORMATION, RootDirectory);
    bytes[root_at..root_at + size_of::<usize>()].copy_from_slice(&root.to_ne_bytes());
    let length_at = offset_of!(FILE_LINK_INFORMATION, FileNameLength);
    bytes[length_at..length_at + 4].copy_from_slice(&((name.len() * 2) as u32).to_ne_bytes());
    for (index, unit) in name.iter().enumerate() {
        bytes[at + index * 2..at + index * 2 + 2].copy_from_slice(&unit.to_ne_bytes());
    }
    request
}

/// Deletes an opened object with the best method that the system has.
fn delete_opened(file: File) -> io::Result<()> {
    let flags = |flags: u32| nt::set(&file, DISPOSITION_EX, &Aligned(flags.to_le_bytes()).0);
    match flags(DELETE_IT | POSIX_AND_READ_ONLY) {
        Err(status) if is_unknown(status) => {}
        result => return Ok(result?),
    }
    let dispose = || match flags(DELETE_IT) {
        Err(status) if is_unknown(status) => nt::set(&file, DISPOSITION, &Aligned([1_u8]).0),
        result => result,
    };
    match dispose() {
        Err(Status(STATUS_CANNOT_DELETE | STATUS_ACCESS_DENIED)) => {
            delete_read_only(&file, dispose)
        }
        result => Ok(result?),
    }
}

/// Deletes a name of a read-only file, then restores the attribute, which its other names share.
fn delete_read_only(file: &File, dispose: impl Fn() -> Result<(), Status>) -> io::Result<()> {
    let before = basic_info(file)?;
    // NORMAL, because empty attributes would keep the current ones.
    let attributes = (before.attributes - FileAttributes::READONLY) | FileAttributes::NORMAL;
    let times_as_they_are = FileBasicInfo::default();
    set_basic_info(
        file,
        &FileBasicInfo {
            attributes,
            ..times_as_they_are
        },
    )?;
    let result = dispose();
    // Only the deletion matters to the caller.
    let _ = set_basic_info(
        file,
        &FileBasicInfo {
            attributes: before.attributes,
            ..times_as_they_are
        },
    );
    Ok(result?)
}

/// Returns whether a status means that the system or the file system does not know the request.
fn is_unknown(Status(status): Status) -> bool {
    matches!(
        status,
        STATUS_NOT_IMPLEMENTED
            | STATUS_NOT_SUPPORTED
            | STATUS_INVALID_INFO_CLASS
            | STATUS_INVALID_PARAMETER
    )
}

/// Fills the buffer with the next names and returns the number of bytes.
fn next_names(directory: &File, buffer: &mut Buffer) -> io::Result<Option<usize>> {
    let mut block = IO_STATUS_BLOCK::default();
    let bytes = buffer.bytes_mut();
    // SAFETY: the buffer has the given length; the handle is synchronous, so nothing is written
    // after the call returns.
    let status = unsafe {
        NtQueryDirectoryFile(
            directory.as_raw_handle(),
            std::ptr::null_mut(),
            None,
            std::ptr::null(),
            &raw mut block,
            bytes.as_mut_ptr().cast(),
            bytes.len() as u32,
            FileDirectoryInformation,
            false,
            std::ptr::null(),
            false,
        )
    };
    match status {
        STATUS_NO_MORE_FILES | STATUS_NO_SUCH_FILE => Ok(None),
        status if status < 0 => Err(Status(status).into()),
        _ => Ok(Some(block.Information.min(bytes.len()))),
    }
}

/// Parses `FILE_DIRECTORY_INFORMATION` entries; `.` and `..` are skipped.
fn read_names(mut bytes: &[u8], listed: &mut Vec<Listed>) -> io::Result<()> {
    /// The offsets of the attributes, of the length of the name in bytes, and of the name.
    const FIELDS: [usize; 3] = [56, 60, 64];
    loop {
        let length = u32_at(bytes, FIELDS[1]) as usize;
        let name = bytes
            .get(FIELDS[2]..)
            .and_then(|rest| rest.get(..length))
            .ok_or(io::ErrorKind::InvalidData)?;
        let name = wide::to_wtf8(&units_of(name));
        if name != b"." && name != b".." {
            let one = LayerPath::parse(&name)
                .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
            listed.push(Listed {
                name: one.as_bytes().to_vec(),
                attributes: FileAttributes::from_bits_retain(u32_at(bytes, FIELDS[0])),
            });
        }
        match u32_at(bytes, 0) as usize {
            0 => return Ok(()),
            next => bytes = bytes.get(next..).ok_or(io::ErrorKind::InvalidData)?,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(name: &str, attributes: u32, next: u32) -> Vec<u8> {
        let units: Vec<u8> = name.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let mut bytes = vec![0; 64];
        bytes[..4].copy_from_slice(&next.to_le_bytes());
        bytes[56..60].copy_from_slice(&attributes.to_le_bytes());
        bytes[60..64].copy_from_slice(&(units.len() as u32).to_le_bytes());
        bytes.extend(units);
        bytes
    }

    #[test]
    fn a_listing_skips_the_directory_itself_and_its_parent() {
        let mut bytes = entry(".", 0x10, 72);
        bytes.resize(72, 0);
        bytes.extend(entry("..", 0x10, 72));
        bytes.resize(144, 0);
        bytes.extend(entry("ä", 0x21, 0));
        let mut listed = Vec::new();
        read_names(&bytes, &mut listed).unwrap();
        assert_eq!(listed.len(), 1);
        assert_eq!(listed[0].name, "ä".as_bytes());
        assert_eq!(listed[0].attributes.bits(), 0x21);
    }

    #[test]
    fn a_listing_with_wrong_lengths_is_refused() {
        let mut too_long = entry("a", 0, 0);
        too_long[60] = 200;
        let beyond = entry("a", 0, 4096);
        for bytes in [too_long, beyond, vec![0; 3]] {
            assert!(read_names(&bytes, &mut Vec::new()).is_err());
        }
    }
}
