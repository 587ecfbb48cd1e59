//! `import`: makes a layer from a layer tar.

use std::fs::{File, Metadata};
use std::io::{self, IsTerminal, Read};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};
use serde::Serialize;
use wclayer::hcs::{HcsError, ServiceError};
use wclayer::portable::{self, Children, ImportOptions, PortableLayer};
use wclayer::source::{Kind, Layer, Needed, recognise};
use wclayer::{DiffId, Error, ErrorKind};

use super::Command;
use super::host_compute::HostComputeOptions;
use super::parent_options::ParentOptions;
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

/// The answer to a destination `-`.
const MEANT: &str =
    "PATH is the folder of the new layer; to read the tar from stdin, omit `-i` or use `-i -`";

/// Import a layer from a tar file
///
/// Detects automatically whether the tar is plain or compressed with gzip or zstd. A portable layer
/// keeps the tar unchanged, so that `export` restores the same DiffID. The layer appears at PATH only
/// once it is complete: a failed or stopped import leaves nothing behind.
///
/// If a file fails to import because of its contents, also shows the errors that `validate` finds.
/// A portable import that breaks rules of Windows or hcsshim succeeds with a warning.
///
/// A Windows layer requires an elevated prompt (SeBackupPrivilege, SeRestorePrivilege).
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(super) parents: ParentOptions,
    /// Layer tar to import, `-` for stdin [default: stdin]
    #[arg(short, long, value_name = "FILE")]
    pub(super) input: Option<PathBuf>,
    /// Format of the layer [default: that of the nearest parent; without parents, windows if the
    /// Host Compute Service is available, otherwise portable]
    #[arg(long, value_name = "FORMAT")]
    format: Option<Format>,
    /// Add missing delta hives as empty ones (with --format transport): HcsImportLayer requires all
    /// five
    #[arg(long)]
    pub(super) hives: bool,
    #[command(flatten)]
    pub(super) host: HostComputeOptions,
    /// Expected DiffID, the digest of the uncompressed tar: `sha256:` and 64 hexadecimal digits
    #[arg(long, value_name = "DIGEST")]
    pub(super) diff_id: Option<DiffId>,
    /// Replace an existing layer at PATH, but nothing else
    #[arg(long)]
    pub(super) force: bool,
    /// Print a JSON object
    #[arg(long)]
    json: bool,
    /// Folder of the new layer
    #[arg(value_name = "PATH", value_parser = new_folder(MEANT))]
    pub(super) path: PathBuf,
}

/// The formats of a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A folder with the tar, an index and a descriptor, on any system
    Portable,
    /// A folder for ImportLayer and HcsImportLayer to import, on any system
    Transport,
    /// A folder that Windows runs containers from; requires the Host Compute Service
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

impl Command for Arguments {
    fn run(&self, output: &Output) -> Result<(), CliError> {
        view_options::check_places(&self.parents.layers)?;
        let parents = self.parents.layers.iter().map(recognise);
        let parents = parents.collect::<wclayer::Result<Vec<_>>>()?;
        let format = self
            .format
            .unwrap_or_else(|| default_format(self, &parents));
        if self.hives && format != Format::Transport {
            return Err(CliError::HivesElsewhere);
        }
        format.check_parents(&parents)?;
        let imported = match format {
            Format::Portable => run_portable(self, output),
            Format::Transport => import_transport::run(self, output),
            Format::Windows => import_windows::run(self, output),
        };
        imported.map_err(|error| match &self.input {
            Some(input) if is_fault_of(&error, input) => {
                errors::report(&error, FAILED, output);
                validate::print_errors(input, &self.parents.layers, output);
                CliError::Reported
            }
            _ => error,
        })
    }

    fn wants_json(&self) -> bool {
        self.json
    }
}

/// Returns whether an import may have failed because of the contents of a file, which can be read
/// again.
fn is_fault_of(error: &CliError, input: &Path) -> bool {
    matches!(error, CliError::Layer(error) if is_of_layer(error))
        && !is_dash(input)
        && input.is_file()
}

/// Returns whether an import may have failed because of the contents of a layer: the service rarely
/// reports more than a code.
fn is_of_layer(error: &Error) -> bool {
    match error {
        Error::Layer { source, .. } | Error::Hcs(HcsError::LeftBehind { source, .. }) => {
            is_of_layer(source)
        }
        Error::Hcs(HcsError::Service(ServiceError::Failed { .. })) => true,
        error => error.kind() == ErrorKind::InvalidLayer,
    }
}

/// Returns the format of the nearest parent, or the default of the machine.
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
    /// Refuses parents that a layer of this format cannot have.
    fn check_parents(self, parents: &[Layer]) -> Result<(), CliError> {
        let wrong = |parent: &&Layer| match self {
            Self::Portable => !parent.kind().is_portable(),
            // A layer that another program made may contain only `Files`.
            Self::Windows => !matches!(parent.kind(), Kind::Windows(_) | Kind::Folder),
            // Opening the others reports which of them cannot be read.
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
    let options = ImportOptions::default()
        .parents(arguments.parents.chain())
        .expected_diff_id(arguments.diff_id)
        .replace(arguments.force);
    print_plan(arguments, &source, output);
    arguments.parents.print(output);
    let replaced = Replaced::look(arguments);
    let progress = Bar::start(output, source.size, signals::watch()?);
    let started = Instant::now();
    let layer = portable::import(source.bytes, &arguments.path, &options, &progress)?;
    let taken = started.elapsed();
    drop(progress);
    show(arguments, &layer, taken, output)?;
    replaced.warn(&layer, output);
    validate::warn_about(&layer, output);
    Ok(())
}

/// The layer that an import replaces, and its child layers.
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
            remove::warn_about(&self.children, "made on top of the replaced layer", output);
        }
    }
}

/// The source of a tar.
pub(super) struct Source {
    pub(super) bytes: Box<dyn Read + Send>,
    /// In bytes, if known.
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
        // Windows has no metadata of pipes and devices.
        let metadata = file.metadata().ok().filter(Metadata::is_file);
        Ok(Self {
            bytes: Box::new(file),
            size: metadata.map(|metadata| metadata.len()),
        })
    }
}

pub(super) fn print_plan(arguments: &Arguments, source: &Source, output: &Output) {
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
        "stored as {}",
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

    /// A missing directory entry in a layer leads to the code 0x3.
    #[test]
    fn a_failure_of_the_service_may_be_due_to_the_layer() {
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
