//! Transport folders: the form in which Windows takes a layer in and gives it out.
//!
//! `ImportLayer` and `HcsImportLayer` read such a folder, `ExportLayer` writes one. It looks like
//! the layer, but what a file is to be on Windows is written *into* the file, so that the folder
//! can lie on any disk:
//!
//! ```text
//! Files/a.txt            attributes (u32), then the backup stream of Files/a.txt
//! Files/dir/             an empty directory, or what lies in it
//! Files/dir.$wcidirs$    attributes and backup stream of the directory
//! Hives/System_Delta     the bytes of a hive
//! tombstones.txt         what the layer removes
//! ```
//!
//! Source: hcsshim `internal/wclayer/legacy.go`.

mod added;
mod chain_layer;
mod entries;
mod entry_file;
mod files;
#[cfg(all(test, unix))]
mod files_tests;
mod folder;
mod live;
mod obstacles;
mod pending_links;
mod reader;
mod removals;
mod streams;
mod sums;
pub mod tombstones;
mod writer;
mod writer_links;

pub use crate::error::{EntryProblem, TombstoneProblem, TransportError};
pub use added::Added;
pub(crate) use added::AddedPaths;
pub use chain_layer::chain_layer;
pub(crate) use entry_file::EntryFile;
pub use files::TransportFiles;
pub(crate) use folder::copy;
pub use folder::{count, export, import, open};
pub(crate) use pending_links::PendingLinks;
pub use reader::TransportReader;
pub use sums::FolderSummary;
pub use writer::{ImportOptions, ImportSummary, TransportWriter};
