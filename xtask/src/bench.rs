//! `cargo xtask bench`: import and export of a layer, beside the tools that do a part of it.
//!
//! In each round every command runs once, so that a slow minute of the machine hits all of them;
//! the median counts. A layer is only done when it is on the disk: `wclayer` flushes what it
//! wrote, so the fast peers also stand there with a flush of their output as part of their time.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, BufWriter, IsTerminal, Read, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::{Args, ValueEnum};
use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use layergen::Profile;
use serde_json::json;
use tempfile::TempDir;

use crate::measure::{self, Cost, median};
use crate::{Result, build, table};

/// Measure import and export beside igzip, gzip and cp.
#[derive(Args)]
pub(crate) struct Options {
    /// Size of the generated layer.
    #[arg(long, value_enum, default_value = "medium")]
    profile: Size,
    /// Seed of the generated layer.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Use this layer tar (plain or gzip), or wrap this folder as one, instead of generating.
    #[arg(long, conflicts_with_all = ["profile", "seed"])]
    input: Option<PathBuf>,
    /// How often each command runs.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
    /// Also write the results to this file.
    #[arg(long)]
    json: Option<PathBuf>,
    /// Work in this folder instead of the system's temporary one.
    #[arg(long)]
    dir: Option<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Size {
    Small,
    Medium,
    Large,
}

/// Who takes part in each operation, ours first. Words in capitals stand for paths: `TAR` is the
/// layer, `TAR.GZ` its gzip form, `LAYER` the imported layer, `OUT` what is to be made.
const COMMANDS: [(&str, &str); 9] = [
    ("import", "wclayer import -q -i TAR.GZ OUT"),
    ("import", "igzip -dc TAR.GZ > OUT"),
    ("import", "igzip -dc TAR.GZ > OUT; fsync OUT"),
    ("import", "gzip -dc TAR.GZ > OUT"),
    ("export -z", "wclayer export -q -z -o OUT LAYER"),
    ("export -z", "gzip -6c TAR > OUT"),
    ("export", "wclayer export -q -o OUT LAYER"),
    ("export", "cp TAR OUT"),
    ("export", "cp TAR OUT; fsync OUT"),
];

/// A command that takes part, and what it took so far.
struct Contender {
    operation: &'static str,
    /// Its entry in [`COMMANDS`].
    text: &'static str,
    command: Vec<OsString>,
    /// Whether its output is what it prints.
    prints: bool,
    /// Whether a flush of the output is part of its time.
    flush: bool,
    costs: Vec<Cost>,
}

/// The layer under measurement.
struct Layer {
    tar: PathBuf,
    blob: PathBuf,
    tar_size: u64,
    blob_size: u64,
}

pub(crate) fn run(options: &Options) -> Result {
    let wclayer = build::wclayer()?;
    let folder = match &options.dir {
        Some(dir) => TempDir::with_prefix_in("wclayer-bench-", dir)?,
        None => TempDir::with_prefix("wclayer-bench-")?,
    };
    let layer = make_layer(options, folder.path())?;
    let imported = folder.path().join("imported");
    measure::run(
        Command::new(&wclayer)
            .args(["import", "-q", "-i"])
            .args([&layer.blob, &imported]),
        None,
    )?;
    let output = folder.path().join("out");
    let path = |word: &str| match word {
        "wclayer" => Some(wclayer.clone()),
        "TAR" => Some(layer.tar.clone()),
        "TAR.GZ" => Some(layer.blob.clone()),
        "LAYER" => Some(imported.clone()),
        "OUT" => Some(output.clone()),
        _ => None,
    };
    let mut contenders = COMMANDS.map(|command| contender(command, path));
    for round in 1..=options.runs {
        for contender in &mut contenders {
            if build::is_installed(&contender.command[0]) {
                show(&format!("round {round}: {}", contender.text));
                contender.run(&output)?;
            }
        }
    }
    show("");
    print!("{}", report(options, &layer, &contenders));
    if let Some(path) = &options.json {
        fs::write(
            path,
            format!("{:#}\n", to_json(options, &layer, &contenders)),
        )?;
    }
    Ok(())
}

/// Shows what goes on, in place of what was shown before.
fn show(text: &str) {
    if io::stderr().is_terminal() {
        eprint!("\r\x1b[K{text}");
    }
}

/// Makes the tar and its gzip form, both of which are then in the page cache.
fn make_layer(options: &Options, folder: &Path) -> Result<Layer> {
    let (tar, blob) = (folder.join("layer.tar"), folder.join("layer.tar.gz"));
    let mut out = BufWriter::with_capacity(1 << 20, File::create(&tar)?);
    match &options.input {
        Some(input) if input.is_dir() => {
            layergen::wrap_tree(input, "Files/Windows/System32", &mut out)?;
        }
        Some(input) => unpack(input, &mut out)?,
        None => {
            layergen::generate(options.seed, options.profile.into(), &mut out)?;
        }
    }
    out.into_inner()?.sync_all()?;
    let out = BufWriter::with_capacity(1 << 20, File::create(&blob)?);
    let mut encoder = GzEncoder::new(out, Compression::new(6));
    io::copy(&mut File::open(&tar)?, &mut encoder)?;
    encoder.finish()?.into_inner()?.sync_all()?;
    let (tar_size, blob_size) = (fs::metadata(&tar)?.len(), fs::metadata(&blob)?.len());
    Ok(Layer {
        tar,
        blob,
        tar_size,
        blob_size,
    })
}

impl From<Size> for Profile {
    fn from(size: Size) -> Self {
        match size {
            Size::Small => Self::small(),
            Size::Medium => Self::medium(),
            Size::Large => Self::large(),
        }
    }
}

/// Copies a tar, uncompressed when it was gzip.
fn unpack(input: &Path, out: &mut impl Write) -> Result {
    let mut magic = Vec::new();
    File::open(input)?.take(2).read_to_end(&mut magic)?;
    let mut file = File::open(input)?;
    match magic[..] {
        [0x1F, 0x8B] => io::copy(&mut MultiGzDecoder::new(file), out)?,
        _ => io::copy(&mut file, out)?,
    };
    Ok(())
}

/// Makes a contender of an entry of [`COMMANDS`].
fn contender(
    (operation, text): (&'static str, &'static str),
    path: impl Fn(&str) -> Option<PathBuf>,
) -> Contender {
    let (command, flush) = cut(text, "; fsync OUT");
    let (command, prints) = cut(command, " > OUT");
    Contender {
        operation,
        text,
        command: command
            .split(' ')
            .map(|word| path(word).map_or_else(|| word.into(), OsString::from))
            .collect(),
        prints,
        flush,
        costs: Vec::new(),
    }
}

fn cut<'a>(text: &'a str, end: &str) -> (&'a str, bool) {
    let shorter = text.strip_suffix(end);
    (shorter.unwrap_or(text), shorter.is_some())
}

