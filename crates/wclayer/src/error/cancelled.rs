//! Cancellation inside an [`io::Error`]: how a reader stops because its caller asked it to.
//!
//! A layer's input is a [`Read`](io::Read), whose only way to stop is an `io::Error`. That error
//! carries [`Error::Cancelled`], and becomes it again where input errors become an [`Error`]. The
//! [`Progress`](crate::Progress) is not asked a second time: by then the caller may have cancelled
//! an operation that had failed for another reason.

use std::io;

use super::Error;

/// Returns whether a reader stopped because its caller asked it to.
pub(super) fn is_cancelled(error: &io::Error) -> bool {
    let error = error.get_ref().and_then(|error| error.downcast_ref());
    matches!(error, Some(Error::Cancelled))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{TarError, TarProblem};

    fn cancelled() -> io::Error {
        io::Error::other(Error::Cancelled)
    }

    #[test]
    fn a_cancelled_input_is_cancelled_however_it_is_wrapped() {
        let of_tar = |error| Error::from(TarError::new(b"Files", 0, TarProblem::Io(error)));
        let wrapped = [
            Error::input(cancelled()),
            of_tar(cancelled()),
            Error::input(io::Error::other(of_tar(cancelled()))),
            Error::input(cancelled()).of_layer("read", "x".as_ref()),
        ];
        for error in wrapped {
            assert!(matches!(error, Error::Cancelled), "{error:?}");
        }
    }

    #[test]
    fn the_word_alone_does_not_cancel() {
        let text = || io::Error::other("cancelled");
        assert!(matches!(Error::input(text()), Error::Input(_)));
        let of_tar = TarError::new(b"Files", 0, TarProblem::Io(text()));
        assert!(matches!(of_tar.into(), Error::Tar(_)));
    }
}
