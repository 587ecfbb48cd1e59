//! The Host Compute Service, through the trait of `wclayer::hcs`.
//!
//! Layers are folders on the disk. A scratch layer has a `sandbox.vhdx`; its files, which only
//! tests create, are in `Files` as in every layer. States are checked: `PrepareLayer` requires an
//! active layer, `DeactivateLayer` rejects a prepared layer, and `DestroyLayer` rejects a layer
//! that is active or has open files.

use std::path::Path;

use ntmeta::FileTime;
use ntmeta::security::Guid;
use wclayer::hcs::{
    FilterExport, FilterImport, Function, LayerService, ParentLayer, ServiceError, WindowsError,
};
use wclayer::volume::Privilege;

use crate::code::Code;
use crate::disk::{ObjectId, ROOT, names};
use crate::filter::{Export, Import, text};
use crate::inspect::snapshot;
use crate::layers;
use crate::state::{Activity, State};
use crate::{FakeWindows, Imported};

const DLL: &str = "vmcompute.dll";
const SCRATCH_DISK: &[u8] = b"sandbox.vhdx";

/// The service of the machine.
pub struct FakeService {
    windows: FakeWindows,
}

impl FakeService {
    pub(crate) fn new(windows: FakeWindows) -> Self {
        Self { windows }
    }

    pub(crate) fn windows(&self) -> &FakeWindows {
        &self.windows
    }

    /// Records a call, and then executes it unless it is supposed to fail.
    pub(crate) fn on<T>(
        &self,
        function: &'static str,
        arguments: String,
        on: &str,
        action: impl FnOnce(&mut State) -> Result<T, Code>,
    ) -> Result<T, ServiceError> {
        let mut state = self.windows.lock();
        state
            .call(true, function, arguments)
            .and_then(|()| action(&mut state).map_err(Code::hresult))
            .map_err(|hresult| ServiceError::Failed {
                function,
                dll: DLL,
                on: on.to_owned(),
                cause: None,
                source: WindowsError::new(hresult),
            })
    }

    fn on_layer<T>(
        &self,
        (call, function): (Function, &'static str),
        layer: &Path,
        more: &[String],
        action: impl FnOnce(&mut State) -> Result<T, Code>,
    ) -> Result<T, ServiceError> {
        if !self.has(call) {
            return Err(ServiceError::Missing { function, dll: DLL });
        }
        let arguments = [&[text(layer)], more].concat().join(", ");
        let on = format!("layer `{}`", layer.display());
        self.on(function, arguments, &on, action)
    }
}

fn list(parents: &[ParentLayer]) -> String {
    let paths: Vec<String> = parents.iter().map(|parent| text(&parent.path)).collect();
    format!("[{}]", paths.join(", "))
}

/// Derives an ID from a name: FNV-1a of the name and of its reverse.
fn guid(name: &str) -> Guid {
    let hash = |bytes: &mut dyn Iterator<Item = u8>| {
        bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        })
    };
    let name = name.to_lowercase();
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&hash(&mut name.bytes()).to_le_bytes());
    bytes[8..].copy_from_slice(&hash(&mut name.bytes().rev()).to_le_bytes());
    Guid(bytes)
}

impl State {
    fn layer(&mut self, path: &Path) -> Result<ObjectId, Code> {
        let id = self.find(path).map_err(|_| Code::PATH_NOT_FOUND)?;
        if self.disk.get(id).is_plain_directory() {
            Ok(id)
        } else {
            Err(Code::PATH_NOT_FOUND)
        }
    }

    /// Checks all parents and returns the nearest.
    fn parents(&mut self, parents: &[ParentLayer]) -> Result<Option<ObjectId>, Code> {
        let mut nearest = None;
        for parent in parents {
            let id = self.layer(&parent.path)?;
            let files = self.disk.child(id, b"Files").ok_or(Code::PATH_NOT_FOUND)?;
            let name = parent.path.file_name().ok_or(Code::INVALID_PARAMETER)?;
            let is_right = parent.id == guid(&name.to_string_lossy());
            if !is_right || !self.disk.get(files).is_plain_directory() {
                return Err(Code::INVALID_PARAMETER);
            }
            nearest = nearest.or(Some(id));
        }
        Ok(nearest)
    }

