//! The options of all commands that look into a layer, and how these open it.
//!
//! [`ViewOptions`] names the layer and its parents; [`open`](ViewOptions::open) makes the view,
//! with a progress bar while tars are read through. [`Opened::find`] finds what a path of the
//! command line names, or says why it cannot.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::Args;
use wclayer::layer::LostEntry;
use wclayer::source::{self, Access, OpenOptions};
use wclayer::view::{Node, Resolved, View};
use wclayer::{Error, LayerPath, ParentChain, Progress};

use super::missing::Missing;
use crate::errors::CliError;
use crate::file_argument::is_dash;
use crate::output::Output;
use crate::progress::Bar;
use crate::signals;
use crate::units;

/// How many entries that are left out a warning names.
const SHOWN_LOST: usize = 3;

/// The layer to look into.
#[derive(Debug, Args)]
pub(crate) struct ViewOptions {
    /// Layer below it: a folder or a tar; repeat it for each, nearest parent first
    ///
    /// Not needed for a layer that knows its parents. When given, they count instead; those of a
    /// portable layer must be the layers that it was made on, wherever they are now.
    #[arg(short, long = "layer", value_name = "PARENT")]
    pub(crate) layers: Vec<PathBuf>,
    /// Show the layer alone, with what it removes of its parents
    #[arg(long)]
    pub(crate) this_layer: bool,
    /// The layer: its folder, or a layer tar (plain, gzip or zstd)
    #[arg(value_name = "LAYER")]
    pub(crate) layer: PathBuf,
}

impl ViewOptions {
    /// Opens the view.
    pub(crate) fn open(&self, access: Access, output: &Output) -> Result<Opened, CliError> {
        Opened::open(&self.layer, &self.options(access), output)
    }

    /// Returns where the layers are that are seen, nearest first.
    pub(crate) fn seen_chain(&self) -> Result<Vec<PathBuf>, CliError> {
        check_places(std::iter::once(&self.layer).chain(&self.layers))?;
        let mut chain = source::whole_chain(&self.layer, &self.options(Access::Listing))?;
        if self.this_layer {
            chain.truncate(1);
        }
        Ok(chain)
    }

    fn options(&self, access: Access) -> OpenOptions {
        OpenOptions {
            parents: ParentChain::from_nearest_first(&self.layers),
            this_layer: self.this_layer,
            access,
        }
    }
}

/// An open view, and whether Ctrl-C was pressed since.
pub(crate) struct Opened {
    /// What the command works on.
    pub(crate) view: View,
    /// Set once the command is to stop.
    pub(crate) cancelled: Arc<AtomicBool>,
    layer: PathBuf,
    /// How many layers of the chain are above those of the view.
    above: usize,
}

impl Opened {
    /// Opens a layer with its parents; Ctrl-C is watched for from then on.
    pub(crate) fn open(
        layer: &Path,
        options: &OpenOptions,
        output: &Output,
    ) -> Result<Self, CliError> {
        let mut places = vec![layer];
        places.extend(options.parents.iter_nearest_first());
        check_places(&places)?;
        let opened = Self::with_bar(layer, &places, output, |progress| {
            source::open(layer, options, progress)
        })?;
        // `extract` lists what is lost, and `squash` refuses.
        if options.access == Access::Listing {
            opened.warn_of_lost(output)?;
        }
        Ok(opened)
    }

    /// Warns of what the view leaves out although a layer has it.
    fn warn_of_lost(&self, output: &Output) -> Result<(), CliError> {
        let (mut count, mut first) = (0_u64, Vec::new());
        self.view.for_each_lost(&mut |layer, lost| {
            count += 1;
            if first.len() < SHOWN_LOST {
                let layer = layer + self.above;
                let LostEntry { path, offset, rule } = lost;
                first.push(format!(
                    "`{path}` at byte {offset:#x} of layer {layer}: {rule}"
                ));
            }
            Ok(())
        })?;
        let more = match count > first.len() as u64 {
            true => "; …",
            false => "",
        };
        let entries = match count {
            0 => return Ok(()),
            1 => "1 entry is",
            _ => &format!("{count} entries are"),
        };
        output.warn(&format!(
            "{entries} left out, because the same layer has something else in the way: {}{more}",
            first.join("; ")
        ));
        Ok(())
    }

