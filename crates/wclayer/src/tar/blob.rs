//! [`BlobReader`]: a layer tar as it is distributed, read once from its first byte to its last.
//!
//! ```text
//! blob → digest → decompress → DiffID ─┬─ (a thread of its own)
//!                                      └→ TarLayerReader → hub
//! ```
//!
//! The caller learns of the last entry only when everything behind it has been read and the DiffID
//! is the one that was expected, so that a sink which is completed then holds a verified layer.

use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use super::reader::TarLayerReader;
use crate::compression::{Compression, Decoder};
use crate::digest::{DiffId, Digest, Hashing};
use crate::error::{Error, Result};
use crate::hub::{Entry, LayerReader, Progress};
use crate::pipeline::{Counting, ReadAhead, skip_to_end};

type Input<R> = Hashing<Decoder<Hashing<Counting<R>>>>;

/// Reads a layer tar, plain or compressed, as entries, and verifies it at the end.
///
/// ```
/// use std::fs::File;
/// use wclayer::LayerReader;
/// use wclayer::tar::BlobReader;
///
/// let path = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/sample/base.tar.gz");
/// let diff_id = "sha256:b81eb6d04927e8286f84ca4f9e7e1bd453013cf41a478d0971c2ebfb0de3a4e9".parse()?;
/// let mut reader = BlobReader::new(File::open(path)?, Some(diff_id), &())?;
/// while let Some(entry) = reader.next_entry()? {
///     println!("{}", entry.path());
/// }
/// let blob = reader.blob().expect("the last entry has been read");
/// assert_eq!(blob.diff_id, diff_id);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct BlobReader<'a, R: Read> {
    /// `None` once everything has been read.
    tar: Option<TarLayerReader<ReadAhead<'a, Input<R>>>>,
    expected: Option<DiffId>,
    read: Option<LayerBlob>,
}

/// What a layer tar turned out to be, read or written.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LayerBlob {
    /// SHA-256 of the uncompressed tar.
    pub diff_id: DiffId,
    /// Size of the uncompressed tar in bytes.
    pub tar_size: u64,
    /// SHA-256 of the blob as it is distributed.
    pub digest: Digest,
    /// Size of the blob in bytes.
    pub size: u64,
    /// How it was compressed.
    pub compression: Compression,
    /// What is unusual about the tar, though legal.
    pub warnings: Vec<String>,
}

impl<'a, R: Read + Send + 'static> BlobReader<'a, R> {
    /// Starts to read. `progress` is told of the bytes of the blob.
    ///
    /// # Errors
    ///
    /// [`Error::Resources`] when the system refuses a thread or memory.
    pub fn new(source: R, expected: Option<DiffId>, progress: &'a dyn Progress) -> Result<Self> {
        let counter = Arc::new(AtomicU64::new(0));
        let counting = Counting::new(source, Arc::clone(&counter));
        let open = move || Decoder::new(Hashing::new(counting)).map(Hashing::new);
        let input = ReadAhead::start(open, counter, None, progress)?;
        Ok(Self {
            tar: Some(TarLayerReader::new(input)),
            expected,
            read: None,
        })
    }

    /// Returns what was read, once [`LayerReader::next_entry`] has returned `None`.
    pub fn blob(&self) -> Option<&LayerBlob> {
        self.read.as_ref()
    }

    fn finish(&mut self, tar: TarLayerReader<ReadAhead<'a, Input<R>>>) -> Result<()> {
        let mut warnings = tar.warnings();
        let mut input = tar.into_inner();
        let behind = skip_to_end(&mut input)?;
        if behind > 0 {
            warnings.push(format!(
                "{behind} bytes that are not zero follow the tar's end"
            ));
        }
        let (decoder, tar_digest, tar_size) = input.finish()?.finish();
        let diff_id = DiffId::of_tar(tar_digest);
        let compression = decoder.compression();
        let (_, digest, size) = decoder.into_inner().finish();
        check_diff_id(self.expected, diff_id, digest)?;
        self.read = Some(LayerBlob {
            diff_id,
            tar_size,
            digest,
            size,
            compression,
            warnings,
        });
        Ok(())
    }
}

