//! The exports of the DLL, except those of the filter.
//!
//! Source of the signatures: hcsshim `internal/wclayer/wclayer.go`.
//!
//! # Safety
//!
//! As for the Windows DLL: texts end with a NUL, arrays have the given length, and outputs are
//! writable.

use std::ffi::{OsString, c_void};
use std::fs;
use std::io;
use std::os::windows::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use crate::layer::{self, Layer};
use crate::log::call;
use crate::transport;

/// `DriverInfo`; ids are full paths, so its content is irrelevant.
pub(crate) type Info = *const c_void;
/// Text in UTF-16.
pub(crate) type Text = *const u16;

/// `WC_LAYER_DESCRIPTOR`.
#[repr(C)]
pub(crate) struct Descriptor {
    id: [u32; 4],
    flags: u32,
    path: Text,
}

#[link(name = "ole32")]
unsafe extern "system" {
    fn CoTaskMemAlloc(size: usize) -> *mut c_void;
}

pub(crate) fn text(text: Text) -> String {
    path(text).to_string_lossy().into_owned()
}

pub(crate) fn path(text: Text) -> PathBuf {
    // SAFETY: a caller's text ends with a NUL.
    let units = unsafe {
        let length = (0..).take_while(|at| *text.add(*at) != 0).count();
        std::slice::from_raw_parts(text, length)
    };
    PathBuf::from(OsString::from_wide(units))
}

pub(crate) fn parents(list: *const Descriptor, count: u32) -> Vec<PathBuf> {
    (0..count as usize)
        // SAFETY: the array has the length given by the caller.
        .map(|index| path(unsafe { (*list.add(index)).path }))
        .collect()
}

pub(crate) fn joined(parents: &[PathBuf]) -> String {
    let parents: Vec<_> = parents.iter().map(|path| path.to_string_lossy()).collect();
    parents.join("|")
}

/// Copies a text into memory that the caller frees.
pub(crate) fn give(text: &str) -> *mut u16 {
    let units: Vec<u16> = text.encode_utf16().chain([0]).collect();
    // SAFETY: the memory is new and as long as the text.
    unsafe {
        let memory = CoTaskMemAlloc(units.len() * 2).cast::<u16>();
        std::ptr::copy_nonoverlapping(units.as_ptr(), memory, units.len());
        memory
    }
}

fn exists(path: &Path) -> io::Result<()> {
    fs::metadata(path).map(|_| ())
}

/// The states "active" and "prepared" of a layer, as files in its folder.
const ACTIVE: &str = "standin-active";
const PREPARED: &str = "standin-prepared";

macro_rules! state_call {
    ($name:ident, $layer:ident, $work:expr) => {
        #[unsafe(no_mangle)]
        unsafe extern "system" fn $name(_: Info, id: Text) -> i32 {
            let $layer = path(id);
            call(stringify!($name), &[("layer", text(id))], || $work)
        }
    };
}

state_call!(ActivateLayer, layer, {
    exists(&layer.join("sandbox.vhdx")).or_else(|_| exists(&layer.join("Files")))?;
    fs::write(layer.join(ACTIVE), "")
});
state_call!(DeactivateLayer, layer, fs::remove_file(layer.join(ACTIVE)));
state_call!(UnprepareLayer, layer, fs::remove_file(layer.join(PREPARED)));
state_call!(DestroyLayer, layer, layer::delete(&layer));

#[unsafe(no_mangle)]
unsafe extern "system" fn CreateLayer(_: Info, id: Text, parent: Text) -> i32 {
    let arguments = [("layer", text(id)), ("parent", text(parent))];
    call("CreateLayer", &arguments, || {
        Layer::new(path(id)).start(&[path(parent)])
    })
}

#[unsafe(no_mangle)]
unsafe extern "system" fn CreateSandboxLayer(
    _: Info,
    id: Text,
    _: usize,
    list: *const Descriptor,
    count: u32,
) -> i32 {
    let parents = parents(list, count);
    let arguments = [("layer", text(id)), ("parents", joined(&parents))];
    call("CreateSandboxLayer", &arguments, || {
        for parent in &parents {
            exists(&parent.join("Files"))?;
        }
        fs::create_dir_all(path(id))?;
        fs::write(path(id).join("sandbox.vhdx"), "stand-in")
    })
}

#[unsafe(no_mangle)]
unsafe extern "system" fn ExpandSandboxSize(_: Info, id: Text, size: u64) -> i32 {
    let arguments = [("layer", text(id)), ("size", size.to_string())];
    call("ExpandSandboxSize", &arguments, || {
        exists(&path(id).join("sandbox.vhdx"))
    })
}