    /// Opens the chain of `layer` without the nearest `above` layers.
    pub(crate) fn open_chain(
        layer: &Path,
        chain: &[PathBuf],
        above: usize,
        output: &Output,
    ) -> Result<Self, CliError> {
        let chain = &chain[above..];
        let opened = Self::with_bar(layer, chain, output, |progress| {
            source::open_chain(chain, Access::Listing, progress)
        })?;
        let opened = Self { above, ..opened };
        opened.warn_of_lost(output)?;
        Ok(opened)
    }

    fn with_bar(
        layer: &Path,
        places: &[impl AsRef<Path>],
        output: &Output,
        open: impl FnOnce(&dyn Progress) -> wclayer::Result<View>,
    ) -> Result<Self, CliError> {
        let cancelled = signals::watch()?;
        let total = tars_size(places);
        let view = if total > 0 {
            output.step(format_args!(
                "reading through tars of {}",
                units::size(total)
            ));
            open(&Bar::start(output, Some(total), Arc::clone(&cancelled)))?
        } else {
            open(&())?
        };
        for (number, place) in view.places().enumerate() {
            output.step(format_args!("layer {number}: `{}`", place.display()));
        }
        Ok(Self {
            view,
            cancelled,
            layer: layer.to_owned(),
            above: 0,
        })
    }

    /// Fails once the command is to stop; to be called in every loop over entries.
    pub(crate) fn check_cancelled(&self) -> Result<(), CliError> {
        match self.cancelled.load(Ordering::Relaxed) {
            true => Err(Error::Cancelled.into()),
            false => Ok(()),
        }
    }

    /// Returns the error for a path where nothing is: not even over links with `follows`; `led` says
    /// whether a link led to it.
    pub(crate) fn missing(&self, path: &LayerPath, follows: bool, led: bool) -> CliError {
        let missing = Missing {
            view: &self.view,
            above: self.above,
            path,
            follows,
        };
        let why = missing.why();
        CliError::NoEntry {
            path: path.to_string(),
            layer: self.layer.clone(),
            why: match led {
                true => format!("A symbolic link or junction led there. {why}"),
                false => why,
            },
        }
    }

    /// Finds what is at a path; with `follow` over symbolic links and junctions.
    pub(crate) fn find(&self, path: &LayerPath, follow: bool) -> Result<Node, CliError> {
        let missing = |at: &LayerPath| {
            let led = follow && at != path;
            self.missing(at, follow, led)
        };
        if !follow {
            return self.view.find(path)?.ok_or_else(|| missing(path));
        }
        match self.view.resolve(path)? {
            Resolved::Found(node) => Ok(*node),
            Resolved::Missing(at) => Err(missing(&at)),
            Resolved::Outside { link, target } => Err(CliError::LinkOutside {
                link: link.to_string(),
                target,
            }),
            Resolved::Loop => Err(CliError::LinkLoop {
                path: path.to_string(),
            }),
        }
    }
}

/// Refuses standard input, which cannot be read twice.
pub(super) fn check_places(
    places: impl IntoIterator<Item = impl AsRef<Path>>,
) -> Result<(), CliError> {
    let mut places = places.into_iter();
    match places.any(|place| is_dash(place.as_ref())) {
        true => Err(CliError::InputIsDash),
        false => Ok(()),
    }
}

/// Returns the size of those layers that are tars, in bytes.
pub(crate) fn tars_size(places: &[impl AsRef<Path>]) -> u64 {
    let found = places
        .iter()
        .filter_map(|place| place.as_ref().metadata().ok());
    found.filter(|tar| tar.is_file()).map(|tar| tar.len()).sum()
}
