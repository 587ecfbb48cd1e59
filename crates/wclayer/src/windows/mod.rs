//! The implementation of the traits of [`crate::hcs`] and [`crate::volume`] on Windows.
//!
//! [`host_compute`] combines a service with the disks; callers need nothing else from this module.
//!
//! | file | content |
//! |---|---|
//! | `abi` | types of `vmcompute.dll` with the names of Windows |
//! | `library` | a DLL loaded from `system32`, its exports, and texts for its calls |
//! | `vmcompute` | the service through `vmcompute.dll` |
//! | `layer_names` | the ids of layers, from the same DLL |
//! | `computestorage`, `virtual_disk` | the service through the documented API |
//! | `nt` | safe wrappers for file calls of `ntdll.dll` |
//! | `volume`, `root`, `file` | disks, folders and files |
//! | `backup`, `native_read`, `native_write` | backup streams, through Windows or, if the file system does not support them, with our own code |
//! | `privileges`, `messages` | privileges, and messages for codes |
//!
//! Only this module of the crate has unsafe code. DLLs are loaded from `system32` only.

#![allow(unsafe_code)]

mod abi;
mod backup;
mod computestorage;
mod file;
mod layer_names;
mod library;
mod messages;
mod native_read;
mod native_write;
mod nt;
mod privileges;
mod root;
mod virtual_disk;
mod vmcompute;
mod volume;

use crate::error::HcsError;
use crate::error::Result;
use crate::hcs::{HostCompute, LayerService};

pub use file::NtFile;
pub use root::NtRoot;
pub use volume::NtVolume;

/// The DLL that creates, reads and runs layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Api {
    /// `vmcompute.dll` if it is available, otherwise `computestorage.dll`.
    #[default]
    Auto,
    /// `vmcompute.dll`, which hcsshim and docker also use.
    Vmcompute,
    /// `computestorage.dll`, which Microsoft documents.
    Computestorage,
}

/// Opens the service and the disks of this host.
///
/// # Errors
///
/// Returns [`HcsError::NoService`] if the DLL is missing.
pub fn host_compute(api: Api) -> Result<HostCompute<NtVolume>> {
    Ok(HostCompute {
        service: service(api)?,
        volume: NtVolume::new(),
    })
}

fn service(api: Api) -> Result<Box<dyn LayerService>, HcsError> {
    let vmcompute = || -> Result<Box<dyn LayerService>, HcsError> {
        Ok(Box::new(vmcompute::Vmcompute::load()?))
    };
    let computestorage = || -> Result<Box<dyn LayerService>, HcsError> {
        Ok(Box::new(computestorage::Computestorage::load()?))
    };
    match api {
        Api::Vmcompute => vmcompute(),
        Api::Computestorage => computestorage(),
        // Report the first error: that DLL is missing if the Windows feature is not installed.
        Api::Auto => vmcompute().or_else(|error| computestorage().map_err(|_| error)),
    }
}
