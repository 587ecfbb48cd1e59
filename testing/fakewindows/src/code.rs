//! Win32 error codes returned by the fake, and their Rust equivalents.
//!
//! Source: `winerror.h` of the mingw-w64 headers.

use std::io;

use wclayer::hcs::{HResult, WindowsError};

/// A Win32 error code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Code(pub(crate) u16);

impl Code {
    pub(crate) const FILE_NOT_FOUND: Self = Self(2);
    pub(crate) const PATH_NOT_FOUND: Self = Self(3);
    pub(crate) const ACCESS_DENIED: Self = Self(5);
    pub(crate) const INVALID_DATA: Self = Self(13);
    pub(crate) const NOT_READY: Self = Self(21);
    pub(crate) const SHARING_VIOLATION: Self = Self(32);
    pub(crate) const INVALID_PARAMETER: Self = Self(87);
    pub(crate) const NOT_EMPTY: Self = Self(145);
    pub(crate) const EXISTS: Self = Self(183);
    pub(crate) const NO_DIRECTORY: Self = Self(267);
    pub(crate) const ABORTED: Self = Self(995);
    pub(crate) const PRIVILEGE_NOT_HELD: Self = Self(1314);
    pub(crate) const REPARSE_POINT_ENCOUNTERED: Self = Self(4395);

    pub(crate) fn hresult(self) -> HResult {
        HResult::from_win32(self.0)
    }
}

impl From<Code> for io::Error {
    fn from(code: Code) -> Self {
        io_error(code.hresult())
    }
}

/// Returns the error of a disk call that fails with a code.
pub(crate) fn io_error(hresult: HResult) -> io::Error {
    let kind = match hresult.win32() {
        Some(2 | 3) => io::ErrorKind::NotFound,
        Some(5) => io::ErrorKind::PermissionDenied,
        Some(13) => io::ErrorKind::InvalidData,
        Some(32) => io::ErrorKind::ResourceBusy,
        Some(50) => io::ErrorKind::Unsupported,
        Some(80 | 183) => io::ErrorKind::AlreadyExists,
        Some(87) => io::ErrorKind::InvalidInput,
        Some(112) => io::ErrorKind::StorageFull,
        Some(145) => io::ErrorKind::DirectoryNotEmpty,
        Some(267) => io::ErrorKind::NotADirectory,
        _ => io::ErrorKind::Other,
    };
    io::Error::new(kind, WindowsError::new(hresult))
}
