//! The JSON documents of an image: index, manifest, configuration.
//!
//! Documents are kept as the bytes they came as: written again, they would have another digest.
//!
//! Sources: image-spec `image-index.md`, `manifest.md`, `descriptor.md`, `config.md`; Docker
//! "Image Manifest Version 2, Schema 2".

use std::collections::BTreeMap;

use serde::Deserialize;

use super::platform::Platform;
use crate::digest::{DiffId, Digest};
use crate::error::ImageError;

/// The largest document that is read, in bytes: registries refuse larger manifests.
pub const MAX_DOCUMENT: u64 = 4 << 20;

/// The media types of indexes.
pub const INDEX_TYPES: [&str; 2] = [
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
];
/// The media types of manifests.
pub const MANIFEST_TYPES: [&str; 2] = [
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
];

/// A reference from one part of an image to another.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Descriptor {
    /// What it is.
    #[serde(default)]
    pub media_type: String,
    /// SHA-256 of its bytes.
    pub digest: Digest,
    /// How many bytes it has.
    pub size: u64,
    /// Where else it can be fetched: foreign layers.
    #[serde(default)]
    pub urls: Vec<String>,
    /// What the author noted.
    #[serde(default)]
    pub annotations: BTreeMap<String, String>,
    /// For which machines it is; in an index.
    pub platform: Option<Platform>,
}

/// Several images under one name.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Index {
    /// The manifests, or further indexes.
    pub manifests: Vec<Descriptor>,
    /// What the author noted.
    #[serde(default)]
    pub annotations: BTreeMap<String, String>,
}

/// One image: its configuration and its layers.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Manifest {
    /// The configuration.
    pub config: Descriptor,
    /// The layers, the lowest first.
    pub layers: Vec<Descriptor>,
    /// What the author noted.
    #[serde(default)]
    pub annotations: BTreeMap<String, String>,
}

/// An index or a manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Document {
    /// An index.
    Index(Index),
    /// A manifest.
    Manifest(Box<Manifest>),
}

/// The members by which a document is told.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Shape {
    schema_version: Option<u64>,
    media_type: Option<String>,
    manifests: Option<serde::de::IgnoredAny>,
    layers: Option<serde::de::IgnoredAny>,
    config: Option<serde::de::IgnoredAny>,
}

impl Document {
    /// Parses an index or a manifest; `label` names it in messages.
    ///
    /// # Errors
    ///
    /// Returns an [`ImageError`] if it is neither, is both, or is not well formed.
    pub fn parse(bytes: &[u8], label: &str) -> Result<Self, ImageError> {
        let malformed = |source: serde_json::Error| ImageError::malformed(label, source);
        let shape: Shape = serde_json::from_slice(bytes).map_err(malformed)?;
        if shape.schema_version == Some(1) {
            return Err(ImageError::OldSchema {
                label: label.to_owned(),
            });
        }
        let is_manifest = shape.layers.is_some() || shape.config.is_some();
        let says = |types: [&str; 2]| {
            let said = shape.media_type.as_deref();
            said.is_none_or(|said| types.contains(&said))
        };
        match (shape.manifests.is_some(), is_manifest) {
            (true, false) if says(INDEX_TYPES) => serde_json::from_slice(bytes)
                .map(Self::Index)
                .map_err(malformed),
            (false, true) if says(MANIFEST_TYPES) => serde_json::from_slice(bytes)
                .map(|manifest| Self::Manifest(Box::new(manifest)))
                .map_err(malformed),
            // Two programs would read it as two images (CVE-2021-41190).
            (true, true) => Err(ImageError::Ambiguous {
                label: label.to_owned(),
            }),
            _ => Err(ImageError::NotAnImage {
                label: label.to_owned(),
                media_type: shape.media_type,
            }),
        }
    }
}

/// What an image is for, and how it came about.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Config {
    /// For which machines it is.
    #[serde(flatten)]
    pub platform: Platform,
    /// When it was made, as RFC 3339 has it.
    pub created: Option<String>,
    /// Who made it.
    pub author: Option<String>,
    /// How containers of it are run.
    #[serde(default)]
    pub config: Execution,
    /// Its layers, uncompressed.
    pub rootfs: RootFs,
    /// How the layers came about, lowest first.
    #[serde(default)]
    pub history: Vec<History>,
}

/// How containers of an image are run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[non_exhaustive]
pub struct Execution {
    /// The user.
    pub user: Option<String>,
    /// Variables, as `NAME=VALUE`.
    pub env: Option<Vec<String>>,
    /// The program that is always run.
    pub entrypoint: Option<Vec<String>>,
    /// The program, or the arguments of the entry point.
    pub cmd: Option<Vec<String>>,
    /// The working directory.
    pub working_dir: Option<String>,
    /// What somebody noted.
    pub labels: Option<BTreeMap<String, String>>,
    /// The ports, as `PORT/PROTOCOL`.
    pub exposed_ports: Option<BTreeMap<String, Empty>>,
    /// The paths that are volumes.
    pub volumes: Option<BTreeMap<String, Empty>>,
    /// The shell of the instructions that need one.
    pub shell: Option<Vec<String>>,
    /// The signal that ends it.
    pub stop_signal: Option<String>,
}

