//! [`repair`]: rebuilds the index, the descriptor and the chain of a portable layer from its tar.
//!
//! They are built in a staging folder next to the layer, which contains the same tar as a hard link and
//! then replaces the layer in one step. So after an interruption at any time, either the old or the new
//! layer is there.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use super::descriptor::{self, FORMAT_VERSION, LayerDescriptor, SourceBlob};
use super::import::{Indexed, Parents, StoredTar, complete_files};
use super::layer::{PortableLayer, check_stored};
use super::verify::{ReadTar, read_tar};
use super::{DESCRIPTOR_FILE, FILES, INDEX_FILE, TAR_FILE, parents};
use crate::check::check;
use crate::compression::Compression;
use crate::digest::DiffId;
use crate::error::{Error, OtherDiffIds, PortableError, Result, io_error};
use crate::hub::{Progress, poll};
use crate::layout;
use crate::parent_chain::ParentChain;
use crate::place::{FORMAT, Staging, Written, may_be_replaced};

/// How to rebuild a layer.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct RepairOptions {
    /// The parents, if they are not at the stored paths, or if no paths are stored.
    pub parents: ParentChain,
    /// The expected digest of the tar; if there is none, the DiffID in the descriptor is used.
    pub expected_diff_id: Option<DiffId>,
}

setters!(RepairOptions { parents: ParentChain } into { expected_diff_id: Option<DiffId> });

/// A rebuilt layer.
#[derive(Debug)]
#[non_exhaustive]
pub struct Repaired {
    /// The layer.
    pub layer: PortableLayer,
    /// Whether its tar was compared with a DiffID: the one in the descriptor, or the expected one.
    pub is_verified: bool,
}

/// Rebuilds the index and the two small files of a layer.
///
/// # Errors
///
/// Returns [`Error::Layer`](crate::Error::Layer) with the reason if there is no layer tar, the tar does
/// not match the descriptor, the descriptor has a newer version, a parent is missing, the folder
/// contains anything that does not belong to a layer, or another process is working on it; or
/// [`Error::Cancelled`](crate::Error::Cancelled).
pub fn repair(
    layer: impl AsRef<Path>,
    options: &RepairOptions,
    progress: &dyn Progress,
) -> Result<Repaired> {
    let layer = layer.as_ref();
    repair_layer(layer, options, progress).map_err(|error| error.of_layer("repair", layer))
}

fn repair_layer(
    given: &Path,
    options: &RepairOptions,
    progress: &dyn Progress,
) -> Result<Repaired> {
    check_is_repairable(given)?;
    let staging = Staging::over(given)?;
    let layer = staging.destination().to_owned();
    check_is_repairable(&layer)?;
    let old = match LayerDescriptor::read(&layer) {
        Err(error) if is_of_another_writer(&error, &layer) => return Err(error),
        read => read.ok(),
    };
    let parents = open_parents(&layer, old.as_ref(), options, staging.destination())?;
    // Opened before SQLite writes, and flushed at the end: see `import`.
    let index_file = staging.create_file(INDEX_FILE)?;
    let tar = read_tar(&layer.join(TAR_FILE), &index_file.0, progress)?;
    let old_diff_id = old.as_ref().map(|old| old.diff_id);
    let expected = options.expected_diff_id.or(old_diff_id);
    if let Some(expected) = expected {
        check_stored(expected, tar.diff_id)?;
    }
    check(&tar.index, parents.view.as_ref(), progress)?;
    // The stored facts about the blob are valid as long as the tar is the same.
    let source = old.filter(|old| old.diff_id == tar.diff_id);
    let source = source.map_or_else(|| as_source(&tar), |old| old.source);
    let stored = StoredTar {
        diff_id: tar.diff_id,
        size: tar.size,
        sums: tar.sums,
        file: add_tar(&layer.join(TAR_FILE), &staging)?,
    };
    let indexed = Indexed {
        found: tar.scanned,
        index: tar.index,
        file: index_file,
    };
    let (descriptor, written) = complete_files(&staging, indexed, stored, source, &parents)?;
    poll(progress)?;
    let path = staging.commit(Written::Files(written))?;
    // Not reopened: from here on, nothing may fail.
    let parents = ParentChain::from_nearest_first(parents.chain);
    Ok(Repaired {
        layer: PortableLayer::imported(path, descriptor, parents),
        is_verified: expected.is_some(),
    })
}

