//! [`TarBlob`]: the bytes of a layer tar, in a file of their own or in an image.
//!
//! A layer of an image has a digest and a DiffID. They are verified whenever all bytes pass, which
//! they do for every compressed layer. Of an uncompressed layer only the headers are read, so
//! nothing is hashed.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use crate::blob::{Blob, BlobBytes};
use crate::compression::{Compression, Decoder};
use crate::digest::{DiffId, Digest, Hasher};
use crate::error::{ImageError, Result, io_error};
use crate::hub::Progress;
use crate::image::ImageLayer;
use crate::pipeline::{Counting, ReadAhead, TarSink};

/// A layer tar, plain or compressed.
pub(super) struct TarBlob {
    /// The file, or how a layer of an image is named in messages.
    pub(super) place: PathBuf,
    /// Its bytes.
    pub(super) blob: Blob,
    expected: Option<Expected>,
}

/// What an image records about a layer.
#[derive(Clone, Copy)]
struct Expected {
    /// A docker archive records none.
    digest: Option<Digest>,
    diff_id: DiffId,
}

/// Hashes what is read, where there is something to compare the digest with.
pub(super) struct Verified<R> {
    inner: R,
    hasher: Option<Hasher>,
}

/// Reads a tar ahead, and its digests as far as they are wanted.
pub(super) type TarInput<'a> = ReadAhead<'a, Verified<Decoder<Counting<Verified<BlobBytes>>>>>;

impl TarBlob {
    /// Opens a layer tar that is a file.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(io_error("open", path))?;
        Ok(Self {
            place: path.to_owned(),
            blob: Blob::of_file(file).map_err(io_error("open", path))?,
            expected: None,
        })
    }

    /// Takes a layer of an image.
    pub(super) fn of_image(label: &str, layer: &ImageLayer) -> Result<Self> {
        Ok(Self {
            place: label.into(),
            blob: layer.blob()?.clone(),
            expected: Some(Expected {
                digest: layer.digest,
                diff_id: layer.diff_id,
            }),
        })
    }

    /// Returns how it is compressed, by its first bytes.
    pub(super) fn compression(&self) -> Result<Compression> {
        compression_of(&self.blob).map_err(io_error("read", &self.place))
    }

    /// Starts to decompress it in a thread of its own.
    pub(super) fn read_ahead<'a>(
        &self,
        spool: Option<&'a TarSink>,
        progress: &'a dyn Progress,
    ) -> Result<TarInput<'a>> {
        let counter = Arc::new(AtomicU64::new(0));
        let digest = self.expected.and_then(|expected| expected.digest);
        let input = Verified::new(self.blob.reader(), digest.is_some());
        let input = Counting::new(input, Arc::clone(&counter));
        let hashes_tar = self.expected.is_some();
        let open = move || Decoder::new(input).map(|tar| Verified::new(tar, hashes_tar));
        ReadAhead::start(open, counter, spool, progress)
    }

    /// Waits for the end of an input that was read to its end, and verifies the digests.
    pub(super) fn finish(&self, input: TarInput<'_>) -> Result<()> {
        let (decoder, tar_digest) = input.finish()?.finish();
        let mut input = decoder.into_inner().into_inner();
        // A decoder may stop before the last bytes.
        io::copy(&mut input, &mut io::sink()).map_err(crate::Error::Input)?;
        let (_, digest) = input.finish();
        let Some(expected) = self.expected else {
            return Ok(());
        };
        if let (Some(digest), Some(found)) = (expected.digest, digest)
            && digest != found
        {
            return Err(ImageError::Digest {
                label: self.place.display().to_string(),
                digest,
                found,
            }
            .into());
        }
        match tar_digest.map(DiffId::of_tar) {
            Some(found) if found != expected.diff_id => Err(ImageError::DiffId {
                label: self.place.display().to_string(),
                diff_id: expected.diff_id,
                found,
            }
            .into()),
            _ => Ok(()),
        }
    }
}

/// Returns how a blob is compressed, by its first bytes.
pub(super) fn compression_of(blob: &Blob) -> io::Result<Compression> {
    let mut start = Vec::new();
    blob.reader().take(4).read_to_end(&mut start)?;
    Ok(Compression::sniff(&start))
}

impl<R> Verified<R> {
    fn new(inner: R, is_hashed: bool) -> Self {
        Self {
            inner,
            hasher: is_hashed.then(Hasher::new),
        }
    }

    fn finish(self) -> (R, Option<Digest>) {
        (self.inner, self.hasher.map(Hasher::finish))
    }
}

impl<R: Read> Read for Verified<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        if let Some(hasher) = &mut self.hasher {
            hasher.update(&buffer[..read]);
        }
        Ok(read)
    }
}
