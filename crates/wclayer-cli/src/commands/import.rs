//! `import`: a layer tar into a new layer.

use std::fs::{File, Metadata};
use std::io::{self, IsTerminal, Read};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};
use serde::Serialize;
use wclayer::hcs::{HcsError, ServiceError};
use wclayer::portable::{self, Children, ImportOptions, PortableLayer};
use wclayer::source::{Kind, Layer, Needed, recognise};
use wclayer::{DiffId, Error, ErrorKind, ParentChain};

use super::host_compute::HostComputeOptions;
use super::{import_transport, import_windows, remove, validate, view_options};
use crate::errors::{self, CliError, FAILED, on_path};
use crate::file_argument::{STDIN, is_dash, new_folder};
use crate::layer_view::{self, LayerJson};
use crate::output::{Output, Summary};
use crate::progress::Bar;
use crate::signals;
use crate::units;

const EXAMPLES: &str = "\
Examples:
  wclayer import -i base.tar.gz layers/base
  wclayer import -l layers/base -i app.tar.gz layers/app
  curl -sL URL | wclayer import layers/base";

/// What is meant by a destination `-`.
const MEANT: &str =
    "PATH is the folder of the new layer; the tar comes from stdin without `-i`, or with `-i -`";

/// Import a layer from a tar file
///
/// The tar may be plain or compressed with gzip or zstd, which is found out by itself. A portable
/// layer keeps it verbatim, so that `export` gives the same DiffID. The layer appears at PATH whole
/// or not at all: a failed or stopped import leaves nothing behind. When it is the layer in a file
/// that is wrong, all that `validate` finds wrong with it is shown as well. A portable layer that
/// breaks rules which only Windows or hcsshim check is imported, with a warning.
///
/// A layer of Windows needs an elevated prompt (SeBackupPrivilege, SeRestorePrivilege).
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// Folder of a read-only parent layer; repeat it for each, nearest parent first
    ///
    /// When only the nearest is given, its own parents are found by themselves.
    #[arg(short, long = "layer", value_name = "PARENT")]
    pub(super) layers: Vec<PathBuf>,
    /// Input layer tar, `-` for stdin [default: stdin]
    #[arg(short, long, value_name = "FILE")]
    pub(super) input: Option<PathBuf>,
    /// How the layer is stored [default: windows where the Host Compute Service is, else portable]
    #[arg(long, value_name = "FORMAT")]
    format: Option<Format>,
    /// With --format transport, add empty delta hives where the layer has none: HcsImportLayer
    /// wants all five
    #[arg(long)]
    pub(super) hives: bool,
    #[command(flatten)]
    pub(super) host: HostComputeOptions,
    /// What the uncompressed tar must hash to, as `sha256:` and 64 digits
    #[arg(long, value_name = "DIGEST")]
    pub(super) diff_id: Option<DiffId>,
    /// Replace the layer that is at PATH; anything but a layer is never replaced
    #[arg(long)]
    pub(super) force: bool,
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
    /// Folder of the layer to make
    #[arg(value_name = "PATH", value_parser = new_folder(MEANT))]
    pub(super) path: PathBuf,
}

/// The ways to store a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A folder with the tar, an index and a descriptor, for any system
    Portable,
    /// A folder that ImportLayer and HcsImportLayer take in, made on any system
    Transport,
    /// A folder that Windows runs containers from; needs the Host Compute Service
    Windows,
}

/// The result as JSON.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ImportJson<'a> {
    #[serde(flatten)]
    layer: LayerJson<'a>,
    elapsed_seconds: f64,
}

/// Imports a layer and shows what it is.
pub(crate) fn run(arguments: &Arguments, output: &Output) -> Result<(), CliError> {
    view_options::check_places(&arguments.layers)?;
    let parents = arguments.layers.iter().map(recognise);
    let parents = parents.collect::<wclayer::Result<Vec<_>>>()?;
    let format = arguments
        .format
        .unwrap_or_else(|| default_format(arguments, &parents));
    if arguments.hives && format != Format::Transport {
        return Err(CliError::HivesElsewhere);
    }
    format.check_parents(&parents)?;
    let imported = match format {
        Format::Portable => run_portable(arguments, output),
        Format::Transport => import_transport::run(arguments, output),
        Format::Windows => import_windows::run(arguments, output),
    };
    imported.map_err(|error| match &arguments.input {
        Some(input) if is_fault_of(&error, input) => {
            errors::report(&error, FAILED, output);
            validate::tell_errors(input, &arguments.layers, output);
            CliError::Told
        }
        _ => error,
    })
}

/// Whether it may be the layer in a file, which can be read again, that made an import fail.
fn is_fault_of(error: &CliError, input: &Path) -> bool {
    matches!(error, CliError::Layer(error) if is_of_layer(error))
        && !is_dash(input)
        && input.is_file()
}

/// Whether an import failed for what is in a layer: the service hardly ever says more than a code.
fn is_of_layer(error: &Error) -> bool {
    match error {
        Error::Layer { source, .. } | Error::Hcs(HcsError::LeftBehind { source, .. }) => {
            is_of_layer(source)
        }
        Error::Hcs(HcsError::Service(ServiceError::Failed { .. })) => true,
        error => error.kind() == ErrorKind::InvalidLayer,
    }
}

/// Chooses the format of the nearest parent, else what the machine is made for.
fn default_format(arguments: &Arguments, parents: &[Layer]) -> Format {
    match parents.first().map(Layer::kind) {
        Some(Kind::Transport) => Format::Transport,
        Some(Kind::Portable | Kind::DamagedPortable) => Format::Portable,
        Some(Kind::Windows(_)) => Format::Windows,
        _ if arguments.host.is_available() => Format::Windows,
        _ => Format::Portable,
    }
}

