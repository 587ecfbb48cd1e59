//! [`BufferedFile`]: collects small writes to a file and passes them on in large pieces.

use std::io;

use super::{File, Scope};

/// Smaller pieces than this are collected, in bytes.
const CAPACITY: usize = 64 * 1024;

/// The meaning of the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// The data of the file.
    Data,
    /// The backup stream of the file.
    BackupStream(Scope),
}

/// A file being written from its start. Dropping it closes the file and discards the collected
/// bytes.
pub(crate) struct BufferedFile<F: File> {
    file: F,
    form: Form,
    collected: Vec<u8>,
}

impl<F: File> BufferedFile<F> {
    pub(crate) fn new(file: F, form: Form) -> Self {
        Self {
            file,
            form,
            collected: Vec::new(),
        }
    }

    /// Writes more bytes, in pieces of any size.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.collected.len() + bytes.len() > CAPACITY {
            self.flush()?;
        }
        if bytes.len() >= CAPACITY {
            return self.pass_on(bytes);
        }
        self.collected.extend_from_slice(bytes);
        Ok(())
    }

    /// Writes the collected bytes and returns the file, for example to set its times.
    pub(crate) fn flush(&mut self) -> io::Result<&F> {
        let collected = std::mem::take(&mut self.collected);
        if !collected.is_empty() {
            self.pass_on(&collected)?;
        }
        Ok(&self.file)
    }

    /// Completes the file, and always closes it.
    pub(crate) fn close(mut self) -> io::Result<()> {
        self.flush()?;
        self.file.close()
    }

    fn pass_on(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self.form {
            Form::Data => self.file.write_all(bytes),
            Form::BackupStream(scope) => self.file.backup_write(bytes, scope),
        }
    }
}
