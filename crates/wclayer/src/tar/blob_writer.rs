//! [`BlobWriter`]: entries become a layer tar as it is distributed, hashed and compressed on the
//! way.
//!
//! ```text
//! hub → TarLayerWriter → DiffID → compress → digest → output
//! ```

use std::io::Write;

use super::blob::LayerBlob;
use super::writer::TarLayerWriter;
use crate::compression::{Compression, CompressionSpec, Encoder};
use crate::digest::{DiffId, Hashing};
use crate::error::{Error, Result};
use crate::hub::{FileEntry, LayerWriter, LinkEntry};
use crate::path::LayerPath;

/// Writes a layer tar, compressed or plain.
///
/// ```
/// use std::fs::File;
/// use wclayer::compression::Compression;
/// use wclayer::hub;
/// use wclayer::tar::{BlobReader, BlobWriter};
///
/// let path = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/sample/app.tar.gz");
/// let mut reader = BlobReader::new(File::open(path)?, None, &())?;
/// let mut output = Vec::new();
/// let writer = BlobWriter::new(&mut output, Compression::Gzip.into())?;
/// let blob = hub::copy(&mut reader, writer, &())?;
/// assert_eq!(blob.size, output.len() as u64);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Whether all of it could be written is known in the end only: without
/// [`finish`](LayerWriter::finish), what was written is to be thrown away.
pub struct BlobWriter<W: Write> {
    tar: TarLayerWriter<Hashing<Encoder<Hashing<W>>>>,
    compression: Compression,
}

impl<W: Write> BlobWriter<W> {
    /// Starts a tar.
    ///
    /// # Errors
    ///
    /// [`Error::Output`] when the compressor cannot be started.
    pub fn new(output: W, compression: CompressionSpec) -> Result<Self> {
        let encoder = Encoder::new(Hashing::new(output), compression).map_err(Error::Output)?;
        Ok(Self {
            tar: TarLayerWriter::new(Hashing::new(encoder)),
            compression: compression.method,
        })
    }
}

impl<W: Write> LayerWriter for BlobWriter<W> {
    type Output = LayerBlob;

    fn add(&mut self, file: &FileEntry) -> Result<()> {
        self.tar.add(file)
    }

    fn write(&mut self, backup_stream: &[u8]) -> Result<()> {
        self.tar.write(backup_stream)
    }

    fn add_link(&mut self, link: &LinkEntry) -> Result<()> {
        self.tar.add_link(link)
    }

    fn remove(&mut self, path: &LayerPath) -> Result<()> {
        self.tar.remove(path)
    }

    fn remove_contents(&mut self, directory: &LayerPath) -> Result<()> {
        self.tar.remove_contents(directory)
    }

    fn finish(self) -> Result<LayerBlob> {
        let (encoder, tar_digest, tar_size) = self.tar.finish()?.finish();
        let output = encoder.finish().map_err(Error::Output)?;
        let (mut output, digest, size) = output.finish();
        output.flush().map_err(Error::Output)?;
        Ok(LayerBlob {
            diff_id: DiffId::of_tar(tar_digest),
            tar_size,
            digest,
            size,
            compression: self.compression,
            warnings: Vec::new(),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::super::BlobReader;
    use super::*;
    use crate::hub::LayerReader;

    #[test]
    fn what_is_written_is_what_is_read() {
        let mut methods = vec![Compression::None, Compression::Gzip];
        if cfg!(feature = "zstd") {
            methods.push(Compression::Zstd);
        }
        for method in methods {
            let mut output = Vec::new();
            let mut writer = BlobWriter::new(&mut output, method.into()).expect("a writer");
            let path: LayerPath = "Files/gone".parse().expect("a path");
            writer.remove(&path).expect("written");
            let written = writer.finish().expect("written");
            let reader = BlobReader::new(Cursor::new(output), Some(written.diff_id), &());
            let mut reader = reader.expect("started");
            let entry = reader.next_entry().expect("read").expect("an entry");
            assert_eq!(entry.path(), &path);
            assert_eq!(reader.next_entry().expect("read"), None);
            assert_eq!(reader.blob(), Some(&written));
        }
    }
}
