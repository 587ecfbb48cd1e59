//! The Host Compute Service as a trait: one method for each call on layers.
//!
//! [`LayerService`] offers the calls of `vmcompute.dll`. `windows/` implements it with that DLL and
//! with the documented `computestorage.dll`; tests use an implementation in memory. A layer is
//! named by the full path of its folder (a `DriverInfo` with an empty home directory).
//!
//! Source: hcsshim `internal/wclayer`, one file for each call; Microsoft, "Host Compute System
//! API".

use std::path::{Path, PathBuf};

use ntmeta::FileBasicInfo;
use ntmeta::security::Guid;

use super::full_path::full_path;
use crate::error::Result;
use crate::error::{HcsError, ServiceError};
use crate::parent_chain::ParentChain;

/// A call of the service, for checking whether it is available.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Function {
    /// Attaches the disk of a scratch layer.
    ActivateLayer,
    /// Undoes `ActivateLayer`.
    DeactivateLayer,
    /// Deletes a layer.
    DestroyLayer,
    /// Undoes `PrepareLayer`.
    UnprepareLayer,
    /// Creates an empty read-only layer.
    CreateLayer,
    /// Creates a scratch layer.
    CreateSandboxLayer,
    /// Expands a scratch layer.
    ExpandSandboxSize,
    /// Shows the parents' files in an active scratch layer.
    PrepareLayer,
    /// Returns whether the folder of a layer exists.
    LayerExists,
    /// Returns the volume of an active scratch layer.
    GetLayerMountPath,
    /// Creates a layer from a transport folder.
    ImportLayer,
    /// Creates a transport folder from a layer.
    ExportLayer,
    /// Copies a layer.
    CopyLayer,
    /// Begins an import entry by entry.
    ImportLayerBegin,
    /// Begins an export entry by entry.
    ExportLayerBegin,
    /// Lists the base images that all users share.
    GetBaseImages,
    /// Returns the id of a name.
    NameToGuid,
    /// Prepares a base layer for use.
    ProcessBaseImage,
    /// Prepares a utility VM for use.
    ProcessUtilityImage,
    /// Lets a virtual machine read a file.
    GrantVmAccess,
}

/// A parent in the form that the calls expect (`WC_LAYER_DESCRIPTOR`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParentLayer {
    /// `NameToGuid` of the last component of the path.
    pub id: Guid,
    /// The full path of the layer's folder.
    pub path: PathBuf,
}

/// Converts a chain to descriptors, nearest first.
///
/// # Errors
///
/// Returns the error of `NameToGuid` if that fails, and [`HcsError::ParentName`] if a folder has no
/// name.
pub fn parent_layers(
    service: &dyn LayerService,
    parents: &ParentChain,
) -> Result<Vec<ParentLayer>> {
    parents
        .iter_nearest_first()
        .map(|path| {
            let path = full_path(path)?;
            let name = path.file_name().ok_or_else(|| HcsError::ParentName {
                parent: path.clone(),
            })?;
            let id = service.name_to_guid(&name.to_string_lossy())?;
            Ok(ParentLayer { id, path })
        })
        .collect()
}

/// The calls of the Host Compute Service on layers. All paths are full paths
/// ([`full_path`](super::full_path())).
///
/// Every method returns a [`ServiceError`] if the DLL does not have the call or the call returns a
/// failure. `S_FALSE` is success.
pub trait LayerService: Send + Sync {
    /// Returns the file name of the DLL.
    fn dll(&self) -> &'static str;

    /// Returns whether the DLL has a call.
    fn has(&self, function: Function) -> bool;

    /// Attaches the disk of a scratch layer as a volume. Requires `SeManageVolumePrivilege`.
    fn activate_layer(&self, layer: &Path) -> Result<(), ServiceError>;

    /// Undoes [`activate_layer`](Self::activate_layer).
    fn deactivate_layer(&self, layer: &Path) -> Result<(), ServiceError>;

    /// Deletes a layer. It may succeed and leave files, so callers must check.
    fn destroy_layer(&self, layer: &Path) -> Result<(), ServiceError>;

    /// Attaches the filter that shows the parents' files in an active scratch layer.
    fn prepare_layer(&self, layer: &Path, parents: &[ParentLayer]) -> Result<(), ServiceError>;

    /// Undoes [`prepare_layer`](Self::prepare_layer).
    fn unprepare_layer(&self, layer: &Path) -> Result<(), ServiceError>;

    /// Creates an empty read-only layer on top of `parent`.
    fn create_layer(&self, layer: &Path, parent: &Path) -> Result<(), ServiceError>;

