//! A transport folder as a layer of a chain.
use std::path::Path;

use crate::chain::{ChainLayer, ParentChain};
use crate::error::{Error, Result};

/// Returns the parents that a folder names in a `layerchain.json`; none without one.
pub(crate) fn stored_parents(_folder: &Path) -> Result<ParentChain> {
    Ok(ParentChain::none())
}

/// Opens a transport folder.
pub(crate) fn chain_layer(folder: &Path) -> Result<Box<dyn ChainLayer>> {
    Err(Error::NoLayer {
        place: folder.to_owned(),
    })
}
