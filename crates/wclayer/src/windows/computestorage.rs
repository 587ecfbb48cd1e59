//! The service through `computestorage.dll`, the documented API.
//!
//! This API leaves to its callers some work that `vmcompute.dll` does itself: managing the disks of
//! scratch layers and choosing the steps that create a base image. It takes the ids of layers from
//! the caller; they come from `vmcompute.dll`. Calls without an equivalent, such as the import and
//! export entry by entry, return [`ServiceError::Missing`].
//!
//! Source: Microsoft, "Host Compute System API", ComputeStorage; hcsshim `computestorage`.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use ntmeta::security::Guid;

use super::abi::{Hresult, Pcwstr};
use super::layer_names::Names;
use super::library::{Library, LocalText, argument, failed, imports, on_layer};
use super::virtual_disk::{Disk, Lifetime, VirtualDisks, extend_volume};
use super::volume::open_folder;
use crate::error::{HcsError, ServiceError};
use crate::hcs::{FilterExport, FilterImport, Function, LayerService, ParentLayer, layer_data};
use crate::path::LayerPath;
use crate::volume::{Root, delete_tree};

const DLL: &str = "computestorage.dll";
const CORE_DLL: &str = "computecore.dll";
/// The disk of a scratch layer.
const SCRATCH_DISK: &str = "sandbox.vhdx";
/// The size of new disks in bytes: 20 GiB, as with `vmcompute.dll`.
const DISK_SIZE: u64 = 20 << 30;

type Handle = *mut std::ffi::c_void;

imports! {
    /// The exports.
    struct Imports {
        import: c"HcsImportLayer" fn(Pcwstr, Pcwstr, Pcwstr),
        export: c"HcsExportLayer" fn(Pcwstr, Pcwstr, Pcwstr, Pcwstr),
        destroy: c"HcsDestroyLayer" fn(Pcwstr),
        setup_base: c"HcsSetupBaseOSLayer" fn(Pcwstr, Handle, Pcwstr),
        initialize: c"HcsInitializeWritableLayer" fn(Pcwstr, Pcwstr, Pcwstr),
        attach: c"HcsAttachLayerStorageFilter" fn(Pcwstr, Pcwstr),
        detach: c"HcsDetachLayerStorageFilter" fn(Pcwstr),
        format: c"HcsFormatWritableLayerVhd" fn(Handle),
        mount_path: c"HcsGetLayerVhdMountPath" fn(Handle, *mut *mut u16),
    }
}

imports! {
    /// The exports of `computecore.dll` that grant access to virtual machines.
    struct CoreImports {
        grant: c"HcsGrantVmAccess" fn(Pcwstr, Pcwstr),
        grant_group: c"HcsGrantVmGroupAccess" fn(Pcwstr),
    }
}

/// `computestorage.dll` and the DLLs that it is used with.
pub(super) struct Computestorage {
    library: Library,
    imports: Imports,
    core: Option<(Library, CoreImports)>,
    names: Names,
    disks: Option<VirtualDisks>,
}

/// Calls an export, or returns an error if it is missing.
macro_rules! call {
    ($self:expr, $field:ident, $name:literal, ($($argument:expr),*), $on:expr) => {{
        let function = $self.imports.$field.ok_or(missing($name))?;
        // SAFETY: texts end with a NUL, handles are open, and outputs are writable; all of them
        // outlive the call.
        let returned = unsafe { function($($argument),*) };
        $self.library.check($name, returned, || $on)
    }};
}

fn missing(function: &'static str) -> ServiceError {
    ServiceError::Missing { function, dll: DLL }
}

impl Computestorage {
    /// Loads the DLL.
    pub(super) fn load() -> Result<Self, HcsError> {
        let library = Library::load(DLL)?;
        let imports = Imports::of(&library);
        let core = Library::load(CORE_DLL).ok().map(|library| {
            let imports = CoreImports::of(&library);
            (library, imports)
        });
        Ok(Self {
            library,
            imports,
            core,
            names: Names::load(),
            disks: VirtualDisks::load().ok(),
        })
    }

