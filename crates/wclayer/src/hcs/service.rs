//! The Host Compute Service as this project sees it: every call on layers, one method each.
//!
//! [`LayerService`] is what `vmcompute.dll` offers. `windows/` implements it with that DLL and with
//! the documented `computestorage.dll`; a fake in memory implements it for tests. Layers are named
//! by the full path of their folder (a `DriverInfo` with an empty home directory).
//!
//! Source: hcsshim `internal/wclayer`, one file a call; Microsoft, "Host Compute System API".

use std::path::{Path, PathBuf};

use ntmeta::FileBasicInfo;
use ntmeta::security::Guid;

use super::full_path::full_path;
use crate::error::Result;
use crate::error::{HcsError, ServiceError};
use crate::parent_chain::ParentChain;

/// A call of the service, for asking whether it is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Function {
    /// Makes the disk of a scratch layer appear.
    ActivateLayer,
    /// Ends `ActivateLayer`.
    DeactivateLayer,
    /// Deletes a layer.
    DestroyLayer,
    /// Ends `PrepareLayer`.
    UnprepareLayer,
    /// Makes an empty read-only layer.
    CreateLayer,
    /// Makes a scratch layer.
    CreateSandboxLayer,
    /// Makes a scratch layer larger.
    ExpandSandboxSize,
    /// Puts the parents' files below an active scratch layer.
    PrepareLayer,
    /// Asks whether the folder of a layer exists.
    LayerExists,
    /// Returns the volume of an active scratch layer.
    GetLayerMountPath,
    /// Makes a layer of a transport folder.
    ImportLayer,
    /// Makes a transport folder of a layer.
    ExportLayer,
    /// Copies a layer.
    CopyLayer,
    /// Starts to import entry by entry.
    ImportLayerBegin,
    /// Starts to export entry by entry.
    ExportLayerBegin,
    /// Lists the base images that all share.
    GetBaseImages,
    /// Returns the id of a name.
    NameToGuid,
    /// Makes a base layer ready for use.
    ProcessBaseImage,
    /// Makes a utility VM ready for use.
    ProcessUtilityImage,
    /// Lets a virtual machine read a file.
    GrantVmAccess,
}

/// A parent as the calls want it (`WC_LAYER_DESCRIPTOR`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParentLayer {
    /// `NameToGuid` of the last component of the path.
    pub id: Guid,
    /// The full path of the layer's folder.
    pub path: PathBuf,
}

/// Turns a chain into descriptors, nearest first.
///
/// # Errors
///
/// When `NameToGuid` fails; [`HcsError::ParentName`] for a folder without a name.
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

/// The calls of the Host Compute Service on layers. All paths are full ones
/// ([`full_path`](super::full_path())).
///
/// Every method fails with [`ServiceError`]: the call is missing from the DLL, or returned a
/// failure. `S_FALSE` is success.
pub trait LayerService: Send + Sync {
    /// Returns the file name of the DLL.
    fn dll(&self) -> &'static str;

    /// Returns whether the DLL has a call.
    fn has(&self, function: Function) -> bool;

    /// Makes the disk of a scratch layer appear as a volume. Needs `SeManageVolumePrivilege`.
    fn activate_layer(&self, layer: &Path) -> Result<(), ServiceError>;

    /// Ends [`activate_layer`](Self::activate_layer).
    fn deactivate_layer(&self, layer: &Path) -> Result<(), ServiceError>;

    /// Deletes a layer. It may succeed and leave files: callers look.
    fn destroy_layer(&self, layer: &Path) -> Result<(), ServiceError>;

    /// Attaches the filter that shows the parents' files in an active scratch layer.
    fn prepare_layer(&self, layer: &Path, parents: &[ParentLayer]) -> Result<(), ServiceError>;

    /// Ends [`prepare_layer`](Self::prepare_layer).
    fn unprepare_layer(&self, layer: &Path) -> Result<(), ServiceError>;

    /// Makes an empty read-only layer on top of `parent`.
    fn create_layer(&self, layer: &Path, parent: &Path) -> Result<(), ServiceError>;