/// An object without members.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
pub struct Empty {}

/// The layers of an image, uncompressed.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct RootFs {
    /// The DiffIDs, the lowest layer's first.
    #[serde(default)]
    pub diff_ids: Vec<DiffId>,
}

/// How a layer came about.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct History {
    /// When, as RFC 3339 has it.
    pub created: Option<String>,
    /// By which instruction.
    pub created_by: Option<String>,
    /// What somebody noted.
    pub comment: Option<String>,
    /// Whether the step made no layer.
    #[serde(default)]
    pub empty_layer: bool,
}

impl Config {
    /// Parses a configuration; `label` names it in messages.
    ///
    /// # Errors
    ///
    /// Returns an [`ImageError`] if it is not well formed.
    pub fn parse(bytes: &[u8], label: &str) -> Result<Self, ImageError> {
        serde_json::from_slice(bytes).map_err(|source| ImageError::malformed(label, source))
    }

    /// Returns the instruction that made each layer, lowest first; as many as there are layers.
    pub fn instructions(&self) -> Vec<Option<&str>> {
        let made = self.history.iter().filter(|step| !step.empty_layer);
        let made = made.map(|step| step.created_by.as_deref());
        let count = self.rootfs.diff_ids.len();
        made.chain(std::iter::repeat(None)).take(count).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn descriptor() -> String {
        format!(r#"{{"mediaType": "x", "digest": "{DIGEST}", "size": 0}}"#)
    }

    fn parse(text: &str) -> Result<Document, ImageError> {
        Document::parse(text.as_bytes(), "the document")
    }

    #[test]
    fn a_document_is_told_by_its_members_and_its_type() {
        let one = descriptor();
        let manifest = format!(r#"{{"schemaVersion": 2, "config": {one}, "layers": [{one}]}}"#);
        assert!(
            matches!(parse(&manifest), Ok(Document::Manifest(found)) if found.layers.len() == 1)
        );
        let index = format!(r#"{{"schemaVersion": 2, "manifests": [{one}]}}"#);
        assert!(matches!(parse(&index), Ok(Document::Index(found)) if found.manifests.len() == 1));
        let typed = |kind: &str, rest: &str| format!(r#"{{"mediaType": "{kind}", {rest}}}"#);
        let as_manifest = format!(r#""config": {one}, "layers": []"#);
        assert!(parse(&typed(MANIFEST_TYPES[1], &as_manifest)).is_ok());
        for wrong in [INDEX_TYPES[0], "application/json"] {
            let error = parse(&typed(wrong, &as_manifest));
            assert!(
                matches!(error, Err(ImageError::NotAnImage { .. })),
                "{wrong}"
            );
        }
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_refused() {
        let one = descriptor();
        let both = format!(r#"{{"manifests": [{one}], "config": {one}, "layers": [{one}]}}"#);
        assert!(matches!(parse(&both), Err(ImageError::Ambiguous { .. })));
        let twice = format!(r#"{{"manifests": [], "manifests": [{one}]}}"#);
        assert!(matches!(parse(&twice), Err(ImageError::Malformed { .. })));
    }

    #[test]
    fn what_is_not_an_image_is_refused() {
        let old = r#"{"schemaVersion": 1, "fsLayers": []}"#;
        assert!(matches!(parse(old), Err(ImageError::OldSchema { .. })));
        assert!(matches!(parse("{}"), Err(ImageError::NotAnImage { .. })));
        let deep = "[".repeat(100_000);
        for bad in ["", "[]", "7", "{\"manifests\": 7}", &deep] {
            assert!(
                matches!(parse(bad), Err(ImageError::Malformed { .. })),
                "{bad:.20}"
            );
        }
        let short = format!(r#"{{"manifests": [{{"digest": "{DIGEST}", "size": -1}}]}}"#);
        assert!(matches!(parse(&short), Err(ImageError::Malformed { .. })));
    }

    #[test]
    fn each_layer_has_the_instruction_that_made_it() {
        let text = format!(
            r#"{{"architecture": "amd64", "os": "windows", "os.version": "10.0.20348.1",
                "rootfs": {{"type": "layers", "diff_ids": ["{DIGEST}", "{DIGEST}", "{DIGEST}"]}},
                "history": [{{"created_by": "base"}}, {{"created_by": "ENV", "empty_layer": true}},
                            {{"created_by": "COPY"}}]}}"#
        );
        let config = Config::parse(text.as_bytes(), "the configuration").expect("well formed");
        assert_eq!(config.instructions(), [Some("base"), Some("COPY"), None]);
        assert_eq!(config.platform.os_version.as_deref(), Some("10.0.20348.1"));
    }
}