    fn disks(&self) -> Result<&VirtualDisks, ServiceError> {
        self.disks.as_ref().ok_or(ServiceError::Missing {
            function: "OpenVirtualDisk",
            dll: "virtdisk.dll",
        })
    }

    fn open_disk(&self, path: &Path) -> Result<Disk<'_>, ServiceError> {
        self.disks()?
            .open(path)
            .map_err(failed("OpenVirtualDisk", "virtdisk.dll", on_disk(path)))
    }

    fn scratch_disk(&self, layer: &Path) -> Result<Disk<'_>, ServiceError> {
        self.open_disk(&layer.join(SCRATCH_DISK))
    }

    fn attach(&self, disk: &Disk<'_>, of: &Path, lifetime: Lifetime) -> Result<(), ServiceError> {
        disk.attach(lifetime)
            .map_err(failed("AttachVirtualDisk", "virtdisk.dll", on_layer(of)))
    }

    /// Returns the volume of an attached disk, with a trailing backslash.
    fn volume_of(&self, disk: &Disk<'_>, layer: &Path) -> Result<String, ServiceError> {
        let mut text = LocalText(std::ptr::null_mut());
        call!(
            self,
            mount_path,
            "HcsGetLayerVhdMountPath",
            (disk.handle(), &raw mut text.0),
            on_layer(layer)
        )?;
        let mut path = String::from_utf16_lossy(&text.units());
        if !path.ends_with('\\') {
            path.push('\\');
        }
        Ok(path)
    }

    /// Grants all virtual machines read access to a disk, if the system has the call.
    fn grant_to_all(&self, disk: &Path) -> Result<(), ServiceError> {
        const FUNCTION: &str = "HcsGrantVmGroupAccess";
        let Some((library, function)) = self
            .core
            .as_ref()
            .and_then(|(library, imports)| Some((library, imports.grant_group?)))
        else {
            return Ok(());
        };
        let path = argument(CORE_DLL, FUNCTION, disk)?;
        // SAFETY: the text ends with a NUL.
        library.check(FUNCTION, unsafe { function(path.as_ptr()) }, || {
            on_disk(disk)
        })
    }

    fn setup_base(
        &self,
        layer: &Path,
        disk: Option<&Disk<'_>>,
        kind: &str,
    ) -> Result<(), ServiceError> {
        let path = argument(DLL, "HcsSetupBaseOSLayer", layer)?;
        let options = argument(
            DLL,
            "HcsSetupBaseOSLayer",
            format!("{{\"Type\":\"{kind}\"}}"),
        )?;
        let handle = disk.map_or(std::ptr::null_mut(), Disk::handle);
        call!(
            self,
            setup_base,
            "HcsSetupBaseOSLayer",
            (path.as_ptr(), handle, options.as_ptr()),
            on_layer(layer)
        )
    }

    /// Deletes the disks of an earlier attempt and creates new ones with `make`; deletes those if
    /// that fails.
    fn with_new_disks(
        &self,
        base: &Path,
        difference: &Path,
        make: impl FnOnce(&VirtualDisks) -> Result<(), ServiceError>,
    ) -> Result<(), ServiceError> {
        let discard = || {
            for disk in [base, difference] {
                remove_file(disk).map_err(failed("DeleteFile", "kernel32.dll", on_disk(disk)))?;
            }
            Ok(())
        };
        discard()?;
        let disks = self.disks()?;
        let made = make(disks).and_then(|()| {
            disks.create_difference(difference, base).map_err(failed(
                "CreateVirtualDisk",
                "virtdisk.dll",
                on_disk(difference),
            ))?;
            self.grant_to_all(base)?;
            self.grant_to_all(difference)
        });
        if made.is_err() {
            // The first error is the one to report.
            let _ = discard();
        }
        made
    }

    fn create_disk<'a>(
        &self,
        disks: &'a VirtualDisks,
        path: &Path,
    ) -> Result<Disk<'a>, ServiceError> {
        disks.create(path, DISK_SIZE).map_err(failed(
            "CreateVirtualDisk",
            "virtdisk.dll",
            on_disk(path),
        ))
    }

    /// Copies the empty disk of the base layer and prepares its volume.
    fn make_scratch(&self, layer: &Path, parents: &[ParentLayer]) -> Result<(), ServiceError> {
        const FUNCTION: &str = "HcsInitializeWritableLayer";
        let target = layer.join(SCRATCH_DISK);
        let base = parents.last().map(|parent| parent.path.join("blank.vhdx"));
        let base = base.ok_or_else(|| {
            failed(FUNCTION, DLL, on_layer(layer))(io::Error::from_raw_os_error(87))
        })?;
        fs::create_dir_all(layer)
            .and_then(|()| fs::copy(&base, &target))
            .map_err(failed("CopyFile", "kernel32.dll", on_disk(&base)))?;
        let disk = self.open_disk(&target)?;
        self.attach(&disk, layer, Lifetime::Handle)?;
        let volume = self.volume_of(&disk, layer)?;
        let path = argument(DLL, FUNCTION, &volume)?;
        let data = argument(DLL, FUNCTION, layer_data::layer_data(parents))?;
        let options = argument(DLL, FUNCTION, "")?;
        call!(
            self,
            initialize,
            "HcsInitializeWritableLayer",
            (path.as_ptr(), data.as_ptr(), options.as_ptr()),
            on_layer(layer)
        )
    }
}

