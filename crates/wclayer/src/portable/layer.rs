//! [`PortableLayer`]: an imported layer, opened.

use std::fs::{self, File};
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};

use super::descriptor::LayerDescriptor;
use super::{INDEX_FILE, TAR_FILE, parents};
use crate::digest::{DiffId, Hashing};
use crate::error::PortableError;
use crate::error::{Error, Result, io_error};
use crate::hub::{Entry, LayerReader};
use crate::index::{CheckedTar, Index};
use crate::parent_chain::ParentChain;
use crate::tar::TarLayerReader;

/// The size of the buffer before `layer.tar`, in bytes.
const READ_BUFFER: usize = 256 * 1024;

/// A portable layer on disk.
///
/// ```
/// use std::fs::File;
/// use wclayer::compression::Compression;
/// use wclayer::portable::{self, ImportOptions, PortableLayer};
///
/// let tar = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/sample/base.tar.gz");
/// let layers = tempfile::tempdir()?;
/// let folder = layers.path().join("base");
/// portable::import(File::open(tar)?, &folder, &ImportOptions::default(), &())?;
///
/// let layer = PortableLayer::open(&folder)?;
/// assert!(layer.parents().is_empty());
/// let mut tar = Vec::new();
/// let blob = layer.export(&mut tar, Compression::None.into(), &())?;
/// assert_eq!(blob.diff_id, layer.descriptor().diff_id);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct PortableLayer {
    path: PathBuf,
    descriptor: LayerDescriptor,
    parents: ParentChain,
}

impl PortableLayer {
    /// Opens the layer in a folder: reads its descriptor and its chain, and how large its tar is.
    ///
    /// # Errors
    ///
    /// [`PortableError`] when the folder is not a portable layer of a version that this crate
    /// reads, or is damaged.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let descriptor = LayerDescriptor::read(path)?;
        for missing in [TAR_FILE, INDEX_FILE] {
            if !path.join(missing).is_file() {
                return Err(PortableError::NotALayer {
                    path: path.to_owned(),
                    missing,
                }
                .into());
            }
        }
        let tar = path.join(TAR_FILE);
        let tar_size = fs::metadata(&tar).map_err(io_error("read", &tar))?.len();
        if tar_size != descriptor.tar_size {
            return Err(PortableError::TarSize {
                path: tar,
                expected: descriptor.tar_size,
                found: tar_size,
            }
            .into());
        }
        let parents = parents::stored(path, &descriptor)?;
        Ok(Self {
            path: path.to_owned(),
            descriptor,
            parents,
        })
    }

    /// Returns the layer that an import has just put in place.
    pub(super) fn imported(
        path: PathBuf,
        descriptor: LayerDescriptor,
        parents: ParentChain,
    ) -> Self {
        Self {
            path,
            descriptor,
            parents,
        }
    }

    /// Returns the layer's folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns what the layer is.
    pub fn descriptor(&self) -> &LayerDescriptor {
        &self.descriptor
    }

    /// Returns the folders of its parents.
    pub fn parents(&self) -> &ParentChain {
        &self.parents
    }

    /// Opens the index, after reading all of its file.
    ///
    /// # Errors
    ///
    /// [`IndexError`](crate::error::IndexError) when it is damaged, or that of another layer.
    pub fn index(&self) -> Result<Index> {
        let bound = self.descriptor.bound.as_ref();
        Index::open_of_layer(
            &self.path.join(INDEX_FILE),
            self.descriptor.version,
            bound.map(|bound| &bound.index),
        )
    }

    /// Opens `layer.tar` as it is. Whether it is what was imported is told by its DiffID alone.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when it cannot be opened.
    pub fn open_tar(&self) -> Result<File> {
        let path = self.path.join(TAR_FILE);
        File::open(&path).map_err(io_error("open", &path))
    }

    /// Opens the index, and `layer.tar` so that every block of it is checked before it is used.
    pub(crate) fn open_checked(&self) -> Result<(Index, CheckedTar)> {
        let index = self.index()?;
        let index_path = self.path.join(INDEX_FILE);
        let has_sums = self.descriptor.bound.is_some();
        let tar = CheckedTar::open(
            &self.path.join(TAR_FILE),
            self.descriptor.tar_size,
            has_sums.then_some(&*index_path),
        )?;
        Ok((index, tar))
    }

    /// Starts reading the entries of the layer; the content is verified while it is read.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when `layer.tar` cannot be opened.
    pub fn reader(&self) -> Result<PortableLayerReader> {
        let input = BufReader::with_capacity(READ_BUFFER, Hashing::new(self.open_tar()?));
        Ok(PortableLayerReader {
            tar: Some(TarLayerReader::new(input)),
            descriptor: self.descriptor.clone(),
        })
    }
}

/// Returns the folders of a chain without symlinks and `..` where they exist.
pub(super) fn canonical(chain: &ParentChain) -> Vec<PathBuf> {
    let resolve = |path: &Path| dunce::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    chain.iter_nearest_first().map(resolve).collect()
}

/// Lists the folders of a chain, for messages.
pub(super) fn list(chain: &ParentChain) -> String {
    let paths: Vec<_> = chain
        .iter_nearest_first()
        .map(|path| format!("`{}`", path.display()))
        .collect();
    if paths.is_empty() {
        "none".to_owned()
    } else {
        paths.join(", ")
    }
}

/// Reads the entries of a portable layer; after the last one, the DiffID has been verified.
pub struct PortableLayerReader {
    /// `None` once the layer has been read and verified.
    tar: Option<TarLayerReader<BufReader<Hashing<File>>>>,
    descriptor: LayerDescriptor,
}

impl LayerReader for PortableLayerReader {
    fn next_entry(&mut self) -> Result<Option<Entry>> {
        let Some(tar) = &mut self.tar else {
            return Ok(None);
        };
        if let Some(entry) = tar.next_entry()? {
            return Ok(Some(entry));
        }
        if let Some(tar) = self.tar.take() {
            let mut rest = tar.into_inner();
            io::copy(&mut rest, &mut io::sink()).map_err(Error::input)?;
            let (_, actual, _) = rest.into_inner().finish();
            check_stored(self.descriptor.diff_id, DiffId::of_tar(actual))?;
        }
        Ok(None)
    }

    fn read_stream(&mut self, buffer: &mut [u8]) -> Result<usize> {
        self.tar
            .as_mut()
            .map_or(Ok(0), |tar| tar.read_stream(buffer))
    }
}

/// Compares the DiffID of a stored tar with the expected one.
pub(super) fn check_stored(expected: DiffId, actual: DiffId) -> Result<()> {
    if expected == actual {
        return Ok(());
    }
    Err(Error::DigestMismatch {
        what: "DiffID of the stored layer",
        expected: expected.digest(),
        actual: actual.digest(),
    })
}
