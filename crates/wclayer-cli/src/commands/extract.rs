//! `extract`: copies files of a layer to the host.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;
use serde::Serialize;
use wclayer::LayerPath;
use wclayer::extract::{ExtractOptions, ExtractWriter, Extracted, Loss, NotMade, Reason};
use wclayer::hub;
use wclayer::source::Access;

use super::Command;
use super::view_options::{Opened, ViewOptions};
use crate::errors::CliError;
use crate::escape::escaped;
use crate::file_argument::new_folder;
use crate::layer_view;
use crate::output::{Output, Summary};
use crate::path_argument::{Place, place};
use crate::progress::Bar;
use crate::units;

const EXAMPLES: &str = "\
Examples:
  wclayer extract layers/app -C out
  wclayer extract app.tar.gz Files/Windows/System32/drivers -C out --xattrs
  wclayer extract -l base.tar.gz app.tar.gz 'Files\\Program Files' -C out";

/// How many names of each kind are shown without `--verbose`.
const SHOWN: usize = 3;
/// How many characters of a name are shown; `--json` shows all.
const MAX_SHOWN: usize = 400;

/// The answer to a destination `-`.
const MEANT: &str = "DIR is a folder; to write to standard output, use `wclayer cat` for a file or \
    `wclayer squash` for a tar";

/// Extract files from a layer to the host
///
/// Never writes outside DIR. Keeps existing directories, and replaces existing files and links.
/// Creates symbolic links and junctions whose targets are inside the layer. Escapes characters that
/// the host does not allow in names as %XX. Lists metadata that the host cannot store.
///
/// If an entry cannot be created, extracts the rest and exits with 1. After a failure, keeps the
/// files that are complete and lists what was lost so far. If the program is killed (SIGKILL),
/// a file may be incomplete.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Arguments {
    #[command(flatten)]
    view: ViewOptions,
    /// Entry to extract, including everything below it (repeatable) [default: everything]
    ///
    /// Use `/` or `\` in any letter case; `C:\Users` means `Files/Users`.
    #[arg(value_name = "PATH", value_parser = place())]
    paths: Vec<Place>,
    /// Folder to extract to, created if missing
    #[arg(short = 'C', long, value_name = "DIR", value_parser = new_folder(MEANT))]
    directory: PathBuf,
    /// Store metadata and alternate data streams in extended attributes
    ///
    /// On an NTFS mount, uses the names of the driver (ntfs-3g: `system.ntfs_acl`, …, and `user.NAME`
    /// for streams; ntfs3: `system.ntfs_security`, …). Elsewhere, uses `user.ntfs_acl`, …, and Samba's
    /// names for streams (`user.DosStream.NAME:$DATA`).
    #[arg(long)]
    xattrs: bool,
    /// Print a JSON object
    #[arg(long)]
    json: bool,
}

/// The result as JSON.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ExtractJson<'a> {
    path: String,
    directory: String,
    #[serde(flatten)]
    extracted: &'a Extracted,
    elapsed_seconds: f64,
}

impl Command for Arguments {
    fn run(&self, output: &Output) -> Result<(), CliError> {
        let opened = self.view.open(Access::Content, output)?;
        let paths = Place::paths(&self.paths);
        for path in &paths {
            opened.find(path, false)?;
        }
        let started = Instant::now();
        let options = ExtractOptions::default().xattrs(self.xattrs);
        let mut writer = ExtractWriter::new(&self.directory, options)?;
        leave_out_lost(&opened, &paths, &mut writer)?;
        let total = match paths.is_empty() {
            true => opened.view.content_size()?,
            false => None,
        };
        let progress = Bar::start(output, total, Arc::clone(&opened.cancelled));
        let mut reader = opened.view.reader(&paths);
        let so_far = writer.so_far();
        let copied = hub::copy(&mut reader, writer, &progress);
        drop(progress);
        let extracted = match copied {
            Ok(extracted) => extracted,
            Err(error) => {
                print_partial_result(self, &so_far.extracted(), output);
                return Err(error.into());
            }
        };
        show(self, &extracted, started.elapsed(), output)
    }

    fn wants_json(&self) -> bool {
        self.json
    }
}

/// Reports the entries at and below `paths` (everything if empty) that the view omits.
fn leave_out_lost(
    opened: &Opened,
    paths: &[LayerPath],
    writer: &mut ExtractWriter,
) -> Result<(), CliError> {
    opened.view.for_each_lost(&mut |_, lost| {
        let is_in = |path: &LayerPath| lost.path == *path || lost.path.is_below(path);
        if paths.is_empty() || paths.iter().any(is_in) {
            writer.leave_out(&lost);
        }
        Ok(())
    })?;
    Ok(())
}

fn show(
    arguments: &Arguments,
    extracted: &Extracted,
    taken: Duration,
    output: &Output,
) -> Result<(), CliError> {
    let json = ExtractJson {
        path: layer_view::absolute(&arguments.view.layer),
        directory: layer_view::absolute(&arguments.directory),
        extracted,
        elapsed_seconds: units::seconds(taken),
    };
    let title = format!("Extracted to `{}`", arguments.directory.display());
    let mut summary = Summary::new(title);
    rows(&mut summary, extracted, output.is_verbose());
    summary.row("time", units::time_and_rate(extracted.bytes, taken));
    output.result(&summary, &json)?;
    match extracted.failed {
        0 => Ok(()),
        // The JSON object reports the failure.
        _ if output.is_json() => Err(CliError::Reported),
        count => Err(CliError::NotMade { count }),
    }
}