    pub(crate) fn is_volume(&self, volume: &str) -> bool {
        self.active.keys().any(|layer| volume == volume_of(layer))
    }

    fn destroy(&mut self, path: &Path) -> Result<(), Code> {
        let names = names(path);
        let (folder, name) = self.disk.parent(ROOT, &names)?;
        let id = self.disk.child(folder, name).ok_or(Code::PATH_NOT_FOUND)?;
        if self.active.contains_key(&Self::layer_key(path)) {
            return Err(Code::SHARING_VIOLATION);
        }
        if self.destroy_leaves {
            return Ok(());
        }
        for below in self.disk.all_below(id) {
            self.check_closed(below)?;
        }
        self.disk.unname_tree(folder, name);
        Ok(())
    }

    fn copy_tree(&mut self, from: ObjectId, to: ObjectId) -> Result<(), Code> {
        for child in self.disk.children(from) {
            let copy = self.disk.copy(child.object);
            self.disk.name(to, &child.name, copy)?;
            self.copy_tree(child.object, copy)?;
        }
        let info = self.disk.get(from).info;
        self.disk.get_mut(to).info = info;
        Ok(())
    }
}

fn volume_of(layer: &[Vec<u16>]) -> String {
    let name = layer.last().map(|name| String::from_utf16_lossy(name));
    format!(r"\\?\Volume{{{}}}", guid(&name.unwrap_or_default()))
}

const IMPORT: [Privilege; 2] = [Privilege::Backup, Privilege::Restore];

