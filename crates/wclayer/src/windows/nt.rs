//! The file calls of `ntdll.dll`, made safe.
//!
//! Buffers are aligned as the kernel demands and exactly as long as it is told; statuses become
//! the errors of the standard library. Information classes that are plain numbers are read from
//! and written to bytes, field by field, as \[MS-FSCC\] lays them out.

use std::ffi::c_void;
use std::fs::File;
use std::io;
use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle};

use windows_sys::Wdk::Foundation::OBJECT_ATTRIBUTES;
use windows_sys::Wdk::Storage::FileSystem::{
    FILE_OPEN_FOR_BACKUP_INTENT, FILE_OPEN_REPARSE_POINT, FILE_SYNCHRONOUS_IO_NONALERT,
    NtCreateFile, NtFsControlFile, NtQueryInformationFile, NtSetInformationFile,
};
use windows_sys::Win32::Foundation::{
    NTSTATUS, RtlNtStatusToDosError, STATUS_BUFFER_OVERFLOW, UNICODE_STRING,
};
use windows_sys::Win32::Storage::FileSystem::{
    FILE_ATTRIBUTE_NORMAL, FILE_SHARE_DELETE, FILE_SHARE_READ, FILE_SHARE_WRITE, SYNCHRONIZE,
};
use windows_sys::Win32::System::IO::{DeviceIoControl, IO_STATUS_BLOCK};

/// `OBJ_CASE_INSENSITIVE`: names are looked up without case.
const CASE_INSENSITIVE: u32 = 0x40;
/// `OBJ_DONT_REPARSE`: a reparse point on the way is an error (Windows 10 1607 and later).
const DONT_REPARSE: u32 = 0x1000;

/// Lets others do with the file what they want.
pub(super) const SHARE_ALL: u32 = FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE;

/// How a name is opened.
#[derive(Clone, Copy)]
pub(super) struct How {
    /// The access mask; `SYNCHRONIZE` is added.
    pub(super) access: u32,
    /// The share mode.
    pub(super) share: u32,
    /// `FILE_OPEN`, `FILE_CREATE` or `FILE_OPEN_IF`.
    pub(super) disposition: u32,
    /// More create options: `FILE_DIRECTORY_FILE`, `FILE_NON_DIRECTORY_FILE` or nothing.
    pub(super) options: u32,
}

/// A status that says that something went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Status(pub(super) NTSTATUS);

impl From<Status> for io::Error {
    fn from(status: Status) -> Self {
        // SAFETY: the function only looks the number up.
        Self::from_raw_os_error(unsafe { RtlNtStatusToDosError(status.0) }.cast_signed())
    }
}

fn check(status: NTSTATUS) -> Result<(), Status> {
    if status < 0 {
        return Err(Status(status));
    }
    Ok(())
}

/// Opens or makes a name relative to an opened directory or file; an empty name is that itself.
/// The name is opened as it is, and no reparse point on the way to it is followed.
pub(super) fn open(from: &impl AsRawHandle, name: &[u16], how: How) -> Result<File, Status> {
    let length = (name.len() * 2) as u16;
    let name = UNICODE_STRING {
        Length: length,
        MaximumLength: length,
        Buffer: name.as_ptr().cast_mut(),
    };
    let attributes = OBJECT_ATTRIBUTES {
        Length: size_of::<OBJECT_ATTRIBUTES>() as u32,
        RootDirectory: from.as_raw_handle(),
        ObjectName: &raw const name,
        Attributes: CASE_INSENSITIVE | DONT_REPARSE,
        SecurityDescriptor: std::ptr::null(),
        SecurityQualityOfService: std::ptr::null(),
    };
    let mut handle = std::ptr::null_mut();
    let mut block = IO_STATUS_BLOCK::default();
    // SAFETY: the name is at most 32,767 units (`LayerPath`, or a short stream name), so its
    // length fits; all that is pointed to outlives the call.
    check(unsafe {
        NtCreateFile(
            &raw mut handle,
            how.access | SYNCHRONIZE,
            &raw const attributes,
            &raw mut block,
            std::ptr::null(),
            FILE_ATTRIBUTE_NORMAL,
            how.share,
            how.disposition,
            FILE_OPEN_FOR_BACKUP_INTENT
                | FILE_OPEN_REPARSE_POINT
                | FILE_SYNCHRONOUS_IO_NONALERT
                | how.options,
            std::ptr::null(),
            0,
        )
    })?;
    // SAFETY: the call succeeded, so the handle is open and ours alone.
    Ok(File::from(unsafe { OwnedHandle::from_raw_handle(handle) }))
}

