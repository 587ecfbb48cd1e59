//! The service through `vmcompute.dll`, with the calls that hcsshim uses.
//!
//! Every export may be missing: older builds lack the filter calls, and Nano Server lacks some
//! others. `ImportLayer`, `ProcessBaseImage` and `ProcessUtilityImage` receive their destination in
//! the long form; without it, folders of 249 units and more fail (moby issue 21307). As in the
//! reference, no other call and no other argument uses the long form.
//!
//! Source of the signatures: hcsshim `internal/wclayer/wclayer.go`.

use std::path::{Path, PathBuf};

use ntmeta::FileBasicInfo;
use ntmeta::security::Guid;

use super::abi::{Context, DriverInfo, Hresult, LayerDescriptor, Pcwstr, RawBasicInfo, RawGuid};
use super::layer_names::Names;
use super::library::{Library, TaskText, argument, failed, imports, on_layer};
use crate::error::{HResult, HcsError, ServiceError};
use crate::hcs::{
    Exported, FilterExport, FilterImport, Function, LayerService, ParentLayer, long_path,
};

const DLL: &str = "vmcompute.dll";
/// The result of `ExportLayerNext` after the last entry.
const NO_MORE_FILES: HResult = HResult::from_win32(18);
/// The longest mount path that is accepted, in UTF-16 units.
const MAX_MOUNT_PATH: usize = 32_768;

type Info = *const DriverInfo;
type Parents = *const LayerDescriptor;

imports! {
    /// The exports.
    struct Imports {
        activate_layer: c"ActivateLayer" fn(Info, Pcwstr),
        deactivate_layer: c"DeactivateLayer" fn(Info, Pcwstr),
        destroy_layer: c"DestroyLayer" fn(Info, Pcwstr),
        unprepare_layer: c"UnprepareLayer" fn(Info, Pcwstr),
        create_layer: c"CreateLayer" fn(Info, Pcwstr, Pcwstr),
        create_sandbox_layer: c"CreateSandboxLayer" fn(Info, Pcwstr, usize, Parents, u32),
        expand_sandbox_size: c"ExpandSandboxSize" fn(Info, Pcwstr, u64),
        prepare_layer: c"PrepareLayer" fn(Info, Pcwstr, Parents, u32),
        layer_exists: c"LayerExists" fn(Info, Pcwstr, *mut u32),
        get_layer_mount_path: c"GetLayerMountPath" fn(Info, Pcwstr, *mut usize, *mut u16),
        import_layer: c"ImportLayer" fn(Info, Pcwstr, Pcwstr, Parents, u32),
        export_layer: c"ExportLayer" fn(Info, Pcwstr, Pcwstr, Parents, u32),
        copy_layer: c"CopyLayer" fn(Info, Pcwstr, Pcwstr, Parents, u32),
        import_layer_begin: c"ImportLayerBegin" fn(Info, Pcwstr, Parents, u32, *mut Context),
        import_layer_next: c"ImportLayerNext" fn(Context, Pcwstr, *const RawBasicInfo),
        import_layer_write: c"ImportLayerWrite" fn(Context, *const u8, u32),
        import_layer_end: c"ImportLayerEnd" fn(Context),
        export_layer_begin: c"ExportLayerBegin" fn(Info, Pcwstr, Parents, u32, *mut Context),
        export_layer_next: c"ExportLayerNext" fn(
            Context, *mut *mut u16, *mut RawBasicInfo, *mut i64, *mut u32),
        export_layer_read: c"ExportLayerRead" fn(Context, *mut u8, u32, *mut u32),
        export_layer_end: c"ExportLayerEnd" fn(Context),
        get_base_images: c"GetBaseImages" fn(*mut *mut u16),
        process_base_image: c"ProcessBaseImage" fn(Pcwstr),
        process_utility_image: c"ProcessUtilityImage" fn(Pcwstr),
        grant_vm_access: c"GrantVmAccess" fn(Pcwstr, Pcwstr),
    }
}

/// `vmcompute.dll`, loaded.
pub(super) struct Vmcompute {
    library: Library,
    imports: Imports,
    names: Names,
}

