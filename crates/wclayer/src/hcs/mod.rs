//! Layers of the Host Compute Service: how Windows itself makes, reads and runs them.
//!
//! The algorithms are here, on every system; Windows is seen only through two traits:
//! [`LayerService`] (the calls of `vmcompute.dll`) and [`Volume`] (the
//! disks). [`HostCompute`] joins the two. On Windows `crate::windows` makes one.
//!
//! ```text
//! LayerReader ─► KeepBootFiles ─► base, legacy or filter writer ─► layer folder
//! layer folder ─► base, legacy or filter reader ─► RestoreBootFiles ─► LayerWriter
//! ```
//!
//! Source: hcsshim `internal/wclayer` and `pkg/ociwclayer`; where we differ is in
//! `docs/differences.md`.

mod base_layer;
mod base_reader;
mod base_writer;
mod boot_files;
mod counting;
mod destroy;
mod diagnose;
mod directory_times;
mod export;
mod filter_reader;
mod filter_writer;
mod full_path;
mod import;
#[cfg(any(windows, test))]
pub(crate) mod layer_data;
mod legacy_reader;
mod legacy_writer;
mod lifecycle;
mod marker;
mod parents;
mod reader;
mod recognise;
mod service;
mod summary;
mod temporary;
mod utility_image;
mod writer;

use std::io;

use crate::volume::Volume;

pub use crate::error::{HResult, HcsError, ServiceError, WindowsError};
pub use crate::kind::WindowsLayerKind;
pub use base_layer::{BaseLayerSummary, make_base_layer};
pub use base_reader::BaseReader;
pub use boot_files::{KeepBootFiles, RestoreBootFiles};
pub use destroy::destroy;
pub use diagnose::explain;
pub use export::export;
pub use filter_reader::FilterReader;
pub use full_path::full_path;
#[cfg(windows)]
pub(crate) use full_path::long_path;
pub use import::{ImportOptions, ImportSummary, import, import_layer};
pub use legacy_reader::LegacyReader;
pub use lifecycle::{
    base_images, create_scratch, exists, expand, grant_vm_access, mount, mount_path, name_to_guid,
    remove, unmount,
};
pub use marker::check_complete;
pub use parents::{resolve_parents, stored_parents};
pub use reader::{HcsLayerReader, ReaderKind, new_layer_reader};
pub use recognise::{WindowsLayer, is_layer, recognise};
pub use service::{
    Exported, FilterExport, FilterImport, Function, LayerService, ParentLayer, parent_layers,
};
pub use summary::WriterSummary;
pub use writer::{Contents, HcsLayerWriter, new_layer_writer};

/// A machine with the Host Compute Service.
pub struct HostCompute<V: Volume> {
    /// The service.
    pub service: Box<dyn LayerService>,
    /// The disks.
    pub volume: V,
}

/// Returns whether an error says that nothing is at a path; on some systems the same is said in
/// other words when a file is where a directory would have to be.
fn is_absent(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}