impl LayerService for FakeService {
    fn dll(&self) -> &'static str {
        DLL
    }

    fn has(&self, function: Function) -> bool {
        !self.windows.lock().missing.contains(&function)
    }

    fn activate_layer(&self, layer: &Path) -> Result<(), ServiceError> {
        let call = (Function::ActivateLayer, "ActivateLayer");
        self.on_layer(call, layer, &[], |state| {
            state.layer(layer)?;
            let key = State::layer_key(layer);
            if state.active.contains_key(&key) {
                return Err(Code::SHARING_VIOLATION);
            }
            state.active.insert(key, Activity::default());
            Ok(())
        })
    }

    fn deactivate_layer(&self, layer: &Path) -> Result<(), ServiceError> {
        let call = (Function::DeactivateLayer, "DeactivateLayer");
        self.on_layer(call, layer, &[], |state| {
            let key = State::layer_key(layer);
            match state.active.get(&key) {
                None => Err(Code::NOT_READY),
                Some(activity) if activity.prepared => Err(Code::SHARING_VIOLATION),
                Some(_) => {
                    state.active.remove(&key);
                    Ok(())
                }
            }
        })
    }

    fn destroy_layer(&self, layer: &Path) -> Result<(), ServiceError> {
        let call = (Function::DestroyLayer, "DestroyLayer");
        self.on_layer(call, layer, &[], |state| state.destroy(layer))
    }

    fn prepare_layer(&self, layer: &Path, parents: &[ParentLayer]) -> Result<(), ServiceError> {
        let call = (Function::PrepareLayer, "PrepareLayer");
        self.on_layer(call, layer, &[list(parents)], |state| {
            state.parents(parents)?;
            let activity = state.active.get_mut(&State::layer_key(layer));
            let activity = activity.ok_or(Code::NOT_READY)?;
            if activity.prepared {
                return Err(Code::EXISTS);
            }
            activity.prepared = true;
            Ok(())
        })
    }

    fn unprepare_layer(&self, layer: &Path) -> Result<(), ServiceError> {
        let call = (Function::UnprepareLayer, "UnprepareLayer");
        self.on_layer(call, layer, &[], |state| {
            let activity = state.active.get_mut(&State::layer_key(layer));
            let activity = activity.filter(|activity| activity.prepared);
            activity.ok_or(Code::NOT_READY)?.prepared = false;
            Ok(())
        })
    }

    fn create_layer(&self, layer: &Path, parent: &Path) -> Result<(), ServiceError> {
        let call = (Function::CreateLayer, "CreateLayer");
        self.on_layer(call, layer, &[text(parent)], |state| {
            state.layer(parent)?;
            if state.find(layer).is_ok() {
                return Err(Code::EXISTS);
            }
            let id = state.disk.ensure_path(&names(layer))?;
            state.disk.ensure_directory(id, b"Files").map(drop)
        })
    }

    fn create_scratch_layer(
        &self,
        layer: &Path,
        parents: &[ParentLayer],
    ) -> Result<(), ServiceError> {
        let call = (Function::CreateSandboxLayer, "CreateSandboxLayer");
        self.on_layer(call, layer, &[list(parents)], |state| {
            state.parents(parents)?;
            let id = state.disk.ensure_path(&names(layer))?;
            if state.disk.child(id, SCRATCH_DISK).is_some() {
                return Err(Code::EXISTS);
            }
            state.disk.put(id, SCRATCH_DISK, b"20 GB").map(drop)
        })
    }

    fn expand_scratch_size(&self, layer: &Path, size: u64) -> Result<(), ServiceError> {
        let call = (Function::ExpandSandboxSize, "ExpandSandboxSize");
        self.on_layer(call, layer, &[size.to_string()], |state| {
            let id = state.layer(layer)?;
            state
                .disk
                .child(id, SCRATCH_DISK)
                .ok_or(Code::FILE_NOT_FOUND)?;
            let text = format!("{size} bytes");
            state.disk.put(id, SCRATCH_DISK, text.as_bytes()).map(drop)
        })
    }

    fn layer_exists(&self, layer: &Path) -> Result<bool, ServiceError> {
        let call = (Function::LayerExists, "LayerExists");
        self.on_layer(call, layer, &[], |state| Ok(state.layer(layer).is_ok()))
    }

    fn layer_mount_path(&self, layer: &Path) -> Result<String, ServiceError> {
        let call = (Function::GetLayerMountPath, "GetLayerMountPath");
        self.on_layer(call, layer, &[], |state| {
            let id = state.layer(layer)?;
            let key = State::layer_key(layer);
            let is_scratch = state.disk.child(id, SCRATCH_DISK).is_some();
            Ok(match (is_scratch, state.active.contains_key(&key)) {
                (true, true) => volume_of(&key),
                (true, false) => return Err(Code::NOT_READY),
                (false, _) => text(layer),
            })
        })
    }

    fn import_layer(
        &self,
        layer: &Path,
        transport: &Path,
        parents: &[ParentLayer],
    ) -> Result<(), ServiceError> {
        let call = (Function::ImportLayer, "ImportLayer");
        self.on_layer(call, layer, &[text(transport), list(parents)], |state| {
            state.check_privileges(&IMPORT)?;
            let source = state.layer(transport)?;
            for below in state.disk.all_below(source) {
                let is_open =
                    |handle: &crate::state::Handle| handle.object == below && handle.writes;
                if state.handles.values().any(is_open) {
                    return Err(Code::SHARING_VIOLATION);
                }
            }
            let parent = state.parents(parents)?;
            let found = Imported {
                transport: snapshot(&mut state.disk, transport),
                layer: snapshot(&mut state.disk, layer),
            };
            state.imported.push(found);
            let id = state.disk.ensure_path(&names(layer))?;
            layers::import(&mut state.disk, source, id, parent)
        })
    }

    fn export_layer(
        &self,
        layer: &Path,
        transport: &Path,
        parents: &[ParentLayer],
    ) -> Result<(), ServiceError> {
        let call = (Function::ExportLayer, "ExportLayer");
        self.on_layer(call, layer, &[text(transport), list(parents)], |state| {
            state.check_privileges(&[Privilege::Backup])?;
            let id = state.layer(layer)?;
            let parent = state.parents(parents)?;
            let to = state.disk.ensure_path(&names(transport))?;
            let order = state.order.clone();
            layers::export(&mut state.disk, id, parent, to, &order)
        })
    }

    fn copy_layer(
        &self,
        from: &Path,
        to: &Path,
        parents: &[ParentLayer],
    ) -> Result<(), ServiceError> {
        let call = (Function::CopyLayer, "CopyLayer");
        self.on_layer(call, from, &[text(to), list(parents)], |state| {
            let source = state.layer(from)?;
            state.parents(parents)?;
            if state.find(to).is_ok() {
                return Err(Code::EXISTS);
            }
            let copy = state.disk.ensure_path(&names(to))?;
            state.copy_tree(source, copy)
        })
    }

    fn begin_import(
        &self,
        layer: &Path,
        parents: &[ParentLayer],
    ) -> Result<Box<dyn FilterImport + '_>, ServiceError> {
        let call = (Function::ImportLayerBegin, "ImportLayerBegin");
        let import = self.on_layer(call, layer, &[list(parents)], |state| {
            state.check_privileges(&IMPORT)?;
            let parent = state.parents(parents)?;
            let id = state.disk.ensure_path(&names(layer))?;
            if let Some(parent) = parent {
                layers::inherit(&mut state.disk, id, parent, b"Files")?;
            }
            let context = state.new_id();
            state
                .contexts
                .insert(context, format!("import {}", text(layer)));
            Ok(Import::new(self, context, id, parent))
        })?;
        Ok(Box::new(import))
    }

    fn begin_export(
        &self,
        layer: &Path,
        parents: &[ParentLayer],
    ) -> Result<Box<dyn FilterExport + '_>, ServiceError> {
        let call = (Function::ExportLayerBegin, "ExportLayerBegin");
        let export = self.on_layer(call, layer, &[list(parents)], |state| {
            state.check_privileges(&[Privilege::Backup])?;
            let id = state.layer(layer)?;
            let parent = state.parents(parents)?;
            let changes = layers::difference(&state.disk, id, parent);
            let context = state.new_id();
            state
                .contexts
                .insert(context, format!("export {}", text(layer)));
            Ok(Export::new(self, context, changes))
        })?;
        Ok(Box::new(export))
    }

    fn base_images(&self) -> Result<String, ServiceError> {
        let call = (Function::GetBaseImages, "GetBaseImages");
        self.on_layer(call, Path::new(""), &[], |state| {
            Ok(state.base_images.clone())
        })
    }

    fn name_to_guid(&self, name: &str) -> Result<Guid, ServiceError> {
        let call = (Function::NameToGuid, "NameToGuid");
        self.on_layer(call, Path::new(name), &[], |_| Ok(guid(name)))
    }

    fn process_base_image(&self, layer: &Path) -> Result<(), ServiceError> {
        let call = (Function::ProcessBaseImage, "ProcessBaseImage");
        self.on_layer(call, layer, &[], |state| {
            let id = state.layer(layer)?;
            state.disk.child(id, b"Files").ok_or(Code::PATH_NOT_FOUND)?;
            state.disk.put(id, b"blank-base.vhdx", b"base disk")?;
            state.disk.put(id, b"blank.vhdx", b"blank disk").map(drop)
        })
    }

    fn process_utility_image(&self, utility_vm: &Path) -> Result<(), ServiceError> {
        let call = (Function::ProcessUtilityImage, "ProcessUtilityImage");
        self.on_layer(call, utility_vm, &[], |state| {
            let id = state.layer(utility_vm)?;
            state.disk.child(id, b"Files").ok_or(Code::PATH_NOT_FOUND)?;
            let boot = ["Files", "EFI", "Microsoft", "Boot"].map(|name| name.as_bytes().to_vec());
            if let Ok(boot) = state.disk.find(id, &boot) {
                // The service changes the boot files; their originals must have been saved.
                for name in ["BCD", "BCD.LOG", "BCD.LOG1", "BCD.LOG2"] {
                    if let Some(file) = state.disk.child(boot, name.as_bytes()) {
                        let mut data = state.disk.get(file).data.clone();
                        data.extend_from_slice(b" changed by Windows");
                        state.disk.put(boot, name.as_bytes(), &data)?;
                    }
                }
            }
            state
                .disk
                .put(id, b"SystemTemplateBase.vhdx", b"base disk")?;
            state.disk.put(id, b"SystemTemplate.vhdx", b"disk")?;
            // A visible change that is always the same, so that exports can be compared.
            let info = &mut state.disk.get_mut(id).info;
            info.last_write_time = FileTime::from_ticks(0x01D8_0000_0000_0000);
            info.change_time = info.last_write_time;
            Ok(())
        })
    }

    fn grant_vm_access(&self, vm_id: &str, file: &Path) -> Result<(), ServiceError> {
        let call = (Function::GrantVmAccess, "GrantVmAccess");
        self.on_layer(call, file, &[vm_id.to_owned()], |state| {
            state.find(file)?;
            state.granted.push((vm_id.to_owned(), file.to_owned()));
            Ok(())
        })
    }
}