#[unsafe(no_mangle)]
unsafe extern "system" fn PrepareLayer(
    _: Info,
    id: Text,
    list: *const Descriptor,
    count: u32,
) -> i32 {
    let parents = parents(list, count);
    let arguments = [("layer", text(id)), ("parents", joined(&parents))];
    call("PrepareLayer", &arguments, || {
        exists(&path(id).join(ACTIVE))?;
        fs::write(path(id).join(PREPARED), "")
    })
}

#[unsafe(no_mangle)]
unsafe extern "system" fn LayerExists(_: Info, id: Text, found: *mut u32) -> i32 {
    call("LayerExists", &[("layer", text(id))], || {
        // SAFETY: the caller's output is writable.
        unsafe { *found = u32::from(path(id).is_dir()) };
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "system" fn GetLayerMountPath(
    _: Info,
    id: Text,
    length: *mut usize,
    buffer: *mut u16,
) -> i32 {
    call("GetLayerMountPath", &[("layer", text(id))], || {
        let answer = if path(id).join("sandbox.vhdx").exists() {
            exists(&path(id).join(ACTIVE))?;
            "\\\\?\\Volume{5ca1ab1e-0000-4000-8000-000000000001}\\".to_owned()
        } else {
            text(id)
        };
        let units: Vec<u16> = answer.encode_utf16().chain([0]).collect();
        // SAFETY: the first call only asks for the length; the second passes a buffer of that
        // length.
        unsafe {
            if !buffer.is_null() {
                if *length < units.len() {
                    return Err(io::Error::from_raw_os_error(122));
                }
                std::ptr::copy_nonoverlapping(units.as_ptr(), buffer, units.len());
            }
            *length = units.len();
        }
        Ok(())
    })
}

macro_rules! folder_call {
    ($name:ident, $layer:ident, $folder:ident, $parents:ident, $work:expr) => {
        #[unsafe(no_mangle)]
        unsafe extern "system" fn $name(
            _: Info,
            id: Text,
            folder: Text,
            list: *const Descriptor,
            count: u32,
        ) -> i32 {
            let ($layer, $folder) = (Layer::new(path(id)), path(folder));
            let $parents = parents(list, count);
            let arguments = [
                ("layer", text(id)),
                ("folder", text(folder)),
                ("parents", joined(&$parents)),
            ];
            call(stringify!($name), &arguments, || $work)
        }
    };
}

folder_call!(ImportLayer, layer, folder, parents, {
    transport::import(&layer, &folder, &parents)
});
folder_call!(ExportLayer, layer, folder, parents, {
    transport::export(&layer, &folder, &parents)
});
folder_call!(CopyLayer, layer, target, parents, {
    let folder = target.with_extension("copying");
    fs::create_dir(&folder)?;
    transport::export(&layer, &folder, &parents)?;
    transport::import(&Layer::new(target), &folder, &parents)?;
    layer::delete(&folder)
});

#[unsafe(no_mangle)]
unsafe extern "system" fn GetBaseImages(images: *mut *mut u16) -> i32 {
    call("GetBaseImages", &[], || {
        // SAFETY: the caller's output is writable.
        unsafe { *images = give("{\"Images\":[]}") };
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "system" fn NameToGuid(name: Text, guid: *mut [u8; 16]) -> i32 {
    call("NameToGuid", &[("name", text(name))], || {
        // FNV-1a of the name, once for each half.
        let hash = |seed: u64| {
            text(name).bytes().fold(seed, |hash, byte| {
                (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
            })
        };
        let halves = [0xcbf2_9ce4_8422_2325, 0x9ae1_6a3b_2f90_404f].map(hash);
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&halves[0].to_le_bytes());
        bytes[8..].copy_from_slice(&halves[1].to_le_bytes());
        // SAFETY: the caller's output is writable.
        unsafe { guid.write_unaligned(bytes) };
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "system" fn ProcessBaseImage(layer: Text) -> i32 {
    call("ProcessBaseImage", &[("layer", text(layer))], || {
        exists(&path(layer).join("Files"))?;
        fs::write(path(layer).join("blank-base.vhdx"), "stand-in")?;
        fs::write(path(layer).join("blank.vhdx"), "stand-in")
    })
}

#[unsafe(no_mangle)]
unsafe extern "system" fn ProcessUtilityImage(utility_vm: Text) -> i32 {
    call(
        "ProcessUtilityImage",
        &[("layer", text(utility_vm))],
        || {
            exists(&path(utility_vm).join("Files"))?;
            fs::write(path(utility_vm).join("SystemTemplateBase.vhdx"), "stand-in")?;
            fs::write(path(utility_vm).join("SystemTemplate.vhdx"), "stand-in")
        },
    )
}

#[unsafe(no_mangle)]
unsafe extern "system" fn GrantVmAccess(vm: Text, file: Text) -> i32 {
    let arguments = [("vm", text(vm)), ("file", text(file))];
    call("GrantVmAccess", &arguments, || exists(&path(file)))
}
