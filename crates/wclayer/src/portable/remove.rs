//! [`remove`]: deletes a portable layer.
//!
//! The folder is renamed first, then its descriptor goes, then the rest: whenever this is
//! interrupted, there is a whole layer or none. What an interrupted removal left is deleted by the
//! next removal or import at the same path.

use std::fs;
use std::path::Path;

use super::DESCRIPTOR_FILE;
use super::descriptor;
use super::error::PortableError;
use super::staging::{Place, rename, sync_folder};
use crate::error::{Result, io_error};

/// Deletes the portable layer in a folder, also one that is damaged or of a later version, and
/// returns how many bytes that freed.
///
/// Layers on top of it are not looked for: they cannot be used once it is gone. No link is
/// followed.
///
/// # Errors
///
/// [`Error::Layer`](crate::Error::Layer) around the reason: a folder that is no portable layer, or a link to one;
/// another process that is at work there; a folder that cannot be changed.
pub fn remove(path: impl AsRef<Path>) -> Result<u64> {
    let path = path.as_ref();
    remove_layer(path).map_err(|error| error.of_layer("remove", path))
}

fn remove_layer(given: &Path) -> Result<u64> {
    // Looked at first: what is no layer is not even locked.
    check_is_layer(given)?;
    let place = Place::lock(given)?;
    let path = place.path();
    check_is_layer(path)?;
    let size = size_of_files(path);
    // A fresh empty folder has a name that nobody else has; the layer is renamed into it.
    let aside = place.sibling()?;
    let layer = aside.path().join("layer");
    rename(path, &layer).map_err(io_error("rename", path))?;
    sync_folder(place.folder())?;
    delete(&layer)?;
    aside
        .close()
        .map_err(io_error("delete what is beside", path))?;
    Ok(size)
}

/// Deletes the descriptor first: without it, nothing takes the rest for a layer.
fn delete(layer: &Path) -> Result<()> {
    let descriptor = layer.join(DESCRIPTOR_FILE);
    fs::remove_file(&descriptor).map_err(io_error("delete", &descriptor))?;
    fs::remove_dir_all(layer).map_err(io_error("delete", layer))
}

fn check_is_layer(path: &Path) -> Result<()> {
    let not_a_layer = || PortableError::NotALayer {
        path: path.to_owned(),
        missing: DESCRIPTOR_FILE,
    };
    match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_dir() => {}
        Ok(metadata) if metadata.is_symlink() => {
            return Err(PortableError::Link {
                path: path.to_owned(),
            }
            .into());
        }
        Ok(_) => return Err(not_a_layer().into()),
        Err(error) => return Err(io_error("open", path)(error)),
    }
    if descriptor::is_layer(path) {
        Ok(())
    } else {
        Err(not_a_layer().into())
    }
}

/// Sums up the files that lie in the folder itself, as all of a portable layer do.
fn size_of_files(folder: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(folder) else {
        return 0;
    };
    let sizes = entries.flatten().filter_map(|entry| entry.metadata().ok());
    sizes.map(|metadata| metadata.len()).sum()
}
