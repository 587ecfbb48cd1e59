//! The parents of a layer, according to its `layerchain.json`.
//!
//! docker and wclayer store this file in the folder of every layer: a JSON array of the parents'
//! full paths, nearest first, or `null` for a base layer. The reference does not write it, so it
//! may be missing.
//!
//! Source: moby `daemon/graphdriver/windows`.

use std::io;
use std::path::{Path, PathBuf};

use super::full_path::{cleaned, full_chain};
use crate::error::PortableError;
use crate::error::{Result, io_error};
use crate::layout;
use crate::parent_chain::ParentChain;
use crate::volume::Volume;

/// The largest chain file that is read, in bytes.
const MAX_CHAIN: u64 = 1 << 20;

/// Reads the parents of a layer; returns `None` if its folder does not name them.
///
/// # Errors
///
/// Returns [`Error::Io`](crate::Error::Io) if the file cannot be read, and [`PortableError::Json`]
/// or [`PortableError::Chain`] if it is not a list of full paths.
pub fn stored_parents<V: Volume>(volume: &V, layer: &Path) -> Result<Option<ParentChain>> {
    let path = layer.join(layout::LAYER_CHAIN);
    let text = match volume.read_small(&path, MAX_CHAIN) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io_error("read", &path)(error)),
    };
    let parsed: serde_json::Result<Option<Vec<PathBuf>>> = serde_json::from_slice(&text);
    let parents = parsed.map_err(|source| PortableError::Json {
        path,
        source: source.into(),
    })?;
    let parents = parents.unwrap_or_default();
    // A relative path would depend on the working folder.
    if !parents.iter().all(|parent| parent.is_absolute()) {
        return Err(PortableError::Chain {
            layer: layer.to_owned(),
        }
        .into());
    }
    // Other programs may leave trailing separators.
    let parents = parents.iter().map(|parent| cleaned(parent));
    Ok(Some(ParentChain::from_nearest_first(parents)))
}

/// Completes the list of parents that a caller gives: an empty list is replaced by the layer's own
/// parents, and a single parent is followed by its parents.
///
/// # Errors
///
/// Returns the errors of [`stored_parents`].
pub fn resolve_parents<V: Volume>(
    volume: &V,
    layer: &Path,
    given: &ParentChain,
) -> Result<ParentChain> {
    let given = full_chain(given)?;
    let nearest = match (given.len(), given.nearest()) {
        (0, _) => return Ok(stored_parents(volume, layer)?.unwrap_or_default()),
        (1, Some(nearest)) => nearest,
        _ => return Ok(given),
    };
    let below = stored_parents(volume, nearest)?.unwrap_or_default();
    let chain = std::iter::once(nearest).chain(below.iter_nearest_first());
    Ok(ParentChain::from_nearest_first(chain))
}

/// Stores the parents of a layer in its folder.
///
/// # Errors
///
/// Returns [`Error::Io`](crate::Error::Io) if the file cannot be written.
pub(crate) fn store_parents<V: Volume>(
    volume: &V,
    layer: &Path,
    parents: &ParentChain,
) -> Result<()> {
    let path = layer.join(layout::LAYER_CHAIN);
    let parents: Option<Vec<_>> = (!parents.is_empty()).then(|| {
        let text = |parent: &Path| parent.to_string_lossy().into_owned();
        parents.iter_nearest_first().map(text).collect()
    });
    let text =
        serde_json::to_vec(&parents).map_err(|error| io_error("write", &path)(error.into()))?;
    volume
        .write_small(&path, &text)
        .map_err(io_error("write", &path))
}
