//! [`PortableLayer`]: an imported layer, opened.

use std::fs::File;
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};

use super::descriptor::{FORMAT, FORMAT_VERSION, LayerDescriptor};
use super::error::PortableError;
use super::{DESCRIPTOR_FILE, INDEX_FILE, TAR_FILE};
use crate::chain::ParentChain;
use crate::digest::Hashing;
use crate::error::{Error, Result, io_error};
use crate::hub::{Entry, LayerReader};
use crate::index::Index;
use crate::layout;
use crate::tar::TarLayerReader;

/// The size of the buffer before `layer.tar`, in bytes.
const READ_BUFFER: usize = 256 * 1024;
/// The largest JSON file that is read, in bytes.
const MAX_JSON: u64 = 1 << 20;

/// A portable layer on disk.
#[derive(Debug, Clone)]
pub struct PortableLayer {
    path: PathBuf,
    descriptor: LayerDescriptor,
    parents: ParentChain,
}

impl PortableLayer {
    /// Opens the layer in a folder: reads its descriptor and its chain, nothing else.
    ///
    /// # Errors
    ///
    /// [`PortableError`] when the folder is no portable layer of a version that this crate reads.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let descriptor: LayerDescriptor = read_json(path, DESCRIPTOR_FILE)?;
        if descriptor.format != FORMAT || descriptor.version != FORMAT_VERSION {
            return Err(PortableError::Version {
                path: path.to_owned(),
                format: descriptor.format,
                version: descriptor.version,
            }
            .into());
        }
        for missing in [TAR_FILE, INDEX_FILE] {
            if !path.join(missing).is_file() {
                return Err(PortableError::NotALayer {
                    path: path.to_owned(),
                    missing,
                }
                .into());
            }
        }
        let parents: Option<Vec<PathBuf>> = read_json(path, layout::LAYER_CHAIN)?;
        let parents = parents.unwrap_or_default();
        // A relative path would mean another folder in every working folder.
        if !parents.iter().all(|parent| parent.is_absolute()) {
            return Err(PortableError::Chain {
                layer: path.to_owned(),
            }
            .into());
        }
        Ok(Self {
            path: path.to_owned(),
            descriptor,
            parents: ParentChain::from_nearest_first(parents),
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

    /// Opens the index.
    ///
    /// # Errors
    ///
    /// [`IndexError`](crate::index::IndexError) when it is damaged.
    pub fn index(&self) -> Result<Index> {
        Index::open(&self.path.join(INDEX_FILE))
    }

    /// Opens `layer.tar`.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when it cannot be opened.
    pub fn open_tar(&self) -> Result<File> {
        let path = self.path.join(TAR_FILE);
        File::open(&path).map_err(io_error("open", &path))
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

    /// Checks a caller's list of parents against the layer's own. As for an import, the nearest
    /// one may stand for all; an empty list is no claim.
    ///
    /// # Errors
    ///
    /// [`PortableError::ParentMismatch`] when they are others.
    pub fn check_parents(&self, given: &ParentChain) -> Result<()> {
        let (own, claimed) = (canonical(&self.parents), canonical(given));
        let nearest_only = claimed.len() == 1 && claimed.first() == own.first();
        if given.is_empty() || claimed == own || nearest_only {
            return Ok(());
        }
        Err(PortableError::ParentMismatch {
            layer: self.path.clone(),
            expected: list(&self.parents),
            given: list(given),
        }
        .into())
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

pub(super) fn read_json<T: serde::de::DeserializeOwned>(
    layer: &Path,
    name: &'static str,
) -> Result<T> {
    let path = layer.join(name);
    // Anything else than a file, such as a pipe, could be waited for without end.
    if !path.is_file() {
        return Err(PortableError::NotALayer {
            path: layer.to_owned(),
            missing: name,
        }
        .into());
    }
    let file = File::open(&path).map_err(io_error("open", &path))?;
    let mut text = Vec::new();
    io::Read::read_to_end(&mut io::Read::take(file, MAX_JSON), &mut text)
        .map_err(io_error("read", &path))?;
    serde_json::from_slice(&text).map_err(|source| PortableError::Json { path, source }.into())
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
            io::copy(&mut rest, &mut io::sink()).map_err(Error::Input)?;
            let (_, actual, _) = rest.into_inner().finish();
            verify(
                "DiffID of the stored layer",
                self.descriptor.diff_id,
                actual,
            )?;
        }
        Ok(None)
    }

    fn read_stream(&mut self, buffer: &mut [u8]) -> Result<usize> {
        self.tar
            .as_mut()
            .map_or(Ok(0), |tar| tar.read_stream(buffer))
    }
}

pub(super) fn verify(
    what: &'static str,
    expected: crate::Digest,
    actual: crate::Digest,
) -> Result<()> {
    if expected == actual {
        Ok(())
    } else {
        Err(Error::DigestMismatch {
            what,
            expected,
            actual,
        })
    }
}
