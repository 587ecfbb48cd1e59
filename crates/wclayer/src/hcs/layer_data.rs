//! What the documented API is told of layers: JSON, and ids made of names.
//!
//! The ids only have to be the same in every call. The API has none to give, so they are made here:
//! the first 16 bytes of the SHA-256 of the name in capital letters, marked as a GUID of version 8
//! (RFC 9562: of the application's own making).
//!
//! Source: Microsoft, "Host Compute System API", HcsImportLayer and HcsSetupBaseOSLayer; hcsshim
//! `computestorage/storage.go`.

use ntmeta::security::Guid;
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::service::ParentLayer;

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct LayerData<'a> {
    schema_version: Version,
    layers: Vec<Layer<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Version {
    major: u32,
    minor: u32,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Layer<'a> {
    id: String,
    path: std::borrow::Cow<'a, str>,
    path_type: &'static str,
}

/// Returns the JSON that names the parents, nearest first.
pub(crate) fn layer_data(parents: &[ParentLayer]) -> String {
    let data = LayerData {
        schema_version: Version { major: 2, minor: 1 },
        layers: parents
            .iter()
            .map(|parent| Layer {
                id: parent.id.to_string(),
                path: parent.path.to_string_lossy(),
                path_type: "AbsolutePath",
            })
            .collect(),
    };
    serde_json::to_string(&data).unwrap_or_default()
}

/// Returns the id of a name, whatever its case.
pub(crate) fn name_to_guid(name: &str) -> Guid {
    let hash = Sha256::digest(name.to_uppercase().as_bytes());
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash[..16]);
    // The version is in the high bits of the third field, which is little-endian.
    bytes[7] = bytes[7] & 0x0f | 0x80;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    Guid(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_json_is_what_the_documentation_shows() {
        let parents = [ParentLayer {
            id: "bf967aba-0de6-11d0-a285-00aa003049e2".parse().unwrap(),
            path: r"C:\layers\base".into(),
        }];
        assert_eq!(
            layer_data(&parents),
            r#"{"SchemaVersion":{"Major":2,"Minor":1},"Layers":[{"Id":"bf967aba-0de6-11d0-a285-00aa003049e2","Path":"C:\\layers\\base","PathType":"AbsolutePath"}]}"#
        );
        assert!(layer_data(&[]).ends_with(r#""Layers":[]}"#));
    }

    #[test]
    fn an_id_depends_on_the_name_alone_and_is_marked_as_our_own() {
        let id = name_to_guid("Base");
        assert_eq!(id, name_to_guid("bASE"));
        assert_ne!(id, name_to_guid("base2"));
        let text = id.to_string();
        assert_eq!(&text[14..15], "8");
        assert!(matches!(&text[19..20], "8" | "9" | "a" | "b"));
    }
}
