//! [`recompress`]: the same layer tar, compressed another way.
//!
//! ```text
//! blob → digest → decompress → DiffID → TarEntries, which reads it as a layer
//!                                  └──→ compress → digest → output
//! ```

use std::io::{self, BufRead, Read, Write};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use super::blob::LayerBlob;
use super::entries::TarEntries;
use crate::compression::{CompressionSpec, Decoder, Encoder};
use crate::digest::{DiffId, Hashing};
use crate::error::{Error, Result};
use crate::hub::{Progress, poll};
use crate::pipeline::{Counting, ReadAhead, read_buffered, skip_to_end};

/// Copies a layer tar bit for bit and compresses it as asked: its DiffID stays. `progress` receives
/// the bytes of the source. The result describes what was written.
///
/// Whether the source is a layer tar as a whole is known only at the end: after an error, what was
/// written is to be thrown away.
///
/// ```
/// use std::fs::File;
/// use wclayer::compression::Compression;
/// use wclayer::tar::recompress;
///
/// let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/sample/base.tar.gz");
/// let mut plain = Vec::new();
/// let written = recompress(File::open(path)?, &mut plain, Compression::None.into(), &())?;
/// assert_eq!(written.digest, written.diff_id.into());
/// assert_eq!(written.size, plain.len() as u64);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// Returns an error if the source is not a layer tar, or either side fails, and
/// [`Error::Cancelled`].
pub fn recompress<R: Read + Send + 'static, W: Write>(
    source: R,
    output: W,
    compression: CompressionSpec,
    progress: &dyn Progress,
) -> Result<LayerBlob> {
    let counter = Arc::new(AtomicU64::new(0));
    let counting = Counting::new(source, Arc::clone(&counter));
    let open = move || Decoder::new(counting).map(Hashing::new);
    let mut tee = Tee {
        input: ReadAhead::start(open, counter, None, progress)?,
        output: Encoder::new(Hashing::new(output), compression).map_err(Error::Output)?,
        failed: None,
    };
    let read = read_through(&mut tee, progress);
    let Tee {
        input,
        output,
        failed,
    } = tee;
    if progress.is_cancelled() {
        return Err(Error::Cancelled);
    }
    if let Some(error) = failed {
        return Err(Error::Output(error));
    }
    let warnings = read?;
    let (_, tar_digest, tar_size) = input.finish()?.finish();
    let (mut output, digest, size) = output.finish().map_err(Error::Output)?.finish();
    output.flush().map_err(Error::Output)?;
    Ok(LayerBlob {
        diff_id: DiffId::of_tar(tar_digest),
        tar_size,
        digest,
        size,
        compression: compression.method,
        warnings,
    })
}

/// Reads a layer tar to its end; returns its warnings.
fn read_through(input: &mut impl BufRead, progress: &dyn Progress) -> Result<Vec<String>> {
    let mut entries = TarEntries::new(input);
    while entries.next_entry()?.is_some() {
        poll(progress)?;
    }
    let mut warnings = entries.warnings();
    let behind = skip_to_end(&mut entries.into_inner())?;
    if behind > 0 {
        warnings.push(format!(
            "{behind} bytes that are not zero follow the tar's end"
        ));
    }
    Ok(warnings)
}

/// A reader that copies all that is consumed of it.
struct Tee<R, W> {
    input: R,
    output: W,
    failed: Option<io::Error>,
}

impl<R: BufRead, W: Write> BufRead for Tee<R, W> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        match self.failed {
            Some(_) => Err(io::Error::other("the output failed")),
            None => self.input.fill_buf(),
        }
    }

    fn consume(&mut self, count: usize) {
        // Does not read: what is consumed is in the buffer.
        if self.failed.is_none()
            && let Ok(bytes) = self.input.fill_buf()
        {
            self.failed = self
                .output
                .write_all(&bytes[..count.min(bytes.len())])
                .err();
        }
        self.input.consume(count);
    }
}

impl<R: BufRead, W: Write> Read for Tee<R, W> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        read_buffered(self, buffer)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;
    use crate::compression::Compression;
    use crate::digest::Digest;

    /// Fails once it has taken so many bytes.
    struct Full(usize);

    impl Write for Full {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 = (self.0.checked_sub(bytes.len())).ok_or(io::ErrorKind::StorageFull)?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn sample() -> Vec<u8> {
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../examples/sample/base.tar.gz"
        );
        std::fs::read(path).expect("the sample")
    }

    fn plain(source: Vec<u8>) -> (Vec<u8>, LayerBlob) {
        let mut plain = Vec::new();
        let none = Compression::None.into();
        let blob = recompress(Cursor::new(source), &mut plain, none, &()).expect("a layer");
        (plain, blob)
    }

    #[test]
    fn every_compression_keeps_every_bit() {
        let (tar, blob) = plain(sample());
        assert_eq!(
            (blob.diff_id, blob.tar_size),
            (DiffId::of(&tar), tar.len() as u64)
        );
        for method in [Compression::None, Compression::Gzip, Compression::Zstd] {
            let mut bytes = Vec::new();
            let source = Cursor::new(tar.clone());
            let written = recompress(source, &mut bytes, method.into(), &()).expect("a layer");
            assert_eq!(written.digest, Digest::of(&bytes), "{method}");
            assert_eq!(written.diff_id, blob.diff_id, "{method}");
            assert_eq!(plain(bytes).0, tar, "{method}");
        }
    }

    #[test]
    fn what_is_not_a_layer_tar_is_an_error() {
        let (tar, _) = plain(sample());
        for source in [tar[..tar.len() / 2].to_vec(), b"text".to_vec(), Vec::new()] {
            let none = Compression::None.into();
            recompress(Cursor::new(source), io::sink(), none, &()).expect_err("not a layer tar");
        }
    }

    #[test]
    fn a_full_output_is_reported_as_the_outputs_fault() {
        let (tar, _) = plain(sample());
        let none = Compression::None.into();
        let error = recompress(Cursor::new(tar), Full(4096), none, &()).expect_err("full");
        assert!(matches!(error, Error::Output(_)), "{error}");
    }
}
