//! Content as text and as JSON (`docs/json.md`).

use std::fmt;
use std::path::Path;

use serde::{Serialize, Serializer};
use wclayer::usage::{DirectoryUsage, HiddenFile, LayerUsage, LayersUsage, Usage};
use wclayer::view::View;

use crate::escape::escaped;
use crate::layer_view;
use crate::units;

/// The content of a view as JSON; as text, a table.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct UsageJson<'a> {
    path: Option<String>,
    size: u64,
    files: u64,
    by_directory: Vec<DirectoryJson>,
    #[serde(skip_serializing_if = "Option::is_none")]
    layers: Option<Vec<LayerJson<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hidden: Option<HiddenJson>,
}

#[derive(Serialize)]
struct DirectoryJson {
    path: String,
    size: u64,
    files: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct LayerJson<'a> {
    layer: usize,
    #[serde(serialize_with = "absolute")]
    place: &'a Path,
    size: u64,
    files: u64,
    hidden_size: u64,
    hidden_files: u64,
}

#[derive(Serialize)]
struct HiddenJson {
    size: u64,
    files: u64,
    efficiency: f64,
    largest: Vec<HiddenFileJson>,
}

#[derive(Serialize)]
struct HiddenFileJson {
    size: u64,
    path: String,
    layer: usize,
}

impl<'a> UsageJson<'a> {
    /// Shows the content of a view.
    pub(super) fn new(usage: &Usage, view: &'a View) -> Self {
        let by_layer = usage.layers.as_ref();
        let layers = by_layer.map(|by_layer| {
            let layers = by_layer.layers.iter().zip(view.places());
            layers.map(LayerJson::new).collect()
        });
        Self {
            path: usage.path.as_ref().map(ToString::to_string),
            size: usage.total.size,
            files: usage.total.files,
            by_directory: usage.directories.iter().map(DirectoryJson::new).collect(),
            layers,
            hidden: by_layer.map(HiddenJson::new),
        }
    }
}

impl DirectoryJson {
    fn new(directory: &DirectoryUsage) -> Self {
        Self {
            path: directory.path.to_string(),
            size: directory.sum.size,
            files: directory.sum.files,
        }
    }
}

impl<'a> LayerJson<'a> {
    fn new((layer, place): (&LayerUsage, &'a Path)) -> Self {
        Self {
            layer: layer.layer,
            place,
            size: layer.sum.size,
            files: layer.sum.files,
            hidden_size: layer.hidden.size,
            hidden_files: layer.hidden.files,
        }
    }
}

impl HiddenJson {
    fn new(by_layer: &LayersUsage) -> Self {
        Self {
            size: by_layer.hidden.size,
            files: by_layer.hidden.files,
            efficiency: by_layer.efficiency,
            largest: by_layer.largest.iter().map(HiddenFileJson::new).collect(),
        }
    }
}

impl HiddenFileJson {
    fn new(file: &HiddenFile) -> Self {
        Self {
            size: file.size,
            path: file.path.to_string(),
            layer: file.layer,
        }
    }
}

fn absolute<S: Serializer>(place: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&layer_view::absolute(place))
}

fn files(count: u64) -> String {
    format!("{count} file{}", if count == 1 { "" } else { "s" })
}

impl fmt::Display for UsageJson<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut row = |size: u64, text: &str| {
            let size = units::size(size).to_string();
            writeln!(f, "{size:>12}  {}", escaped(text))
        };
        for directory in &self.by_directory {
            row(directory.size, &directory.path)?;
        }
        row(self.size, &format!("total, {}", files(self.files)))?;
        for layer in self.layers.iter().flatten() {
            let (number, place) = (layer.layer, layer.place.display());
            let count = files(layer.files);
            let hidden = units::size(layer.hidden_size);
            let hidden_count = files(layer.hidden_files);
            let text =
                format!("layer {number}: `{place}`, {count}; hidden {hidden} in {hidden_count}");
            row(layer.size, &text)?;
        }
        let Some(hidden) = &self.hidden else {
            return Ok(());
        };
        let percent = hidden.efficiency * 100.0;
        let text = format!("hidden, {}; efficiency {percent:.1}%", files(hidden.files));
        row(hidden.size, &text)?;
        for file in &hidden.largest {
            row(
                file.size,
                &format!("  {} (layer {})", file.path, file.layer),
            )?;
        }
        Ok(())
    }
}
