//! `layer.json`: what a portable layer is, readable without opening anything else.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::digest::{DiffId, Digest};
use crate::error::PortableError;
use crate::error::{Error, Result, io_error};
use crate::hub::EntryCounts;
use crate::index::IndexSeal;
use crate::place::{DESCRIPTOR_FILE, FORMAT};

/// The version of the format that this crate writes; it reads version 1 as well. Changing what a
/// field, a file or a table of the index means is a new version.
pub const FORMAT_VERSION: u32 = 2;

/// The largest JSON file that is read, in bytes.
const MAX_JSON: u64 = 1 << 20;
/// What stands before the digest of a descriptor and behind it. The digest is that of all bytes
/// before it.
const BEFORE_DIGEST: &str = ",\n  \"documentDigest\": \"";
const BEHIND_DIGEST: &str = "\"\n}\n";

/// The descriptor of a portable layer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LayerDescriptor {
    /// Always `wclayer.portable`.
    pub format: String,
    /// [`FORMAT_VERSION`], or 1.
    pub version: u32,
    /// SHA-256 of `layer.tar`.
    pub diff_id: DiffId,
    /// Size of `layer.tar` in bytes.
    pub tar_size: u64,
    /// The blob that the layer was imported from.
    pub source: SourceBlob,
    /// How many entries of which kind there are.
    pub entries: EntryCounts,
    /// Sum of the sizes of all data streams in bytes, holes included.
    pub content_size: u64,
    /// What is unusual about the tar, though legal; empty for most.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// What `index.sqlite` and `layerchain.json` are, and the parents; `None` in version 1.
    #[serde(flatten, default)]
    pub bound: Option<BoundFiles>,
}

/// What the descriptor says of the other files, from version 2 on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BoundFiles {
    /// Which file the index is.
    pub index: IndexSeal,
    /// Whether entries lie in directories that have no entry themselves: they are looked for then
    /// whenever the layer is opened.
    pub implied_directories: bool,
    /// SHA-256 of `layerchain.json`.
    pub layer_chain: Digest,
    /// The parents, nearest first.
    pub parents: Vec<ParentRecord>,
}

/// A parent of a layer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ParentRecord {
    /// Its folder, from that of the layer, with `/` between names; absolute when the two share
    /// nothing but the root.
    pub path: PathBuf,
    /// Which layer it is.
    pub diff_id: DiffId,
}

/// A blob as it was distributed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SourceBlob {
    /// SHA-256 of the blob.
    pub digest: Digest,
    /// Its size in bytes.
    pub size: u64,
    /// Its OCI media type, as far as the content tells.
    pub media_type: String,
}

/// What is read of a descriptor of any version.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AnyVersion {
    format: String,
    #[serde(default)]
    version: serde_json::Value,
    document_digest: Option<serde_json::Value>,
}

impl LayerDescriptor {
    /// Reads the descriptor of a layer, and checks that it is what was written.
    pub(super) fn read(layer: &Path) -> Result<Self> {
        let text = read_file(layer, DESCRIPTOR_FILE)?;
        let json = |source: serde_json::Error| PortableError::Json {
            path: layer.join(DESCRIPTOR_FILE),
            source: source.into(),
        };
        let any: AnyVersion = serde_json::from_slice(&text).map_err(json)?;
        let version = any.version.as_u64();
        match version {
            _ if any.format != FORMAT => return Err(unknown_version(layer, any).into()),
            Some(1) if any.document_digest.is_none() => {}
            Some(2) if is_whole(&text) => {}
            Some(1 | 2) => return Err(damaged(layer, DESCRIPTOR_FILE).into()),
            _ => return Err(unknown_version(layer, any).into()),
        }
        let found: Self = serde_json::from_slice(&text).map_err(json)?;
        match found.bound.is_some() == (found.version > 1) {
            true => Ok(found),
            false => Err(damaged(layer, DESCRIPTOR_FILE).into()),
        }
    }