/// Calls an export, or returns an error if it is missing; the caller provides the surrounding
/// block.
macro_rules! call {
    ($self:expr, $field:ident, $name:literal, ($($argument:expr),*), $on:expr) => {{
        let function = $self.imports.$field.ok_or(ServiceError::Missing {
            function: $name,
            dll: DLL,
        })?;
        // SAFETY: texts end with a NUL, arrays have the given lengths, and outputs are writable;
        // all of them outlive the call.
        let returned = unsafe { function($($argument),*) };
        $self.library.check($name, returned, $on)
    }};
}

impl Vmcompute {
    /// Loads the DLL.
    pub(super) fn load() -> Result<Self, HcsError> {
        let library = Library::load(DLL)?;
        let imports = Imports::of(&library);
        let names = Names::of(&library);
        Ok(Self {
            library,
            imports,
            names,
        })
    }
}

/// The driver for layers that are named by full paths.
const DRIVER: DriverInfo = DriverInfo {
    flavour: 1,
    home_dir: &raw const NO_TEXT,
};

static NO_TEXT: u16 = 0;

/// Parents in the form of the calls, with the texts that they point to.
struct Descriptors {
    _paths: Vec<Vec<u16>>,
    list: Vec<LayerDescriptor>,
}

impl Descriptors {
    fn new(function: &'static str, parents: &[ParentLayer]) -> Result<Self, ServiceError> {
        let paths = parents
            .iter()
            .map(|parent| argument(DLL, function, &parent.path))
            .collect::<Result<Vec<_>, _>>()?;
        let list = parents
            .iter()
            .zip(&paths)
            .map(|(parent, path)| LayerDescriptor {
                id: RawGuid(parent.id.0),
                flags: 0,
                path: path.as_ptr(),
            })
            .collect();
        Ok(Self {
            _paths: paths,
            list,
        })
    }

    fn as_ptr(&self) -> Parents {
        if self.list.is_empty() {
            return std::ptr::null();
        }
        self.list.as_ptr()
    }

    fn count(&self) -> u32 {
        self.list.len() as u32
    }
}

