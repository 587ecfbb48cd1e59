//! `layer.json`: what a portable layer is, readable without opening anything else.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::DESCRIPTOR_FILE;
use super::layer::read_json;
use crate::digest::{DiffId, Digest};
use crate::hub::EntryCounts;

/// The name of the format in a descriptor.
pub(crate) const FORMAT: &str = "wclayer.portable";
/// The version of the format that this crate writes, and the only one it reads. Changing what a
/// field, a file or a table of the index means is a new version.
pub const FORMAT_VERSION: u32 = 1;

/// The descriptor of a portable layer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LayerDescriptor {
    /// Always `wclayer.portable`.
    pub format: String,
    /// [`FORMAT_VERSION`].
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

/// Returns whether a folder is a portable layer of any version, be it damaged: whether it may be
/// replaced or removed as one.
pub fn is_layer(folder: &Path) -> bool {
    #[derive(Deserialize)]
    struct AnyVersion {
        format: String,
    }
    read_json(folder, DESCRIPTOR_FILE).is_ok_and(|found: AnyVersion| found.format == FORMAT)
}