    /// Makes a scratch layer.
    fn create_scratch_layer(
        &self,
        layer: &Path,
        parents: &[ParentLayer],
    ) -> Result<(), ServiceError>;

    /// Makes a scratch layer `size` bytes large.
    fn expand_scratch_size(&self, layer: &Path, size: u64) -> Result<(), ServiceError>;

    /// Returns whether the folder of a layer exists; it need not be a layer.
    fn layer_exists(&self, layer: &Path) -> Result<bool, ServiceError>;

    /// Returns the volume (`\\?\Volume{…}`) of an active scratch layer, or the folder of another.
    fn layer_mount_path(&self, layer: &Path) -> Result<String, ServiceError>;

    /// Makes a layer of a transport folder.
    fn import_layer(
        &self,
        layer: &Path,
        transport: &Path,
        parents: &[ParentLayer],
    ) -> Result<(), ServiceError>;

    /// Makes a transport folder of a layer.
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

    /// Starts to import a layer entry by entry.
    fn begin_import(
        &self,
        layer: &Path,
        parents: &[ParentLayer],
    ) -> Result<Box<dyn FilterImport + '_>, ServiceError>;

    /// Starts to export a layer entry by entry.
    fn begin_export(
        &self,
        layer: &Path,
        parents: &[ParentLayer],
    ) -> Result<Box<dyn FilterExport + '_>, ServiceError>;

    /// Returns the base images that all share, as the service's own JSON text.
    fn base_images(&self) -> Result<String, ServiceError>;

    /// Returns the id of a name, the same in every call.
    fn name_to_guid(&self, name: &str) -> Result<Guid, ServiceError>;

    /// Makes a base layer ready for use: its disks, its hives.
    fn process_base_image(&self, layer: &Path) -> Result<(), ServiceError>;

    /// Makes a utility VM (the folder `UtilityVM`) ready for use.
    fn process_utility_image(&self, utility_vm: &Path) -> Result<(), ServiceError>;

    /// Lets the virtual machine `vm_id` read a file.
    fn grant_vm_access(&self, vm_id: &str, file: &Path) -> Result<(), ServiceError>;
}

/// An import entry by entry (`ImportLayerNext`, `…Write`, `…End`). Dropped, it is ended without
/// looking at the result.
pub trait FilterImport {
    /// Starts an entry; without `info` the path is removed. `name` starts with a backslash.
    ///
    /// # Errors
    ///
    /// As the service says; so for all methods.
    fn next(&mut self, name: &[u16], info: Option<&FileBasicInfo>) -> Result<(), ServiceError>;

    /// Takes the next bytes of the backup stream.
    ///
    /// # Errors
    ///
    /// As the service says.
    fn write(&mut self, backup_stream: &[u8]) -> Result<(), ServiceError>;

    /// Completes the layer.
    ///
    /// # Errors
    ///
    /// As the service says.
    fn end(self: Box<Self>) -> Result<(), ServiceError>;
}

/// An export entry by entry (`ExportLayerNext`, `…Read`, `…End`). Dropped, it is ended.
pub trait FilterExport {
    /// Moves to the next entry; `None` after the last (`ERROR_NO_MORE_FILES`).
    ///
    /// # Errors
    ///
    /// As the service says; so for all methods.
    fn next(&mut self) -> Result<Option<Exported>, ServiceError>;

    /// Reads the next bytes of the entry's backup stream; 0 at its end.
    ///
    /// # Errors
    ///
    /// As the service says.
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, ServiceError>;

    /// Ends the export.
    ///
    /// # Errors
    ///
    /// As the service says.
    fn end(self: Box<Self>) -> Result<(), ServiceError>;
}

/// What `ExportLayerNext` tells of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exported {
    /// The path below the layer's root, as the service gives it: with a leading backslash.
    pub name: Vec<u16>,
    /// Times and attributes; of no meaning when it is deleted.
    pub basic_info: FileBasicInfo,
    /// Length of the data in bytes.
    pub size: u64,
    /// Whether this is a removal.
    pub deleted: bool,
}
