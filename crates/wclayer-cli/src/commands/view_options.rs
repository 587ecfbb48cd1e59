//! The options of all commands that look into a layer, and how these open it.
//!
//! [`ViewOptions`] names the layer and its parents; [`open`](ViewOptions::open) makes the view,
//! with a progress bar while tars are read through. [`Opened::find`] finds what a path of the
//! command line names, or says why it cannot.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::Args;
use wclayer::chain::{self, Access, Node, OpenOptions, Resolved, View};
use wclayer::{Error, LayerPath, ParentChain};

use crate::errors::CliError;
use crate::output::Output;
use crate::progress::Bar;
use crate::signals;
use crate::units;

/// The layer to look into.
#[derive(Debug, Args)]
pub(crate) struct ViewOptions {
    /// Layer below it: a folder or a tar; repeat it for each, nearest parent first
    ///
    /// Not needed for a layer that knows its parents.
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
        let options = OpenOptions {
            parents: ParentChain::from_nearest_first(&self.layers),
            this_layer: self.this_layer,
            access,
        };
        Opened::open(&self.layer, &options, output)
    }
}

/// An open view, and whether Ctrl-C was pressed since.
pub(crate) struct Opened {
    /// What the command works on.
    pub(crate) view: View,
    /// Set once the command is to stop.
    pub(crate) cancelled: Arc<AtomicBool>,
    layer: PathBuf,
}

impl Opened {
    /// Opens a layer with its parents; Ctrl-C is watched for from then on.
    pub(crate) fn open(
        layer: &Path,
        options: &OpenOptions,
        output: &Output,
    ) -> Result<Self, CliError> {
        let cancelled = signals::watch()?;
        let mut places = vec![layer];
        places.extend(options.parents.iter_nearest_first());
        let tars = places.iter().filter_map(|place| place.metadata().ok());
        let total: u64 = tars.filter(|tar| tar.is_file()).map(|tar| tar.len()).sum();
        let view = if total > 0 {
            output.step(format_args!(
                "reading through tars of {}",
                units::size(total)
            ));
            let bar = Bar::start(output, Some(total), Arc::clone(&cancelled));
            chain::open(layer, options, &bar)?
        } else {
            chain::open(layer, options, &())?
        };
        for (number, place) in view.places().enumerate() {
            output.step(format_args!("layer {number}: `{}`", place.display()));
        }
        Ok(Self {
            view,
            cancelled,
            layer: layer.to_owned(),
        })
    }

    /// Fails once the command is to stop; to be called in every loop over entries.
    pub(crate) fn check_cancelled(&self) -> Result<(), CliError> {
        match self.cancelled.load(Ordering::Relaxed) {
            true => Err(Error::Cancelled.into()),
            false => Ok(()),
        }
    }

    /// Finds what is at a path; with `follow` over symbolic links and junctions.
    pub(crate) fn find(&self, path: &LayerPath, follow: bool) -> Result<Node, CliError> {
        let missing = |path: &LayerPath| CliError::NoEntry {
            path: path.to_string(),
            layer: self.layer.clone(),
            followed: follow,
        };
        if !follow {
            return self.view.find(path)?.ok_or_else(|| missing(path));
        }
        match self.view.resolve(path)? {
            Resolved::Found(node) => Ok(*node),
            Resolved::Missing(path) => Err(missing(&path)),
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
