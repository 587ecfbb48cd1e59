//! `cargo xtask bench`: our commands beside tools that do the same work or a part of it.
//!
//! Every command runs once per round, so that a slow minute of the machine affects all of them
//! equally; the result is the median. An import or export only counts as done once the data is on
//! the disk: `wclayer` flushes its output, so the fast peers are also measured with a flush of
//! their output. Nothing flushes extracted files. Queries of a chain are measured against the same
//! query of one layer, and validation against an import.

mod material;

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use clap::{Args, ValueEnum};
use layergen::Profile;
use serde_json::json;
use tempfile::TempDir;

use self::material::{LAYERS, Material};
use crate::measure::{self, Cost, median};
use crate::{Result, build, table};

/// Measure wclayer against igzip, gzip, cp and bsdtar, and queries of a chain
#[derive(Args)]
pub(crate) struct Options {
    /// Size of the generated layer
    #[arg(long, value_enum, default_value = "medium")]
    profile: Size,
    /// Seed of the generated layer
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Use this layer tar (plain or gzip) or folder instead of generating a layer
    #[arg(long, conflicts_with_all = ["profile", "seed"])]
    input: Option<PathBuf>,
    /// Number of runs of each command
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
    /// Also write the results to this file
    #[arg(long)]
    json: Option<PathBuf>,
    /// Work in this folder instead of the system's temporary folder
    #[arg(long)]
    dir: Option<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Size {
    Small,
    Medium,
    Large,
}

/// The commands of each operation, ours first. Words in capitals stand for paths: `TAR` is the
/// layer, `TAR.GZ` its gzip form, `LAYER` the imported layer, `MANY.TAR` a layer of small files and
/// `LAST` its last file, `CHAIN` the nearest layer of a chain, `OUT` the output.
const COMMANDS: [(&str, &str); 27] = [
    ("import", "wclayer import -q -i TAR.GZ OUT"),
    ("import", "igzip -dc TAR.GZ > OUT"),
    ("import", "igzip -dc TAR.GZ > OUT; fsync OUT"),
    ("import", "gzip -dc TAR.GZ > OUT"),
    ("export -z", "wclayer export -q -z -o OUT LAYER"),
    ("export -z", "gzip -6c TAR > OUT"),
    ("export", "wclayer export -q -o OUT LAYER"),
    ("export", "cp TAR OUT"),
    ("export", "cp TAR OUT; fsync OUT"),
    ("extract", "wclayer extract -q MANY.TAR -C OUT"),
    ("extract", "bsdtar -xf MANY.TAR -C OUT"),
    ("list tar", "wclayer find TAR"),
    ("list tar", "bsdtar -tf TAR"),
    ("list tar.gz", "wclayer find TAR.GZ"),
    ("list tar.gz", "bsdtar -tf TAR.GZ"),
    ("cat first", "wclayer cat MANY.TAR.GZ Files/0/0.dll"),
    ("cat first", "bsdtar -xOqf MANY.TAR.GZ Files/0/0.dll"),
    ("cat last", "wclayer cat MANY.TAR.GZ LAST"),
    ("cat last", "bsdtar -xOqf MANY.TAR.GZ LAST"),
    ("validate", "wclayer validate TAR.GZ"),
    ("validate", "wclayer import -q -i TAR.GZ OUT"),
    ("stat", "wclayer stat CHAIN Files/7/0-700.dll"),
    ("stat", "wclayer stat --this-layer CHAIN Files/7/9-700.dll"),
    ("ls", "wclayer ls CHAIN Files/7"),
    ("ls", "wclayer ls --this-layer CHAIN Files/7"),
    ("find", "wclayer find CHAIN"),
    ("find", "wclayer find --this-layer CHAIN"),
];

/// A command and its measurements so far.
struct Contender {
    operation: &'static str,
    /// Its entry in [`COMMANDS`].
    text: &'static str,
    command: Vec<OsString>,
    /// Whether the command writes its output to standard output.
    prints: bool,
    /// Whether the measured time includes a flush of the output.
    flush: bool,
    costs: Vec<Cost>,
}

pub(crate) fn run(options: &Options) -> Result {
    let wclayer = build::wclayer()?;
    let folder = match &options.dir {
        Some(dir) => TempDir::with_prefix_in("wclayer-bench-", dir)?,
        None => TempDir::with_prefix("wclayer-bench-")?,
    };
    show("generating the layers");
    let material = Material::make(options, &wclayer, folder.path())?;
    let output = folder.path().join("out");
    let path = |word: &str| match word {
        "wclayer" => Some(&wclayer),
        "TAR" => Some(&material.tar),
        "TAR.GZ" => Some(&material.blob),
        "LAYER" => Some(&material.imported),
        "MANY.TAR" => Some(&material.many),
        "MANY.TAR.GZ" => Some(&material.many_blob),
        "LAST" => Some(&material.last),
        "CHAIN" => Some(&material.chain),
        "OUT" => Some(&output),
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
    print!("{}", report(options, &material, &contenders));
    if let Some(path) = &options.json {
        fs::write(
            path,
            format!("{:#}\n", to_json(options, &material, &contenders)),
        )?;
    }
    Ok(())
}

/// Shows the current activity, replacing the previous one.
fn show(text: &str) {
    if io::stderr().is_terminal() {
        eprint!("\r\x1b[K{text}");
    }
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

/// Creates a contender from an entry of [`COMMANDS`].
fn contender<'a>(
    (operation, text): (&'static str, &'static str),
    path: impl Fn(&str) -> Option<&'a PathBuf>,
) -> Contender {
    let (command, flush) = cut(text, "; fsync OUT");
    let (command, prints) = cut(command, " > OUT");
    Contender {
        operation,
        text,
        command: command
            .split(' ')
            .map(|word| {
                path(word)
                    .map_or(word.as_ref(), |path| path.as_os_str())
                    .to_owned()
            })
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
    /// Runs the command once; there is no output before and after.
    fn run(&mut self, output: &Path) -> Result {
        let mut command = Command::new(&self.command[0]);
        command.args(&self.command[1..]);
        if self.prints {
            command.stdout(File::create(output)?);
        } else {
            command.stdout(Stdio::null());
        }
        if self.operation == "extract" {
            fs::create_dir(output)?;
        }
        let flush = self.flush.then_some(output);
        self.costs.push(measure::run(&mut command, flush)?);
        if output.is_dir() {
            fs::remove_dir_all(output)?;
        } else if output.exists() {
            fs::remove_file(output)?;
        }
        Ok(())
    }

    fn seconds(&self) -> Option<f64> {
        median(self.costs.iter().map(|cost| cost.seconds))
    }

    fn peak(&self) -> Option<u64> {
        self.costs.iter().filter_map(|cost| cost.peak).max()
    }

    /// Returns the processor time of the command, over all its threads.
    fn processor(&self) -> Option<f64> {
        median(self.costs.iter().filter_map(|cost| cost.processor))
    }

    /// Returns the ratio between the times of the first command of the operation and this one.
    fn ratio(&self, all: &[Self]) -> Option<f64> {
        let first = all.iter().find(|other| other.operation == self.operation)?;
        (first.text != self.text).then_some(first.seconds()? / self.seconds()?)
    }

    /// Returns the size of the processed tar, where applicable.
    fn size(&self, material: &Material) -> Option<u64> {
        match self.operation {
            "stat" | "ls" | "find" | "cat first" => None,
            "extract" | "cat last" => Some(material.many_size),
            _ => Some(material.tar_size),
        }
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

fn report(options: &Options, material: &Material, contenders: &[Contender]) -> String {
    let megabytes = |bytes: u64| bytes as f64 / 1e6;
    let header = [
        "operation",
        "command",
        "seconds",
        "processor",
        "MB/s",
        "first / this",
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
            "",
        ]
        .map(str::to_owned);
        if let Some(seconds) = contender.seconds() {
            let ratio = contender.ratio(contenders);
            row[2] = format!("{seconds:.3}");
            let size = contender.size(material);
            let peak = contender.peak();
            let or_none = |text: Option<String>| text.unwrap_or_default();
            row[3] = or_none(contender.processor().map(|time| format!("{time:.2}")));
            row[4] = or_none(size.map(|size| format!("{:.0}", megabytes(size) / seconds)));
            row[5] = or_none(ratio.map(|ratio| format!("{ratio:.2}")));
            row[6] = peak.map_or("?".to_owned(), |peak| {
                format!("{:.1}", peak as f64 / f64::from(1 << 20))
            });
        }
        rows.push(row);
    }
    format!(
        "Layer: {}: {:.1} MB as tar, {:.1} MB as gzip.\n\
         Extracted: {} small files, {:.1} MB as tar. Chain: {LAYERS} layers with as many files each.\n\
         Median of {} interleaved runs: wall time and processor time in seconds, MB/s of the\n\
         uncompressed tar; peak over all runs. Imports and exports of wclayer are flushed to disk,\n\
         like the rows with `fsync`. The ratio compares the first row of an operation with each\n\
         other row.\n\n{}",
        describe(options),
        megabytes(material.tar_size),
        megabytes(material.blob_size),
        options.profile.small_files(),
        megabytes(material.many_size),
        options.runs,
        table::format(&rows),
    )
}

fn to_json(options: &Options, material: &Material, contenders: &[Contender]) -> serde_json::Value {
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
                "processorSeconds": contender.processor(),
                "firstRatio": contender.ratio(contenders),
                "peakBytes": contender.peak(),
            })
        })
        .collect();
    json!({
        "layer": describe(options),
        "tarSize": material.tar_size,
        "blobSize": material.blob_size,
        "smallFiles": options.profile.small_files(),
        "smallFilesTarSize": material.many_size,
        "rows": rows,
    })
}