impl Contender {
    /// Runs once, from a state without output to one without output.
    fn run(&mut self, output: &Path) -> Result {
        let mut command = Command::new(&self.command[0]);
        command.args(&self.command[1..]);
        if self.prints {
            command.stdout(File::create(output)?);
        }
        let flush = self.flush.then_some(output);
        self.costs.push(measure::run(&mut command, flush)?);
        if output.is_dir() {
            fs::remove_dir_all(output)?;
        } else {
            fs::remove_file(output)?;
        }
        Ok(())
    }

    fn is_ours(&self) -> bool {
        self.text.starts_with("wclayer ")
    }

    fn seconds(&self) -> Option<f64> {
        median(self.costs.iter().map(|cost| cost.seconds))
    }

    fn peak(&self) -> Option<u64> {
        self.costs.iter().filter_map(|cost| cost.peak).max()
    }

    /// Returns how much longer (or shorter) our command takes for the same operation.
    fn ratio(&self, all: &[Self]) -> Option<f64> {
        let ours = all
            .iter()
            .find(|other| other.is_ours() && other.operation == self.operation)?;
        (!self.is_ours()).then_some(ours.seconds()? / self.seconds()?)
    }
}

fn describe(options: &Options) -> String {
    match (&options.input, options.profile) {
        (Some(input), _) => input.display().to_string(),
        (None, Size::Small) => format!("generated, small, seed {}", options.seed),
        (None, Size::Medium) => format!("generated, medium, seed {}", options.seed),
        (None, Size::Large) => format!("generated, large, seed {}", options.seed),
    }
}

fn report(options: &Options, layer: &Layer, contenders: &[Contender]) -> String {
    let megabytes = |bytes: u64| bytes as f64 / 1e6;
    let header = [
        "operation",
        "command",
        "seconds",
        "MB/s",
        "wclayer / this",
        "peak MiB",
    ];
    let mut rows = vec![header.map(str::to_owned)];
    for contender in contenders {
        let mut row = [
            contender.operation,
            contender.text,
            "not installed",
            "",
            "",
            "",
        ]
        .map(str::to_owned);
        if let Some(seconds) = contender.seconds() {
            let ratio = contender.ratio(contenders);
            row[2] = format!("{seconds:.3}");
            row[3] = format!("{:.0}", megabytes(layer.tar_size) / seconds);
            row[4] = ratio.map(|ratio| format!("{ratio:.2}")).unwrap_or_default();
            row[5] = contender.peak().map_or("?".to_owned(), |peak| {
                format!("{:.1}", peak as f64 / f64::from(1 << 20))
            });
        }
        rows.push(row);
    }
    format!(
        "Layer: {}: {:.1} MB as tar, {:.1} MB as gzip.\n\
         Median of {} interleaved runs; MB/s of uncompressed tar; peak of all runs.\n\
         wclayer flushes its output to the disk; so do the rows with `fsync`.\n\n{}",
        describe(options),
        megabytes(layer.tar_size),
        megabytes(layer.blob_size),
        options.runs,
        table::format(&rows),
    )
}

fn to_json(options: &Options, layer: &Layer, contenders: &[Contender]) -> serde_json::Value {
    let rows: Vec<_> = contenders
        .iter()
        .map(|contender| {
            let seconds: Vec<f64> = contender.costs.iter().map(|cost| cost.seconds).collect();
            json!({
                "operation": contender.operation,
                "command": contender.text,
                "installed": !seconds.is_empty(),
                "seconds": seconds,
                "medianSeconds": contender.seconds(),
                "wclayerRatio": contender.ratio(contenders),
                "peakBytes": contender.peak(),
            })
        })
        .collect();
    json!({
        "layer": describe(options),
        "tarSize": layer.tar_size,
        "blobSize": layer.blob_size,
        "rows": rows,
    })
}