    /// Returns the file that says all this, with its own digest.
    pub(super) fn to_file(&self) -> serde_json::Result<Vec<u8>> {
        let mut text = serde_json::to_vec_pretty(self)?;
        let end = text.len().saturating_sub("\n}".len());
        text.truncate(end);
        text.extend_from_slice(BEFORE_DIGEST.as_bytes());
        let digest = Digest::of(&text);
        text.extend_from_slice(digest.to_string().as_bytes());
        text.extend_from_slice(BEHIND_DIGEST.as_bytes());
        Ok(text)
    }
}

/// Returns whether a descriptor ends with the digest of what is before that.
fn is_whole(text: &[u8]) -> bool {
    let Some(text) = text.strip_suffix(BEHIND_DIGEST.as_bytes()) else {
        return false;
    };
    let Some((before, digest)) = text.split_last_chunk::<71>() else {
        return false;
    };
    before.ends_with(BEFORE_DIGEST.as_bytes())
        && digest == Digest::of(before).to_string().as_bytes()
}

fn unknown_version(layer: &Path, any: AnyVersion) -> PortableError {
    PortableError::Version {
        path: layer.to_owned(),
        format: any.format,
        version: any.version.to_string(),
    }
}

/// Makes the error of a file that is not the one that was written.
pub(super) fn damaged(layer: &Path, name: &str) -> PortableError {
    PortableError::Damaged {
        path: layer.join(name),
    }
}

/// Reads a small file of a layer.
pub(super) fn read_file(layer: &Path, name: &'static str) -> Result<Vec<u8>> {
    let path = layer.join(name);
    // Anything else than a file, such as a pipe, could be waited for without end.
    if !path.is_file() {
        return Err(not_a_layer(layer, name));
    }
    let file = File::open(&path).map_err(io_error("open", &path))?;
    let mut text = Vec::new();
    let read = file.take(MAX_JSON + 1).read_to_end(&mut text);
    read.map_err(io_error("read", &path))?;
    match text.len() as u64 {
        0..=MAX_JSON => Ok(text),
        _ => Err(PortableError::TooLarge { path }.into()),
    }
}

/// Returns the error for a folder without a file that every layer has, or for no folder at all.
pub(super) fn not_a_layer(layer: &Path, missing: &'static str) -> Error {
    match std::fs::symlink_metadata(layer) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Error::NotFound {
            name: layer.display().to_string(),
        },
        _ => PortableError::NotALayer {
            path: layer.to_owned(),
            missing,
        }
        .into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bit_of_a_descriptor_counts() {
        let descriptor = LayerDescriptor {
            format: FORMAT.to_owned(),
            version: FORMAT_VERSION,
            diff_id: DiffId::of(b"tar"),
            tar_size: 3,
            source: SourceBlob {
                digest: Digest::of(b"tar"),
                size: 3,
                media_type: "application/x".to_owned(),
            },
            entries: EntryCounts::default(),
            content_size: 0,
            warnings: vec!["\u{1b} \" ü".to_owned()],
            bound: Some(BoundFiles {
                index: IndexSeal { size: 1, xxh3: 2 },
                implied_directories: false,
                layer_chain: Digest::of(b"null"),
                parents: vec![ParentRecord {
                    path: "../base".into(),
                    diff_id: DiffId::of(b"base"),
                }],
            }),
        };
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join(DESCRIPTOR_FILE);
        let text = descriptor.to_file().expect("it can be written");
        std::fs::write(&path, &text).expect("writable");
        assert_eq!(
            LayerDescriptor::read(folder.path()).expect("whole"),
            descriptor
        );
        for at in 0..text.len() {
            for bit in 0..8 {
                let mut flipped = text.clone();
                flipped[at] ^= 1 << bit;
                std::fs::write(&path, flipped).expect("writable");
                LayerDescriptor::read(folder.path()).expect_err("damaged");
            }
        }
        for len in 0..text.len() {
            std::fs::write(&path, &text[..len]).expect("writable");
            LayerDescriptor::read(folder.path()).expect_err("cut");
        }
    }
}
