//! The index of a layer tar: its entries and their offsets.
//!
//! An SQLite database with one row for each entry, one for each stream, and one for each different
//! security descriptor. `IndexBuilder` writes it while a tar passes, without keeping entries in
//! memory. [`Index`] answers questions about a path or a directory by key, without reading the
//! rest: paths are found by a 64-bit key of their upper-cased form, and then compared in full.
//! `IndexedLayer` joins an index with its tar into a layer of a chain, whose content is read from
//! the tar (`content`), if need be by decompressing it (`compressed`).

mod at_path;
mod backup_stream;
mod blocks;
mod build;
mod clash;
mod compressed;
mod content;
mod entry;
mod every;
mod implied;
mod in_directory;
mod layer;
mod lost;
mod often;
mod open;
mod pages;
mod plain;
mod read;
mod scan;
mod schema;
mod seal;
mod streams;
mod summary;
mod whole;

pub use crate::error::{IndexError, SystemFailure};
pub use at_path::Lookup;
pub(crate) use blocks::{CheckedTar, store as store_block_sums};
pub(crate) use build::{IndexBuilder, NewEntry};
pub(crate) use clash::{duplicate, for_each_clash};
pub(crate) use compressed::CompressedTar;
pub(crate) use content::{TarContent, kept_content};
pub use entry::{IndexedEntry, IndexedKind, IndexedStream};
pub(crate) use layer::IndexedLayer;
pub use read::Index;
pub(crate) use scan::{Scanned, scan, scan_headers};
pub use seal::IndexSeal;
pub use summary::{TarSummary, summarise};
