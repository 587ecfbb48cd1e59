//! Where the documents and blobs of local images lie: in a layout's folder, or in an archive.
//!
//! A blob is found by its digest alone, so that nothing in a document can name a path. Of a layout
//! no link is followed.
//!
//! Source: image-spec `image-layout.md`.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize;

use super::archive::Archive;
use super::document::{Descriptor, Index, MAX_DOCUMENT};
use crate::blob::Blob;
use crate::digest::Digest;
use crate::error::{Error, ImageError, Result, io_error};
use crate::place::leftovers::open_nothing_followed;

/// What an OCI image layout is called in messages.
const LAYOUT: &str = "an OCI image layout";
/// The file by which a layout is told.
pub(crate) const LAYOUT_FILE: &str = "oci-layout";
/// The list of a layout's images.
const INDEX_FILE: &str = "index.json";

/// The files of an image, wherever they lie.
#[derive(Debug)]
pub(super) enum Store {
    /// A layout's folder.
    Folder(PathBuf),
    /// An archive.
    Archive(Archive),
}

impl Store {
    /// Returns how the store is named in messages.
    pub(super) fn label(&self) -> String {
        match self {
            Self::Folder(folder) => folder.display().to_string(),
            Self::Archive(archive) => archive.label().to_owned(),
        }
    }

    /// Opens the file with a blob, of any length.
    pub(super) fn blob(&self, digest: &Digest) -> Result<Blob> {
        let digest = digest.to_string();
        let (algorithm, hex) = digest.split_once(':').unwrap_or_default();
        self.file(&["blobs", algorithm, hex], LAYOUT)
    }

    /// Opens a file by the components of its name.
    pub(super) fn file(&self, name: &[&str], what: &'static str) -> Result<Blob> {
        match self {
            Self::Folder(folder) => open_in_folder(folder, name, what),
            Self::Archive(archive) => archive.file(&name.join("/"), what),
        }
    }

    /// Reads the blob of a descriptor that is a document, and checks it.
    pub(super) fn document(&self, descriptor: &Descriptor) -> Result<Vec<u8>> {
        let label = || format!("document {} of `{}`", descriptor.digest, self.label());
        let blob = self.sized_blob(descriptor)?;
        let bytes = read_document(&blob, &label())?;
        let found = Digest::of(&bytes);
        match found == descriptor.digest {
            true => Ok(bytes),
            false => Err(ImageError::Digest {
                label: self.label(),
                digest: descriptor.digest,
                found,
            }
            .into()),
        }
    }

    /// Opens the blob of a descriptor, and checks its size.
    pub(super) fn sized_blob(&self, descriptor: &Descriptor) -> Result<Blob> {
        let blob = self.blob(&descriptor.digest)?;
        match blob.len() == descriptor.size {
            true => Ok(blob),
            false => Err(ImageError::Size {
                label: self.label(),
                digest: descriptor.digest,
                expected: descriptor.size,
                found: blob.len(),
            }
            .into()),
        }
    }

    /// Reads the list of a layout's images.
    pub(super) fn layout_index(&self) -> Result<Index> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Layout {
            image_layout_version: String,
        }
        let layout: Layout = self.json(LAYOUT_FILE, LAYOUT)?;
        if layout.image_layout_version.split('.').next() != Some("1") {
            return Err(ImageError::LayoutVersion {
                label: self.label(),
                version: layout.image_layout_version,
            }
            .into());
        }
        self.json(INDEX_FILE, LAYOUT)
    }

    /// Reads and parses a document at the top.
    pub(super) fn json<T: serde::de::DeserializeOwned>(
        &self,
        name: &str,
        what: &'static str,
    ) -> Result<T> {
        let label = format!("`{name}` of `{}`", self.label());
        let bytes = read_document(&self.file(&[name], what)?, &label)?;
        let parsed = serde_json::from_slice(&bytes);
        Ok(parsed.map_err(|source| ImageError::malformed(&label, source))?)
    }
}

/// Reads a document, up to the largest size that is read.
pub(super) fn read_document(blob: &Blob, label: &str) -> Result<Vec<u8>> {
    if blob.len() > MAX_DOCUMENT {
        return Err(ImageError::TooLarge {
            label: label.to_owned(),
            size: blob.len(),
            limit: MAX_DOCUMENT,
        }
        .into());
    }
    let mut bytes = Vec::new();
    let read = blob.reader().read_to_end(&mut bytes);
    read.map_err(Error::Input)?;
    Ok(bytes)
}

/// Opens a file of a layout; folders on the way must be folders, and it a file.
fn open_in_folder(folder: &Path, name: &[&str], what: &'static str) -> Result<Blob> {
    let shown = name.join("/");
    let label = || folder.display().to_string();
    let missing = || ImageError::Missing {
        label: label(),
        what,
        missing: shown.clone(),
    };
    let is_odd = |problem| ImageError::Member {
        label: label(),
        member: shown.clone(),
        problem,
    };
    let mut path = folder.to_owned();
    for (depth, component) in name.iter().enumerate() {
        path.push(component);
        let found = match std::fs::symlink_metadata(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(missing().into());
            }
            found => found.map_err(io_error("open", &path))?,
        };
        match (found.is_dir(), depth + 1 == name.len()) {
            (true, false) => {}
            _ if found.is_symlink() => {
                return Err(is_odd("is a symbolic link, which is never followed").into());
            }
            (false, true) if found.is_file() => {}
            _ => return Err(is_odd("is of the wrong kind").into()),
        }
    }
    let file = open_nothing_followed(&path, false).map_err(io_error("open", &path))?;
    let found = file.metadata().map_err(io_error("open", &path))?;
    match found.is_file() {
        true => Ok(Blob::new(Arc::new(file), 0, found.len())),
        false => Err(is_odd("is of the wrong kind").into()),
    }
}
