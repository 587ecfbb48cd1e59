//! `export`: a layer as a layer tar.

use std::fs::{self, File};
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::Args;
use serde::Serialize;
use wclayer::compression::{Compression, CompressionSpec};
use wclayer::place::output::{NewFile, close};
use wclayer::portable::PortableLayer;
use wclayer::source::{Kind, Needed, recognise};
use wclayer::tar::LayerBlob;
use wclayer::{DiffId, Digest, ParentChain, Progress};

use super::host_compute::HostComputeOptions;
use super::output_file::{OutputOptions, OutputPlace};
use super::{export_tar, export_transport, export_windows};
use crate::errors::{CliError, on_path};
use crate::layer_view;
use crate::output::{Output, Summary};
use crate::progress::Bar;
use crate::signals;
use crate::units;

const EXAMPLES: &str = "\
Examples:
  wclayer export -o base.tar layers/base
  wclayer export --compress zstd:19 -o base.tar.zst layers/base
  wclayer export -z layers/base | ssh host wclayer import layers/base";

/// Export a layer to a tar file
///
/// A portable layer gives back the very tar that was imported; its DiffID is verified on the way. A
/// layer tar is copied bit for bit, compressed as asked. A transport folder becomes a tar of the same entries, on any system. A layer of Windows is read
/// from its files, which needs an elevated prompt (SeBackupPrivilege). FILE appears whole or not at
/// all: a failed or stopped export leaves the file that was there, or none.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// Folder of a parent layer; repeat it for each, nearest parent first
    ///
    /// Not needed, since the layer knows its parents; when given, they must be the same layers.
    #[arg(short, long = "layer", value_name = "PARENT")]
    pub(super) layers: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) output: OutputOptions,
    #[command(flatten)]
    pub(super) compress: CompressOptions,
    /// Print one JSON object; needs --output
    #[arg(long, requires = "output")]
    pub(crate) json: bool,
    /// Folder of the layer, or a layer tar
    #[arg(value_name = "PATH")]
    pub(super) path: PathBuf,
    #[command(flatten)]
    pub(super) host: HostComputeOptions,
}

/// How a tar is to be compressed.
#[derive(Debug, Args)]
pub(super) struct CompressOptions {
    /// Compress the output with gzip
    #[arg(short = 'z', long, conflicts_with = "compress")]
    gzip: bool,
    /// Compress the output: gzip, zstd or none, with a level after a colon, such as `zstd:19`
    #[arg(long, value_name = "METHOD[:LEVEL]")]
    compress: Option<CompressionSpec>,
}

impl CompressOptions {
    /// Returns how the tar is to be compressed.
    pub(super) fn compression(&self) -> CompressionSpec {
        match (self.compress, self.gzip) {
            (Some(compression), _) => compression,
            (None, true) => Compression::Gzip.into(),
            (None, false) => Compression::None.into(),
        }
    }
}

/// The result as JSON.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ExportJson {
    path: String,
    output: String,
    diff_id: DiffId,
    tar_size: u64,
    digest: Digest,
    size: u64,
    compression: Compression,
    media_type: &'static str,
    elapsed_seconds: f64,
    /// Of `squash`.
    #[serde(skip_serializing_if = "Option::is_none")]
    lost_hives: Option<Vec<LostHiveJson>>,
}

/// Registry changes that are lost, as JSON.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct LostHiveJson {
    pub(super) path: String,
    pub(super) from_layers: Vec<usize>,
}

/// Exports a layer.
pub(crate) fn run(arguments: &Arguments, output: &Output) -> Result<(), CliError> {
    let layer = recognise(&arguments.path)?;
    (arguments.output).check_is_outside(std::iter::once(layer.path()))?;
    match layer.kind() {
        Kind::Portable | Kind::DamagedPortable => {
            run_portable(arguments, &layer.portable()?, output)
        }
        Kind::Windows(_) => export_windows::run(arguments, output),
        Kind::Transport => export_transport::run(arguments, layer.path(), output),
        Kind::Tar(_) | Kind::Special => export_tar::run(arguments, output),
        _ => Err(layer.refuse(Needed::View).into()),
    }
}

fn run_portable(
    arguments: &Arguments,
    layer: &PortableLayer,
    output: &Output,
) -> Result<(), CliError> {
    layer.check_parents(&ParentChain::from_nearest_first(&arguments.layers))?;
    let cancelled = signals::watch()?;
    let target = Target::open(&arguments.output)?;
    let compression = arguments.compress.compression();
    let tar_size = layer.descriptor().tar_size;
    output.step(format_args!(
        "reading {}, {} of tar",
        layer_view::absolute(layer.path()),
        units::size(tar_size)
    ));
    output.step(format_args!(
        "writing {}, compression {}",
        target.name(),
        compression.method
    ));
    let progress = Bar::start(output, Some(tar_size), cancelled);
    let started = Instant::now();
    let exported = layer.export(target.file(), compression, &progress)?;
    if progress.is_cancelled() {
        return Err(wclayer::Error::Cancelled.into());
    }
    drop(progress);
    target.commit()?;
    let (path, file) = (&arguments.path, arguments.output.file());
    show("Exported", path, file, &exported, started.elapsed(), output)
}

