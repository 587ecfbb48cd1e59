//! The JSON that describes layers to the documented API.
//!
//! Source: Microsoft, "Host Compute System API", HcsImportLayer and HcsSetupBaseOSLayer; hcsshim
//! `computestorage/storage.go`.

use serde::Serialize;

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_json_matches_the_documentation() {
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
}
