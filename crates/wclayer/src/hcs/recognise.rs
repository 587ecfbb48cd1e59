//! Recognises Windows layers: whether a folder is a base layer, a layer with parents, a scratch
//! layer, or something else.
//!
//! Windows leaves no descriptor in a layer's folder. A scratch layer has its disk. Every other
//! layer has `Files` and something else that Windows or an engine creates next to it.
//! `layerchain.json` shows whether there are parents; without that file, the disks that only a base
//! layer gets show it. A transport folder also has `Files` but is not a layer yet.
//!
//! Source of the names: hcsshim `internal/wclayer/expandscratchsize.go` (`sandbox.vhdx`), moby
//! `daemon/graphdriver/windows` (`layerchain.json`), containerd
//! `plugins/snapshots/windows/cimfs.go` (`blank-base.vhdx`, `blank.vhdx`). The disks of a base
//! layer were observed on Windows 11 build 26200.

use std::path::Path;

use ntmeta::FileAttributes;

use super::marker;
use super::parents::stored_parents;
use crate::error::{Result, io_error};
use crate::kind::WindowsLayerKind;
use crate::layout::{self, SCRATCH_DISK};
use crate::parent_chain::ParentChain;
use crate::volume::Volume;

/// A disk that Windows creates for every base layer and for no other layer.
const BASE_DISK: &str = "blank-base.vhdx";

/// Every layer has at least one of these next to `Files`.
const EVIDENCE: [&str; 4] = [
    layout::HIVES,
    layout::LAYER_CHAIN,
    BASE_DISK,
    layout::UTILITY_VM_FILES,
];

/// The properties of a Windows layer that are visible without the service.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct WindowsLayer {
    /// The kind of the layer.
    pub kind: WindowsLayerKind,
    /// Its parents, if they are known.
    pub parents: Option<ParentChain>,
    /// Whether the layer is complete: no import or removal of it was interrupted.
    pub is_complete: bool,
    /// Whether it has files of a utility VM.
    pub has_utility_vm: bool,
}

/// Examines a folder; returns `None` if it is not a Windows layer. Requires no privilege.
///
/// # Errors
///
/// Returns [`Error::Io`](crate::Error::Io) if the folder cannot be read, and the errors of
/// [`stored_parents`] if its chain is damaged.
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

/// Returns whether a folder is a Windows layer, even if incomplete or damaged.
///
/// # Errors
///
/// Returns [`Error::Io`](crate::Error::Io) if the folder cannot be read.
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
    // A folder named `Files` alone is not enough evidence to delete the folder that contains it.
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
