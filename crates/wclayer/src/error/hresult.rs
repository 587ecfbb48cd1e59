//! [`HResult`]: a failure code of Windows.

use std::fmt;

/// A failure code of Windows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct HResult(pub u32);

impl HResult {
    /// Returns the code of a Win32 error (`HRESULT_FROM_WIN32`).
    pub const fn from_win32(error: u16) -> Self {
        Self(0x8007_0000 | error as u32)
    }

    /// Returns the Win32 error that it wraps.
    pub fn win32(self) -> Option<u16> {
        (self.0 >> 16 == 0x8007).then_some(self.0 as u16)
    }

    /// Returns whether it is a success.
    pub fn is_success(self) -> bool {
        self.0 & 0x8000_0000 == 0
    }
}

impl fmt::Display for HResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0x{:08x}", self.0)
    }
}
