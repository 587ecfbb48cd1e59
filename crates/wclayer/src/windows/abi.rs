//! The types of `vmcompute.dll`, which no Windows header declares.
//!
//! Source: hcsshim `internal/wclayer/wclayer.go` and `layerutils.go`; the sizes are those of 64-bit
//! and 32-bit Windows.

use std::ffi::c_void;

/// A failure or success code.
pub(super) type Hresult = i32;
/// A text in UTF-16 that ends with a NUL.
pub(super) type Pcwstr = *const u16;
/// An open import or export through the filter calls.
pub(super) type Context = usize;

/// The driver of a layer, and the folder of its ids.
#[repr(C)]
pub(super) struct DriverInfo {
    /// 1: the filter driver, the only one in use.
    pub(super) flavour: i32,
    /// Empty, so that ids are full paths.
    pub(super) home_dir: Pcwstr,
}

/// A GUID in its binary form.
#[repr(C, align(4))]
#[derive(Clone, Copy, Default)]
pub(super) struct RawGuid(pub(super) [u8; 16]);

/// `WC_LAYER_DESCRIPTOR`: one parent.
#[repr(C)]
pub(super) struct LayerDescriptor {
    /// `NameToGuid` of the last component of the path.
    pub(super) id: RawGuid,
    /// Always 0.
    pub(super) flags: u32,
    /// The full path of the layer's folder.
    pub(super) path: Pcwstr,
}

/// `FILE_BASIC_INFO` in the form that [`ntmeta::FileBasicInfo`] encodes and decodes.
#[repr(C, align(8))]
#[derive(Clone, Copy)]
pub(super) struct RawBasicInfo(pub(super) [u8; 40]);

const _: () = {
    let pointer = size_of::<*const c_void>();
    assert!(size_of::<DriverInfo>() == 2 * pointer);
    assert!(size_of::<LayerDescriptor>() == 20 + (pointer - 4) + pointer);
    assert!(size_of::<RawGuid>() == 16 && align_of::<RawGuid>() == 4);
    assert!(size_of::<RawBasicInfo>() == 40 && align_of::<RawBasicInfo>() == 8);
};
