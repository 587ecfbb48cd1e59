//! The index of a portable layer: what is in the tar, and where.
//!
//! An SQLite database with one row an entry, one a stream, and each security descriptor once.
//! [`IndexBuilder`] writes it while a layer is imported, without keeping anything per entry in
//! memory; [`Index`] answers questions about one path or one directory by key, without reading the
//! rest. Paths are found by a 64-bit key of their upper-cased form, and compared in full after.

mod build;
mod read;
mod schema;

pub(super) use build::IndexBuilder;
pub use read::{Index, IndexedEntry, IndexedKind, IndexedStream, Lookup};
