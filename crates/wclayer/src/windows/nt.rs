//! Safe wrappers for the file calls of `ntdll.dll`.
//!
//! Buffers are aligned as the kernel requires, and their exact length is passed; statuses become
//! errors of the standard library. Information classes of plain numbers are converted from and to
//! bytes, field by field, as in \[MS-FSCC\].

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
/// `OBJ_DONT_REPARSE`: a reparse point above the name is an error (Windows 10 1607 and later).
const DONT_REPARSE: u32 = 0x1000;

/// Lets other programs read, write and delete the file.
pub(super) const SHARE_ALL: u32 = FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE;

/// Options for opening a name.
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

/// A status that reports a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Status(pub(super) NTSTATUS);

impl From<Status> for io::Error {
    fn from(status: Status) -> Self {
        // SAFETY: the function only looks up the number.
        Self::from_raw_os_error(unsafe { RtlNtStatusToDosError(status.0) }.cast_signed())
    }
}

fn check(status: NTSTATUS) -> Result<(), Status> {
    if status < 0 {
        return Err(Status(status));
    }
    Ok(())
}

/// Opens or creates a name relative to an opened directory or file; an empty name is that object
/// itself. Neither the name itself nor anything above it is followed if it is a reparse point.
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
    // SAFETY: the name has at most 32,767 units (`LayerPath`, or a short stream name), so its
    // length fits; everything that is pointed to outlives the call.
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
    // SAFETY: the call succeeded, so the handle is open and owned by us.
    Ok(File::from(unsafe { OwnedHandle::from_raw_handle(handle) }))
}

/// Bytes with the alignment that the kernel requires.
#[repr(C, align(8))]
pub(super) struct Aligned<const N: usize>(pub(super) [u8; N]);

/// Queries information of a fixed size.
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
    // SAFETY: the buffer has the given length, and the kernel checks its content.
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

/// Sends a control code and returns the number of bytes in the output. If the output is too short,
/// it is filled, which is not an error.
pub(super) fn control(
    file: &File,
    code: u32,
    input: &[u8],
    output: &mut [u8],
) -> Result<usize, Status> {
    let mut block = IO_STATUS_BLOCK::default();
    // SAFETY: both buffers have the given lengths; the handle is synchronous, so nothing is written
    // after the call returns.
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

/// Same as [`control`], for the driver below the file system.
pub(super) fn device_control(
    file: &File,
    code: u32,
    input: &[u8],
    output: &mut [u8],
) -> io::Result<usize> {
    let mut length = 0;
    // SAFETY: both buffers have the given lengths; the handle is synchronous, so nothing is written
    // after the call returns.
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

/// A buffer of bytes with the alignment that the kernel requires.
pub(super) struct Buffer {
    words: Vec<u64>,
    length: usize,
}

impl Buffer {
    /// Creates a buffer of zeros.
    pub(super) fn new(length: usize) -> Self {
        Self {
            words: vec![0; length.div_ceil(8)],
            length,
        }
    }

    /// Returns the bytes.
    pub(super) fn bytes(&self) -> &[u8] {
        // SAFETY: the words have at least `length` bytes, and every bit pattern is a valid byte.
        unsafe { std::slice::from_raw_parts(self.words.as_ptr().cast(), self.length) }
    }

    /// Returns the bytes for writing.
    pub(super) fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: same as in `bytes`, and the borrow is exclusive.
        unsafe { std::slice::from_raw_parts_mut(self.words.as_mut_ptr().cast(), self.length) }
    }
}

/// Reads a number from bytes of the kernel; returns 0 if it is out of bounds.
pub(super) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes
        .get(at..)
        .and_then(<[u8]>::first_chunk)
        .map_or(0, |word| u32::from_le_bytes(*word))
}

/// Same as [`u32_at`], with 64 bits.
pub(super) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    bytes
        .get(at..)
        .and_then(<[u8]>::first_chunk)
        .map_or(0, |word| u64::from_le_bytes(*word))
}

/// Reads UTF-16 from bytes of the kernel; ignores an odd byte at the end.
pub(super) fn units_of(bytes: &[u8]) -> Vec<u16> {
    let (pairs, _) = bytes.as_chunks::<2>();
    pairs.iter().map(|pair| u16::from_le_bytes(*pair)).collect()
}
