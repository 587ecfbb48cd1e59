//! [`remove`]: deletes a portable layer or a transport folder.
//!
//! The folder is renamed first, then what makes it a layer goes, then the rest: whenever this is
//! interrupted, there is a whole layer or none. What an interrupted removal left is deleted by the
//! next removal or import at the same path.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::DESCRIPTOR_FILE;
use super::descriptor::{self, LayerDescriptor};
use super::error::PortableError;
use super::parents;
use super::staging::{Place, rename, sync_folder};
use crate::error::{Result, io_error};
use crate::layout;
use crate::transport;

/// Deletes the portable layer or the transport folder at a path, also one that is damaged or of a later version, and
/// returns how many bytes that freed.
///
/// Layers on top of it cannot be used once it is gone; [`children_of`] finds those beside it. No
/// link is followed.
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

/// Deletes first what makes the folder a layer: without it, nothing takes the rest for one.
fn delete(layer: &Path) -> Result<()> {
    for name in [DESCRIPTOR_FILE, layout::TOMBSTONES] {
        let file = layer.join(name);
        match fs::remove_file(&file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(io_error("delete", &file)(error));
            }
            _ => {}
        }
    }
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
    if descriptor::is_layer(path) || transport::is_layer(path) {
        Ok(())
    } else {
        Err(not_a_layer().into())
    }
}

/// Layers that have another one as a parent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Children {
    /// The first of them, by name.
    pub first: Vec<PathBuf>,
    /// How many there are.
    pub count: usize,
}

/// How many entries of a folder are looked at, and how many layers are named.
const MAX_SIBLINGS: usize = 10_000;
const MAX_CHILDREN: usize = 10;

/// Finds the portable layers in the folder of a layer that have this one as a parent. No link is
/// followed; of a very large folder, a part is looked at.
pub fn children_of(layer: impl AsRef<Path>) -> Children {
    let mut found = Children::default();
    let Ok(layer) = dunce::canonicalize(layer) else {
        return found;
    };
    let siblings = layer.parent().map(fs::read_dir).into_iter().flatten();
    for entry in siblings.flatten().take(MAX_SIBLINGS).flatten() {
        let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
        if !is_folder || entry.path() == layer || !has_parent(&entry.path(), &layer) {
            continue;
        }
        found.count += 1;
        found.first.push(entry.path());
    }
    found.first.sort();
    found.first.truncate(MAX_CHILDREN);
    found
}

fn has_parent(child: &Path, layer: &Path) -> bool {
    let parents = LayerDescriptor::read(child).and_then(|found| parents::stored(child, &found));
    let is_layer = |parent: &Path| {
        parent == layer || dunce::canonicalize(parent).is_ok_and(|parent| parent == layer)
    };
    parents.is_ok_and(|parents| parents.iter_nearest_first().any(is_layer))
}

/// Sums up the sizes of all files in the folder, nothing followed.
fn size_of_files(folder: &Path) -> u64 {
    let mut size = 0;
    let mut folders = vec![folder.to_owned()];
    while let Some(entries) = folders.pop().map(fs::read_dir) {
        for entry in entries.into_iter().flatten().flatten() {
            match entry.metadata() {
                Ok(found) if found.is_dir() => folders.push(entry.path()),
                Ok(found) if found.is_file() => size += found.len(),
                _ => {}
            }
        }
    }
    size
}