impl LayerService for Vmcompute {
    fn dll(&self) -> &'static str {
        DLL
    }

    fn has(&self, function: Function) -> bool {
        let imports = &self.imports;
        match function {
            Function::ActivateLayer => imports.activate_layer.is_some(),
            Function::DeactivateLayer => imports.deactivate_layer.is_some(),
            Function::DestroyLayer => imports.destroy_layer.is_some(),
            Function::UnprepareLayer => imports.unprepare_layer.is_some(),
            Function::CreateLayer => imports.create_layer.is_some(),
            Function::CreateSandboxLayer => imports.create_sandbox_layer.is_some(),
            Function::ExpandSandboxSize => imports.expand_sandbox_size.is_some(),
            Function::PrepareLayer => imports.prepare_layer.is_some(),
            Function::LayerExists => imports.layer_exists.is_some(),
            Function::GetLayerMountPath => imports.get_layer_mount_path.is_some(),
            Function::ImportLayer => imports.import_layer.is_some(),
            Function::ExportLayer => imports.export_layer.is_some(),
            Function::CopyLayer => imports.copy_layer.is_some(),
            Function::ImportLayerBegin => imports.import_layer_begin.is_some(),
            Function::ExportLayerBegin => imports.export_layer_begin.is_some(),
            Function::GetBaseImages => imports.get_base_images.is_some(),
            Function::NameToGuid => self.names.is_available(),
            Function::ProcessBaseImage => imports.process_base_image.is_some(),
            Function::ProcessUtilityImage => imports.process_utility_image.is_some(),
            Function::GrantVmAccess => imports.grant_vm_access.is_some(),
        }
    }

    fn activate_layer(&self, layer: &Path) -> Result<(), ServiceError> {
        let id = argument(DLL, "ActivateLayer", layer)?;
        call!(
            self,
            activate_layer,
            "ActivateLayer",
            (&DRIVER, id.as_ptr()),
            || on_layer(layer)
        )
    }

    fn deactivate_layer(&self, layer: &Path) -> Result<(), ServiceError> {
        let id = argument(DLL, "DeactivateLayer", layer)?;
        call!(
            self,
            deactivate_layer,
            "DeactivateLayer",
            (&DRIVER, id.as_ptr()),
            || on_layer(layer)
        )
    }

    fn destroy_layer(&self, layer: &Path) -> Result<(), ServiceError> {
        let id = argument(DLL, "DestroyLayer", layer)?;
        call!(
            self,
            destroy_layer,
            "DestroyLayer",
            (&DRIVER, id.as_ptr()),
            || on_layer(layer)
        )
    }

    fn prepare_layer(&self, layer: &Path, parents: &[ParentLayer]) -> Result<(), ServiceError> {
        let id = argument(DLL, "PrepareLayer", layer)?;
        let parents = Descriptors::new("PrepareLayer", parents)?;
        call!(
            self,
            prepare_layer,
            "PrepareLayer",
            (&DRIVER, id.as_ptr(), parents.as_ptr(), parents.count()),
            || on_layer(layer)
        )
    }

    fn unprepare_layer(&self, layer: &Path) -> Result<(), ServiceError> {
        let id = argument(DLL, "UnprepareLayer", layer)?;
        call!(
            self,
            unprepare_layer,
            "UnprepareLayer",
            (&DRIVER, id.as_ptr()),
            || on_layer(layer)
        )
    }

    fn create_layer(&self, layer: &Path, parent: &Path) -> Result<(), ServiceError> {
        let id = argument(DLL, "CreateLayer", layer)?;
        let parent = argument(DLL, "CreateLayer", parent)?;
        call!(
            self,
            create_layer,
            "CreateLayer",
            (&DRIVER, id.as_ptr(), parent.as_ptr()),
            || on_layer(layer)
        )
    }

    fn create_scratch_layer(
        &self,
        layer: &Path,
        parents: &[ParentLayer],
    ) -> Result<(), ServiceError> {
        let id = argument(DLL, "CreateSandboxLayer", layer)?;
        let parents = Descriptors::new("CreateSandboxLayer", parents)?;
        call!(
            self,
            create_sandbox_layer,
            "CreateSandboxLayer",
            (&DRIVER, id.as_ptr(), 0, parents.as_ptr(), parents.count()),
            || on_layer(layer)
        )
    }

    fn expand_scratch_size(&self, layer: &Path, size: u64) -> Result<(), ServiceError> {
        let id = argument(DLL, "ExpandSandboxSize", layer)?;
        call!(
            self,
            expand_sandbox_size,
            "ExpandSandboxSize",
            (&DRIVER, id.as_ptr(), size),
            || format!("{}, {size} bytes", on_layer(layer))
        )
    }

    fn layer_exists(&self, layer: &Path) -> Result<bool, ServiceError> {
        let id = argument(DLL, "LayerExists", layer)?;
        let mut exists = 0;
        call!(
            self,
            layer_exists,
            "LayerExists",
            (&DRIVER, id.as_ptr(), &raw mut exists),
            || on_layer(layer)
        )?;
        Ok(exists != 0)
    }

    fn layer_mount_path(&self, layer: &Path) -> Result<String, ServiceError> {
        let id = argument(DLL, "GetLayerMountPath", layer)?;
        let mut length = 0;
        call!(
            self,
            get_layer_mount_path,
            "GetLayerMountPath",
            (&DRIVER, id.as_ptr(), &raw mut length, std::ptr::null_mut()),
            || on_layer(layer)
        )?;
        length = length.min(MAX_MOUNT_PATH);
        let mut path = vec![0; length];
        if length > 0 {
            call!(
                self,
                get_layer_mount_path,
                "GetLayerMountPath",
                (&DRIVER, id.as_ptr(), &raw mut length, path.as_mut_ptr()),
                || on_layer(layer)
            )?;
        }
        let text = path.split(|unit| *unit == 0).next().unwrap_or_default();
        Ok(String::from_utf16_lossy(text))
    }

    fn import_layer(
        &self,
        layer: &Path,
        transport: &Path,
        parents: &[ParentLayer],
    ) -> Result<(), ServiceError> {
        let id = long_argument("ImportLayer", layer)?;
        let folder = argument(DLL, "ImportLayer", transport)?;
        let parents = Descriptors::new("ImportLayer", parents)?;
        call!(
            self,
            import_layer,
            "ImportLayer",
            (
                &DRIVER,
                id.as_ptr(),
                folder.as_ptr(),
                parents.as_ptr(),
                parents.count()
            ),
            || on_layer_and_folder(layer, transport)
        )
    }

    fn export_layer(
        &self,
        layer: &Path,
        transport: &Path,
        parents: &[ParentLayer],
    ) -> Result<(), ServiceError> {
        let id = argument(DLL, "ExportLayer", layer)?;
        let folder = argument(DLL, "ExportLayer", transport)?;
        let parents = Descriptors::new("ExportLayer", parents)?;
        call!(
            self,
            export_layer,
            "ExportLayer",
            (
                &DRIVER,
                id.as_ptr(),
                folder.as_ptr(),
                parents.as_ptr(),
                parents.count()
            ),
            || on_layer_and_folder(layer, transport)
        )
    }

    fn copy_layer(
        &self,
        from: &Path,
        to: &Path,
        parents: &[ParentLayer],
    ) -> Result<(), ServiceError> {
        let source = argument(DLL, "CopyLayer", from)?;
        let target = argument(DLL, "CopyLayer", to)?;
        let parents = Descriptors::new("CopyLayer", parents)?;
        call!(
            self,
            copy_layer,
            "CopyLayer",
            (
                &DRIVER,
                source.as_ptr(),
                target.as_ptr(),
                parents.as_ptr(),
                parents.count()
            ),
            || format!("{} to `{}`", on_layer(from), to.display())
        )
    }

    fn begin_import(
        &self,
        layer: &Path,
        parents: &[ParentLayer],
    ) -> Result<Box<dyn FilterImport + '_>, ServiceError> {
        let id = argument(DLL, "ImportLayerBegin", layer)?;
        let parents = Descriptors::new("ImportLayerBegin", parents)?;
        let mut context = 0;
        call!(
            self,
            import_layer_begin,
            "ImportLayerBegin",
            (
                &DRIVER,
                id.as_ptr(),
                parents.as_ptr(),
                parents.count(),
                &raw mut context
            ),
            || on_layer(layer)
        )?;
        Ok(Box::new(Import {
            service: self,
            context: Some(context),
            layer: layer.to_owned(),
        }))
    }

    fn begin_export(
        &self,
        layer: &Path,
        parents: &[ParentLayer],
    ) -> Result<Box<dyn FilterExport + '_>, ServiceError> {
        let id = argument(DLL, "ExportLayerBegin", layer)?;
        let parents = Descriptors::new("ExportLayerBegin", parents)?;
        let mut context = 0;
        call!(
            self,
            export_layer_begin,
            "ExportLayerBegin",
            (
                &DRIVER,
                id.as_ptr(),
                parents.as_ptr(),
                parents.count(),
                &raw mut context
            ),
            || on_layer(layer)
        )?;
        Ok(Box::new(Export {
            service: self,
            context: Some(context),
            layer: layer.to_owned(),
        }))
    }

    fn base_images(&self) -> Result<String, ServiceError> {
        let mut text = TaskText(std::ptr::null_mut());
        call!(
            self,
            get_base_images,
            "GetBaseImages",
            (&raw mut text.0),
            || { "this host".to_owned() }
        )?;
        Ok(String::from_utf16_lossy(&text.units()))
    }

    fn name_to_guid(&self, name: &str) -> Result<Guid, ServiceError> {
        self.names.name_to_guid(name)
    }

    fn process_base_image(&self, layer: &Path) -> Result<(), ServiceError> {
        let path = long_argument("ProcessBaseImage", layer)?;
        call!(
            self,
            process_base_image,
            "ProcessBaseImage",
            (path.as_ptr()),
            || on_layer(layer)
        )
    }

    fn process_utility_image(&self, utility_vm: &Path) -> Result<(), ServiceError> {
        let path = long_argument("ProcessUtilityImage", utility_vm)?;
        call!(
            self,
            process_utility_image,
            "ProcessUtilityImage",
            (path.as_ptr()),
            || format!("utility VM `{}`", utility_vm.display())
        )
    }

    fn grant_vm_access(&self, vm_id: &str, file: &Path) -> Result<(), ServiceError> {
        let id = argument(DLL, "GrantVmAccess", vm_id)?;
        let path = argument(DLL, "GrantVmAccess", file)?;
        call!(
            self,
            grant_vm_access,
            "GrantVmAccess",
            (id.as_ptr(), path.as_ptr()),
            || format!("virtual machine {vm_id} and file `{}`", file.display())
        )
    }
}

