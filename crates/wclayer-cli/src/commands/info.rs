//! `info`: describes a layer.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use wclayer::Error;
use wclayer::error::ImageError;
use wclayer::hcs::{WindowsLayer, WindowsLayerKind};
use wclayer::portable::PortableLayer;
use wclayer::source::{Kind, Needed, recognise};

use super::Command;
use super::image_options::PlatformOption;
use super::{info_image, info_tar, info_transport};
use crate::errors::CliError;
use crate::file_argument::is_dash;
use crate::layer_view::{self, LayerJson};
use crate::output::{Output, Summary};

const EXAMPLES: &str = "\
Examples:
  wclayer info layers/base
  wclayer info base.tar.gz
  wclayer info oci:images/app:v1
  curl -sL URL | wclayer info -";

/// Describe a layer: DiffID, source, sizes, parents, entries
///
/// Reads only the descriptor of a portable layer; `verify` reads its contents. Shows the kind of a
/// Windows layer, its parents, and whether it is complete. Counts the entries of a transport folder.
/// Reads a whole layer tar (plain, gzip or zstd) for its DiffID. Of an image, reads only the documents:
/// shows its configuration and lists its layers, 0 for the top.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Arguments {
    #[command(flatten)]
    platform: PlatformOption,
    /// Print a JSON object
    #[arg(long)]
    json: bool,
    /// Folder of the layer, layer tar, or image; `-` for a tar on stdin
    #[arg(value_name = "PATH")]
    path: PathBuf,
}

/// A Windows layer as JSON.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct WindowsLayerJson {
    path: String,
    format: &'static str,
    kind: &'static str,
    complete: bool,
    utility_vm: bool,
    parents: Option<Vec<String>>,
}

impl Command for Arguments {
    fn run(&self, output: &Output) -> Result<(), CliError> {
        if is_dash(&self.path) {
            return info_tar::run(&self.path, output);
        }
        let layer = recognise(&self.path)?;
        if let Some(image) = layer.image() {
            let choice = self.platform.choice();
            return info_image::run(&image, layer.label(), &choice, output);
        }
        if self.platform.platform.is_some() {
            let label = layer.label().to_owned();
            return Err(Error::from(ImageError::NothingToChoose { label }).into());
        }
        match layer.kind() {
            Kind::Portable | Kind::DamagedPortable => {
                show_portable_layer(self, &layer.portable()?, output)
            }
            Kind::Windows(_) => show_windows_layer(self, &layer.windows()?, output),
            Kind::Transport => info_transport::run(&layer, output),
            Kind::Tar(_) | Kind::Special => info_tar::run(&self.path, output),
            _ => Err(layer.refuse(Needed::View).into()),
        }
    }

    fn wants_json(&self) -> bool {
        self.json
    }
}

fn show_portable_layer(
    arguments: &Arguments,
    layer: &PortableLayer,
    output: &Output,
) -> Result<(), CliError> {
    let descriptor = layer.descriptor();
    output.step(format_args!(
        "recognised a portable layer, version {}, at `{}`",
        descriptor.version,
        layer_view::absolute(layer.path())
    ));
    let mut summary = Summary::new(format!("Layer `{}`", arguments.path.display()));
    layer_view::rows(&mut summary, layer);
    output.answer(&summary, &LayerJson::new(layer))?;
    descriptor
        .warnings
        .iter()
        .for_each(|warning| output.warn(warning));
    Ok(())
}

fn show_windows_layer(
    arguments: &Arguments,
    layer: &WindowsLayer,
    output: &Output,
) -> Result<(), CliError> {
    let json = WindowsLayerJson {
        path: layer_view::absolute(&arguments.path),
        format: "windows",
        kind: match layer.kind {
            WindowsLayerKind::Base => "base",
            WindowsLayerKind::Layer => "layer",
            WindowsLayerKind::Scratch => "scratch",
            _ => "unknown",
        },
        complete: layer.is_complete,
        utility_vm: layer.has_utility_vm,
        parents: layer.parents.as_ref().map(layer_view::paths),
    };
    output.step(format_args!(
        "recognised a Windows layer at `{}`",
        json.path
    ));
    let mut summary = Summary::new(format!("Layer `{}`", arguments.path.display()));
    summary.row("kind", layer.kind.to_string().trim_start_matches("a "));
    let complete = match layer.is_complete {
        true => "yes",
        false => "no: its import or removal was interrupted",
    };
    summary.row("complete", complete);
    summary.row(
        "utility VM",
        if layer.has_utility_vm { "yes" } else { "no" },
    );
    match &layer.parents {
        None => summary.row("parents", "unknown: it has no layerchain.json"),
        Some(parents) => layer_view::parent_rows(&mut summary, parents),
    }
    summary.row("content", "readable only by `wclayer export`, on Windows");
    output.answer(&summary, &json)
}
