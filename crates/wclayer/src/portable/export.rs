//! Giving a portable layer's tar back, verified while it is read.

use std::io::{BufRead, Write};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use super::layer::{PortableLayer, check_stored};
use crate::compression::{CompressionSpec, Encoder};
use crate::digest::{DiffId, Hashing};
use crate::error::{Error, Result};
use crate::hub::Progress;
use crate::pipeline::{Counting, ReadAhead};
use crate::tar::LayerBlob;

impl PortableLayer {
    /// Writes the layer's tar, bit for bit as it was imported, compressed as asked.
    ///
    /// Whether all of it is right is known in the end only: on an error what has been written is
    /// to be thrown away.
    ///
    /// # Errors
    ///
    /// [`Error::Layer`] around the reason: a stored tar that is damaged, an output that cannot be
    /// written; [`Error::Cancelled`].
    pub fn export(
        &self,
        output: impl Write,
        compression: CompressionSpec,
        progress: &dyn Progress,
    ) -> Result<LayerBlob> {
        self.export_tar(output, compression, progress)
            .map_err(|error| error.of_layer("export", self.path()))
    }

    fn export_tar(
        &self,
        output: impl Write,
        compression: CompressionSpec,
        progress: &dyn Progress,
    ) -> Result<LayerBlob> {
        let counter = Arc::new(AtomicU64::new(0));
        let tar = Hashing::new(Counting::new(self.open_tar()?, Arc::clone(&counter)));
        let mut input = ReadAhead::start(move || Ok(tar), counter, None, progress)?;
        let mut encoder = Encoder::new(Hashing::new(output), compression).map_err(Error::Output)?;
        loop {
            let bytes = input.fill_buf().map_err(Error::input)?;
            if bytes.is_empty() {
                break;
            }
            encoder.write_all(bytes).map_err(Error::Output)?;
            let len = bytes.len();
            input.consume(len);
        }
        let (_, tar_digest, tar_size) = input.finish()?.finish();
        let diff_id = DiffId::of_tar(tar_digest);
        check_stored(self.descriptor().diff_id, diff_id)?;
        let output = encoder.finish().map_err(Error::Output)?;
        let (mut output, digest, size) = output.finish();
        output.flush().map_err(Error::Output)?;
        Ok(LayerBlob {
            diff_id,
            tar_size,
            digest,
            size,
            compression: compression.method,
            warnings: Vec::new(),
        })
    }
}
