//! [`Blob`]: bytes of an open file: all of it, or a part in the middle of an archive.
//!
//! A layer tar is read through it, so that a layer inside an image archive is read in place.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::sync::Arc;

/// A part of an open file. Readers of it share the file and nothing else.
#[derive(Debug, Clone)]
pub struct Blob {
    file: Arc<File>,
    start: u64,
    len: u64,
}

impl Blob {
    /// Makes a blob of `len` bytes of a file, from `start` on.
    pub(crate) fn new(file: Arc<File>, start: u64, len: u64) -> Self {
        Self { file, start, len }
    }

    /// Makes a blob of a whole file.
    pub(crate) fn of_file(file: File) -> io::Result<Self> {
        let len = file.metadata()?.len();
        Ok(Self::new(Arc::new(file), 0, len))
    }

    /// Returns its length in bytes.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Returns whether it has no bytes.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Reads at an offset in the blob; fewer bytes than asked for at most, 0 at its end.
    ///
    /// # Errors
    ///
    /// Returns the system's error.
    pub fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.len.saturating_sub(offset);
        let count = buffer
            .len()
            .min(usize::try_from(left).unwrap_or(usize::MAX));
        match self.start.checked_add(offset) {
            Some(at) if count > 0 => read_at(&self.file, at, &mut buffer[..count]),
            _ => Ok(0),
        }
    }

    /// Returns a reader from its start on.
    pub fn reader(&self) -> BlobBytes {
        BlobBytes {
            blob: self.clone(),
            position: 0,
        }
    }
}

#[cfg(unix)]
fn read_at(file: &File, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, buffer, offset)
}

#[cfg(windows)]
fn read_at(file: &File, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
    std::os::windows::fs::FileExt::seek_read(file, buffer, offset)
}

/// Reads a [`Blob`].
#[derive(Debug, Clone)]
pub struct BlobBytes {
    blob: Blob,
    position: u64,
}

impl BlobBytes {
    /// Returns how many bytes are left.
    pub(crate) fn left(&self) -> u64 {
        self.blob.len.saturating_sub(self.position)
    }
}

impl Read for BlobBytes {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.blob.read_at(self.position, buffer)?;
        if read == 0 && !buffer.is_empty() && self.position < self.blob.len {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.position += read as u64;
        Ok(read)
    }
}

impl Seek for BlobBytes {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let position = match to {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::End(offset) => self.blob.len.checked_add_signed(offset),
            SeekFrom::Current(offset) => self.position.checked_add_signed(offset),
        };
        self.position = position.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn blob(start: u64, len: u64) -> Blob {
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(b"0123456789").expect("written");
        Blob::new(Arc::new(file), start, len)
    }

    #[test]
    fn a_reader_sees_its_part_alone() {
        let blob = blob(2, 5);
        let (mut one, mut other) = (blob.reader(), blob.reader());
        let mut text = String::new();
        one.read_to_string(&mut text).expect("read");
        assert_eq!(text, "23456");
        other.seek(SeekFrom::End(-2)).expect("in it");
        text.clear();
        other.read_to_string(&mut text).expect("read");
        assert_eq!(text, "56");
        assert_eq!(
            blob.read_at(u64::MAX, &mut [0; 4]).expect("behind its end"),
            0
        );
        assert!(other.seek(SeekFrom::Current(-100)).is_err());
    }

    #[test]
    fn a_file_that_got_shorter_is_an_error() {
        let error = blob(8, 5).reader().read_to_end(&mut Vec::new());
        assert_eq!(error.expect_err("cut").kind(), io::ErrorKind::UnexpectedEof);
    }
}
