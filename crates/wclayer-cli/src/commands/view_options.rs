//! The options of all commands that read a view of a layer, and the view itself.
//!
//! [`ViewOptions`] names the layer and its parents; [`open`](ViewOptions::open) opens the view, with a
//! progress bar while it reads tars. [`Opened::find`] finds the entry at a path of the command line,
//! or explains why there is none.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::Args;
use wclayer::layer::LostEntry;
use wclayer::source::{Access, Chain, LayerRef, OpenOptions};
use wclayer::view::{Node, Resolved, View};
use wclayer::{Error, LayerPath};

use super::image_options::{ImageOptions, report_chosen};
use super::missing::Missing;
use super::parent_options::ParentOptions;
use crate::errors::CliError;
use crate::file_argument::is_dash;
use crate::output::Output;
use crate::path_argument::{Place, place};
use crate::progress::Bar;
use crate::signals;
use crate::units;

/// How many omitted entries a warning names.
const SHOWN_LOST: usize = 3;

/// The layer to read.
#[derive(Debug, Args)]
pub(crate) struct ViewOptions {
    #[command(flatten)]
    pub(crate) parents: ParentOptions,
    /// Use the layer alone, including its removals
    #[arg(long)]
    pub(crate) this_layer: bool,
    #[command(flatten)]
    pub(crate) image: ImageOptions,
    /// Folder of the layer, layer tar (plain, gzip or zstd), or image
    ///
    /// An image is all of its layers. Name a layout or an archive by its path, or as
    /// `oci:FOLDER[:NAME]`, `oci-archive:FILE[:NAME]` or `docker-archive:FILE[:NAME]`.
    #[arg(value_name = "LAYER")]
    pub(crate) layer: PathBuf,
}

/// The part of the layer that a command deals with.
#[derive(Debug, Args)]
pub(crate) struct StartOption {
    /// Directory or file to start from [default: the whole layer]
    ///
    /// Use `/` or `\` in any letter case; `C:\Users` means `Files/Users`.
    #[arg(value_name = "PATH", value_parser = place())]
    path: Option<Place>,
}

impl StartOption {
    /// Returns the path; `None` for the whole layer.
    pub(crate) fn path(&self) -> Option<&LayerPath> {
        Place::path(&self.path)
    }
}

impl ViewOptions {
    /// Opens the view.
    pub(crate) fn open(&self, access: Access, output: &Output) -> Result<Opened, CliError> {
        Opened::open(&self.layer, &self.options(access), output)
    }

    /// Returns the visible layers.
    pub(crate) fn seen_chain(&self) -> Result<Chain, CliError> {
        Ok(chain(&self.layer, &self.options(Access::Listing))?.seen())
    }

    fn options(&self, access: Access) -> OpenOptions {
        OpenOptions {
            parents: self.parents.chain(),
            this_layer: self.this_layer,
            access,
            image: self.image.choice(),
        }
    }
}

/// An open view, and whether to stop.
pub(crate) struct Opened {
    /// The view.
    pub(crate) view: View,
    /// Set once the command must stop.
    pub(crate) cancelled: Arc<AtomicBool>,
    layer: PathBuf,
    /// How many layers of the chain are above those of the view.
    above: usize,
}

impl Opened {
    /// Opens a layer with its parents; from then on, Ctrl-C sets the flag.
    pub(crate) fn open(
        layer: &Path,
        options: &OpenOptions,
        output: &Output,
    ) -> Result<Self, CliError> {
        let opened = Self::with_bar(layer, &chain(layer, options)?, options.access, output)?;
        // `extract` lists lost entries, and `squash` refuses them.
        if options.access == Access::Listing {
            opened.warn_about_lost(output)?;
        }
        Ok(opened)
    }

    /// Warns about entries of a layer that the view omits.
    fn warn_about_lost(&self, output: &Output) -> Result<(), CliError> {
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
            "{entries} omitted because the same layer has something else in the way: {}{more}",
            first.join("; ")
        ));
        Ok(())
    }

    /// Opens the chain of `layer` without the nearest `above` layers.
    pub(crate) fn open_chain(
        layer: &Path,
        chain: Chain,
        above: usize,
        output: &Output,
    ) -> Result<Self, CliError> {
        let opened = Self::with_bar(layer, &chain.below(above), Access::Listing, output)?;
        let opened = Self { above, ..opened };
        opened.warn_about_lost(output)?;
        Ok(opened)
    }

    fn with_bar(
        layer: &Path,
        chain: &Chain,
        access: Access,
        output: &Output,
    ) -> Result<Self, CliError> {
        report_chosen(chain, output);
        let cancelled = signals::watch()?;
        let total = chain.tars_size();
        let view = if total > 0 {
            output.step(format_args!("reading tars of {}", units::size(total)));
            let bar = Bar::start(output, Some(total), Arc::clone(&cancelled));
            chain.open(access, &bar)?
        } else {
            chain.open(access, &())?
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

    /// Returns an error once the command must stop; call it in every loop over entries.
    pub(crate) fn check_cancelled(&self) -> Result<(), CliError> {
        match self.cancelled.load(Ordering::Relaxed) {
            true => Err(Error::Cancelled.into()),
            false => Ok(()),
        }
    }

    /// Returns the error for a path where nothing is. `follows` tells whether links were followed,
    /// and `led` whether one led to the path.
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
                true => format!("A symbolic link or junction leads there. {why}"),
                false => why,
            },
        }
    }

    /// Finds the entry at a path, following symbolic links and junctions if `follow`.
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

/// Finds a layer and its parents.
fn chain(layer: &Path, options: &OpenOptions) -> Result<Chain, CliError> {
    let OpenOptions {
        parents,
        this_layer,
        image,
        ..
    } = options;
    let is_stdin = |layer: &LayerRef| matches!(layer, LayerRef::Path(path) if is_dash(path));
    if is_dash(layer) || parents.as_slice().iter().any(is_stdin) {
        return Err(CliError::InputIsDash);
    }
    Ok(Chain::resolve_choosing(layer, parents, *this_layer, image)?)
}

/// Returns an error for standard input, which cannot be read twice.
pub(super) fn check_places(
    places: impl IntoIterator<Item = impl AsRef<Path>>,
) -> Result<(), CliError> {
    let mut places = places.into_iter();
    match places.any(|place| is_dash(place.as_ref())) {
        true => Err(CliError::InputIsDash),
        false => Ok(()),
    }
}
