//! Creates, expands, mounts and unmounts scratch layers, removes layers, and wraps the remaining
//! calls of the service.
//!
//! If a step of an operation fails, the earlier steps are undone in reverse order; unmounting
//! continues after a failure and reports the first one. Parents are nearest first;
//! [`resolve_parents`](super::resolve_parents) completes the list that a user gives.
//!
//! Source: hcsshim `cmd/wclayer` and the files of `internal/wclayer` named after the calls.

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use ntmeta::security::Guid;

use super::destroy::{destroy, destroy_with_service};
use super::diagnose::explain;
use super::full_path::{full_chain, full_path};
use super::parents::store_parents;
use super::service::{ParentLayer, parent_layers};
use super::{HostCompute, ServiceError, marker};
use crate::error::HcsError;
use crate::error::Privilege;
use crate::error::{Error, Result, io_error};
use crate::parent_chain::ParentChain;
use crate::volume::Volume;

/// The privileges for deleting an incomplete scratch layer; most are created without a failure.
const TO_CLEAN_UP: [Privilege; 2] = [Privilege::Backup, Privilege::Restore];
/// The prefix of every volume path that can be mounted at a folder.
const VOLUME_PREFIX: &str = r"\\?\Volume{";

/// Creates a scratch layer, `size` bytes large if that is given, and stores its parents in its
/// folder. If this fails, nothing is left of the layer unless the folder existed before. Requires
/// `SeManageVolumePrivilege`.
///
/// # Errors
///
/// Returns [`Error::Layer`] with the reason as its source: no parents, a privilege that is not
/// held, or an error of the service.
pub fn create_scratch<V: Volume>(
    host: &HostCompute<V>,
    layer: &Path,
    parents: &ParentChain,
    size: Option<u64>,
) -> Result<()> {
    let create = || {
        let (layer, parents) = (&*full_path(layer)?, &full_chain(parents)?);
        if parents.is_empty() {
            return Err(HcsError::NoParents.into());
        }
        marker::check_chain(host, parents)?;
        let needed = [Privilege::ManageVolume];
        let privileges = host.volume.enable_with(&needed, &TO_CLEAN_UP)?;
        let descriptors = parent_layers(&*host.service, parents)?;
        let existed = host
            .volume
            .attributes(layer)
            .map_err(io_error("open", layer))?
            .is_some();
        match existed {
            true => marker::check_complete(host, layer)?,
            // The mark of a removal that was killed at its very end: with it, an import would
            // destroy the layer.
            false => marker::clear(&host.volume, layer)?,
        }
        let created = create_steps(host, layer, parents, &descriptors, size);
        created.map_err(|error| {
            // Explained first, because the service may make the folder disappear.
            let error = explain(host, layer, parents, None, error);
            if existed {
                return error;
            }
            match destroy(host, layer, &privileges) {
                Ok(()) => error,
                Err(deletion) => HcsError::left_behind(layer, deletion, error),
            }
        })
    };
    create().map_err(|error| error.of_layer("create", layer))
}

fn create_steps<V: Volume>(
    host: &HostCompute<V>,
    layer: &Path,
    parents: &ParentChain,
    descriptors: &[ParentLayer],
    size: Option<u64>,
) -> Result<()> {
    host.service.create_scratch_layer(layer, descriptors)?;
    if let Some(size) = size {
        host.service.expand_scratch_size(layer, size)?;
    }
    store_parents(&host.volume, layer, parents)
}

/// Expands a scratch layer to `size` bytes; it cannot shrink. Requires `SeManageVolumePrivilege`.
///
/// # Errors
///
/// Returns [`Error::Layer`] with the reason as its source: a privilege that is not held, or an
/// error of the service.
pub fn expand<V: Volume>(host: &HostCompute<V>, layer: &Path, size: u64) -> Result<()> {
    on_layer(host, "expand", layer, |layer| {
        let _privileges = host.volume.enable(&[Privilege::ManageVolume])?;
        Ok(host.service.expand_scratch_size(layer, size)?)
    })
}

/// Mounts a scratch layer and returns the path of its volume (`\\?\Volume{…}`). If `target` is
/// given, the volume is also mounted at that empty folder. If a step fails, the earlier steps are
/// undone. Requires `SeManageVolumePrivilege` and an administrator.
///
/// # Errors
///
/// Returns [`Error::Layer`] with the reason as its source: no parents, a privilege that is not
/// held, an error of the service, or a target that cannot be used.
pub fn mount<V: Volume>(
    host: &HostCompute<V>,
    scratch: &Path,
    parents: &ParentChain,
    target: Option<&Path>,
) -> Result<String> {
    let mount = || -> Result<String> {
        let (scratch, parents) = (&*full_path(scratch)?, &full_chain(parents)?);
        let target = target.map(full_path).transpose()?;
        if parents.is_empty() {
            return Err(HcsError::NoParents.into());
        }
        marker::check_chain(host, parents)?;
        let _privileges = host.volume.enable(&[Privilege::ManageVolume])?;
        let mounted = parent_layers(&*host.service, parents).and_then(|descriptors| {
            host.service.activate_layer(scratch)?;
            mount_active(host, scratch, &descriptors, target.as_deref()).inspect_err(|_| {
                // The earlier error is the one to report.
                let _ = host.service.deactivate_layer(scratch);
            })
        });
        mounted.map_err(|error| explain(host, scratch, parents, None, error))
    };
    mount().map_err(|error| error.of_layer("mount", scratch))
}

