//! The messages of Windows for its codes (`FormatMessageW`).

use windows_sys::Win32::System::Diagnostics::Debug::{
    FORMAT_MESSAGE_FROM_SYSTEM, FORMAT_MESSAGE_IGNORE_INSERTS, FormatMessageW,
};

use crate::error::{HResult, WindowsError};

/// Explains a code with the message of Windows, or with ours if there is none.
pub(super) fn windows_error(hresult: HResult) -> WindowsError {
    match system_message(hresult.0) {
        Some(message) => WindowsError { hresult, message },
        None => WindowsError::new(hresult),
    }
}

fn system_message(code: u32) -> Option<String> {
    let mut buffer = [0_u16; 1024];
    // SAFETY: the buffer has the given length, and inserts are ignored.
    let length = unsafe {
        FormatMessageW(
            FORMAT_MESSAGE_FROM_SYSTEM | FORMAT_MESSAGE_IGNORE_INSERTS,
            std::ptr::null(),
            code,
            0,
            buffer.as_mut_ptr(),
            buffer.len() as u32,
            std::ptr::null(),
        )
    };
    let text = String::from_utf16_lossy(buffer.get(..length as usize)?);
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_message_of_windows_comes_first_and_unknown_codes_have_one_too() {
        let error = windows_error(HResult::from_win32(5));
        assert_eq!(error.hresult, HResult(0x8007_0005));
        assert!(!error.message.is_empty() && !error.message.ends_with('\n'));
        assert_eq!(
            windows_error(HResult(0xa123_4567)),
            WindowsError::new(HResult(0xa123_4567))
        );
    }
}
