//! What zstd says when it gets no memory, or no threads.

use std::io;

use zstd::zstd_safe;

use crate::resources;

/// About what a context takes before it has read anything, in bytes.
const CONTEXT: usize = 256 * 1024;

/// Fails when there is no room for a context: without one, its maker would panic.
pub(super) fn room_for_context() -> io::Result<()> {
    resources::buffer(CONTEXT).map(drop)
}

/// Returns whether an error is a lack of memory. The crate passes on nothing but zstd's text.
pub(super) fn is_out_of_memory(error: &io::Error) -> bool {
    // `ZSTD_error_memory_allocation`; codes are negated. Source: `zstd_errors.h`.
    let text = zstd_safe::get_error_name(0usize.wrapping_sub(64));
    error.kind() == io::ErrorKind::Other && error.to_string() == text
}

/// Says so in words of ours.
pub(super) fn no_memory(error: io::Error) -> io::Error {
    io::Error::new(io::ErrorKind::OutOfMemory, Refused(error))
}

/// The lack of memory, or of the threads that compress, as zstd does not tell the two apart.
#[derive(Debug, thiserror::Error)]
#[error("the system refuses zstd memory or threads")]
struct Refused(#[source] io::Error);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_is_the_one_of_memory() {
        let error = io::Error::other("Allocation error : not enough memory");
        assert!(is_out_of_memory(&error));
        assert!(!is_out_of_memory(&io::Error::other(
            "Data corruption detected"
        )));
    }
}
