//! Wraps layers in an OCI image layout for other programs.
//!
//! Source: OCI image-spec `image-layout.md`, `manifest.md`, `config.md`.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::Result;

/// A gzip-compressed layer blob.
pub(crate) struct Blob {
    /// The blob.
    pub(crate) bytes: Vec<u8>,
    /// The digest of the tar inside.
    pub(crate) diff_id: String,
}

/// Returns the digest of `bytes` in OCI spelling.
pub(crate) fn digest(bytes: &[u8]) -> String {
    let hex: String = Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("sha256:{hex}")
}

/// Writes an image layout with one Windows image, base layer first, tagged `latest`.
pub(crate) fn write_layout(folder: &Path, layers: &[Blob]) -> Result {
    let blobs = folder.join("blobs/sha256");
    fs::create_dir_all(&blobs)?;
    let add = |media_type: &str, bytes: &[u8]| -> Result<Value> {
        let digest = digest(bytes);
        fs::write(blobs.join(digest.trim_start_matches("sha256:")), bytes)?;
        Ok(json!({
            "mediaType": format!("application/vnd.oci.image.{media_type}"),
            "digest": digest,
            "size": bytes.len(),
        }))
    };
    let diff_ids: Vec<&str> = layers.iter().map(|layer| &*layer.diff_id).collect();
    let config = json!({
        "architecture": "amd64",
        "os": "windows",
        "os.version": "10.0.20348.1",
        "config": {},
        "rootfs": { "type": "layers", "diff_ids": diff_ids },
    });
    let layers = layers
        .iter()
        .map(|layer| add("layer.v1.tar+gzip", &layer.bytes))
        .collect::<Result<Vec<Value>>>()?;
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": add("config.v1+json", config.to_string().as_bytes())?,
        "layers": layers,
    });
    let mut entry = add("manifest.v1+json", manifest.to_string().as_bytes())?;
    entry["annotations"] = json!({ "org.opencontainers.image.ref.name": "latest" });
    let index = json!({ "schemaVersion": 2, "manifests": [entry] });
    fs::write(folder.join("index.json"), index.to_string())?;
    fs::write(
        folder.join("oci-layout"),
        json!({ "imageLayoutVersion": "1.0.0" }).to_string(),
    )?;
    Ok(())
}
