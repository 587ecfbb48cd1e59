//! The mark of an import or a removal in progress: a file next to the layer's folder.
//!
//! A killed import cannot clean up, and a killed removal may leave a folder that no longer looks
//! like a layer. The mark shows that the layer is incomplete: it is not used, and the next import
//! to the same path deletes it first. The mark is next to the folder because the folder's content
//! belongs to the layer and to Windows.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use super::full_path::full_path;
use super::{HcsError, HostCompute};
use crate::error::{Error, Result, io_error};
use crate::parent_chain::ParentChain;
use crate::volume::Volume;

/// The text for people who find the file.
const TEXT: &[u8] =
    b"wclayer is importing or deleting the layer with this name, or was interrupted.\n";

/// Checks that a layer is complete: that no import or removal of it was interrupted.
///
/// # Errors
///
/// Returns [`HcsError::Incomplete`] if it is not complete, and [`Error::Io`](crate::Error::Io) if
/// the mark cannot be checked.
pub fn check_complete<V: Volume>(host: &HostCompute<V>, layer: &Path) -> Result<()> {
    if is_set(&host.volume, layer)? {
        return Err(HcsError::Incomplete {
            path: layer.to_owned(),
        }
        .into());
    }
    Ok(())
}

/// Checks that every layer of a chain is complete.
pub(super) fn check_chain<V: Volume>(host: &HostCompute<V>, parents: &ParentChain) -> Result<()> {
    let mut parents = parents.iter_nearest_first();
    parents.try_for_each(|parent| check_complete(host, parent))
}

/// Locks the path of a layer, whose parent folder exists. A mark that is found under the lock
/// belongs to a killed process.
pub(super) fn lock<V: Volume>(volume: &V, layer: &Path) -> Result<Box<dyn Send>> {
    let lock = volume.lock(layer).map_err(io_error("lock", layer))?;
    lock.ok_or_else(|| Error::Busy {
        path: layer.to_owned(),
    })
}

/// Returns whether a layer is marked.
pub(super) fn is_set<V: Volume>(volume: &V, layer: &Path) -> Result<bool> {
    let Ok(mark) = mark_path(layer) else {
        return Ok(false);
    };
    let found = volume.attributes(&mark).map_err(io_error("open", &mark))?;
    Ok(found.is_some())
}

/// Marks a layer; its parent folder exists.
pub(super) fn set<V: Volume>(volume: &V, layer: &Path) -> Result<()> {
    let mark = mark_path(layer)?;
    let written = volume.write_small(&mark, TEXT);
    written.map_err(|error| {
        // On a full disk, an empty file is left.
        let _ = volume.delete(&mark);
        io_error("write", &mark)(error)
    })
}

/// Removes the mark, if there is one.
pub(super) fn clear<V: Volume>(volume: &V, layer: &Path) -> Result<()> {
    let mark = mark_path(layer)?;
    match volume.delete(&mark) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(io_error("delete", &mark)(error))
        }
        _ => Ok(()),
    }
}

/// Returns the path of a layer's mark.
fn mark_path(layer: &Path) -> Result<PathBuf> {
    let layer = full_path(layer)?;
    let name = layer.file_name().ok_or_else(|| HcsError::LayerName {
        path: layer.clone(),
    })?;
    let mut mark = OsString::from(".");
    mark.push(name);
    mark.push(".wclayer-importing");
    Ok(layer.with_file_name(mark))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mark_is_next_to_the_layer_and_has_its_name() {
        let mark = mark_path(Path::new("/layers/app")).expect("a name");
        let expected = full_path(Path::new("/layers/.app.wclayer-importing"));
        assert_eq!(mark, expected.expect("a path"));
        assert!(mark_path(Path::new("/")).is_err());
    }
}
