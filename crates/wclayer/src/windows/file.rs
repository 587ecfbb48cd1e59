//! An opened file: its metadata, its data, its backup stream.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::windows::io::IntoRawHandle;

use ntmeta::{FileAttributes, FileBasicInfo, ReparseTag};
use windows_sys::Wdk::Storage::FileSystem::{
    FileAttributeTagInformation, FileBasicInformation, FileIdInformation, FileInternalInformation,
    FileStandardInformation,
};
use windows_sys::Win32::Foundation::CloseHandle;

use super::backup::Stream;
use super::nt::{self, Aligned, u32_at, u64_at};
use crate::volume::FileId;
use crate::volume::{File as LayerFile, Scope, Stat};

/// An opened file, directory or reparse point of a Windows disk.
pub struct NtFile {
    /// Declared first, so that it is dropped first: its context belongs to the handle.
    stream: Stream,
    handle: File,
    /// The metadata that was set last.
    info: Cell<Option<FileBasicInfo>>,
}

impl NtFile {
    pub(super) fn new(handle: File) -> Self {
        Self {
            stream: Stream::Unused,
            handle,
            info: Cell::new(None),
        }
    }
}

impl LayerFile for NtFile {
    fn stat(&self) -> io::Result<Stat> {
        let basic_info = basic_info(&self.handle)?;
        let standard: [u8; 24] = nt::query(&self.handle, FileStandardInformation)?;
        let is_directory = basic_info.attributes.contains(FileAttributes::DIRECTORY);
        let is_reparse_point = basic_info
            .attributes
            .contains(FileAttributes::REPARSE_POINT);
        Ok(Stat {
            basic_info,
            size: if is_directory {
                0
            } else {
                u64_at(&standard, 8)
            },
            links: u32_at(&standard, 16),
            id: file_id(&self.handle)?,
            reparse_tag: if is_reparse_point {
                Some(reparse_tag(&self.handle)?)
            } else {
                None
            },
        })
    }

    fn set_basic_info(&self, info: &FileBasicInfo) -> io::Result<()> {
        set_basic_info(&self.handle, info)?;
        self.info.set(Some(*info));
        Ok(())
    }

    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.handle.read(buffer)
    }

    fn skip(&mut self, count: u64) -> io::Result<()> {
        let count = i64::try_from(count).map_err(|_| io::ErrorKind::InvalidInput)?;
        self.handle.seek(SeekFrom::Current(count)).map(|_| ())
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.handle.write_all(bytes)
    }

    fn backup_read(&mut self, buffer: &mut [u8], scope: Scope) -> io::Result<usize> {
        self.stream.read(&self.handle, buffer, scope)
    }

    fn backup_write(&mut self, bytes: &[u8], scope: Scope) -> io::Result<()> {
        self.stream.write(&self.handle, bytes, scope)
    }

    fn close(self) -> io::Result<()> {
        let Self {
            stream,
            handle,
            info,
        } = self;
        // `BackupWrite` writes an alternate data stream through a handle of its own. When the
        // context is released, this changes the times and the archive bit, even if they were set
        // through our handle.
        let again = info.take().filter(|_| stream.has_alternate());
        let ended = stream.finish();
        let ended = ended.and_then(|()| match again {
            Some(info) => set_basic_info(&handle, &info),
            None => Ok(()),
        });
        // SAFETY: the handle is open, and nothing else uses it.
        let closed = unsafe { CloseHandle(handle.into_raw_handle()) };
        ended?;
        if closed == 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(())
    }
}

/// Returns times and attributes.
pub(super) fn basic_info(file: &File) -> io::Result<FileBasicInfo> {
    let bytes = nt::query(file, FileBasicInformation)?;
    Ok(FileBasicInfo::from_bytes(&bytes))
}

/// The attributes that describe the kind of an object; other calls change them.
const NOT_SETTABLE: FileAttributes = FileAttributes::DIRECTORY
    .union(FileAttributes::DEVICE)
    .union(FileAttributes::NORMAL)
    .union(FileAttributes::SPARSE_FILE)
    .union(FileAttributes::REPARSE_POINT)
    .union(FileAttributes::COMPRESSED)
    .union(FileAttributes::ENCRYPTED)
    .union(FileAttributes::VIRTUAL);

/// Sets times and attributes. As on Windows, a time of 0 and empty attributes keep the current
/// values. A time beyond the range of Windows becomes the latest one in range.
pub(super) fn set_basic_info(file: &File, info: &FileBasicInfo) -> io::Result<()> {
    let bytes = FileBasicInfo {
        attributes: settable(info.attributes),
        ..info.with_storable_times()
    }
    .to_bytes();
    Ok(nt::set(file, FileBasicInformation, &Aligned(bytes).0)?)
}

/// Returns the attributes to set. Empty attributes keep the current ones, including the ARCHIVE of
/// every new file; attributes that consist only of bits that cannot be set clear all others.
fn settable(attributes: FileAttributes) -> FileAttributes {
    match attributes - NOT_SETTABLE {
        none if none.is_empty() && !attributes.is_empty() => FileAttributes::NORMAL,
        some => some,
    }
}

/// Returns the 128-bit id, or the older 64-bit id if there is no other.
fn file_id(file: &File) -> io::Result<FileId> {
    let mut id = FileId::default();
    if let Ok(answer) = nt::query::<24>(file, FileIdInformation) {
        id.copy_from_slice(&answer[8..]);
    } else {
        let answer: [u8; 8] = nt::query(file, FileInternalInformation)?;
        id[..8].copy_from_slice(&answer);
    }
    Ok(id)
}

fn reparse_tag(file: &File) -> io::Result<ReparseTag> {
    let answer: [u8; 8] = nt::query(file, FileAttributeTagInformation)?;
    Ok(ReparseTag(u32_at(&answer, 4)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_attributes_keep_the_current_ones_and_only_some_can_be_set() {
        for (given, set) in [
            (0x00, 0x00),
            (0x80, 0x80),
            (0x10, 0x80),
            (0x400, 0x80),
            (0x200, 0x80),
            (0x20, 0x20),
            (0x2430, 0x2020),
        ] {
            let given = FileAttributes::from_bits_retain(given);
            assert_eq!(settable(given).bits(), set, "{given:?}");
        }
    }
}
