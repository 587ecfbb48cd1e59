//! `export`: writes a layer as a layer tar.

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
use wclayer::{DiffId, Digest, Progress};

use super::Command;
use super::host_compute::HostComputeOptions;
use super::output_file::{OutputOptions, OutputPlace};
use super::parent_options::ParentOptions;
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
/// Restores the tar that a portable layer was imported from, bit for bit, and verifies its DiffID.
/// Copies a layer tar, compressed as requested.
/// Writes the entries of a transport folder to a new tar, on any system. Reads a Windows layer from
/// its files, which requires an elevated prompt (SeBackupPrivilege).
///
/// Replaces FILE only once the tar is complete: a failed or stopped export leaves an existing file
/// unchanged.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(super) parents: ParentOptions,
    #[command(flatten)]
    pub(crate) output: OutputOptions,
    #[command(flatten)]
    pub(super) compress: CompressOptions,
    /// Print a JSON object; requires --output
    #[arg(long, requires = "output")]
    json: bool,
    /// Folder of the layer, or layer tar
    #[arg(value_name = "PATH")]
    pub(super) path: PathBuf,
    #[command(flatten)]
    pub(super) host: HostComputeOptions,
}

/// How to compress a tar.
#[derive(Debug, Args)]
pub(super) struct CompressOptions {
    /// Compress the output with gzip
    #[arg(short = 'z', long, conflicts_with = "compress")]
    gzip: bool,
    /// Compress the output with gzip, zstd or none, and an optional level such as `zstd:19`
    #[arg(long, value_name = "METHOD[:LEVEL]")]
    compress: Option<CompressionSpec>,
}

impl CompressOptions {
    /// Returns how to compress the tar.
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
    /// Only for `squash`.
    #[serde(skip_serializing_if = "Option::is_none")]
    lost_hives: Option<Vec<LostHiveJson>>,
}

/// Registry changes lost in a squash, as JSON.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct LostHiveJson {
    pub(super) path: String,
    pub(super) from_layers: Vec<usize>,
}

impl Command for Arguments {
    fn run(&self, output: &Output) -> Result<(), CliError> {
        let layer = recognise(&self.path)?;
        (self.output).check_is_outside(std::iter::once(layer.path()))?;
        match layer.kind() {
            Kind::Portable | Kind::DamagedPortable => {
                run_portable(self, &layer.portable()?, output)
            }
            Kind::Windows(_) => export_windows::run(self, output),
            Kind::Transport => export_transport::run(self, layer.path(), output),
            Kind::Tar(_) | Kind::Special => export_tar::run(self, output),
            _ => Err(layer.refuse(Needed::View).into()),
        }
    }

    fn wants_json(&self) -> bool {
        self.json
    }

    fn conflict(&self) -> Option<&'static str> {
        self.output.conflict_with_json(self.json)
    }
}

fn run_portable(
    arguments: &Arguments,
    layer: &PortableLayer,
    output: &Output,
) -> Result<(), CliError> {
    layer.check_parents(&arguments.parents.chain())?;
    let size = layer.descriptor().tar_size;
    output.step(format_args!(
        "reading {}, a tar of {}",
        layer_view::absolute(layer.path()),
        units::size(size)
    ));
    write(arguments, Some(size), output, |file, compression, bar| {
        layer.export(file, compression, bar)
    })
}

/// Lets `export` write the tar of a layer, of `size` bytes if known, and prints the result.
pub(super) fn write(
    arguments: &Arguments,
    size: Option<u64>,
    output: &Output,
    export: impl FnOnce(&File, CompressionSpec, &Bar) -> wclayer::Result<LayerBlob>,
) -> Result<(), CliError> {
    let cancelled = signals::watch()?;
    let target = Target::open(&arguments.output)?;
    let compression = arguments.compress.compression();
    target.print_plan(compression, output);
    let progress = Bar::start(output, size, cancelled);
    let started = Instant::now();
    let exported = export(target.file(), compression, &progress)?;
    if progress.is_cancelled() {
        return Err(wclayer::Error::Cancelled.into());
    }
    drop(progress);
    target.commit()?;
    let (path, file) = (&arguments.path, arguments.output.file());
    let taken = started.elapsed();
    show("Exported", path, file, &exported, taken, None, output)?;
    exported
        .warnings
        .iter()
        .for_each(|warning| output.warn(warning));
    Ok(())
}

/// The destination of a tar.
pub(super) enum Target {
    /// Standard output.
    Stdout(File),
    /// Something that cannot be replaced: a device, a named pipe.
    Special(File, PathBuf),
    /// A new file, which replaces an existing one on completion, or fails to without `clobber`.
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

    /// Opens a destination that cannot be replaced; truncates a file that the caller holds open.
    fn open_special(path: PathBuf) -> Result<Self, CliError> {
        let is_file = fs::metadata(&path).is_ok_and(|metadata| metadata.is_file());
        let file = File::options().write(true).truncate(is_file).open(&path);
        let file = file.map_err(on_path("open", &path))?;
        Ok(Self::Special(refuse_terminal(file)?, path))
    }

    /// Prints the destination as a step.
    pub(super) fn print_plan(&self, compression: CompressionSpec, output: &Output) {
        let name = match self {
            Self::Stdout(_) => "standard output".to_owned(),
            Self::Special(_, path) => layer_view::absolute(path),
            Self::Replace { new, .. } => layer_view::absolute(new.path()),
        };
        let method = compression.method;
        output.step(format_args!("writing {name}, compression {method}"));
    }

    pub(super) fn file(&self) -> &File {
        match self {
            Self::Stdout(file) | Self::Special(file, _) => file,
            Self::Replace { new, .. } => new.file(),
        }
    }

    /// Moves the complete file to its path. Without this, dropping the value deletes it.
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

/// Refuses a terminal: a tar is not readable text, and may contain control sequences.
fn refuse_terminal(file: File) -> Result<File, CliError> {
    match file.is_terminal() {
        true => Err(CliError::OutputIsTerminal),
        false => Ok(file),
    }
}

/// Returns standard output without its line buffer, which would search the tar for line ends.
fn unbuffered_stdout() -> io::Result<File> {
    #[cfg(unix)]
    let own = std::os::fd::AsFd::as_fd(&io::stdout()).try_clone_to_owned();
    #[cfg(windows)]
    let own = std::os::windows::io::AsHandle::as_handle(&io::stdout()).try_clone_to_owned();
    own.map(File::from)
}

/// Prints the result of `export`, or of `squash` with the registry changes that it lost.
pub(super) fn show(
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