/// Same as [`argument`], for a path in its long form.
fn long_argument(function: &'static str, path: &Path) -> Result<Vec<u16>, ServiceError> {
    let on = format!("`{}`", path.display());
    let long = long_path(path).map_err(failed(function, DLL, on))?;
    argument(DLL, function, long)
}

fn on_layer_and_folder(layer: &Path, transport: &Path) -> String {
    format!(
        "{} and transport folder `{}`",
        on_layer(layer),
        transport.display()
    )
}

fn on_entry(layer: &Path, name: &[u16]) -> String {
    format!(
        "entry `{}` of {}",
        String::from_utf16_lossy(name),
        on_layer(layer)
    )
}

/// An open import; the context is ended on drop.
struct Import<'a> {
    service: &'a Vmcompute,
    context: Option<Context>,
    layer: PathBuf,
}

impl Import<'_> {
    /// Ends the context; does nothing when called again.
    fn finish(&mut self) -> Result<(), ServiceError> {
        let Some(context) = self.context.take() else {
            return Ok(());
        };
        call!(
            self.service,
            import_layer_end,
            "ImportLayerEnd",
            (context),
            || { on_layer(&self.layer) }
        )
    }
}

impl FilterImport for Import<'_> {
    fn next(&mut self, name: &[u16], info: Option<&FileBasicInfo>) -> Result<(), ServiceError> {
        let Some(context) = self.context else {
            return Ok(());
        };
        let text: Vec<u16> = name.iter().copied().chain([0]).collect();
        let info = info.map(|info| RawBasicInfo(info.to_bytes()));
        let info = info.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
        call!(
            self.service,
            import_layer_next,
            "ImportLayerNext",
            (context, text.as_ptr(), info),
            || on_entry(&self.layer, name)
        )
    }

    fn write(&mut self, backup_stream: &[u8]) -> Result<(), ServiceError> {
        let Some(context) = self.context else {
            return Ok(());
        };
        for part in backup_stream.chunks(1 << 30) {
            call!(
                self.service,
                import_layer_write,
                "ImportLayerWrite",
                (context, part.as_ptr(), part.len() as u32),
                || on_layer(&self.layer)
            )?;
        }
        Ok(())
    }

    fn end(mut self: Box<Self>) -> Result<(), ServiceError> {
        self.finish()
    }
}