/// Returns whether a descriptor was written by a newer version of this program, or by another program:
/// it could not be written again without losing parts of it. Any other problem is damage.
fn is_of_another_writer(error: &Error, layer: &Path) -> bool {
    let Error::Portable(PortableError::Version {
        format, version, ..
    }) = error
    else {
        return false;
    };
    let version = version.parse::<u64>();
    let is_newer = version.is_ok_and(|version| version > u64::from(FORMAT_VERSION));
    match format == FORMAT {
        true => is_newer,
        // Unless the index shows that only the name of the format is damaged.
        false => !may_be_replaced(layer),
    }
}

fn as_source(tar: &ReadTar) -> SourceBlob {
    SourceBlob {
        digest: tar.diff_id.digest(),
        size: tar.size,
        media_type: Compression::None.media_type().to_owned(),
    }
}

/// Checks that a folder contains a layer tar, and nothing else that would be lost.
fn check_is_repairable(layer: &Path) -> Result<()> {
    let metadata = match fs::symlink_metadata(layer) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(descriptor::not_a_layer(layer, TAR_FILE));
        }
        metadata => metadata.map_err(io_error("open", layer))?,
    };
    if metadata.is_symlink() {
        return Err(PortableError::Link {
            path: layer.to_owned(),
        }
        .into());
    }
    let tar = fs::symlink_metadata(layer.join(TAR_FILE));
    if !tar.is_ok_and(|tar| tar.is_file()) {
        return Err(PortableError::NotALayer {
            path: layer.to_owned(),
            missing: TAR_FILE,
        }
        .into());
    }
    let entries = fs::read_dir(layer).map_err(io_error("list", layer))?;
    for entry in entries {
        let name = entry.map_err(io_error("list", layer))?.file_name();
        if !FILES.iter().any(|known| name == *known) {
            return Err(PortableError::ForeignFile {
                path: layer.join(name),
            }
            .into());
        }
    }
    Ok(())
}

/// Opens the given parents, or else the ones that the descriptor names, or else the ones in
/// `layerchain.json`.
fn open_parents(
    layer: &Path,
    old: Option<&LayerDescriptor>,
    options: &RepairOptions,
    destination: &Path,
) -> Result<Parents> {
    if !options.parents.is_empty() {
        let parents = Parents::open(&options.parents, destination)?;
        check_records(layer, old, &parents)?;
        return Ok(parents);
    }
    let stored = match old {
        Some(old) => parents::stored(layer, old).or_else(|_| parents::of_descriptor(layer, old))?,
        None => {
            let text = descriptor::read_file(layer, layout::LAYER_CHAIN)?;
            ParentChain::from_nearest_first(parents::chain_of(layer, &text)?)
        }
    };
    let parents = Parents::open(&stored, destination).map_err(|error| match stored.nearest() {
        Some(parent) => PortableError::Parent {
            layer: layer.to_owned(),
            parent: parent.to_owned(),
            source: Box::new(error),
        }
        .into(),
        None => error,
    })?;
    check_records(layer, old, &parents)?;
    Ok(parents)
}

/// Checks that the layer was created on these parents, if it stores their DiffIDs.
fn check_records(layer: &Path, old: Option<&LayerDescriptor>, parents: &Parents) -> Result<()> {
    let Some(bound) = old.and_then(|old| old.bound.as_ref()) else {
        return Ok(());
    };
    if bound.parents.len() != parents.records.len() {
        return Err(descriptor::damaged(layer, DESCRIPTOR_FILE).into());
    }
    let pairs = bound.parents.iter().zip(&parents.records);
    for ((old, new), place) in pairs.zip(&parents.chain) {
        if old.diff_id != new.diff_id {
            return Err(PortableError::OtherParent {
                layer: layer.to_owned(),
                parent: place.clone(),
                diff_ids: Box::new(OtherDiffIds {
                    expected: old.diff_id,
                    found: new.diff_id,
                }),
            }
            .into());
        }
    }
    Ok(())
}

/// Creates a hard link to a tar in the staging folder, or a copy if the disk has no hard links; returns
/// its path and the handle to flush it with.
fn add_tar(from: &Path, staging: &Staging) -> Result<(PathBuf, File)> {
    let to = staging.path().join(TAR_FILE);
    if fs::hard_link(from, &to).is_ok() {
        // Windows can only flush files that are open for writing.
        let opened = File::options().read(true).write(cfg!(windows)).open(&to);
        let file = opened.map_err(io_error("open", &to))?;
        return Ok((to, file));
    }
    let (to, mut copy) = staging.create_file(TAR_FILE)?;
    let mut tar = File::open(from).map_err(io_error("open", from))?;
    io::copy(&mut tar, &mut copy).map_err(io_error("copy", from))?;
    Ok((to, copy))
}
