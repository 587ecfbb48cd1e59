//! What a folder is to Windows, as far as looking at it tells: a base layer, a layer with parents,
//! a scratch layer, or none of these.
//!
//! Windows leaves no descriptor in a layer's folder. A scratch layer has its disk, every other layer
//! has `Files` and something else that Windows or an engine puts beside it; whether there are parents is known from `layerchain.json`, else from the disks that
//! only a base layer gets. A transport folder has `Files` too, and is no layer yet.
//!
//! Source: FORMATS §6; hcsshim `internal/wclayer`.

use std::path::Path;

use ntmeta::FileAttributes;

use super::marker;
use super::parents::stored_parents;
use crate::error::{Result, io_error};
use crate::kind::WindowsLayerKind;
use crate::layout::{self, SCRATCH_DISK};
use crate::parent_chain::ParentChain;
use crate::volume::Volume;

/// A disk that Windows makes for every base layer, and for no other.
const BASE_DISK: &str = "blank-base.vhdx";

/// What every layer has beside `Files`: one of these at least.
const EVIDENCE: [&str; 4] = [
    layout::HIVES,
    layout::LAYER_CHAIN,
    BASE_DISK,
    layout::UTILITY_VM_FILES,
];

/// A layer of the Host Compute Service, looked at from outside.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct WindowsLayer {
    /// What it is.
    pub kind: WindowsLayerKind,
    /// Its parents, when it tells.
    pub parents: Option<ParentChain>,
    /// Whether no import of it was interrupted.
    pub is_complete: bool,
    /// Whether it has files of a utility VM.
    pub has_utility_vm: bool,
}

/// Looks at a folder; `None` when it is no layer of Windows. Needs no privilege.
///
/// # Errors
///
/// [`Error::Io`](crate::Error::Io) when it cannot be looked at; as for [`stored_parents`] when its
/// chain is damaged.
pub fn recognise<V: Volume>(volume: &V, folder: &Path) -> Result<Option<WindowsLayer>> {
    if !is_layer(volume, folder)? {
        return Ok(None);
    }
    let parents = stored_parents(volume, folder)?;
    let kind = match &parents {
        _ if exists(volume, &folder.join(SCRATCH_DISK))? => WindowsLayerKind::Scratch,
        Some(parents) if parents.is_empty() => WindowsLayerKind::Base,
        Some(_) => WindowsLayerKind::Layer,
        None if exists(volume, &folder.join(BASE_DISK))? => WindowsLayerKind::Base,
        None => WindowsLayerKind::Unknown,
    };
    let utility_vm = folder.join(layout::UTILITY_VM);
    Ok(Some(WindowsLayer {
        kind,
        parents,
        is_complete: !marker::is_set(volume, folder)?,
        has_utility_vm: is_directory(volume, &utility_vm)?
            && is_directory(volume, &utility_vm.join(layout::FILES))?,
    }))
}

/// Returns whether a folder is a layer of Windows, also an incomplete or damaged one.
///
/// # Errors
///
/// [`Error::Io`](crate::Error::Io) when it cannot be looked at.
pub fn is_layer<V: Volume>(volume: &V, folder: &Path) -> Result<bool> {
    if !is_directory(volume, folder)? {
        return Ok(false);
    }
    if marker::is_set(volume, folder)? || exists(volume, &folder.join(SCRATCH_DISK))? {
        return Ok(true);
    }
    let described_files = format!("{}{}", layout::FILES, layout::DIRECTORY_SUFFIX);
    let is_transport = exists(volume, &folder.join(layout::TOMBSTONES))?
        || exists(volume, &folder.join(described_files))?;
    if is_transport || !is_directory(volume, &folder.join(layout::FILES))? {
        return Ok(false);
    }
    // A folder named `Files` is not evidence enough to delete what it lies in.
    for evidence in EVIDENCE {
        if exists(volume, &folder.join(evidence))? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn exists<V: Volume>(volume: &V, path: &Path) -> Result<bool> {
    let found = volume.attributes(path).map_err(io_error("open", path))?;
    Ok(found.is_some())
}

fn is_directory<V: Volume>(volume: &V, path: &Path) -> Result<bool> {
    let found = volume.attributes(path).map_err(io_error("open", path))?;
    Ok(found.is_some_and(|found| {
        found.contains(FileAttributes::DIRECTORY) && !found.contains(FileAttributes::REPARSE_POINT)
    }))
}
