//! zstd's errors if the system refuses memory or threads.

use std::io;

use zstd::zstd_safe;

use crate::resources;

/// The approximate memory of a context before it has read anything, in bytes.
const CONTEXT: usize = 256 * 1024;

/// Returns an error if there is no memory for a context: its constructor would panic.
pub(super) fn room_for_context() -> io::Result<()> {
    resources::buffer(CONTEXT).map(drop)
}

/// Returns whether an error is a lack of memory. The crate passes on only zstd's text.
pub(super) fn is_out_of_memory(error: &io::Error) -> bool {
    // `ZSTD_error_memory_allocation`; codes are negated. Source: `zstd_errors.h`.
    let text = zstd_safe::get_error_name(0usize.wrapping_sub(64));
    error.kind() == io::ErrorKind::Other && error.to_string() == text
}

/// Returns the error in our words.
pub(super) fn no_memory(error: io::Error) -> io::Error {
    io::Error::new(io::ErrorKind::OutOfMemory, Refused(error))
}

/// A lack of memory or of compression threads: zstd does not distinguish the two.
#[derive(Debug, thiserror::Error)]
#[error("the system refuses zstd memory or threads")]
struct Refused(#[source] io::Error);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_is_zstds_error_of_memory() {
        let error = io::Error::other("Allocation error : not enough memory");
        assert!(is_out_of_memory(&error));
        assert!(!is_out_of_memory(&io::Error::other(
            "Data corruption detected"
        )));
    }
}
