//! The backup stream of an opened file: `BackupRead` and `BackupWrite` with their contexts.
//!
//! Some file systems, and Wine, do not support these calls; then our own code reads and writes the
//! stream ([`super::native_read`], [`super::native_write`]). The first call on a file decides this.
//! A later failure is final, because part of the stream has already been transferred.

use std::ffi::c_void;
use std::fs::File;
use std::io;
use std::os::windows::io::{AsRawHandle, RawHandle};

use ntmeta::{BackupStreamDecoder, BackupStreamError, StreamEvent, StreamId};
use windows_sys::Win32::Foundation::{
    ERROR_CALL_NOT_IMPLEMENTED, ERROR_INVALID_FUNCTION, ERROR_NOT_SUPPORTED,
};
use windows_sys::Win32::Storage::FileSystem::{BackupRead, BackupWrite};

use super::native_read::NativeReader;
use super::native_write::NativeWriter;
use crate::volume::Scope;

/// The current use of a file's backup stream.
pub(super) enum Stream {
    /// Not used yet.
    Unused,
    /// Reading through Windows.
    Reading(Context),
    /// Writing through Windows; the bytes are checked before the kernel sees them.
    Writing(Context, Box<Check>),
    /// Reading with our own code.
    NativeReading(Box<NativeReader>),
    /// Writing with our own code.
    NativeWriting(Box<NativeWriter>),
}

impl Stream {
    /// Reads the next bytes; returns 0 at the end.
    pub(super) fn read(
        &mut self,
        file: &File,
        buffer: &mut [u8],
        scope: Scope,
    ) -> io::Result<usize> {
        if matches!(self, Self::Unused) {
            *self = Self::Reading(Context::new(file, backup_read));
        }
        match self {
            Self::Reading(context) => match context.read(buffer, scope) {
                Err(error) if !context.moved && is_unsupported(&error) => {
                    let mut reader = Box::new(NativeReader::new(file, scope)?);
                    let count = reader.read(file, buffer)?;
                    *self = Self::NativeReading(reader);
                    Ok(count)
                }
                result => result,
            },
            Self::NativeReading(reader) => reader.read(file, buffer),
            Self::Unused | Self::Writing(..) | Self::NativeWriting(_) => Err(mixed()),
        }
    }

    /// Writes the next bytes.
    pub(super) fn write(&mut self, file: &File, bytes: &[u8], scope: Scope) -> io::Result<()> {
        if matches!(self, Self::Unused) {
            let context = Context::new(file, backup_write);
            *self = Self::Writing(context, Box::default());
        }
        match self {
            Self::Writing(context, check) => {
                check.run(bytes)?;
                match context.write(bytes, scope) {
                    Err(error) if !context.moved && is_unsupported(&error) => {
                        let mut writer = Box::new(NativeWriter::new(scope));
                        writer.write(file, bytes)?;
                        *self = Self::NativeWriting(writer);
                        Ok(())
                    }
                    result => result,
                }
            }
            Self::NativeWriting(writer) => writer.write(file, bytes),
            Self::Unused | Self::Reading(_) | Self::NativeReading(_) => Err(mixed()),
        }
    }

    /// Returns whether Windows has written an alternate data stream.
    pub(super) fn has_alternate(&self) -> bool {
        matches!(self, Self::Writing(_, check) if check.has_alternate)
    }

    /// Completes the writing.
    ///
    /// # Errors
    ///
    /// Returns `UnexpectedEof` if the stream is incomplete.
    pub(super) fn finish(self) -> io::Result<()> {
        match self {
            Self::Writing(_, check) => check.decoder.finish().map_err(stream_error),
            Self::NativeWriting(writer) => writer.finish(),
            Self::Unused | Self::Reading(_) | Self::NativeReading(_) => Ok(()),
        }
    }
}

/// Checks the headers of a backup stream that is being written.
#[derive(Default)]
pub(super) struct Check {
    decoder: BackupStreamDecoder,
    has_alternate: bool,
}

impl Check {
    fn run(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut rest = bytes;
        while let Some(event) = self.decoder.decode(&mut rest).map_err(stream_error)? {
            if let StreamEvent::Header(header) = event {
                self.has_alternate |= header.id == StreamId::ALTERNATE_DATA;
            }
        }
        Ok(())
    }
}