    /// Creates a scratch layer.
    fn create_scratch_layer(
        &self,
        layer: &Path,
        parents: &[ParentLayer],
    ) -> Result<(), ServiceError>;

    /// Expands a scratch layer to `size` bytes.
    fn expand_scratch_size(&self, layer: &Path, size: u64) -> Result<(), ServiceError>;

    /// Returns whether the folder of a layer exists; it need not be a layer.
    fn layer_exists(&self, layer: &Path) -> Result<bool, ServiceError>;

    /// Returns the volume (`\\?\Volume{…}`) of an active scratch layer, or the folder of another.
    fn layer_mount_path(&self, layer: &Path) -> Result<String, ServiceError>;

    /// Creates a layer from a transport folder.
    fn import_layer(
        &self,
        layer: &Path,
        transport: &Path,
        parents: &[ParentLayer],
    ) -> Result<(), ServiceError>;

    /// Creates a transport folder from a layer.
    fn export_layer(
        &self,
        layer: &Path,
        transport: &Path,
        parents: &[ParentLayer],
    ) -> Result<(), ServiceError>;

    /// Copies a layer.
    fn copy_layer(
        &self,
        from: &Path,
        to: &Path,
        parents: &[ParentLayer],
    ) -> Result<(), ServiceError>;

    /// Begins an import of a layer entry by entry.
    fn begin_import(
        &self,
        layer: &Path,
        parents: &[ParentLayer],
    ) -> Result<Box<dyn FilterImport + '_>, ServiceError>;

    /// Begins an export of a layer entry by entry.
    fn begin_export(
        &self,
        layer: &Path,
        parents: &[ParentLayer],
    ) -> Result<Box<dyn FilterExport + '_>, ServiceError>;

    /// Returns the base images that all users share, as the JSON text of the service.
    fn base_images(&self) -> Result<String, ServiceError>;

    /// Returns the id of a name, the same in every call.
    fn name_to_guid(&self, name: &str) -> Result<Guid, ServiceError>;

    /// Prepares a base layer for use: creates its disks and hives.
    fn process_base_image(&self, layer: &Path) -> Result<(), ServiceError>;

    /// Prepares a utility VM (the folder `UtilityVM`) for use.
    fn process_utility_image(&self, utility_vm: &Path) -> Result<(), ServiceError>;

    /// Lets the virtual machine `vm_id` read a file.
    fn grant_vm_access(&self, vm_id: &str, file: &Path) -> Result<(), ServiceError>;
}

/// An import entry by entry (`ImportLayerNext`, `…Write`, `…End`). Dropping it ends the import and
/// ignores the result.
///
/// Every method returns a [`ServiceError`] if the call of the service fails.
pub trait FilterImport {
    /// Starts an entry; without `info`, the path is removed. `name` starts with a backslash.
    ///
    /// # Errors
    ///
    /// Returns the error of the service.
    fn next(&mut self, name: &[u16], info: Option<&FileBasicInfo>) -> Result<(), ServiceError>;

    /// Writes the next bytes of the backup stream.
    ///
    /// # Errors
    ///
    /// Returns the error of the service.
    fn write(&mut self, backup_stream: &[u8]) -> Result<(), ServiceError>;

    /// Completes the layer.
    ///
    /// # Errors
    ///
    /// Returns the error of the service.
    fn end(self: Box<Self>) -> Result<(), ServiceError>;
}

/// An export entry by entry (`ExportLayerNext`, `…Read`, `…End`). Dropping it ends the export.
pub trait FilterExport {
    /// Moves to the next entry; returns `None` after the last one (`ERROR_NO_MORE_FILES`).
    ///
    /// # Errors
    ///
    /// Returns the error of the service.
    fn next(&mut self) -> Result<Option<Exported>, ServiceError>;

    /// Reads the next bytes of the entry's backup stream; returns 0 at its end.
    ///
    /// # Errors
    ///
    /// Returns the error of the service.
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, ServiceError>;

    /// Ends the export.
    ///
    /// # Errors
    ///
    /// Returns the error of the service.
    fn end(self: Box<Self>) -> Result<(), ServiceError>;
}

/// An entry as `ExportLayerNext` returns it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exported {
    /// The path below the layer's root in the service's form, with a leading backslash.
    pub name: Vec<u16>,
    /// The times and attributes; meaningless for a removal.
    pub basic_info: FileBasicInfo,
    /// The length of the data in bytes.
    pub size: u64,
    /// Whether this is a removal.
    pub deleted: bool,
}
