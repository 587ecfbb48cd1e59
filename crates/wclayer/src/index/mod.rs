//! The index of a layer tar: what is in it, and where.
//!
//! An SQLite database with one row an entry, one a stream, and each security descriptor once.
//! `IndexBuilder` writes it while a tar passes by, without keeping anything per entry in
//! memory; [`Index`] answers questions about one path or one directory by key, without reading the
//! rest. `IndexedLayer` joins an index with its tar into a layer of a chain. Paths are found by a 64-bit key of their upper-cased form, and compared in full after.

mod backup_stream;
mod blocks;
mod build;
mod clash;
mod content;
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
mod summary;
mod whole;

pub use crate::error::IndexError;
pub(crate) use blocks::{CheckedTar, store as store_block_sums};
pub(crate) use build::IndexBuilder;
pub(crate) use clash::{duplicate, for_each_clash};
pub(crate) use content::TarContent;
pub(crate) use layer::IndexedLayer;
pub use read::{Index, IndexedEntry, IndexedKind, IndexedStream, Lookup};
pub(crate) use scan::{Scanned, scan, scan_headers};
pub use seal::IndexSeal;
pub use summary::{TarSummary, summarise};
