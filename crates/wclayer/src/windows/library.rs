//! A DLL of the system, loaded when the program runs, because any of them, and any of their
//! exports, may be missing.

use std::ffi::{OsStr, c_void};
use std::io;
use std::os::windows::ffi::OsStrExt;
use std::path::Path;

use windows_sys::Win32::Foundation::{HMODULE, LocalFree};
use windows_sys::Win32::System::Com::CoTaskMemFree;
use windows_sys::Win32::System::LibraryLoader::{
    GetProcAddress, LOAD_LIBRARY_SEARCH_SYSTEM32, LoadLibraryExW,
};

use super::abi::Hresult;
use super::messages::windows_error;
use crate::error::{FailureCause, HResult, HcsError, ServiceError};

/// A loaded DLL. It stays loaded until the process ends: its exports are kept as plain pointers.
pub(super) struct Library {
    dll: &'static str,
    /// The module's handle, a number to everybody.
    module: usize,
}

impl Library {
    /// Loads a DLL from `system32` and from nowhere else.
    pub(super) fn load(dll: &'static str) -> Result<Self, HcsError> {
        let name = wide(dll).map_err(|_| HcsError::NoService { dll })?;
        // SAFETY: the name ends with a NUL; DLLs of the system may run their start code here.
        let module = unsafe {
            LoadLibraryExW(
                name.as_ptr(),
                std::ptr::null_mut(),
                LOAD_LIBRARY_SEARCH_SYSTEM32,
            )
        };
        if module.is_null() {
            return Err(HcsError::NoService { dll });
        }
        Ok(Self {
            dll,
            module: module as usize,
        })
    }

    /// Returns the address of an export.
    pub(super) fn export(
        &self,
        name: &std::ffi::CStr,
    ) -> Option<unsafe extern "system" fn() -> isize> {
        // SAFETY: the module stays loaded, and the name ends with a NUL.
        unsafe { GetProcAddress(self.module as HMODULE, name.as_ptr().cast()) }
    }

    /// Turns what a call returned into a result; `on` says what it was called with.
    pub(super) fn check(
        &self,
        function: &'static str,
        returned: Hresult,
        on: impl FnOnce() -> String,
    ) -> Result<(), ServiceError> {
        check(self.dll, function, returned, on)
    }
}

/// Turns what a call of `dll` returned into a result.
pub(super) fn check(
    dll: &'static str,
    function: &'static str,
    returned: Hresult,
    on: impl FnOnce() -> String,
) -> Result<(), ServiceError> {
    let hresult = HResult(returned.cast_unsigned());
    if hresult.is_success() {
        return Ok(());
    }
    Err(ServiceError::Failed {
        function,
        dll,
        on: on(),
        cause: None,
        source: windows_error(hresult),
    })
}

/// Makes the failure of a step before or after a call a failure of the service.
pub(super) fn failed(
    function: &'static str,
    dll: &'static str,
    on: String,
) -> impl FnOnce(io::Error) -> ServiceError {
    move |error| {
        let code = error
            .raw_os_error()
            .and_then(|code| u16::try_from(code).ok());
        ServiceError::Failed {
            function,
            dll,
            on,
            cause: None,
            source: match code {
                Some(code) => windows_error(HResult::from_win32(code)),
                None => crate::error::WindowsError {
                    hresult: HResult(0x8000_4005),
                    message: error.to_string(),
                },
            },
        }
    }
}

/// Declares the exports of a DLL as a struct of optional function pointers with a `load`.
macro_rules! imports {
    ($(#[$doc:meta])* struct $name:ident {
        $($field:ident: $export:literal fn($($argument:ty),* $(,)?),)*
    }) => {
        $(#[$doc])*
        struct $name {
            $($field: Option<unsafe extern "system" fn($($argument),*) -> Hresult>,)*
        }

        impl $name {
            fn of(library: &Library) -> Self {
                Self {
                    $(
                        // SAFETY: the export has these arguments and this result, by the source
                        // named at the top.
                        $field: library.export($export).map(|address| unsafe {
                            std::mem::transmute::<
                                unsafe extern "system" fn() -> isize,
                                unsafe extern "system" fn($($argument),*) -> Hresult,
                            >(address)
                        }),
                    )*
                }
            }
        }
    };
}
pub(super) use imports;

/// Returns a text in UTF-16 with a NUL behind it.
///
/// # Errors
///
/// `InvalidInput` for a text that holds a NUL itself.
pub(super) fn wide(text: impl AsRef<OsStr>) -> io::Result<Vec<u16>> {
    let mut units: Vec<u16> = text.as_ref().encode_wide().collect();
    if units.contains(&0) {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "the text holds a NUL character",
        ));
    }
    units.push(0);
    Ok(units)
}

/// As [`wide`], for an argument of a call: its failure is the call's.
pub(super) fn argument(
    dll: &'static str,
    function: &'static str,
    text: impl AsRef<OsStr>,
) -> Result<Vec<u16>, ServiceError> {
    let text = text.as_ref();
    wide(text).map_err(|_| ServiceError::Failed {
        function,
        dll,
        on: format!("`{}`", text.display()),
        cause: Some(Box::new(FailureCause::Nul)),
        source: windows_error(HResult::from_win32(87)),
    })
}

/// Says what a call was about: ``layer `C:\layers\app` ``.
pub(super) fn on_layer(layer: &Path) -> String {
    format!("layer `{}`", layer.display())
}

/// A text that a call of `vmcompute.dll` allocated for us (`CoTaskMemAlloc`).
pub(super) struct TaskText(pub(super) *mut u16);

impl TaskText {
    /// Returns the units before the NUL.
    pub(super) fn units(&self) -> Vec<u16> {
        // SAFETY: calls that return such a text end it with a NUL.
        unsafe { units_at(self.0) }
    }
}

impl Drop for TaskText {
    fn drop(&mut self) {
        // SAFETY: the text is ours to free, and null is allowed.
        unsafe { CoTaskMemFree(self.0.cast::<c_void>()) }
    }
}

/// A text that a call of the documented API allocated for us (`LocalAlloc`).
///
/// Source: Microsoft, "Host Compute System API", HcsGetLayerVhdMountPath.
pub(super) struct LocalText(pub(super) *mut u16);

impl LocalText {
    /// Returns the units before the NUL.
    pub(super) fn units(&self) -> Vec<u16> {
        // SAFETY: calls that return such a text end it with a NUL.
        unsafe { units_at(self.0) }
    }
}

impl Drop for LocalText {
    fn drop(&mut self) {
        // SAFETY: the text is ours to free, and null is allowed.
        unsafe { LocalFree(self.0.cast::<c_void>()) };
    }
}

/// Returns the units before the NUL; none for null.
///
/// # Safety
///
/// The text ends with a NUL.
unsafe fn units_at(text: *const u16) -> Vec<u16> {
    if text.is_null() {
        return Vec::new();
    }
    // SAFETY: all that is read lies before the NUL.
    unsafe {
        let length = (0..).take_while(|at| *text.add(*at) != 0).count();
        std::slice::from_raw_parts(text, length).to_vec()
    }
}
