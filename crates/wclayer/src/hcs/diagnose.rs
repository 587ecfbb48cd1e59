//! Why the service failed: the causes that hide behind its few codes, looked for one by one.
//!
//! `The system cannot find the path specified. (0x80070003)` stands for a parent that is missing, a
//! parent that is no layer, a transport folder without `Files`, a folder to write to that does not
//! exist, a path that is too long, a full disk. [`explain`] looks at the disks once a call has
//! failed, and puts the first [`FailureCause`] that applies into the error.
//!
//! Source: hcsshim issue 835, moby issue 32838.

use std::path::Path;

use ntmeta::FileAttributes;

use super::marker;
use crate::error::{Error, FailureCause, HResult, HcsError, Privilege, ServiceError};
use crate::layout::{self, SCRATCH_DISK};
use crate::parent_chain::ParentChain;
use crate::volume::Volume;

use super::HostCompute;

/// Below this many free bytes no layer can be made: the disks of an empty one take about as much.
const LITTLE_SPACE: u64 = 64 << 20;
/// The longest path that the system makes a folder at without its long form, in UTF-16 units.
const LONG_PATH: usize = 247;
/// The Win32 codes that say little; all but the last few are about paths.
const VAGUE_CODES: [u16; 13] = [2, 3, 5, 39, 53, 87, 112, 123, 161, 206, 267, 1009, 1314];
/// The calls that make the folder they are given, those of the documented API last.
const MAKING: [&str; 6] = [
    "CreateLayer",
    "CreateSandboxLayer",
    "ImportLayer",
    "ImportLayerBegin",
    "HcsImportLayer",
    "HcsInitializeWritableLayer",
];
/// The calls for which the layer has to be there, those of the documented API and the disks last.
/// All others are about something else (`NameToGuid`), or come while the layer is being made.
const ON_A_LAYER: [&str; 21] = [
    "ActivateLayer",
    "DeactivateLayer",
    "DestroyLayer",
    "PrepareLayer",
    "UnprepareLayer",
    "ExpandSandboxSize",
    "GetLayerMountPath",
    "ExportLayer",
    "ExportLayerBegin",
    "CopyLayer",
    "ProcessBaseImage",
    "ProcessUtilityImage",
    "HcsExportLayer",
    "HcsDestroyLayer",
    "HcsSetupBaseOSLayer",
    "HcsAttachLayerStorageFilter",
    "HcsDetachLayerStorageFilter",
    "OpenVirtualDisk",
    "AttachVirtualDisk",
    "DetachVirtualDisk",
    "ExpandVirtualDisk",
];

/// Finds the cause of a failed call on `layer` and puts it into the error; any other error, and one
/// that has a cause already, comes back as it is.
pub fn explain<V: Volume>(
    host: &HostCompute<V>,
    layer: &Path,
    parents: &ParentChain,
    transport: Option<&Path>,
    mut error: Error,
) -> Error {
    if let Some(ServiceError::Failed {
        function,
        cause: cause @ None,
        source,
        ..
    }) = service_error(&mut error)
        && source.hresult.win32().is_some_and(is_vague)
    {
        let scene = Scene {
            volume: &host.volume,
            function,
            hresult: source.hresult,
            layer,
            parents,
            transport,
        };
        *cause = scene.find_cause().map(Box::new);
    }
    error
}

fn is_vague(code: u16) -> bool {
    VAGUE_CODES.contains(&code)
}

fn service_error(error: &mut Error) -> Option<&mut ServiceError> {
    match error {
        Error::Layer { source, .. } => service_error(source),
        Error::Hcs(HcsError::Service(error)) => Some(error),
        _ => None,
    }
}

/// What is known of a failed call.
struct Scene<'a, V> {
    volume: &'a V,
    function: &'static str,
    hresult: HResult,
    layer: &'a Path,
    parents: &'a ParentChain,
    transport: Option<&'a Path>,
}