/// Where the tar goes.
pub(super) enum Target {
    /// Straight into standard output.
    Stdout(File),
    /// Straight into something that is no file: a device, a named pipe.
    Special(File, PathBuf),
    /// Into a new file, which takes the place of another one in the end; without `clobber` only if
    /// nothing is there.
    Replace { new: NewFile, clobber: bool },
}

impl Target {
    pub(super) fn open(options: &OutputOptions) -> Result<Self, CliError> {
        let path = match options.place() {
            OutputPlace::Stdout => {
                let stdout = unbuffered_stdout().map_err(CliError::Stdout)?;
                return Ok(Self::Stdout(refuse_terminal(stdout)?));
            }
            OutputPlace::Direct(path) => return Self::open_special(path),
            OutputPlace::File(path) => path,
        };
        let clobber = !options.no_clobber;
        if !clobber && fs::symlink_metadata(&path).is_ok() {
            return Err(CliError::OutputExists { output: path });
        }
        let new = NewFile::beside(&path)?;
        Ok(Self::Replace { new, clobber })
    }

    /// Opens what cannot be replaced; a file that the caller has open is emptied.
    fn open_special(path: PathBuf) -> Result<Self, CliError> {
        let is_file = fs::metadata(&path).is_ok_and(|metadata| metadata.is_file());
        let file = File::options().write(true).truncate(is_file).open(&path);
        let file = file.map_err(on_path("open", &path))?;
        Ok(Self::Special(refuse_terminal(file)?, path))
    }

    pub(super) fn name(&self) -> String {
        match self {
            Self::Stdout(_) => "standard output".to_owned(),
            Self::Special(_, path) => layer_view::absolute(path),
            Self::Replace { new, .. } => layer_view::absolute(new.path()),
        }
    }

    pub(super) fn file(&self) -> &File {
        match self {
            Self::Stdout(file) | Self::Special(file, _) => file,
            Self::Replace { new, .. } => new.file(),
        }
    }

    /// Puts a complete file in its place. Dropped without this, it disappears.
    pub(super) fn commit(self) -> Result<(), CliError> {
        match self {
            Self::Stdout(file) => close(file).map_err(CliError::Stdout),
            Self::Special(file, path) => close(file).map_err(on_path("write", &path)),
            Self::Replace { new, clobber: true } => Ok(new.commit()?),
            Self::Replace { new, .. } => {
                let output = new.path().to_owned();
                new.commit_new().map_err(|error| match error.kind() {
                    wclayer::ErrorKind::Exists => CliError::OutputExists { output },
                    _ => error.into(),
                })
            }
        }
    }
}

/// A tar says nothing to people, and may command their terminal.
fn refuse_terminal(file: File) -> Result<File, CliError> {
    match file.is_terminal() {
        true => Err(CliError::OutputIsTerminal),
        false => Ok(file),
    }
}

/// Returns standard output without the line buffer, which looks for line ends in a tar.
fn unbuffered_stdout() -> io::Result<File> {
    #[cfg(unix)]
    let own = std::os::fd::AsFd::as_fd(&io::stdout()).try_clone_to_owned();
    #[cfg(windows)]
    let own = std::os::windows::io::AsHandle::as_handle(&io::stdout()).try_clone_to_owned();
    own.map(File::from)
}

/// Prints what was written: with the JSON of `export`.
pub(super) fn show(
    title: &str,
    path: &Path,
    file: Option<&Path>,
    exported: &LayerBlob,
    taken: Duration,
    output: &Output,
) -> Result<(), CliError> {
    show_with_lost(title, path, file, exported, taken, None, output)
}

/// Prints what was written and what was lost: with the JSON of `squash`.
pub(super) fn show_with_lost(
    title: &str,
    path: &Path,
    file: Option<&Path>,
    exported: &LayerBlob,
    taken: Duration,
    lost_hives: Option<Vec<LostHiveJson>>,
    output: &Output,
) -> Result<(), CliError> {
    let mut summary = Summary::new(format!("{title} `{}`", path.display()));
    summary.row("DiffID", exported.diff_id);
    summary.row("digest", exported.digest);
    summary.row("tar size", units::size(exported.tar_size));
    summary.row(
        "size",
        format!("{} ({})", units::size(exported.size), exported.compression),
    );
    summary.row("time", units::time_and_rate(exported.tar_size, taken));
    let Some(file) = file else {
        if output.is_verbose() {
            output.aside(&summary);
        }
        return Ok(());
    };
    if !output.is_json() {
        output.aside(&summary);
        return Ok(());
    }
    let json = ExportJson {
        path: layer_view::absolute(path),
        output: layer_view::absolute(file),
        diff_id: exported.diff_id,
        tar_size: exported.tar_size,
        digest: exported.digest,
        size: exported.size,
        compression: exported.compression,
        media_type: exported.compression.media_type(),
        elapsed_seconds: units::seconds(taken),
        lost_hives,
    };
    output.result(&summary, &json)
}
