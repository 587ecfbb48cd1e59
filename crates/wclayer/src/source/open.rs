//! [`open`]: finds out what kind of thing each layer of a chain is, and makes a view of them.

use std::io;
use std::path::{Path, PathBuf};

use super::Disks;
use super::tar::open_tar;
use crate::error::{EntryProblem, Error, Result, io_error};
use crate::hcs;
use crate::hub::Progress;
use crate::layer::ChainLayer;
use crate::layout;
use crate::parent_chain::ParentChain;
use crate::place;
use crate::portable::{self, PortableLayer};
use crate::transport;
use crate::view::View;

/// How a chain is to be opened.
#[derive(Debug, Clone, Default)]
pub struct OpenOptions {
    /// The layer's parents. When there are none, those that the layer itself names; when only the
    /// nearest is given, those that it names complete the chain.
    pub parents: ParentChain,
    /// Whether only the layer itself is to be seen, with what it removes of others. Its parents
    /// are opened only when they are given, for the hard links that lead there.
    pub this_layer: bool,
    /// What is to be done with the view.
    pub access: Access,
}

/// How much content will be read, which decides how compressed tars are opened. It changes only how
/// long things take, never an answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Access {
    /// Names and metadata, and the content of a few files. A compressed tar is read once when it is
    /// opened; content is decompressed again, a few times at most.
    #[default]
    Listing,
    /// The content of most files. A compressed tar is decompressed into a temporary file when it is
    /// opened.
    Content,
    /// Same as `Content`, except for the lowest layer.
    UpperContent,
}

/// Opens a layer with its parents: a portable layer, a transport folder, or a layer tar (plain,
/// gzip or zstd) that is read in place.
///
/// `progress` is told of the bytes of tars that are read or skipped, and can cancel that.
///
/// # Errors
///
/// [`Error::NoLayer`] for what is none of these; what reading a layer says; [`Error::Cancelled`].
pub fn open(
    layer: impl AsRef<Path>,
    options: &OpenOptions,
    progress: &dyn Progress,
) -> Result<View> {
    let chain = whole_chain(layer.as_ref(), options)?;
    let view = open_chain(&chain, options.access, progress)?;
    Ok(match options.this_layer {
        true => view.only_nearest(1),
        false => view,
    })
}

/// Opens a chain of parents as a view; `None` for a base layer, which has none. The parents of the
/// last one complete the chain, as [`OpenOptions`] says.
///
/// # Errors
///
/// As for [`open`].
pub fn open_parents(parents: &ParentChain, progress: &dyn Progress) -> Result<Option<View>> {
    let Some(nearest) = parents.nearest() else {
        return Ok(None);
    };
    let options = OpenOptions {
        parents: ParentChain::from_nearest_first(parents.iter_nearest_first().skip(1)),
        ..OpenOptions::default()
    };
    open(nearest, &options, progress).map(Some)
}

/// Opens just these layers, nearest first, whatever parents they name.
///
/// # Errors
///
/// As for [`open`].
pub fn open_chain(chain: &[PathBuf], access: Access, progress: &dyn Progress) -> Result<View> {
    let access_to = |number| match access {
        Access::UpperContent if number + 1 == chain.len() => Access::Listing,
        Access::UpperContent => Access::Content,
        access => access,
    };
    let layers = chain.iter().enumerate();
    let layers = layers.map(|(number, place)| open_layer(place, access_to(number), progress));
    Ok(View::new(layers.collect::<Result<_>>()?))
}

/// Returns where all layers of a chain are, nearest first: the layer, the parents that are given,
/// and those that these name themselves, as [`OpenOptions`] says.
///
/// # Errors
///
/// When a layer cannot be read that names its parents, or they are not those that are given.
pub fn whole_chain(layer: &Path, options: &OpenOptions) -> Result<Vec<PathBuf>> {
    let mut chain = vec![layer.to_owned()];
    if place::is_portable_layer(layer) {
        if !options.this_layer || !options.parents.is_empty() {
            let parents = PortableLayer::open(layer)?.parents_given(&options.parents)?;
            chain.extend(parents.iter_nearest_first().map(Path::to_owned));
        }
        return Ok(chain);
    }
    chain.extend(options.parents.iter_nearest_first().map(Path::to_owned));
    if let ([_] | [_, _], false) = (&chain[..], options.this_layer)
        && let Some(last) = chain.last()
    {
        let stored = stored_parents(last)?;
        chain.extend(stored.iter_nearest_first().map(Path::to_owned));
    }
    Ok(chain)
}

/// Returns the parents that a layer names itself.
pub(crate) fn stored_parents(layer: &Path) -> Result<ParentChain> {
    if place::is_portable_layer(layer) {
        return PortableLayer::open(layer)?.checked_parents();
    }
    match layer.is_dir() {
        true => stored_in_folder(layer),
        false => Ok(ParentChain::none()),
    }
}

/// Returns the parents that a transport folder names in a `layerchain.json`; none without one.
fn stored_in_folder(folder: &Path) -> Result<ParentChain> {
    let path = folder.join(layout::LAYER_CHAIN);
    match std::fs::symlink_metadata(&path) {
        Ok(found) if found.is_file() => {
            let parents = hcs::stored_parents(&Disks::new(), folder)?;
            Ok(parents.unwrap_or_default())
        }
        Ok(_) => Err(EntryProblem::ReparsePoint.of(&layout::path(layout::LAYER_CHAIN))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(ParentChain::none()),
        Err(error) => Err(io_error("open", &path)(error)),
    }
}

/// Opens one layer by itself, of whatever kind it is: to be put into a [`View`] together with others,
/// also of kinds that this crate does not know.
///
/// # Errors
///
/// As for [`open`].
pub fn open_layer(
    place: &Path,
    access: Access,
    progress: &dyn Progress,
) -> Result<Box<dyn ChainLayer>> {
    if place::is_portable_layer(place) {
        return portable::chain_layer(place);
    }
    if place::is_transport_folder(place) {
        return transport::chain_layer(&Disks::new(), place);
    }
    match std::fs::metadata(place) {
        Ok(found) if found.is_file() => Ok(Box::new(open_tar(place, access, progress)?)),
        Ok(found) if found.is_dir() => Err(Error::NoLayer {
            place: place.to_owned(),
        }),
        Ok(_) => Err(Error::NotKept {
            place: place.to_owned(),
        }),
        Err(error) => Err(io_error("open", place)(error)),
    }
}
