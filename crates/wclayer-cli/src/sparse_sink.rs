//! [`SparseSink`]: standard output that keeps holes if it is a file.

use std::fs::File;
use std::io::{self, Read as _, Seek, SeekFrom, StdoutLock, Write};

/// Standard output, unbuffered if it is a file.
pub(crate) enum SparseSink<'a> {
    /// A file, which can have holes.
    File(File),
    /// A terminal, a pipe, a device.
    Other(StdoutLock<'a>),
}

impl<'a> SparseSink<'a> {
    /// Detects whether standard output is a file.
    pub(crate) fn new(stdout: StdoutLock<'a>) -> Self {
        match duplicate(&stdout) {
            Ok(file) if file.metadata().is_ok_and(|what| what.is_file()) => Self::File(file),
            _ => Self::Other(stdout),
        }
    }

    /// Returns whether [`skip`](Self::skip) costs less than writing zeros.
    pub(crate) fn takes_holes(&self) -> bool {
        matches!(self, Self::File(_))
    }

    /// Writes bytes.
    pub(crate) fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::File(file) => file.write_all(bytes),
            Self::Other(stdout) => stdout.write_all(bytes),
        }
    }

    /// Writes `count` zeros, as a hole after the end of a file.
    pub(crate) fn skip(&mut self, count: u64) -> io::Result<()> {
        let file = match self {
            _ if count == 0 => return Ok(()),
            Self::Other(stdout) => return write_zeros(stdout, count),
            Self::File(file) => file,
        };
        let length = file.metadata()?.len();
        let written_over = length.saturating_sub(file.stream_position()?).min(count);
        // Overwrites existing bytes; in append mode, these zeros go after the end.
        write_zeros(file, written_over)?;
        let end = file.metadata()?.len().max(file.stream_position()?);
        let end = end.checked_add(count - written_over);
        let end = end.ok_or(io::ErrorKind::FileTooLarge)?;
        if count > written_over {
            file.set_len(end)?;
            file.seek(SeekFrom::Start(end))?;
        }
        Ok(())
    }

    /// Completes what was written.
    pub(crate) fn finish(mut self) -> io::Result<()> {
        match &mut self {
            Self::File(file) => file.flush(),
            Self::Other(stdout) => stdout.flush(),
        }
    }
}

fn write_zeros(sink: &mut impl Write, count: u64) -> io::Result<()> {
    io::copy(&mut io::repeat(0).take(count), sink).map(|_| ())
}

#[cfg(unix)]
fn duplicate(stdout: &StdoutLock<'_>) -> io::Result<File> {
    use std::os::fd::AsFd;
    stdout.as_fd().try_clone_to_owned().map(File::from)
}

#[cfg(windows)]
fn duplicate(stdout: &StdoutLock<'_>) -> io::Result<File> {
    use std::os::windows::io::AsHandle;
    stdout.as_handle().try_clone_to_owned().map(File::from)
}
