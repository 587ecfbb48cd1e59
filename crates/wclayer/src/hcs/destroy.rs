//! Deleting the folder of a layer, and seeing to it that it is gone.
//!
//! `DestroyLayer` may report success and leave files. What it leaves, ordinary calls cannot delete,
//! because the descriptors that a layer restored deny it; opened with the backup privileges, by
//! handle, it goes. A reparse point is deleted, never followed. Both ways can be started again after
//! they were interrupted: the folder is marked as half a layer, and the mark goes last.
//!
//! Source: hcsshim `internal/wclayer/destroylayer.go`, `internal/safefile`.

use std::io;
use std::path::{Path, PathBuf};

use ntmeta::{FileAttributes, wide};

use super::HostCompute;
use super::full_path::full_path;
use super::marker;
use crate::error::HcsError;
use crate::error::{Result, io_error};
use crate::path::LayerPath;
use crate::volume::{Privileges, Root, Volume, delete_contents};

/// Deletes a layer with `DestroyLayer`; what that leaves is deleted by handle. A folder that does
/// not exist is fine. Needs the backup and restore privileges.
///
/// # Errors
///
/// [`Error::Io`](crate::Error::Io) naming the first thing that cannot be deleted.
pub fn destroy<V: Volume>(
    host: &HostCompute<V>,
    layer: &Path,
    privileges: &Privileges,
) -> Result<()> {
    let layer = &*full_path(layer)?;
    if !is_gone(&host.volume, layer)? {
        // So that what is left of it, should this be interrupted, is known to be half a layer. On a
        // full disk there may be no room for that, and all the more reason to delete.
        let _ = marker::set(&host.volume, layer);
        // Whether it worked shows below.
        let _ = host.service.destroy_layer(layer);
        delete_by_handle(&host.volume, layer, privileges)?;
    }
    marker::clear(&host.volume, layer)
}

/// Deletes a layer with `DestroyLayer` alone and looks whether it is gone.
///
/// # Errors
///
/// As the service says; [`HcsError::StillThere`] when it reports success and leaves something.
pub(super) fn destroy_with_service<V: Volume>(host: &HostCompute<V>, layer: &Path) -> Result<()> {
    host.service.destroy_layer(layer)?;
    match is_gone(&host.volume, layer)? {
        true => marker::clear(&host.volume, layer),
        false => {
            // Nobody knows what is missing.
            let _ = marker::set(&host.volume, layer);
            Err(HcsError::StillThere {
                layer: layer.to_owned(),
            }
            .into())
        }
    }
}

/// Deletes a folder and all that is in it by handle; one that does not exist is fine.
fn delete_by_handle<V: Volume>(volume: &V, layer: &Path, privileges: &Privileges) -> Result<()> {
    let Some(attributes) = attributes(volume, layer)? else {
        return Ok(());
    };
    let is_plain_folder = attributes.contains(FileAttributes::DIRECTORY)
        && !attributes.contains(FileAttributes::REPARSE_POINT);
    if is_plain_folder {
        let root = volume
            .open_root(layer, privileges)
            .map_err(io_error("open", layer))?;
        if let Err(error) = delete_contents(&root, None) {
            return Err(io_error("delete", &first_left(&root))(error));
        }
    }
    volume.delete(layer).map_err(io_error("delete", layer))?;
    match is_gone(volume, layer)? {
        true => Ok(()),
        // Windows keeps the name until the last handle is closed.
        false => Err(io_error("delete", layer)(io::Error::other(
            "another program has it open",
        ))),
    }
}

/// Finds what could not be deleted. Deletion takes the last name of every directory first, so it is
/// the last of those that are left.
fn first_left<R: Root>(root: &R) -> PathBuf {
    let mut left = root.path().to_owned();
    let mut directory: Option<LayerPath> = None;
    while let Some(last) = root
        .list(directory.as_ref())
        .ok()
        .and_then(|mut names| names.pop())
    {
        left.push(wide::display(&last.name).as_ref());
        let path = match &directory {
            Some(directory) => directory.join(&last.name),
            None => LayerPath::parse(&last.name),
        };
        match path {
            Ok(path) if last.is_plain_directory() => directory = Some(path),
            _ => break,
        }
    }
    left
}

fn is_gone<V: Volume>(volume: &V, layer: &Path) -> Result<bool> {
    Ok(attributes(volume, layer)?.is_none())
}

fn attributes<V: Volume>(volume: &V, path: &Path) -> Result<Option<FileAttributes>> {
    volume.attributes(path).map_err(io_error("open", path))
}
