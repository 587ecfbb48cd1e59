//! [`open`]: from references to a view, in one call.

use super::LayerRef;
use super::chain::Chain;
use super::image_choice::ImageChoice;
use crate::error::Result;
use crate::hub::Progress;
use crate::parent_chain::ParentChain;
use crate::view::View;

/// How a chain is to be opened.
#[derive(Debug, Clone, Default)]
pub struct OpenOptions {
    /// The layer's parents. If there are none, those that the layer itself names; if only the
    /// nearest is given, those that it names complete the chain.
    pub parents: ParentChain<LayerRef>,
    /// Whether only the layer itself is to be seen, with its removals. Its parents are opened only
    /// if they are given, for the hard links that lead there.
    pub this_layer: bool,
    /// What is to be done with the view.
    pub access: Access,
    /// Which platform of an image, and which of its layers.
    pub image: ImageChoice,
}

setters!(OpenOptions { parents: ParentChain<LayerRef>, this_layer: bool, access: Access, image: ImageChoice });

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

/// Returns how one layer of a chain is to be opened.
pub(super) fn access_to(access: Access, is_lowest: bool) -> Access {
    match access {
        Access::UpperContent if is_lowest => Access::Listing,
        Access::UpperContent => Access::Content,
        access => access,
    }
}

/// Opens a layer with its parents: a portable layer, a transport folder, or a layer tar (plain,
/// gzip or zstd) that is read in place.
///
/// `progress` receives the bytes of tars that are read or skipped, and can cancel that.
///
/// # Errors
///
/// Same as [`Chain::resolve`] and [`Chain::open`].
pub fn open(
    layer: impl Into<LayerRef>,
    options: &OpenOptions,
    progress: &dyn Progress,
) -> Result<View> {
    Chain::resolve_choosing(layer, &options.parents, options.this_layer, &options.image)?
        .open(options.access, progress)
}

/// Opens the parents that are given for a new layer; `None` for a base layer, which has none. If
/// only the nearest is given, those that it names complete the chain.
///
/// # Errors
///
/// Same as [`open`].
pub fn open_parents(
    parents: &ParentChain<LayerRef>,
    progress: &dyn Progress,
) -> Result<Option<View>> {
    let chain = Chain::of_parents(parents)?;
    match chain.layers().is_empty() {
        true => Ok(None),
        false => chain.open(Access::Listing, progress).map(Some),
    }
}
