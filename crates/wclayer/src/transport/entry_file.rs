//! [`EntryFile`]: the file to which the backup stream of an entry is written.

use std::path::{Path, PathBuf};

use ntmeta::FileBasicInfo;
use ntmeta::backup_stream::{BackupStreamDecoder, BackupStreamError, StreamEvent, StreamId};

use crate::error::HcsError;
use crate::error::{Error, Result, entry_error};
use crate::path::LayerPath;
use crate::volume::{BufferedFile, File};

/// An entry being written; its stream is checked on the way.
pub(crate) struct EntryFile<F: File> {
    folder: PathBuf,
    path: LayerPath,
    file: BufferedFile<F>,
    decoder: BackupStreamDecoder,
    has_reparse_data: bool,
}

impl<F: File> EntryFile<F> {
    /// Starts the entry `path` of `folder` and writes its stream to `file`.
    pub(crate) fn new(folder: &Path, path: &LayerPath, file: BufferedFile<F>) -> Self {
        Self {
            folder: folder.to_owned(),
            path: path.clone(),
            file,
            decoder: BackupStreamDecoder::new(),
            has_reparse_data: false,
        }
    }

    /// Returns the entry's path.
    pub(crate) fn path(&self) -> &LayerPath {
        &self.path
    }

    /// Writes the next bytes of the backup stream.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.check(bytes)
            .map_err(|error| malformed(&self.path, error))?;
        let written = self.file.write(bytes);
        written.map_err(entry_error("write", &self.folder, &self.path))
    }

    /// Sets the times of the file if they are given, and always closes it. Returns whether the
    /// stream made it a reparse point.
    pub(crate) fn close(mut self, times: Option<&FileBasicInfo>) -> Result<bool> {
        self.decoder
            .finish()
            .map_err(|error| malformed(&self.path, error))?;
        let flushed = self.file.flush().and_then(|file| match times {
            // Set last, because on some systems every write changes the times.
            Some(times) => file.set_basic_info(times),
            None => Ok(()),
        });
        flushed
            .and_then(|()| self.file.close())
            .map_err(entry_error("write", &self.folder, &self.path))?;
        Ok(self.has_reparse_data)
    }

    fn check(&mut self, mut bytes: &[u8]) -> Result<(), BackupStreamError> {
        while let Some(event) = self.decoder.decode(&mut bytes)? {
            if let StreamEvent::Header(header) = event {
                self.has_reparse_data |= header.id == StreamId::REPARSE_DATA;
            }
        }
        Ok(())
    }
}

fn malformed(entry: &LayerPath, error: BackupStreamError) -> Error {
    HcsError::Stream {
        entry: entry.clone(),
        source: error.into(),
    }
    .into()
}
