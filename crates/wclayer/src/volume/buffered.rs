//! [`BufferedFile`]: a file that takes many small pieces and passes on few large ones.

use std::io;

use super::{File, Scope};

/// Pieces below this many bytes are collected.
const CAPACITY: usize = 64 * 1024;

/// Where the bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// They are the file's data.
    Data,
    /// They are its backup stream.
    BackupStream(Scope),
}

/// A file being written from its start. Dropped, it is closed without what is still collected.
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

    /// Takes more bytes, in pieces of any size.
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

    /// Passes on what is collected and returns the file, which can then be given its times.
    pub(crate) fn flush(&mut self) -> io::Result<&F> {
        let collected = std::mem::take(&mut self.collected);
        if !collected.is_empty() {
            self.pass_on(&collected)?;
        }
        Ok(&self.file)
    }

    /// Completes the file. It is closed even when that fails.
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
