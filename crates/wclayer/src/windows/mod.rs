//! Windows itself: the service and the disks behind the traits of [`crate::hcs`] and
//! [`crate::volume`].
//!
//! [`host_compute`] joins a service to the disks; nothing else here is needed from outside.
//!
//! | file | what |
//! |---|---|
//! | `abi` | types of `vmcompute.dll` as Windows spells them |
//! | `library` | a DLL loaded from `system32`, its exports, texts for it |
//! | `vmcompute` | the service by `vmcompute.dll` |
//! | `layer_names` | the ids of layers, by the same DLL |
//! | `computestorage`, `virtual_disk` | the service by the documented API |
//! | `nt` | file calls of `ntdll.dll`, made safe |
//! | `volume`, `root`, `file` | the disks, folders and files |
//! | `backup`, `native_read`, `native_write` | backup streams, by Windows or, where a file system has none, by us |
//! | `privileges`, `messages` | rights, and texts of codes |
//!
//! This is the only place of the crate with unsafe code. A DLL is looked for in `system32` and
//! nowhere else.

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

/// Which DLL makes, reads and runs layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Api {
    /// `vmcompute.dll` where it is, else `computestorage.dll`.
    #[default]
    Auto,
    /// `vmcompute.dll`, which hcsshim and docker use as well.
    Vmcompute,
    /// `computestorage.dll`, which Microsoft documents.
    Computestorage,
}

/// Opens the service and the disks of this machine.
///
/// # Errors
///
/// [`HcsError::NoService`] when the DLL is not there.
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
        // The error is about the first: it is what is missing where the feature is not installed.
        Api::Auto => vmcompute().or_else(|error| computestorage().map_err(|_| error)),
    }
}
