//! [`KeepBootFiles`] and [`RestoreBootFiles`]: preserve the original boot files of the utility VM.
//!
//! `ProcessUtilityImage` changes four files, but an export must match the import. Therefore the
//! writer keeps a copy of each in the layer's folder (`bcd.bak` and so on): its backup stream,
//! restored without the security descriptor, and its times. The reader returns the data, extended
//! attributes and times of the copy, with the security descriptor of the current file.
//!
//! Source: hcsshim `pkg/ociwclayer/import.go`; moby `daemon/graphdriver/windows`, which reads the
//! data of these copies. Copies made by other programs have the times of their import.

use std::io;

use ntmeta::backup_stream::{BackupStreamDecoder, BackupStreamError, StreamEvent, StreamId};

use super::HcsError;
use crate::error::{Result, entry_error};
use crate::hub::{Entry, FileEntry, LayerReader, LayerWriter, LinkEntry};
use crate::layout;
use crate::path::LayerPath;
use crate::volume::{Access, BufferedFile, File, Form, Kind, Root, Scope};

/// The largest security descriptor of a boot file that is accepted, in bytes.
const MAX_SECURITY: u64 = 1 << 20;

/// Returns the name of the copy of a boot file; `None` for all other paths.
fn copy_of(path: &LayerPath) -> Option<LayerPath> {
    let is_it = |(name, _): &&(&str, &str)| layout::is(path, name);
    let (_, copy) = layout::BOOT_FILES.iter().find(is_it)?;
    Some(layout::path(copy))
}

/// A writer that copies the boot files to the layer's folder and passes them on to another writer.
pub struct KeepBootFiles<W: LayerWriter, R: Root> {
    writer: W,
    layer: R,
    copy: Option<Copy<R::File>>,
}

/// The copy being written.
struct Copy<F: File> {
    path: LayerPath,
    file: BufferedFile<F>,
    entry: FileEntry,
}

impl<W: LayerWriter, R: Root> KeepBootFiles<W, R> {
    /// Wraps a writer of the layer in the folder `layer`.
    pub fn new(writer: W, layer: R) -> Self {
        Self {
            writer,
            layer,
            copy: None,
        }
    }

    fn end_copy(&mut self) -> Result<()> {
        let Some(Copy {
            path,
            mut file,
            entry,
        }) = self.copy.take()
        else {
            return Ok(());
        };
        file.flush()
            .and_then(|file| file.set_basic_info(&entry.basic_info))
            .and_then(|()| file.close())
            .map_err(entry_error("write", self.layer.path(), &path))
    }

    fn start_copy(&mut self, entry: &FileEntry, path: LayerPath) -> Result<()> {
        let created = match self.layer.create(&path, Kind::File) {
            // The path has a second entry.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => self
                .layer
                .delete(&path)
                .and_then(|()| self.layer.create(&path, Kind::File)),
            created => created,
        };
        let file = created.map_err(entry_error("create", self.layer.path(), &path))?;
        self.copy = Some(Copy {
            path,
            file: BufferedFile::new(file, Form::BackupStream(Scope::WithoutSecurity)),
            entry: entry.clone(),
        });
        Ok(())
    }
}

impl<W: LayerWriter, R: Root> LayerWriter for KeepBootFiles<W, R> {
    type Output = W::Output;

    fn add(&mut self, file: &FileEntry) -> Result<()> {
        self.end_copy()?;
        self.writer.add(file)?;
        match copy_of(&file.path) {
            Some(copy) => self.start_copy(file, copy),
            None => Ok(()),
        }
    }

    fn write(&mut self, backup_stream: &[u8]) -> Result<()> {
        self.writer.write(backup_stream)?;
        let Some(copy) = &mut self.copy else {
            return Ok(());
        };
        let written = copy.file.write(backup_stream);
        written.map_err(entry_error("write", self.layer.path(), &copy.path))
    }

    fn add_link(&mut self, link: &LinkEntry) -> Result<()> {
        self.end_copy()?;
        self.writer.add_link(link)
    }

    fn remove(&mut self, path: &LayerPath) -> Result<()> {
        self.end_copy()?;
        self.writer.remove(path)
    }

    fn remove_contents(&mut self, directory: &LayerPath) -> Result<()> {
        self.end_copy()?;
        self.writer.remove_contents(directory)
    }

    fn finish(mut self) -> Result<W::Output> {
        self.end_copy()?;
        drop(self.layer);
        self.writer.finish()
    }
}

