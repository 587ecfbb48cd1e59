//! `info`: what a layer is.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use wclayer::hcs::{WindowsLayer, WindowsLayerKind};
use wclayer::portable::PortableLayer;
use wclayer::source::{Kind, Needed, recognise};

use super::{info_tar, info_transport};
use crate::errors::CliError;
use crate::file_argument::is_dash;
use crate::layer_view::{self, LayerJson};
use crate::output::{Output, Summary};

const EXAMPLES: &str = "\
Examples:
  wclayer info layers/base
  wclayer info base.tar.gz
  curl -sL URL | wclayer info -";

/// Show what a layer is: DiffID, source, sizes, parents, entries
///
/// Reads the descriptor of a portable layer; `verify` reads the content. Looks at a layer of
/// Windows from outside: what it is, whether it is complete, its parents. Counts the entries of a
/// transport folder. Reads a layer tar (plain, gzip or zstd) to its end, for its DiffID.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
    /// Folder of the layer, or a layer tar; `-` for a tar on stdin
    #[arg(value_name = "PATH")]
    path: PathBuf,
}

/// A layer of Windows as JSON.
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

/// Prints the layer.
pub(crate) fn run(arguments: &Arguments, output: &Output) -> Result<(), CliError> {
    if is_dash(&arguments.path) {
        return info_tar::run(&arguments.path, output);
    }
    let layer = recognise(&arguments.path)?;
    match layer.kind() {
        Kind::Portable | Kind::DamagedPortable => {
            show_portable_layer(arguments, &layer.portable()?, output)
        }
        Kind::Windows(_) => show_windows_layer(arguments, &layer.windows()?, output),
        Kind::Transport => info_transport::run(&layer, output),
        Kind::Tar(_) | Kind::Special => info_tar::run(&arguments.path, output),
        _ => Err(layer.refuse(Needed::View).into()),
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
        "recognised a layer of Windows at `{}`",
        json.path
    ));
    let mut summary = Summary::new(format!("Layer `{}`", arguments.path.display()));
    summary.row("kind", layer.kind.to_string().trim_start_matches("a "));
    let complete = match layer.is_complete {
        true => "yes",
        false => "no, its import or removal was interrupted",
    };
    summary.row("complete", complete);
    summary.row(
        "utility VM",
        if layer.has_utility_vm { "yes" } else { "no" },
    );
    match &layer.parents {
        None => summary.row("parents", "not known: it has no layerchain.json"),
        Some(parents) => layer_view::parent_rows(&mut summary, parents),
    }
    summary.row("content", "read by `wclayer export` only, on Windows");
    output.answer(&summary, &json)
}
