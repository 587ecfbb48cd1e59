//! [`DecodeProblem`]: what is wrong with compressed data, other than damage.

use std::io::{self, BufRead};

/// A problem of compressed data, other than damage. It is inside the [`io::Error`] that
/// [`Decoder`](super::Decoder) returns.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeProblem {
    /// Bytes other than compressed data and padding follow the compressed data.
    #[error("the compressed data is followed by something else")]
    BytesBehind,
    /// A zstd frame needs a larger window than is kept in memory.
    #[error(
        "a zstd frame needs a window of {window} bytes, which is more than the limit of {limit}"
    )]
    Window {
        /// The window of the frame, in bytes.
        window: u64,
        /// The limit, in bytes.
        limit: u64,
    },
    /// A zstd frame needs a dictionary, which no layer comes with.
    #[error("a zstd frame needs the dictionary {id}")]
    Dictionary {
        /// The number of the dictionary.
        id: u32,
    },
}

impl DecodeProblem {
    /// Returns the problem in an error of a decoder; `None` for damage and for errors of the input.
    pub fn of(error: &io::Error) -> Option<&Self> {
        error.get_ref()?.downcast_ref()
    }
}

impl From<DecodeProblem> for io::Error {
    fn from(problem: DecodeProblem) -> Self {
        Self::new(io::ErrorKind::InvalidData, problem)
    }
}

/// Reads padding to the end of the input.
///
/// # Errors
///
/// Returns [`DecodeProblem::BytesBehind`] if anything but zeros follows.
pub(super) fn skip_zero_padding(input: &mut impl BufRead) -> io::Result<()> {
    loop {
        let bytes = input.fill_buf()?;
        if bytes.is_empty() {
            return Ok(());
        }
        if bytes.iter().any(|byte| *byte != 0) {
            return Err(DecodeProblem::BytesBehind.into());
        }
        let len = bytes.len();
        input.consume(len);
    }
}
