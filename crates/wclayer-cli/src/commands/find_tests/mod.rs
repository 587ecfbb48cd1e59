//! The tests of `find` as options of the command line.

mod glob;
mod newer;
mod owner;
mod size;

use std::path::Path;

use clap::{Args, ValueEnum};
use wclayer::find::{EntryType, Glob, SizeTest, Test, Tests};
use wclayer::ntmeta::security::Sid;
use wclayer::ntmeta::{FileAttributes, FileTime};
use wclayer::view::View;
use wclayer::{LayerPath, layout};

use self::newer::Newer;
use super::view_options::Opened;
use crate::errors::{CliError, Mistake};

/// The options for tests.
#[derive(Debug, Args)]
#[command(next_help_heading = "Tests")]
pub(super) struct TestOptions {
    /// Match the name, ignoring case, with the wildcards `*`, `?` and `[a-z]`
    #[arg(long, value_name = "GLOB", value_parser = glob::parser())]
    name: Option<Glob>,
    /// Match the whole path, ignoring case; `*` also matches `/`
    #[arg(long = "path", value_name = "GLOB", value_parser = glob::parser())]
    whole: Option<Glob>,
    /// Match the kind of entry
    #[arg(long = "type", value_name = "KIND")]
    kind: Option<Kind>,
    /// Match the size of files: `+10M` larger, `-1.5k` smaller, `=0` or `0` exactly; k, M, G and T
    /// (or KiB, MiB, …) are powers of 1024
    #[arg(long, value_name = "SIZE", allow_hyphen_values = true, value_parser = size::parse)]
    size: Option<SizeTest>,
    /// Match entries that have all of these attributes, separated by commas
    #[arg(long, value_name = "NAME", value_delimiter = ',', value_parser = attribute)]
    attr: Vec<FileAttributes>,
    /// Match the owner: a SID, an SDDL alias such as BA, or a well-known name such as `BUILTIN\Users`
    /// or `TrustedInstaller`
    #[arg(long, value_name = "OWNER", value_parser = owner::parse)]
    owner: Option<Sid>,
    /// Match entries of one layer: its number (0 is the nearest) or its path
    #[arg(long, value_name = "N|LAYER")]
    from_layer: Option<String>,
    /// Match entries written after a time (`2024-05-01`, `2024-05-01T12:30:00.1234567Z`, `2024-05-01
    /// 12:30+02:00`; UTC without an offset), `today`, `yesterday`, `2 days ago`, or the time of
    /// another entry
    #[arg(long, value_name = "TIME|PATH", value_parser = newer::parser())]
    newer: Option<Newer>,
    /// Match entries with alternate data streams
    #[arg(long)]
    stream: bool,
}

/// The kind of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// File, with one or several names
    #[value(name = "f")]
    File,
    /// Directory
    #[value(name = "d")]
    Directory,
    /// Reparse point: symbolic link, junction, …
    #[value(name = "l")]
    Reparse,
    /// Hard link: another name of a file
    #[value(name = "h")]
    HardLink,
    /// Removal of an entry of a parent (with --this-layer)
    #[value(name = "w")]
    Whiteout,
}

impl TestOptions {
    /// Returns the tests; looks up the entry and the layer that the options name.
    pub(super) fn tests(&self, opened: &Opened) -> Result<Tests, CliError> {
        let mut tests: Vec<Test> = Vec::new();
        tests.extend(self.name.clone().map(Test::Name));
        tests.extend(self.whole.clone().map(Test::Path));
        tests.extend(self.kind.map(|kind| Test::Type(kind.into())));
        tests.extend(self.size.map(Test::Size));
        tests.extend(self.attr.iter().copied().map(Test::Attributes));
        tests.extend(self.owner.clone().map(Test::Owner));
        tests.extend(self.stream.then_some(Test::HasStreams));
        if let Some(newer) = &self.newer {
            tests.push(Test::NewerThan(time(newer, opened)?));
        }
        if let Some(layer) = &self.from_layer {
            tests.push(Test::Layer(find_layer(&opened.view, layer)?));
        }
        Ok(tests.into_iter().collect())
    }
}

impl From<Kind> for EntryType {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::File => Self::File,
            Kind::Directory => Self::Directory,
            Kind::Reparse => Self::ReparsePoint,
            Kind::HardLink => Self::HardLink,
            Kind::Whiteout => Self::Removal,
        }
    }
}

/// Returns the time of `--newer`.
fn time(newer: &Newer, opened: &Opened) -> Result<FileTime, CliError> {
    let path = match newer {
        Newer::Than(time) => return Ok(*time),
        Newer::ThanEntry(path) => path,
    };
    let node = opened
        .find(path, false)
        .map_err(|error| match is_below_top(path) {
            true => error,
            false => CliError::Mistaken(Box::new(error), Mistake::NotATime),
        })?;
    let time = node.basic_info().map(|info| info.last_write_time);
    Ok(time.unwrap_or_default())
}

/// Returns whether a path starts with a top-level directory of layers.
fn is_below_top(path: &LayerPath) -> bool {
    let tops = [layout::FILES, layout::HIVES, layout::UTILITY_VM];
    let first = path.components().next().unwrap_or_default();
    tops.iter()
        .any(|top| first.eq_ignore_ascii_case(top.as_bytes()))
}

fn find_layer(view: &View, text: &str) -> Result<usize, CliError> {
    let number = text.parse::<usize>();
    if let Ok(number) = number
        && number < view.depth()
    {
        return Ok(number);
    }
    let wanted = Path::new(text);
    let same = |place: &Path| {
        place == wanted
            || matches!((place.canonicalize(), wanted.canonicalize()), (Ok(a), Ok(b)) if a == b)
    };
    view.places().position(same).ok_or_else(|| match number {
        Ok(number) => CliError::NoLayerNumber {
            number,
            last: view.depth().saturating_sub(1),
        },
        Err(_) => CliError::NotInChain {
            place: wanted.to_owned(),
        },
    })
}

fn attribute(text: &str) -> Result<FileAttributes, String> {
    let name = text.to_ascii_uppercase().replace('-', "_");
    FileAttributes::from_name(&name).ok_or_else(|| {
        let named = FileAttributes::all();
        let names = named.iter_names().map(|(name, _)| name.to_lowercase());
        let names: Vec<String> = names.collect();
        format!("expected one of: {}", names.join(", "))
    })
}