fn on_disk(disk: &Path) -> String {
    format!("disk `{}`", disk.display())
}

fn on_layer_and_folder(layer: &Path, transport: &Path) -> String {
    format!(
        "{} and transport folder `{}`",
        on_layer(layer),
        transport.display()
    )
}

fn remove_file(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Deletes files that `HcsSetupBaseOSLayer` creates, because it fails if they exist.
fn remove_setup_output(layer: &Path) -> io::Result<()> {
    let root = open_folder(layer)?;
    for name in ["Hives", "Layout"] {
        let path = LayerPath::parse(name.as_bytes()).map_err(io::Error::other)?;
        if root.look(&path)?.is_some() {
            delete_tree(&root, &path)?;
        }
    }
    Ok(())
}

impl LayerService for Computestorage {
    fn dll(&self) -> &'static str {
        DLL
    }

    fn has(&self, function: Function) -> bool {
        let imports = &self.imports;
        let disks = self.disks.is_some();
        match function {
            Function::ActivateLayer | Function::DeactivateLayer => disks,
            Function::DestroyLayer => imports.destroy.is_some(),
            Function::UnprepareLayer => imports.detach.is_some() && disks,
            Function::CreateSandboxLayer => imports.initialize.is_some() && disks,
            Function::ExpandSandboxSize | Function::GetLayerMountPath => {
                imports.mount_path.is_some() && disks
            }
            Function::PrepareLayer => imports.attach.is_some() && disks,
            Function::ImportLayer => imports.import.is_some(),
            Function::ExportLayer => imports.export.is_some(),
            Function::LayerExists => true,
            Function::NameToGuid => self.names.is_available(),
            Function::ProcessBaseImage => {
                imports.setup_base.is_some() && imports.format.is_some() && disks
            }
            Function::ProcessUtilityImage => imports.setup_base.is_some() && disks,
            Function::GrantVmAccess => self
                .core
                .as_ref()
                .is_some_and(|(_, imports)| imports.grant.is_some()),
            Function::CreateLayer
            | Function::CopyLayer
            | Function::ImportLayerBegin
            | Function::ExportLayerBegin
            | Function::GetBaseImages => false,
        }
    }

    fn activate_layer(&self, layer: &Path) -> Result<(), ServiceError> {
        let disk = self.scratch_disk(layer)?;
        self.attach(&disk, layer, Lifetime::Permanent)
    }

    fn deactivate_layer(&self, layer: &Path) -> Result<(), ServiceError> {
        self.scratch_disk(layer)?.detach().map_err(failed(
            "DetachVirtualDisk",
            "virtdisk.dll",
            on_layer(layer),
        ))
    }

    fn destroy_layer(&self, layer: &Path) -> Result<(), ServiceError> {
        let path = argument(DLL, "HcsDestroyLayer", layer)?;
        call!(
            self,
            destroy,
            "HcsDestroyLayer",
            (path.as_ptr()),
            on_layer(layer)
        )
    }

    fn prepare_layer(&self, layer: &Path, parents: &[ParentLayer]) -> Result<(), ServiceError> {
        const FUNCTION: &str = "HcsAttachLayerStorageFilter";
        let volume = self.layer_mount_path(layer)?;
        let path = argument(DLL, FUNCTION, &volume)?;
        let data = argument(DLL, FUNCTION, layer_data::layer_data(parents))?;
        call!(
            self,
            attach,
            "HcsAttachLayerStorageFilter",
            (path.as_ptr(), data.as_ptr()),
            on_layer(layer)
        )
    }

    fn unprepare_layer(&self, layer: &Path) -> Result<(), ServiceError> {
        let volume = self.layer_mount_path(layer)?;
        let path = argument(DLL, "HcsDetachLayerStorageFilter", &volume)?;
        call!(
            self,
            detach,
            "HcsDetachLayerStorageFilter",
            (path.as_ptr()),
            on_layer(layer)
        )
    }

    fn create_layer(&self, _: &Path, _: &Path) -> Result<(), ServiceError> {
        Err(missing("CreateLayer"))
    }

    fn create_scratch_layer(
        &self,
        layer: &Path,
        parents: &[ParentLayer],
    ) -> Result<(), ServiceError> {
        self.make_scratch(layer, parents)
    }

    fn expand_scratch_size(&self, layer: &Path, size: u64) -> Result<(), ServiceError> {
        let on = || format!("{}, {size} bytes", on_layer(layer));
        let disk = self.scratch_disk(layer)?;
        disk.expand(size)
            .map_err(failed("ExpandVirtualDisk", "virtdisk.dll", on()))?;
        self.attach(&disk, layer, Lifetime::Handle)?;
        let volume = self.volume_of(&disk, layer)?;
        extend_volume(&volume).map_err(failed("FSCTL_EXTEND_VOLUME", "ntdll.dll", on()))
    }

    fn layer_exists(&self, layer: &Path) -> Result<bool, ServiceError> {
        Ok(layer.is_dir())
    }

    fn layer_mount_path(&self, layer: &Path) -> Result<String, ServiceError> {
        if !layer.join(SCRATCH_DISK).exists() {
            return Ok(layer.to_string_lossy().into_owned());
        }
        let disk = self.scratch_disk(layer)?;
        self.volume_of(&disk, layer)
    }

    fn import_layer(
        &self,
        layer: &Path,
        transport: &Path,
        parents: &[ParentLayer],
    ) -> Result<(), ServiceError> {
        let path = argument(DLL, "HcsImportLayer", layer)?;
        let folder = argument(DLL, "HcsImportLayer", transport)?;
        let data = argument(DLL, "HcsImportLayer", layer_data::layer_data(parents))?;
        call!(
            self,
            import,
            "HcsImportLayer",
            (path.as_ptr(), folder.as_ptr(), data.as_ptr()),
            on_layer_and_folder(layer, transport)
        )
    }

    fn export_layer(
        &self,
        layer: &Path,
        transport: &Path,
        parents: &[ParentLayer],
    ) -> Result<(), ServiceError> {
        let path = argument(DLL, "HcsExportLayer", layer)?;
        let folder = argument(DLL, "HcsExportLayer", transport)?;
        let data = argument(DLL, "HcsExportLayer", layer_data::layer_data(parents))?;
        let is_writable = layer.join(SCRATCH_DISK).exists();
        let options = format!("{{\"IsWritableLayer\":{is_writable}}}");
        let options = argument(DLL, "HcsExportLayer", options)?;
        call!(
            self,
            export,
            "HcsExportLayer",
            (
                path.as_ptr(),
                folder.as_ptr(),
                data.as_ptr(),
                options.as_ptr()
            ),
            on_layer_and_folder(layer, transport)
        )
    }

    fn copy_layer(&self, _: &Path, _: &Path, _: &[ParentLayer]) -> Result<(), ServiceError> {
        Err(missing("CopyLayer"))
    }

    fn begin_import(
        &self,
        _: &Path,
        _: &[ParentLayer],
    ) -> Result<Box<dyn FilterImport + '_>, ServiceError> {
        Err(missing("ImportLayerBegin"))
    }

    fn begin_export(
        &self,
        _: &Path,
        _: &[ParentLayer],
    ) -> Result<Box<dyn FilterExport + '_>, ServiceError> {
        Err(missing("ExportLayerBegin"))
    }

    fn base_images(&self) -> Result<String, ServiceError> {
        Err(missing("GetBaseImages"))
    }

    fn name_to_guid(&self, name: &str) -> Result<Guid, ServiceError> {
        self.names.name_to_guid(name)
    }

    fn process_base_image(&self, layer: &Path) -> Result<(), ServiceError> {
        remove_setup_output(layer).map_err(failed(
            "DeleteFile",
            "kernel32.dll",
            on_layer(layer),
        ))?;
        let [base, difference] = disk_paths(layer, ["blank-base.vhdx", "blank.vhdx"]);
        self.with_new_disks(&base, &difference, |disks| {
            let disk = self.create_disk(disks, &base)?;
            call!(
                self,
                format,
                "HcsFormatWritableLayerVhd",
                (disk.handle()),
                on_disk(&base)
            )?;
            // The next call requires the disk to be closed.
            drop(disk);
            self.setup_base(layer, None, "Container")
        })
    }

    fn process_utility_image(&self, utility_vm: &Path) -> Result<(), ServiceError> {
        let names = ["SystemTemplateBase.vhdx", "SystemTemplate.vhdx"];
        let [base, difference] = disk_paths(utility_vm, names);
        self.with_new_disks(&base, &difference, |disks| {
            let disk = self.create_disk(disks, &base)?;
            self.attach(&disk, utility_vm, Lifetime::Handle)?;
            self.setup_base(utility_vm, Some(&disk), "Vm")?;
            disk.detach()
                .map_err(failed("DetachVirtualDisk", "virtdisk.dll", on_disk(&base)))
        })
    }

    fn grant_vm_access(&self, vm_id: &str, file: &Path) -> Result<(), ServiceError> {
        const FUNCTION: &str = "HcsGrantVmAccess";
        let missing = || ServiceError::Missing {
            function: FUNCTION,
            dll: CORE_DLL,
        };
        let (library, imports) = self.core.as_ref().ok_or_else(missing)?;
        let function = imports.grant.ok_or_else(missing)?;
        let id = argument(CORE_DLL, FUNCTION, vm_id)?;
        let path = argument(CORE_DLL, FUNCTION, file)?;
        // SAFETY: both texts end with a NUL.
        let returned = unsafe { function(id.as_ptr(), path.as_ptr()) };
        library.check(FUNCTION, returned, || {
            format!("virtual machine {vm_id} and file `{}`", file.display())
        })
    }
}

fn disk_paths(folder: &Path, names: [&str; 2]) -> [PathBuf; 2] {
    names.map(|name| folder.join(name))
}