/// A reader that replaces the boot files with their copies, if there are any.
pub struct RestoreBootFiles<S: LayerReader, R: Root> {
    reader: S,
    layer: R,
    original: Option<Original<R::File>>,
}

/// The stream of a boot file: the descriptor of the current file, then everything else of the copy.
struct Original<F: File> {
    path: LayerPath,
    security: io::Cursor<Vec<u8>>,
    copy: F,
}

impl<S: LayerReader, R: Root> RestoreBootFiles<S, R> {
    /// Wraps a reader of the layer in the folder `layer`.
    pub fn new(reader: S, layer: R) -> Self {
        Self {
            reader,
            layer,
            original: None,
        }
    }

    /// Returns the wrapped reader.
    pub fn into_inner(self) -> S {
        self.reader
    }

    fn restore(&mut self, entry: &mut FileEntry, path: LayerPath) -> Result<()> {
        let folder = self.layer.path();
        let copy = match self.layer.open(Some(&path), Access::Read) {
            Ok(copy) => copy,
            Err(error) if super::is_absent(&error) => return Ok(()),
            Err(error) => return Err(entry_error("open", folder, &path)(error)),
        };
        let stat = copy.stat().map_err(entry_error("open", folder, &path))?;
        if stat.is_directory() || stat.is_reparse_point() {
            return Ok(());
        }
        let security = security_of(&mut self.reader, &entry.path)?;
        let attributes = entry.basic_info.attributes;
        entry.basic_info = stat.basic_info;
        entry.basic_info.attributes = attributes;
        entry.size = stat.size;
        self.original = Some(Original {
            path,
            security: io::Cursor::new(security),
            copy,
        });
        Ok(())
    }
}

impl<S: LayerReader, R: Root> LayerReader for RestoreBootFiles<S, R> {
    fn next_entry(&mut self) -> Result<Option<Entry>> {
        self.original = None;
        let mut next = self.reader.next_entry()?;
        if let Some(Entry::File(file)) = &mut next
            && let Some(copy) = copy_of(&file.path)
        {
            self.restore(file, copy)?;
        }
        Ok(next)
    }

    fn read_stream(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let Some(original) = &mut self.original else {
            return self.reader.read_stream(buffer);
        };
        let read = match io::Read::read(&mut original.security, buffer) {
            Ok(0) => original.copy.backup_read(buffer, Scope::WithoutSecurity),
            read => read,
        };
        read.map_err(entry_error("read", self.layer.path(), &original.path))
    }
}

/// Reads the current backup stream to its end and returns its security stream, header and body.
fn security_of(reader: &mut impl LayerReader, entry: &LayerPath) -> Result<Vec<u8>> {
    let malformed = |error: BackupStreamError| HcsError::Stream {
        entry: entry.clone(),
        source: error.into(),
    };
    let mut decoder = BackupStreamDecoder::new();
    let mut security = Vec::new();
    let mut is_security = false;
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let length = reader.read_stream(&mut buffer)?;
        if length == 0 {
            decoder.finish().map_err(malformed)?;
            return Ok(security);
        }
        let mut piece = &buffer[..length];
        while let Some(event) = decoder.decode(&mut piece).map_err(malformed)? {
            match event {
                StreamEvent::Header(header) => {
                    is_security = header.id == StreamId::SECURITY_DATA
                        && header.size <= MAX_SECURITY
                        && security.is_empty();
                    if is_security {
                        header.encode(&mut security);
                    }
                }
                StreamEvent::Body(body) if is_security => security.extend_from_slice(body),
                StreamEvent::Body(_) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_four_boot_files_have_copies_in_any_case() {
        for (path, copy) in [
            ("UtilityVM/Files/EFI/Microsoft/Boot/BCD", Some("bcd.bak")),
            (
                "utilityvm/files/efi/microsoft/boot/bcd.log",
                Some("bcd.log.bak"),
            ),
            (
                "UtilityVM/Files/EFI/Microsoft/Boot/BCD.LOG1",
                Some("bcd.log1.bak"),
            ),
            (
                "UtilityVM/Files/EFI/Microsoft/Boot/BCD.LOG2",
                Some("bcd.log2.bak"),
            ),
            ("UtilityVM/Files/EFI/Microsoft/Boot/BCD.LOG3", None),
            ("Files/EFI/Microsoft/Boot/BCD", None),
        ] {
            let found = copy_of(&path.parse().expect(path)).map(|copy| copy.to_string());
            assert_eq!(found.as_deref(), copy, "{path}");
        }
    }
}
