//! The tests of `find`: their options, and whether an entry passes.
//!
//! Names are compared as NTFS does, upper-cased unit by unit ([`wclayer::ntmeta::upcase`]).

mod glob;
mod newer;
mod owner;
mod size;

use std::path::Path;

use clap::{Args, ValueEnum};
use wclayer::layer::Removed;
use wclayer::ntmeta::security::Sid;
use wclayer::ntmeta::{FileAttributes, FileTime, SecurityDescriptor, wide};
use wclayer::view::{Node, NodeKind, View};
use wclayer::{LayerPath, layout};

use self::glob::Glob;
use self::newer::Newer;
use self::size::SizeTest;
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
    #[arg(long, value_name = "SIZE", allow_hyphen_values = true, value_parser = SizeTest::new)]
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

/// Tests bound to a view.
pub(super) struct Tests<'a> {
    options: &'a TestOptions,
    layer: Option<usize>,
    newer: Option<FileTime>,
}

impl<'a> Tests<'a> {
    /// Looks up the entry and the layer that the options name.
    pub(super) fn new(options: &'a TestOptions, opened: &Opened) -> Result<Self, CliError> {
        let newer = match &options.newer {
            None => None,
            Some(Newer::Than(time)) => Some(*time),
            Some(Newer::ThanEntry(path)) => {
                let node = opened
                    .find(path, false)
                    .map_err(|error| match is_below_top(path) {
                        true => error,
                        false => CliError::Mistaken(Box::new(error), Mistake::NotATime),
                    })?;
                let time = node.basic_info().map(|info| info.last_write_time);
                Some(time.unwrap_or_default())
            }
        };
        let layer = match &options.from_layer {
            None => None,
            Some(text) => Some(find_layer(&opened.view, text)?),
        };
        Ok(Self {
            options,
            layer,
            newer,
        })
    }

    /// Returns whether an entry passes all tests; runs the cheap ones first.
    pub(super) fn pass(&self, view: &View, node: &Node) -> Result<bool, CliError> {
        let options = self.options;
        let passes = options
            .name
            .as_ref()
            .is_none_or(|glob| glob.matches(&wide::from_wtf8(node.path.file_name())))
            && options
                .whole
                .as_ref()
                .is_none_or(|glob| glob.matches(&node.path.to_utf16()))
            && options.kind.is_none_or(|kind| kind.is_of(node))
            && options
                .size
                .is_none_or(|size| node.kind == NodeKind::File && size.passes(node.size()))
            && (options.attr.iter()).all(|&wanted| node.attributes().contains(wanted))
            && self.layer.is_none_or(|layer| node.layer == layer)
            && self.newer.is_none_or(|time| {
                (node.basic_info()).is_some_and(|info| info.last_write_time > time)
            });
        if !passes || (options.owner.is_none() && !options.stream) {
            return Ok(passes);
        }
        let details = view.details(node)?;
        let has_stream = details.streams.iter().any(|stream| stream.name.is_some());
        let security = details.security.as_deref();
        let owner = security.and_then(|bytes| SecurityDescriptor::parse(bytes).ok()?.owner);
        let is_owned = options.owner.is_none() || options.owner == owner;
        Ok(is_owned && (has_stream || !options.stream))
    }
}

impl Kind {
    fn is_of(self, node: &Node) -> bool {
        let is_link = node.link.is_some();
        match self {
            Self::File => node.kind == NodeKind::File && !node.is_reparse_point(),
            Self::Directory => node.is_plain_directory(),
            Self::Reparse => node.is_reparse_point(),
            Self::HardLink => is_link,
            Self::Whiteout => {
                node.kind == NodeKind::Removal || matches!(node.removed, Some(Removed::Contents))
            }
        }
    }
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