impl<V: Volume> Scene<'_, V> {
    /// Looks for the causes, those that the code names first.
    fn find_cause(&self) -> Option<FailureCause> {
        match self.hresult.win32() {
            Some(112 | 39) => return Some(self.full_disk().unwrap_or(FailureCause::DiskFull)),
            Some(1314) => return Some(self.privilege().unwrap_or(FailureCause::SomePrivilege)),
            Some(206) => return Some(self.too_long()),
            Some(5) => {
                if let Some(cause) = self.privilege() {
                    return Some(cause);
                }
            }
            _ => {}
        }
        self.parents()
            .or_else(|| self.transport_folder())
            .or_else(|| self.place())
            .or_else(|| self.long_path())
            .or_else(|| self.full_disk())
            .or_else(|| self.privilege())
    }

    fn parents(&self) -> Option<FailureCause> {
        self.parents
            .iter_nearest_first()
            .find_map(|parent| self.parent(parent))
    }

    fn parent(&self, path: &Path) -> Option<FailureCause> {
        let parent = path.to_owned();
        match self.volume.attributes(path).ok()? {
            None => Some(FailureCause::ParentMissing { parent }),
            Some(attributes) if !attributes.contains(FileAttributes::DIRECTORY) => {
                Some(FailureCause::ParentIsFile { parent })
            }
            Some(_) if marker::is_set(self.volume, path).unwrap_or(false) => {
                Some(FailureCause::ParentIncomplete { parent })
            }
            Some(_) if !self.has_directory(&path.join(layout::FILES)) => {
                Some(FailureCause::ParentWithoutFiles { parent })
            }
            Some(_) => None,
        }
    }

    fn transport_folder(&self) -> Option<FailureCause> {
        let transport = self
            .transport
            .filter(|_| self.function.contains("Import"))?;
        let folder = transport.to_owned();
        if self.volume.attributes(transport).ok()?.is_none() {
            return Some(FailureCause::TransportFolderMissing { folder });
        }
        if !self.has_directory(&transport.join(layout::FILES)) {
            return Some(FailureCause::NotATransportFolder { folder });
        }
        if self.function != "HcsImportLayer" {
            return None;
        }
        let hives = transport.join(layout::HIVES);
        let mut deltas = layout::HIVE_DELTAS.iter();
        let hive = deltas.find(|name| !self.exists(&hives.join(name)))?;
        Some(FailureCause::HiveMissing { folder, hive })
    }

    /// Looks at the layer's own folder, or at the one that it is to be made in.
    fn place(&self) -> Option<FailureCause> {
        if MAKING.contains(&self.function) {
            let folder = self.layer.parent()?;
            let is_missing = !self.has_directory(folder);
            let folder = folder.to_owned();
            return is_missing.then_some(FailureCause::FolderMissing { folder });
        }
        if !ON_A_LAYER.contains(&self.function) {
            return None;
        }
        let layer = self.layer.to_owned();
        if !self.exists(self.layer) {
            return Some(FailureCause::LayerMissing { layer });
        }
        let is_layer = self.exists(&self.layer.join(SCRATCH_DISK))
            || self.has_directory(&self.layer.join(layout::FILES));
        (!is_layer).then_some(FailureCause::NotALayer { layer })
    }

    fn long_path(&self) -> Option<FailureCause> {
        let paths = self.parents.iter_nearest_first();
        let is_long = |path: &Path| path.to_string_lossy().encode_utf16().count() > LONG_PATH;
        paths
            .chain([self.layer])
            .any(is_long)
            .then(|| self.too_long())
    }

    fn too_long(&self) -> FailureCause {
        let longest = self
            .parents
            .iter_nearest_first()
            .chain([self.layer])
            .max_by_key(|path| path.as_os_str().len())
            .unwrap_or(self.layer);
        FailureCause::PathTooLong {
            path: longest.to_owned(),
        }
    }

    fn full_disk(&self) -> Option<FailureCause> {
        let folder = self.layer.ancestors().find(|path| self.exists(path))?;
        let free = self.volume.free_space(folder).ok()?;
        (free < LITTLE_SPACE).then(|| FailureCause::LittleSpace {
            free_mib: free >> 20,
            folder: folder.to_owned(),
        })
    }

    fn privilege(&self) -> Option<FailureCause> {
        let wanted = [
            Privilege::Backup,
            Privilege::Restore,
            Privilege::ManageVolume,
        ];
        let error = self.volume.enable(&wanted).err()?;
        Some(FailureCause::Privilege(error.privilege()))
    }

    fn exists(&self, path: &Path) -> bool {
        // What cannot be looked at is not known to be missing.
        !matches!(self.volume.attributes(path), Ok(None))
    }

    fn has_directory(&self, path: &Path) -> bool {
        match self.volume.attributes(path) {
            Ok(Some(attributes)) => attributes.contains(FileAttributes::DIRECTORY),
            Ok(None) => false,
            Err(_) => true,
        }
    }
}
