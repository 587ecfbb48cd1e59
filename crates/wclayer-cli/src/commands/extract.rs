//! `extract`: files of a layer as plain files of the host.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use clap::Args;
use serde::Serialize;
use wclayer::extract::{ExtractOptions, ExtractWriter, Extracted, Loss, NotMade, Reason};
use wclayer::hub;
use wclayer::source::Access;

use super::view_options::ViewOptions;
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
/// How many characters of a name are shown; `--json` has all.
const MAX_SHOWN: usize = 400;

/// What is meant by a destination `-`.
const MEANT: &str = "DIR is a folder; `wclayer cat` prints a file, `wclayer squash` a tar of all";

/// Take files out of a layer, as plain files
///
/// Nothing is written outside of DIR. Directories that are there are used; files and links in the
/// way are replaced. Symbolic links and junctions are made where they lead to a place inside of the
/// layer. Names that the host cannot hold are written as %XX. What the host does not keep is listed.
/// When a link cannot be made, though it leads nowhere else, the rest is extracted, and the exit code
/// is 1. After a failure, the files that were complete stay, and what was lost till then is listed;
/// a program that is killed (SIGKILL) may leave a part of a file under the file's name.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Arguments {
    #[command(flatten)]
    view: ViewOptions,
    /// What to extract, with all below it [default: everything]
    ///
    /// Written with `/` or `\`, in any case; `C:\Users` is `Files/Users`.
    #[arg(value_name = "PATH", value_parser = place())]
    paths: Vec<Place>,
    /// Folder to extract to; made where it is missing
    #[arg(short = 'C', long, value_name = "DIR", value_parser = new_folder(MEANT))]
    directory: PathBuf,
    /// Keep metadata and alternate streams in extended attributes
    ///
    /// On an NTFS mount with the names of its driver (ntfs-3g: `system.ntfs_acl`, …, and streams as
    /// `user.NAME`; ntfs3: `system.ntfs_security`, …), as `user.ntfs_acl`, … elsewhere, with streams
    /// as Samba has them (`user.DosStream.NAME:$DATA`).
    #[arg(long)]
    xattrs: bool,
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

/// What was extracted, as JSON.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ExtractJson<'a> {
    path: String,
    directory: String,
    #[serde(flatten)]
    extracted: &'a Extracted,
    elapsed_seconds: f64,
}

/// Extracts a layer.
pub(crate) fn run(arguments: &Arguments, output: &Output) -> Result<(), CliError> {
    let opened = arguments.view.open(Access::Content, output)?;
    let paths = Place::paths(&arguments.paths);
    for path in &paths {
        opened.find(path, false)?;
    }
    let started = Instant::now();
    let options = ExtractOptions::default().xattrs(arguments.xattrs);
    let mut writer = ExtractWriter::new(&arguments.directory, options)?;
    opened.view.for_each_lost(&mut |_, lost| {
        let is_in = |path: &wclayer::LayerPath| lost.path == *path || lost.path.is_below(path);
        if paths.is_empty() || paths.iter().any(is_in) {
            writer.leave_out(&lost);
        }
        Ok(())
    })?;
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
            tell_so_far(arguments, &so_far.extracted(), output);
            return Err(error.into());
        }
    };
    let taken = started.elapsed();
    let json = ExtractJson {
        path: layer_view::absolute(&arguments.view.layer),
        directory: layer_view::absolute(&arguments.directory),
        extracted: &extracted,
        elapsed_seconds: units::seconds(taken),
    };
    let title = format!("Extracted to `{}`", arguments.directory.display());
    let mut summary = Summary::new(title);
    rows(&mut summary, &extracted, output.is_verbose());
    summary.row("time", units::time_and_rate(extracted.bytes, taken));
    output.result(&summary, &json)?;
    match extracted.failed {
        0 => Ok(()),
        // The object says it.
        _ if output.is_json() => Err(CliError::Told),
        count => Err(CliError::NotMade { count }),
    }
}

/// Tells what was extracted and lost before a failure: nobody else knows what renamed files were.
fn tell_so_far(arguments: &Arguments, extracted: &Extracted, output: &Output) {
    if output.is_json() {
        return;
    }
    let folder = arguments.directory.display();
    let mut summary = Summary::new(format!("Extracted to `{folder}` before it failed"));
    rows(&mut summary, extracted, output.is_verbose());
    // The failure itself is what has to be told.
    let _ = output.result(&summary, &());
}

/// Adds what was made, and what was not or not wholly: a count and the first names; all that the report
/// has when `verbose`.
fn rows(summary: &mut Summary, extracted: &Extracted, verbose: bool) {
    for (label, count) in [
        ("directories", extracted.directories),
        ("files", extracted.files),
        ("hard links", extracted.links),
        ("copies for hard links", extracted.copied_links),
        ("symbolic links", extracted.symlinks),
        ("replaced", extracted.replaced),
        ("removals left out", extracted.removals),
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
    list("not made", not_made.count, &mut names);
    for (kind, lost) in &extracted.lost {
        list(label(*kind), lost.count, &mut lost.first.iter().cloned());
    }
    if is_cut {
        summary.row("…", "--verbose lists the names");
    }
}

/// Adds a row with the number of names and the first of them; returns whether that is not all.
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

/// Adds a row with the number of names, and one for each that the report has.
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

/// Leaves out the middle of a very long name.
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
        Loss::AlternateStreams => "lost: alternate streams",
        Loss::ExtendedAttributes => "lost: extended attributes",
        Loss::Attributes => "lost: attributes",
        Loss::Times => "lost: times of creation and change",
        Loss::LastTimes => "lost: times of last write and access",
        Loss::ReparseData => "lost: reparse data",
        Loss::OtherStreams => "lost: other streams",
        _ => "lost: other metadata",
    }
}

fn why(not_made: &NotMade) -> String {
    let target = &not_made.target;
    match (not_made.reason, &not_made.cause) {
        (Reason::LeadsOutside, _) => format!("leads outside, to {target}"),
        (Reason::TargetMissing, _) => format!("there is no {target}"),
        (Reason::TargetIsDirectory, _) => format!("{target} is a directory"),
        (Reason::PlaceTaken, Some(cause)) => cause.clone(),
        (Reason::PlaceTaken, None) => "its place is taken".to_owned(),
        (Reason::NotInDirectory, _) => {
            format!("it lies below {target}, which is not a directory")
        }
        (Reason::Refused, Some(cause)) => format!("the host refused it: {cause}"),
        (Reason::Refused, None) => "the host refused it".to_owned(),
        (Reason::Damaged, _) => "the reparse point is damaged".to_owned(),
        (_, Some(cause)) => cause.clone(),
        (_, None) => "it cannot be made".to_owned(),
    }
}