impl Drop for Import<'_> {
    fn drop(&mut self) {
        // The import has been abandoned, so the result does not matter.
        let _ = self.finish();
    }
}

/// An open export; the context is ended on drop.
struct Export<'a> {
    service: &'a Vmcompute,
    context: Option<Context>,
    layer: PathBuf,
}

impl Export<'_> {
    /// Ends the context; does nothing when called again.
    fn finish(&mut self) -> Result<(), ServiceError> {
        let Some(context) = self.context.take() else {
            return Ok(());
        };
        call!(
            self.service,
            export_layer_end,
            "ExportLayerEnd",
            (context),
            || { on_layer(&self.layer) }
        )
    }
}

impl FilterExport for Export<'_> {
    fn next(&mut self) -> Result<Option<Exported>, ServiceError> {
        let Some(context) = self.context else {
            return Ok(None);
        };
        let mut name = TaskText(std::ptr::null_mut());
        let mut info = RawBasicInfo([0; 40]);
        let (mut size, mut deleted) = (0_i64, 0_u32);
        let result = call!(
            self.service,
            export_layer_next,
            "ExportLayerNext",
            (
                context,
                &raw mut name.0,
                &raw mut info,
                &raw mut size,
                &raw mut deleted
            ),
            || on_layer(&self.layer)
        );
        match result {
            Err(error) if error.hresult() == Some(NO_MORE_FILES) => Ok(None),
            Err(error) => Err(error),
            Ok(()) => Ok(Some(Exported {
                name: name.units(),
                basic_info: FileBasicInfo::from_bytes(&info.0),
                size: u64::try_from(size).unwrap_or(0),
                deleted: deleted != 0,
            })),
        }
    }

    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, ServiceError> {
        let Some(context) = self.context else {
            return Ok(0);
        };
        let length = u32::try_from(buffer.len()).unwrap_or(u32::MAX);
        let mut read = 0;
        call!(
            self.service,
            export_layer_read,
            "ExportLayerRead",
            (context, buffer.as_mut_ptr(), length, &raw mut read),
            || on_layer(&self.layer)
        )?;
        Ok(buffer.len().min(read as usize))
    }

    fn end(mut self: Box<Self>) -> Result<(), ServiceError> {
        self.finish()
    }
}

impl Drop for Export<'_> {
    fn drop(&mut self) {
        // The caller already has the error that matters, or does not need one.
        let _ = self.finish();
    }
}
