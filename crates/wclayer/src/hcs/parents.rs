//! Which layers are below a layer, as its `layerchain.json` says.
//!
//! docker and we leave this file in the folder of every layer: a JSON array of the parents' full
//! paths, nearest first, or `null` for a base layer. The reference has none, so it may be missing.

use std::io;
use std::path::{Path, PathBuf};

use super::full_path::{cleaned, full_chain};
use crate::error::PortableError;
use crate::error::{Result, io_error};
use crate::layout;
use crate::parent_chain::ParentChain;
use crate::volume::Volume;

/// The largest chain that is read, in bytes.
const MAX_CHAIN: u64 = 1 << 20;

/// Reads the parents of a layer; `None` when its folder does not tell.
///
/// # Errors
///
/// [`Error::Io`](crate::Error::Io) when the file cannot be read; [`PortableError::Json`] and
/// [`PortableError::Chain`] for what is no list of full paths.
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
    // A relative path would mean another folder in every working folder.
    if !parents.iter().all(|parent| parent.is_absolute()) {
        return Err(PortableError::Chain {
            layer: layer.to_owned(),
        }
        .into());
    }
    // Other programs leave separators at their ends.
    let parents = parents.iter().map(|parent| cleaned(parent));
    Ok(Some(ParentChain::from_nearest_first(parents)))
}

/// Completes a caller's list of parents: with none given, the layer's own are taken; with one given,
/// that one's parents follow it.
///
/// # Errors
///
/// As for [`stored_parents`].
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
/// [`Error::Io`](crate::Error::Io) when it cannot be written.
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