/// Bytes at an address that the kernel takes.
#[repr(C, align(8))]
pub(super) struct Aligned<const N: usize>(pub(super) [u8; N]);

/// Asks for information of a fixed size.
pub(super) fn query<const N: usize>(file: &File, class: i32) -> Result<[u8; N], Status> {
    let mut buffer = Aligned([0; N]);
    let mut block = IO_STATUS_BLOCK::default();
    // SAFETY: the buffer has N bytes.
    check(unsafe {
        NtQueryInformationFile(
            file.as_raw_handle(),
            &raw mut block,
            buffer.0.as_mut_ptr().cast(),
            N as u32,
            class,
        )
    })?;
    Ok(buffer.0)
}

/// Sets information. The bytes must be aligned to 8.
pub(super) fn set(file: &File, class: i32, information: &[u8]) -> Result<(), Status> {
    let mut block = IO_STATUS_BLOCK::default();
    // SAFETY: the buffer is as long as is said, and the kernel checks what it holds.
    check(unsafe {
        NtSetInformationFile(
            file.as_raw_handle(),
            &raw mut block,
            information.as_ptr().cast(),
            information.len() as u32,
            class,
        )
    })
}

/// Sends a control code; returns how many bytes came back. An output that was too short for all is
/// filled and no error.
pub(super) fn control(
    file: &File,
    code: u32,
    input: &[u8],
    output: &mut [u8],
) -> Result<usize, Status> {
    let mut block = IO_STATUS_BLOCK::default();
    // SAFETY: both buffers are as long as is said; the handle is synchronous, so nothing is
    // written after the return.
    let status = unsafe {
        NtFsControlFile(
            file.as_raw_handle(),
            std::ptr::null_mut(),
            None,
            std::ptr::null(),
            &raw mut block,
            code,
            input.as_ptr().cast::<c_void>(),
            input.len() as u32,
            output.as_mut_ptr().cast::<c_void>(),
            output.len() as u32,
        )
    };
    if status != STATUS_BUFFER_OVERFLOW {
        check(status)?;
    }
    Ok(block.Information.min(output.len()))
}

/// As [`control`], for the driver below the file system.
pub(super) fn device_control(
    file: &File,
    code: u32,
    input: &[u8],
    output: &mut [u8],
) -> io::Result<usize> {
    let mut length = 0;
    // SAFETY: both buffers are as long as is said; the handle is synchronous, so nothing is
    // written after the return.
    let done = unsafe {
        DeviceIoControl(
            file.as_raw_handle(),
            code,
            input.as_ptr().cast(),
            input.len() as u32,
            output.as_mut_ptr().cast(),
            output.len() as u32,
            &raw mut length,
            std::ptr::null_mut(),
        )
    };
    if done == 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(output.len().min(length as usize))
}

/// A buffer of bytes at an address that the kernel takes.
pub(super) struct Buffer {
    words: Vec<u64>,
    length: usize,
}

impl Buffer {
    /// Makes a buffer of zeros.
    pub(super) fn new(length: usize) -> Self {
        Self {
            words: vec![0; length.div_ceil(8)],
            length,
        }
    }

    /// Returns the bytes.
    pub(super) fn bytes(&self) -> &[u8] {
        // SAFETY: the words are at least `length` bytes, and any byte is a byte.
        unsafe { std::slice::from_raw_parts(self.words.as_ptr().cast(), self.length) }
    }

    /// Returns the bytes for writing.
    pub(super) fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: as for `bytes`, and the borrow is exclusive.
        unsafe { std::slice::from_raw_parts_mut(self.words.as_mut_ptr().cast(), self.length) }
    }
}

/// Reads a number from bytes of the kernel; 0 where there is none.
pub(super) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes
        .get(at..)
        .and_then(<[u8]>::first_chunk)
        .map_or(0, |word| u32::from_le_bytes(*word))
}

/// As [`u32_at`], 64 bits wide.
pub(super) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    bytes
        .get(at..)
        .and_then(<[u8]>::first_chunk)
        .map_or(0, |word| u64::from_le_bytes(*word))
}

/// Reads UTF-16 from bytes of the kernel; an odd byte at the end is left out.
pub(super) fn units_of(bytes: &[u8]) -> Vec<u16> {
    let (pairs, _) = bytes.as_chunks::<2>();
    pairs.iter().map(|pair| u16::from_le_bytes(*pair)).collect()
}
