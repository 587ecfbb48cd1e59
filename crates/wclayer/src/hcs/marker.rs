//! The mark of an import or a removal under way: a file beside the layer's folder.
//!
//! An import that is killed cannot clean up, and a removal that is killed leaves what may not look
//! like a layer any more. The mark it leaves tells that the folder is half a
//! layer: nobody uses it, and the next import to the place deletes it first. The mark lies beside
//! the folder, because what is in the folder belongs to the layer and to Windows.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use super::full_path::full_path;
use super::{HcsError, HostCompute};
use crate::error::{Error, Result, io_error};
use crate::parent_chain::ParentChain;
use crate::volume::Volume;

/// What people who find the file read in it.
const TEXT: &[u8] =
    b"wclayer is importing or deleting the layer of this name, or was interrupted.\n";

/// Checks that a layer is no half one, left by an import that was killed.
///
/// # Errors
///
/// [`HcsError::Incomplete`] when it is; [`Error::Io`](crate::Error::Io).
pub fn check_complete<V: Volume>(host: &HostCompute<V>, layer: &Path) -> Result<()> {
    if is_set(&host.volume, layer)? {
        return Err(HcsError::Incomplete {
            path: layer.to_owned(),
        }
        .into());
    }
    Ok(())
}

/// Checks that no layer of a chain is a half one.
pub(super) fn check_chain<V: Volume>(host: &HostCompute<V>, parents: &ParentChain) -> Result<()> {
    let mut parents = parents.iter_nearest_first();
    parents.try_for_each(|parent| check_complete(host, parent))
}

/// Takes the lock of a layer's place, whose folder above exists: a mark that is found then is that
/// of a process that was killed.
pub(super) fn lock<V: Volume>(volume: &V, layer: &Path) -> Result<Box<dyn Send>> {
    let lock = volume.lock(layer).map_err(io_error("lock", layer))?;
    lock.ok_or_else(|| Error::Busy {
        path: layer.to_owned(),
    })
}

/// Returns whether a layer is marked.
pub(super) fn is_set<V: Volume>(volume: &V, layer: &Path) -> Result<bool> {
    let Ok(mark) = place(layer) else {
        return Ok(false);
    };
    let found = volume.attributes(&mark).map_err(io_error("open", &mark))?;
    Ok(found.is_some())
}

/// Marks a layer; the folder that it is to lie in exists.
pub(super) fn set<V: Volume>(volume: &V, layer: &Path) -> Result<()> {
    let mark = place(layer)?;
    let written = volume.write_small(&mark, TEXT);
    written.map_err(|error| {
        // On a full disk, an empty file is left.
        let _ = volume.delete(&mark);
        io_error("write", &mark)(error)
    })
}

/// Takes the mark away, if there is one.
pub(super) fn clear<V: Volume>(volume: &V, layer: &Path) -> Result<()> {
    let mark = place(layer)?;
    match volume.delete(&mark) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(io_error("delete", &mark)(error))
        }
        _ => Ok(()),
    }
}

/// Returns where the mark of a layer lies.
fn place(layer: &Path) -> Result<PathBuf> {
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
    fn the_mark_lies_beside_the_layer_with_its_name() {
        let mark = place(Path::new("/layers/app")).expect("a name");
        let expected = full_path(Path::new("/layers/.app.wclayer-importing"));
        assert_eq!(mark, expected.expect("a path"));
        assert!(place(Path::new("/")).is_err());
    }
}