/// Compares the DiffID of a blob with the one that was expected, if any.
pub(crate) fn check_diff_id(
    expected: Option<DiffId>,
    diff_id: DiffId,
    digest: Digest,
) -> Result<()> {
    match expected {
        None => Ok(()),
        Some(expected) if expected == diff_id => Ok(()),
        Some(expected) if expected.digest() == digest => {
            Err(Error::DigestForDiffId { digest, diff_id })
        }
        Some(expected) => Err(Error::DigestMismatch {
            what: "DiffID",
            expected: expected.digest(),
            actual: diff_id.digest(),
        }),
    }
}

impl<R: Read + Send + 'static> LayerReader for BlobReader<'_, R> {
    fn next_entry(&mut self) -> Result<Option<Entry>> {
        let Some(tar) = &mut self.tar else {
            return Ok(None);
        };
        if let Some(entry) = tar.next_entry()? {
            return Ok(Some(entry));
        }
        if let Some(tar) = self.tar.take() {
            self.finish(tar)?;
        }
        Ok(None)
    }

    fn read_stream(&mut self, buffer: &mut [u8]) -> Result<usize> {
        self.tar
            .as_mut()
            .map_or(Ok(0), |tar| tar.read_stream(buffer))
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Write};

    use super::*;
    use crate::compression::Encoder;

    /// A tar with one directory entry.
    fn tar() -> Vec<u8> {
        let mut tar = vec![0; 1536];
        tar[..6].copy_from_slice(b"Files/");
        tar[156] = b'5';
        tar[257..265].copy_from_slice(b"ustar\x0000");
        tar[124..135].copy_from_slice(b"00000000000");
        tar[148..156].fill(b' ');
        let sum: u32 = tar[..512].iter().map(|byte| u32::from(*byte)).sum();
        tar[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
        tar
    }

    fn read_all<R: Read + Send + 'static>(reader: &mut BlobReader<'_, R>) -> Result<u32> {
        let mut count = 0;
        while reader.next_entry()?.is_some() {
            count += 1;
        }
        Ok(count)
    }

    #[test]
    fn a_blob_is_identified_by_both_digests_once_it_has_been_read() {
        let mut encoder = Encoder::new(Vec::new(), Compression::Gzip.into()).expect("encoder");
        encoder.write_all(&tar()).expect("compressing");
        let blob = encoder.finish().expect("compressing");
        let mut reader = BlobReader::new(Cursor::new(blob.clone()), None, &()).expect("started");
        assert_eq!(reader.blob(), None);
        assert_eq!(read_all(&mut reader).expect("a layer"), 1);
        let read = reader.blob().expect("read");
        assert_eq!(read.diff_id, DiffId::of(&tar()));
        assert_eq!(read.digest, Digest::of(&blob));
        assert_eq!((read.tar_size, read.size), (1536, blob.len() as u64));
        assert_eq!(read.compression, Compression::Gzip);
        assert_eq!(read.warnings, [] as [&str; 0]);
    }

    #[test]
    fn another_diff_id_is_an_error_instead_of_the_end() {
        let expected = Some(DiffId::of(b"another"));
        let mut reader = BlobReader::new(Cursor::new(tar()), expected, &()).expect("started");
        let error = read_all(&mut reader).expect_err("another layer");
        assert!(matches!(error, Error::DigestMismatch { .. }), "{error}");
        assert_eq!(reader.blob(), None);
    }

    #[test]
    fn the_digest_of_the_blob_is_not_its_diff_id() {
        let mut encoder = Encoder::new(Vec::new(), Compression::Gzip.into()).expect("encoder");
        encoder.write_all(&tar()).expect("compressing");
        let blob = encoder.finish().expect("compressing");
        let expected = Digest::of(&blob);
        let mistaken = Some(DiffId::of_tar(expected));
        let mut reader = BlobReader::new(Cursor::new(blob), mistaken, &()).expect("started");
        let error = read_all(&mut reader).expect_err("no DiffID");
        let diff_id = DiffId::of(&tar());
        let said = matches!(error, Error::DigestForDiffId { digest, diff_id: actual }
            if digest == expected && actual == diff_id);
        assert!(said, "{error}");
    }
}