/// Converts an error of the format to an I/O error.
pub(super) fn stream_error(error: BackupStreamError) -> io::Error {
    let kind = match error {
        BackupStreamError::TruncatedHeader { .. } | BackupStreamError::TruncatedBody { .. } => {
            io::ErrorKind::UnexpectedEof
        }
        _ => io::ErrorKind::InvalidData,
    };
    io::Error::new(kind, error)
}

fn mixed() -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidInput,
        "an opened file is used both to read and to write its backup stream",
    )
}

fn is_unsupported(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error().map(i32::cast_unsigned),
        Some(ERROR_NOT_SUPPORTED | ERROR_INVALID_FUNCTION | ERROR_CALL_NOT_IMPLEMENTED)
    )
}

/// The common signature of both calls: handle, buffer, length, moved, abort, security, context.
type Call = unsafe fn(RawHandle, *mut u8, u32, *mut u32, i32, i32, *mut *mut c_void) -> i32;

/// The state that Windows keeps between the calls on a file; released on drop.
pub(super) struct Context {
    /// Valid because the file is still open: [`super::NtFile`] drops the stream first.
    handle: RawHandle,
    call: Call,
    context: *mut c_void,
    /// Whether a call has succeeded.
    moved: bool,
}

// SAFETY: Windows does not bind the handle or the context of a backup to the thread that created
// it, and nothing else uses the context.
unsafe impl Send for Context {}

impl Context {
    fn new(file: &File, call: Call) -> Self {
        Self {
            handle: file.as_raw_handle(),
            call,
            context: std::ptr::null_mut(),
            moved: false,
        }
    }

    fn read(&mut self, buffer: &mut [u8], scope: Scope) -> io::Result<usize> {
        let length = u32::try_from(buffer.len()).unwrap_or(u32::MAX);
        self.make(buffer.as_mut_ptr(), length, scope)
    }

    fn write(&mut self, mut bytes: &[u8], scope: Scope) -> io::Result<()> {
        while !bytes.is_empty() {
            let length = bytes.len().min(1 << 30) as u32;
            // The call for writing only reads from the buffer.
            let written = self.make(bytes.as_ptr().cast_mut(), length, scope)?;
            if written == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            bytes = &bytes[written.min(bytes.len())..];
        }
        Ok(())
    }

    fn make(&mut self, buffer: *mut u8, length: u32, scope: Scope) -> io::Result<usize> {
        let mut moved = 0;
        let security = i32::from(scope == Scope::WithSecurity);
        // SAFETY: the file is open, the buffer has the given length and, for reading, is
        // exclusively borrowed by the caller; the context is null or the result of the previous
        // call.
        let done = unsafe {
            (self.call)(
                self.handle,
                buffer,
                length,
                &raw mut moved,
                0,
                security,
                &raw mut self.context,
            )
        };
        if done == 0 {
            return Err(io::Error::last_os_error());
        }
        self.moved = true;
        Ok(moved as usize)
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        if self.context.is_null() {
            return;
        }
        let mut moved = 0;
        // SAFETY: with "abort", the call only frees the context; the file is still open.
        unsafe {
            (self.call)(
                self.handle,
                std::ptr::null_mut(),
                0,
                &raw mut moved,
                1,
                0,
                &raw mut self.context,
            );
        }
    }
}

unsafe fn backup_read(
    handle: RawHandle,
    buffer: *mut u8,
    length: u32,
    moved: *mut u32,
    abort: i32,
    security: i32,
    context: *mut *mut c_void,
) -> i32 {
    // SAFETY: the caller upholds the requirements of `BackupRead`.
    unsafe { BackupRead(handle, buffer, length, moved, abort, security, context) }
}

unsafe fn backup_write(
    handle: RawHandle,
    buffer: *mut u8,
    length: u32,
    moved: *mut u32,
    abort: i32,
    security: i32,
    context: *mut *mut c_void,
) -> i32 {
    // SAFETY: the caller upholds the requirements of `BackupWrite`.
    unsafe { BackupWrite(handle, buffer, length, moved, abort, security, context) }
}
