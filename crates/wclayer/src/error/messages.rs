//! Windows' messages for the codes that layers meet, for other systems.
//!
//! Source: `winerror.h` of the mingw-w64 headers; the codes named in hcsshim's issues.

use super::hresult::HResult;

/// Returns the message of a known code.
pub(super) fn known(hresult: HResult) -> Option<&'static str> {
    let code = hresult.win32().unwrap_or(0);
    let at = KNOWN.binary_search_by_key(&code, |(code, _)| *code).ok()?;
    Some(KNOWN[at].1)
}

/// Win32 codes, ascending.
const KNOWN: [(u16, &str); 14] = [
    (2, "The system cannot find the file specified."),
    (3, "The system cannot find the path specified."),
    (5, "Access is denied."),
    (
        32,
        "The process cannot access the file because it is being used by another process.",
    ),
    (50, "The request is not supported."),
    (80, "The file exists."),
    (87, "The parameter is incorrect."),
    (112, "There is not enough space on the disk."),
    (
        123,
        "The filename, directory name, or volume label syntax is incorrect.",
    ),
    (145, "The directory is not empty."),
    (183, "Cannot create a file when that file already exists."),
    (206, "The filename or extension is too long."),
    (1009, "The configuration registry database is corrupt."),
    (1314, "A required privilege is not held by the client."),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_so_that_it_can_be_searched() {
        assert!(KNOWN.is_sorted_by_key(|(code, _)| *code));
        assert_eq!(
            known(HResult(0x8007_0003)),
            Some("The system cannot find the path specified.")
        );
        assert_eq!(known(HResult(0x8000_4005)), None);
    }
}