/// Prints what was extracted and lost before a failure, such as the original names of renamed files,
/// which are recorded nowhere else.
fn print_partial_result(arguments: &Arguments, extracted: &Extracted, output: &Output) {
    if output.is_json() {
        return;
    }
    let folder = arguments.directory.display();
    let mut summary = Summary::new(format!("Extracted to `{folder}` before it failed"));
    rows(&mut summary, extracted, output.is_verbose());
    // The original failure matters more than a failure to print.
    let _ = output.result(&summary, &());
}

/// Adds rows about the entries that were created, and about those that were not or only in part: a
/// count and the first names, or all names in the report if `verbose`.
fn rows(summary: &mut Summary, extracted: &Extracted, verbose: bool) {
    for (label, count) in [
        ("directories", extracted.directories),
        ("files", extracted.files),
        ("hard links", extracted.links),
        ("copies for hard links", extracted.copied_links),
        ("symbolic links", extracted.symlinks),
        ("replaced", extracted.replaced),
        ("removals omitted", extracted.removals),
    ] {
        if count > 0 {
            summary.row(label, count);
        }
    }
    summary.row("content", units::size(extracted.bytes));
    let mut is_cut = false;
    let mut list = |label, count, names: &mut dyn Iterator<Item = String>| match verbose {
        true => list_all(summary, label, count, names),
        false => is_cut |= list_first(summary, label, count, names),
    };
    let renamed = &extracted.renamed;
    let names = renamed.first.iter();
    let mut names = names.map(|it| format!("{} as {}", it.path, it.name));
    list("renamed", renamed.count, &mut names);
    let not_made = &extracted.not_made;
    let names = not_made.first.iter();
    let mut names = names.map(|it| format!("{} ({})", it.path, why(it)));
    list("not created", not_made.count, &mut names);
    for (kind, lost) in &extracted.lost {
        list(label(*kind), lost.count, &mut lost.first.iter().cloned());
    }
    if is_cut {
        summary.row("…", "use --verbose to list all names");
    }
}

/// Adds a row with the number of names and the first few; returns whether there are more.
fn list_first(
    summary: &mut Summary,
    label: &'static str,
    count: u64,
    names: &mut dyn Iterator<Item = String>,
) -> bool {
    if count == 0 {
        return false;
    }
    let shown: Vec<String> = names
        .take(SHOWN)
        .map(|name| escaped(&shortened(name)).into_owned())
        .collect();
    let is_cut = count > shown.len() as u64;
    let more = if is_cut { ", …" } else { "" };
    summary.row(label, format!("{count}: {}{more}", shown.join(", ")));
    is_cut
}

/// Adds a row with the number of names, and a row for each name in the report.
fn list_all(
    summary: &mut Summary,
    label: &'static str,
    count: u64,
    names: &mut dyn Iterator<Item = String>,
) {
    if count == 0 {
        return;
    }
    summary.row(label, count);
    let mut listed = 0;
    for name in names {
        summary.row("", shortened(name));
        listed += 1;
    }
    if count > listed {
        summary.row("", format!("and {} more", count - listed));
    }
}

/// Omits the middle of a very long name.
fn shortened(name: String) -> String {
    let count = name.chars().count();
    if count <= MAX_SHOWN {
        return name;
    }
    let start: String = name.chars().take(MAX_SHOWN / 2).collect();
    let end: String = name.chars().skip(count - MAX_SHOWN / 2).collect();
    format!("{start}…{end}")
}

fn label(kind: Loss) -> &'static str {
    match kind {
        Loss::SecurityDescriptors => "lost: security descriptors",
        Loss::AlternateStreams => "lost: alternate data streams",
        Loss::ExtendedAttributes => "lost: extended attributes",
        Loss::Attributes => "lost: attributes",
        Loss::Times => "lost: creation and change times",
        Loss::LastTimes => "lost: last write and access times",
        Loss::ReparseData => "lost: reparse data",
        Loss::OtherStreams => "lost: other streams",
        _ => "lost: other metadata",
    }
}

fn why(not_made: &NotMade) -> String {
    let target = &not_made.target;
    match (not_made.reason, &not_made.cause) {
        (Reason::LeadsOutside, _) => format!("its target {target} is outside the layer"),
        (Reason::TargetMissing, _) => format!("its target {target} does not exist"),
        (Reason::TargetIsDirectory, _) => format!("{target} is a directory"),
        (Reason::PlaceTaken, Some(cause)) => cause.clone(),
        (Reason::PlaceTaken, None) => "something else is at its path".to_owned(),
        (Reason::NotInDirectory, _) => {
            format!("it is below {target}, which is not a directory")
        }
        (Reason::Refused, Some(cause)) => format!("the host refused it: {cause}"),
        (Reason::Refused, None) => "the host refused it".to_owned(),
        (Reason::Damaged, _) => "the reparse point is damaged".to_owned(),
        (_, Some(cause)) => cause.clone(),
        (_, None) => "it cannot be made".to_owned(),
    }
}