impl Format {
    /// Refuses parents on which no layer of this format can be made.
    fn check_parents(self, parents: &[Layer]) -> Result<(), CliError> {
        let wrong = |parent: &&Layer| match self {
            Self::Portable => !parent.kind().is_portable(),
            // A layer that other programs made may have `Files` and nothing else.
            Self::Windows => !matches!(parent.kind(), Kind::Windows(_) | Kind::Folder),
            // The others are opened, which fails for them.
            Self::Transport => !parent.kind().is_layer(),
        };
        let needed = match self {
            Self::Windows => Needed::Windows,
            _ => Needed::Portable,
        };
        match parents.iter().find(wrong) {
            Some(parent) => Err(parent.refuse(needed).into()),
            None => Ok(()),
        }
    }
}

fn run_portable(arguments: &Arguments, output: &Output) -> Result<(), CliError> {
    let source = Source::open(arguments.input.as_deref())?;
    let options = ImportOptions {
        parents: ParentChain::from_nearest_first(&arguments.layers),
        expected_diff_id: arguments.diff_id,
        replace: arguments.force,
    };
    tell_plan(arguments, &source, output);
    for parent in &arguments.layers {
        output.step(format_args!("on top of {}", layer_view::absolute(parent)));
    }
    let replaced = Replaced::look(arguments);
    let progress = Bar::start(output, source.size, signals::watch()?);
    let started = Instant::now();
    let layer = portable::import(source.bytes, &arguments.path, &options, &progress)?;
    let taken = started.elapsed();
    drop(progress);
    show(arguments, &layer, taken, output)?;
    replaced.warn(&layer, output);
    validate::warn_of(&layer, output);
    Ok(())
}

/// The layer that is replaced, and those that were made on top of it.
#[derive(Default)]
struct Replaced {
    diff_id: Option<DiffId>,
    children: Children,
}

impl Replaced {
    fn look(arguments: &Arguments) -> Self {
        if !arguments.force {
            return Self::default();
        }
        let layer = PortableLayer::open(&arguments.path).ok();
        Self {
            diff_id: layer.map(|layer| layer.descriptor().diff_id),
            children: portable::children_of(&arguments.path),
        }
    }

    fn warn(&self, layer: &PortableLayer, output: &Output) {
        if self.diff_id != Some(layer.descriptor().diff_id) {
            remove::warn_of(&self.children, "made on top of another layer here", output);
        }
    }
}

/// Where the tar comes from.
pub(super) struct Source {
    pub(super) bytes: Box<dyn Read + Send>,
    /// In bytes, where it is known.
    pub(super) size: Option<u64>,
}

impl Source {
    pub(super) fn open(input: Option<&Path>) -> Result<Self, CliError> {
        let Some(path) = input.filter(|path| !is_dash(path)) else {
            let stdin = io::stdin();
            if stdin.is_terminal() {
                return Err(CliError::InputIsTerminal);
            }
            return Ok(Self {
                bytes: Box::new(stdin),
                size: None,
            });
        };
        let file = match File::open(path) {
            Ok(file) if !file.metadata().is_ok_and(|found| found.is_dir()) => file,
            opened => {
                let found = recognise(path)?;
                return Err(match (opened, found.kind()) {
                    (Err(error), Kind::Tar(_) | Kind::Special) => on_path("open", path)(error),
                    _ => found.refuse(Needed::Tar).into(),
                });
            }
        };
        // Windows knows nothing of a pipe or a device.
        let metadata = file.metadata().ok().filter(Metadata::is_file);
        Ok(Self {
            bytes: Box::new(file),
            size: metadata.map(|metadata| metadata.len()),
        })
    }
}

pub(super) fn tell_plan(arguments: &Arguments, source: &Source, output: &Output) {
    let file = arguments.input.as_deref().filter(|path| !is_dash(path));
    let name = file.map_or(STDIN.into(), Path::to_string_lossy);
    match source.size {
        Some(size) => output.step(format_args!("reading {name}, {}", units::size(size))),
        None => output.step(format_args!("reading {name}")),
    }
}

fn show(
    arguments: &Arguments,
    layer: &PortableLayer,
    taken: Duration,
    output: &Output,
) -> Result<(), CliError> {
    let descriptor = layer.descriptor();
    output.step(format_args!("recognised {}", descriptor.source.media_type));
    output.step(format_args!(
        "stored at {}",
        layer_view::absolute(layer.path())
    ));
    output.step(format_args!(
        "took {}",
        units::time_and_rate(descriptor.tar_size, taken)
    ));
    let mut summary = Summary::new(format!("Imported `{}`", arguments.path.display()));
    layer_view::rows(&mut summary, layer);
    summary.row("time", units::time_and_rate(descriptor.tar_size, taken));
    let elapsed_seconds = units::seconds(taken);
    output.result(
        &summary,
        &ImportJson {
            layer: LayerJson::new(layer),
            elapsed_seconds,
        },
    )?;
    descriptor
        .warnings
        .iter()
        .for_each(|warning| output.warn(warning));
    Ok(())
}

#[cfg(test)]
mod tests {
    use wclayer::hcs::{HResult, WindowsError};

    use super::*;

    /// 0x3 is what a missing directory entry becomes.
    #[test]
    fn a_failure_of_the_service_may_be_the_layers() {
        let failed = ServiceError::Failed {
            function: "ImportLayer",
            dll: "vmcompute.dll",
            on: "layer".to_owned(),
            cause: None,
            source: WindowsError::new(HResult::from_win32(3)),
        };
        let error = Error::Layer {
            operation: "import",
            layer: "layer".to_owned(),
            source: Box::new(HcsError::Service(failed).into()),
        };
        assert!(is_of_layer(&error));
        assert!(!is_of_layer(&HcsError::NoParents.into()));
    }
}
