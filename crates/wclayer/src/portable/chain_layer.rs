//! A portable layer as a layer of a chain.

use std::path::Path;
use std::sync::Arc;

use super::PortableLayer;
use crate::error::Result;
use crate::index::{IndexedLayer, TarContent};
use crate::layer::ChainLayer;

/// Opens a portable layer as a layer of a chain; rejects anything else.
pub fn chain_layer(place: &Path) -> Result<Box<dyn ChainLayer>> {
    let layer = PortableLayer::open(place)?;
    let (index, tar) = layer.open_checked()?;
    let content = TarContent::Checked(Arc::new(tar));
    let bound = layer.descriptor().bound.as_ref();
    let has_implied = bound.is_none_or(|bound| bound.implied_directories);
    let layer = IndexedLayer::new(place, index, content, None, has_implied)?;
    Ok(Box::new(layer))
}
