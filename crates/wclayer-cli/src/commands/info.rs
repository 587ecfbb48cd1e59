//! `info`: describes a layer.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;
use wclayer::hcs::{self, WindowsLayer, WindowsLayerKind};
use wclayer::portable::PortableLayer;

use super::Command;
use super::host_compute::Disks;
use super::{info_tar, info_transport};
use crate::errors::{CliError, on_path};
use crate::file_argument::is_dash;
use crate::layer_view::{self, LayerJson};
use crate::output::{Output, Summary};

const EXAMPLES: &str = "\
Examples:
  wclayer info layers/base
  wclayer info base.tar.gz
  curl -sL URL | wclayer info -";

/// Describe a layer: DiffID, source, sizes, parents, entries
///
/// Reads only the descriptor of a portable layer; `verify` reads its contents. Shows the kind of a
/// Windows layer, its parents, and whether it is complete. Counts the entries of a transport folder.
/// Reads a whole layer tar (plain, gzip or zstd) for its DiffID.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// Print a JSON object
    #[arg(long)]
    json: bool,
    /// Folder of the layer, or layer tar; `-` for a tar on stdin
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
        if is_tar(&self.path)? {
            return info_tar::run(&self.path, output);
        }
        if !wclayer::place::is_portable_layer(&self.path)
            && let Some(layer) = hcs::recognise(&Disks::new(), &self.path)?
        {
            return show_windows_layer(self, &layer, output);
        }
        if !wclayer::place::is_portable_layer(&self.path)
            && wclayer::place::is_transport_folder(&self.path)
        {
            return info_transport::run(&self.path, output);
        }
        show_portable_layer(self, output)
    }

    fn wants_json(&self) -> bool {
        self.json
    }
}

/// Returns whether a path is standard input or something other than a folder.
fn is_tar(path: &Path) -> Result<bool, CliError> {
    if is_dash(path) {
        return Ok(true);
    }
    let found = fs::metadata(path).map_err(on_path("open", path))?;
    Ok(!found.is_dir())
}

fn show_portable_layer(arguments: &Arguments, output: &Output) -> Result<(), CliError> {
    let layer = PortableLayer::open(&arguments.path)?;
    let descriptor = layer.descriptor();
    output.step(format_args!(
        "recognised a portable layer, version {}, at `{}`",
        descriptor.version,
        layer_view::absolute(layer.path())
    ));
    let mut summary = Summary::new(format!("Layer `{}`", arguments.path.display()));
    layer_view::rows(&mut summary, &layer);
    output.answer(&summary, &LayerJson::new(&layer))?;
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
            WindowsLayerKind::Unknown => "unknown",
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
    let kind = match layer.kind {
        WindowsLayerKind::Base => "Windows base layer",
        WindowsLayerKind::Layer => "Windows layer",
        WindowsLayerKind::Scratch => "Windows scratch layer",
        WindowsLayerKind::Unknown => "Windows layer, with or without parents",
    };
    summary.row("kind", kind);
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
    output.answer(&summary, &json)
}
