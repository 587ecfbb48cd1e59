//! Deletes the folder of a layer and checks that it is gone.
//!
//! `DestroyLayer` may report success and leave files. Ordinary calls cannot delete them, because
//! the security descriptors of the layer deny it, but files that are opened with the backup
//! privileges can be deleted by handle. A reparse point is deleted, never followed. An interrupted
//! deletion can be started again: the folder is marked as incomplete first, and the mark is removed
//! last.
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

/// Deletes a layer with `DestroyLayer`, then deletes leftover files by handle. Does nothing if the
/// folder does not exist. Requires the backup and restore privileges.
///
/// # Errors
///
/// Returns [`Error::Io`](crate::Error::Io) with the first path that cannot be deleted.
pub fn destroy<V: Volume>(
    host: &HostCompute<V>,
    layer: &Path,
    privileges: &Privileges,
) -> Result<()> {
    let layer = &*full_path(layer)?;
    if !is_gone(&host.volume, layer)? {
        // If the deletion is interrupted, the mark shows that the layer is incomplete. On a full
        // disk there may be no room for the mark; deleting matters more.
        let _ = marker::set(&host.volume, layer);
        // The folder is checked below.
        let _ = host.service.destroy_layer(layer);
        delete_by_handle(&host.volume, layer, privileges)?;
    }
    marker::clear(&host.volume, layer)
}

/// Deletes a layer with `DestroyLayer` alone and checks that it is gone.
///
/// # Errors
///
/// Returns the error of the service, or [`HcsError::StillThere`] if the service reports success but
/// part of the layer still exists.
pub(super) fn destroy_with_service<V: Volume>(host: &HostCompute<V>, layer: &Path) -> Result<()> {
    host.service.destroy_layer(layer)?;
    match is_gone(&host.volume, layer)? {
        true => marker::clear(&host.volume, layer),
        false => {
            // It is unknown which files are missing.
            let _ = marker::set(&host.volume, layer);
            Err(HcsError::StillThere {
                layer: layer.to_owned(),
            }
            .into())
        }
    }
}

/// Deletes a folder and its content by handle; does nothing if the folder does not exist.
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
            return Err(io_error("delete", &first_remaining(&root))(error));
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

/// Finds a path that could not be deleted. A deletion removes the last name of every directory
/// first, so this is the last remaining name.
fn first_remaining<R: Root>(root: &R) -> PathBuf {
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
