//! Why the service failed: the causes that hide behind its few codes, looked for one by one.
//!
//! `The system cannot find the path specified. (0x80070003)` stands for a parent that is missing, a
//! parent that is no layer, a transport folder without `Files`, a folder to write to that does not
//! exist, a path that is too long, a full disk. [`explain`] looks at the disks once a call has
//! failed, and the first cause that is really there becomes the error's hint.
//!
//! Source: hcsshim issue 835, moby issue 32838, and the rules of FORMATS §6.

use std::path::Path;

use ntmeta::FileAttributes;

use super::marker;
use crate::error::Error;
use crate::error::Privilege;
use crate::error::{HResult, HcsError, ServiceError};
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
        *cause = scene.find_cause();
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
    fn find_cause(&self) -> Option<String> {
        match self.hresult.win32() {
            Some(112 | 39) => return self.full_disk().or_else(|| Some(NO_SPACE.to_owned())),
            Some(1314) => return self.privilege().or_else(|| Some(ELEVATE.to_owned())),
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

    fn parents(&self) -> Option<String> {
        self.parents
            .iter_nearest_first()
            .find_map(|parent| self.parent(parent))
    }

    fn parent(&self, parent: &Path) -> Option<String> {
        let shown = parent.display();
        match self.volume.attributes(parent).ok()? {
            None => Some(format!(
                "The parent layer `{shown}` does not exist: import it first, or name the right \
                 folder with -l."
            )),
            Some(attributes) if !attributes.contains(FileAttributes::DIRECTORY) => Some(format!(
                "The parent `{shown}` is a file, not the folder of a layer: name the right one \
                 with -l."
            )),
            Some(_) if marker::is_set(self.volume, parent).unwrap_or(false) => Some(format!(
                "The import of the parent layer `{shown}` was interrupted: import it again."
            )),
            Some(_) if !self.has_directory(&parent.join(layout::FILES)) => Some(format!(
                "The parent layer `{shown}` has no `Files` folder, so Windows has not made it: \
                 import it again."
            )),
            Some(_) => None,
        }
    }

    fn transport_folder(&self) -> Option<String> {
        let transport = self
            .transport
            .filter(|_| self.function.contains("Import"))?;
        let shown = transport.display();
        match self.volume.attributes(transport).ok()? {
            None => {
                return Some(format!(
                    "The transport folder `{shown}` does not exist: name the right one."
                ));
            }
            Some(_) if !self.has_directory(&transport.join(layout::FILES)) => {
                return Some(format!(
                    "`{shown}` has no `Files` folder, so it is not a transport folder: make one \
                     with `wclayer import --format transport`."
                ));
            }
            Some(_) => {}
        }
        if self.function != "HcsImportLayer" {
            return None;
        }
        let hives = transport.join(layout::HIVES);
        let missing = layout::HIVE_DELTAS
            .iter()
            .find(|name| !self.exists(&hives.join(name)))?;
        Some(format!(
            "`{shown}` has no hive `{missing}`, and HcsImportLayer wants all five: pass --hives \
             when the folder is made, or choose --api vmcompute."
        ))
    }

    /// Looks at the layer's own folder, or at the one that it is to be made in.
    fn place(&self) -> Option<String> {
        if MAKING.contains(&self.function) {
            let folder = self.layer.parent()?;
            return (!self.has_directory(folder)).then(|| {
                format!(
                    "The folder `{}`, in which the layer is to be made, does not exist: make it \
                     first.",
                    folder.display()
                )
            });
        }
        if !ON_A_LAYER.contains(&self.function) {
            return None;
        }
        let shown = self.layer.display();
        if !self.exists(self.layer) {
            return Some(format!(
                "The layer `{shown}` does not exist: name the right folder."
            ));
        }
        let is_layer = self.exists(&self.layer.join(SCRATCH_DISK))
            || self.has_directory(&self.layer.join(layout::FILES));
        (!is_layer).then(|| {
            format!(
                "`{shown}` has neither `{SCRATCH_DISK}` nor `Files`, so it is not a layer: name \
                 the right folder."
            )
        })
    }

    fn long_path(&self) -> Option<String> {
        let paths = self.parents.iter_nearest_first();
        let is_long = |path: &Path| path.to_string_lossy().encode_utf16().count() > LONG_PATH;
        paths
            .chain([self.layer])
            .any(is_long)
            .then(|| self.too_long())
    }

    fn too_long(&self) -> String {
        let longest = self
            .parents
            .iter_nearest_first()
            .chain([self.layer])
            .max_by_key(|path| path.as_os_str().len())
            .unwrap_or(self.layer);
        format!(
            "The path `{}` may be too long for Windows: use a folder nearer to the drive's root.",
            longest.display()
        )
    }

    fn full_disk(&self) -> Option<String> {
        let folder = self.layer.ancestors().find(|path| self.exists(path))?;
        let free = self.volume.free_space(folder).ok()?;
        (free < LITTLE_SPACE).then(|| {
            format!(
                "Only {} MiB are free where `{}` is: free some space.",
                free >> 20,
                folder.display()
            )
        })
    }

    fn privilege(&self) -> Option<String> {
        let wanted = [
            Privilege::Backup,
            Privilege::Restore,
            Privilege::ManageVolume,
        ];
        self.volume.enable(&wanted).err().map(|error| error.hint())
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

const NO_SPACE: &str = "Free some space, also where the system puts temporary files.";
const ELEVATE: &str = "Run wclayer as an administrator from an elevated prompt.";