fn mount_active<V: Volume>(
    host: &HostCompute<V>,
    scratch: &Path,
    parents: &[ParentLayer],
    target: Option<&Path>,
) -> Result<String> {
    prepare(host, scratch, parents)?;
    mount_prepared(host, scratch, target).inspect_err(|_| {
        let _ = host.service.unprepare_layer(scratch);
    })
}

fn mount_prepared<V: Volume>(
    host: &HostCompute<V>,
    scratch: &Path,
    target: Option<&Path>,
) -> Result<String> {
    let mount_path = host.service.layer_mount_path(scratch)?;
    let Some(target) = target else {
        return Ok(mount_path);
    };
    if !mount_path.starts_with(VOLUME_PREFIX) {
        return Err(HcsError::NoVolume { mount_path }.into());
    }
    host.volume
        .mount(&mount_path, target)
        .map_err(io_error("mount the volume at", target))?;
    Ok(mount_path)
}

/// Shows the parents' files in an active layer. Only one layer is prepared at a time: simultaneous
/// calls make Windows run into timeouts.
pub(super) fn prepare<V: Volume>(
    host: &HostCompute<V>,
    layer: &Path,
    parents: &[ParentLayer],
) -> Result<(), ServiceError> {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _one = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    host.service.prepare_layer(layer, parents)
}

/// Unmounts a scratch layer that [`mount`] mounted. A step that fails does not prevent the later
/// ones.
///
/// # Errors
///
/// Returns [`Error::Layer`] with the first failure as its source.
pub fn unmount<V: Volume>(
    host: &HostCompute<V>,
    scratch: &Path,
    target: Option<&Path>,
) -> Result<()> {
    on_layer(host, "unmount", scratch, |scratch| {
        let target = target.map(full_path).transpose()?;
        let _privileges = host.volume.enable(&[Privilege::ManageVolume])?;
        let unmounted = match &target {
            Some(target) => host
                .volume
                .unmount(target)
                .map_err(io_error("unmount the volume at", target)),
            None => Ok(()),
        };
        let unprepared = host.service.unprepare_layer(scratch).map_err(Error::from);
        let deactivated = host.service.deactivate_layer(scratch).map_err(Error::from);
        unmounted.and(unprepared).and(deactivated)
    })
}

/// Deletes a layer with `DestroyLayer` and checks that it is gone; with `force`, leftover files are
/// deleted by handle. Requires the backup and restore privileges.
///
/// # Errors
///
/// Returns [`Error::Layer`] with the reason as its source: nothing at the path, a privilege that is
/// not held, an error of the service, or the first file that cannot be deleted.
pub fn remove<V: Volume>(host: &HostCompute<V>, layer: &Path, force: bool) -> Result<()> {
    on_layer(host, "remove", layer, |layer| {
        let privileges = host
            .volume
            .enable(&[Privilege::Backup, Privilege::Restore])?;
        let found = host.volume.attributes(layer);
        if found.map_err(io_error("open", layer))?.is_none() {
            let missing = std::io::ErrorKind::NotFound.into();
            return Err(io_error("open", layer)(missing));
        }
        let _lock = marker::lock(&host.volume, layer)?;
        match force {
            true => destroy(host, layer, &privileges)?,
            false => destroy_with_service(host, layer)?,
        }
        Ok(())
    })
}

/// Returns whether the folder of a layer exists; it need not be a layer.
///
/// # Errors
///
/// Returns [`Error::Layer`] with the error of the service as its source.
pub fn exists<V: Volume>(host: &HostCompute<V>, layer: &Path) -> Result<bool> {
    let exists = full_path(layer).and_then(|layer| Ok(host.service.layer_exists(&layer)?));
    exists.map_err(|error| error.of_layer("look for", layer))
}

/// Returns the volume of a mounted scratch layer, or the folder of another layer.
///
/// # Errors
///
/// Returns [`Error::Layer`] with the error of the service as its source.
pub fn mount_path<V: Volume>(host: &HostCompute<V>, layer: &Path) -> Result<String> {
    on_layer(host, "find the volume of", layer, |layer| {
        Ok(host.service.layer_mount_path(layer)?)
    })
}

/// Returns the id that Windows derives from a name; it is the same in every call and on every host.
///
/// # Errors
///
/// Returns the error of the service.
pub fn name_to_guid<V: Volume>(host: &HostCompute<V>, name: &str) -> Result<Guid> {
    Ok(host.service.name_to_guid(name)?)
}

/// Returns the base images that all users of the host share, as the JSON text of the service.
///
/// # Errors
///
/// Returns the error of the service.
pub fn base_images<V: Volume>(host: &HostCompute<V>) -> Result<String> {
    Ok(host.service.base_images()?)
}

/// Lets the virtual machine `vm_id` read a file, such as the disk of a layer.
///
/// # Errors
///
/// Returns the error of the service.
pub fn grant_vm_access<V: Volume>(host: &HostCompute<V>, vm_id: &str, file: &Path) -> Result<()> {
    Ok(host.service.grant_vm_access(vm_id, &full_path(file)?)?)
}

/// Performs an operation on the full path of a layer. An error names the layer and, as far as the
/// disks show it, the cause.
fn on_layer<V: Volume, T>(
    host: &HostCompute<V>,
    operation: &'static str,
    layer: &Path,
    action: impl FnOnce(&Path) -> Result<T>,
) -> Result<T> {
    let result = full_path(layer).and_then(|full| {
        action(&full).map_err(|error| explain(host, &full, &ParentChain::none(), None, error))
    });
    result.map_err(|error| error.of_layer(operation, layer))
}
