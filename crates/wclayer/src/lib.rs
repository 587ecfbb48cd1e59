//! Windows container image layers, on any machine.
//!
//! A layer is a tar whose entries carry the metadata of Windows files. This crate reads and writes
//! every form of a layer without losing a bit:
//!
//! | Module | What it is for |
//! |---|---|
//! | [`hub`] | [`LayerReader`], [`LayerWriter`], [`Entry`] and [`copy`](hub::copy), which join any source to any sink |
//! | [`tar`] | layer tars, plain or compressed |
//! | [`portable`] | portable layers: folders on any host with the tar verbatim and an index beside it |
//! | [`transport`] | transport folders, which Windows imports from and exports to |
//! | [`hcs`] | Windows layers, managed by the Host Compute Service |
//! | [`source`] | recognises what a path is, and opens it with its parents |
//! | [`view`] | layers merged: what a container would see |
//! | [`diff`], [`squash`], [`extract`] | differences between chains, a chain as one layer, plain files |
//! | [`find`], [`usage`] | entries of a view that pass tests; how much content there is, and where |
//! | [`validate`], [`rules`] | the rules of layers, and whatever breaks them |
//! | [`volume`] | disks as layers need them |
//! | [`place`] | locks, staging folders, output files, leftovers |
//!
//! The formats of Windows itself (backup streams, security descriptors, …) are in the crate
//! [`ntmeta`], which is re-exported.
//!
//! ```
//! use std::fs::File;
//! use wclayer::portable::{self, ImportOptions};
//!
//! let tar = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/sample/base.tar.gz");
//! let layers = tempfile::tempdir()?;
//! let base = layers.path().join("base");
//! let layer = portable::import(File::open(tar)?, base, &ImportOptions::default(), &())?;
//! println!("{} with {} entries", layer.descriptor().diff_id, layer.descriptor().entries.total());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Errors and cancellation
//!
//! Every operation returns an [`Error`]; programs act on [`Error::kind`]. Long operations report to a
//! [`Progress`] and ask it whether to stop; they then return [`Error::Cancelled`] and leave nothing
//! behind.
//!
//! # Features
//!
//! - `portable` (default): [`portable`], [`source`], [`validate`] and [`index`]. Uses SQLite.
//! - `bundled` (default): compiles SQLite instead of linking the system's.
//! - `zstd` (default): layer tars compressed with zstd.
//!
//! Without them, layer tars are still read and written, and nothing is compiled from C.

// Without the index, nobody uses some of what the rooms below it offer.
#![cfg_attr(not(feature = "portable"), allow(dead_code, unused_imports))]
// For Windows the lint does not see the `const` that it asks for.
#![cfg_attr(windows, allow(clippy::missing_const_for_thread_local))]

#[macro_use]
mod setters;

mod blob;
#[cfg(feature = "portable")]
mod check;
pub mod compression;
pub mod diff;
pub mod digest;
pub mod error;
pub mod extract;
pub mod find;
pub mod foreign;
pub mod hcs;
pub mod hub;
pub mod image;
#[cfg(feature = "portable")]
pub mod index;
mod kind;
pub mod layer;
pub mod layout;
mod parent_chain;
pub mod path;
mod pipeline;
pub mod place;
#[cfg(feature = "portable")]
pub mod portable;
#[cfg(feature = "registry")]
pub mod registry;
#[doc(hidden)]
pub mod resources;
pub mod rules;
#[cfg(feature = "portable")]
pub mod source;
pub mod squash;
mod steps;
pub mod tar;
pub mod transport;
pub mod usage;
#[cfg(feature = "portable")]
pub mod validate;
pub mod view;
pub mod volume;
#[cfg(windows)]
pub mod windows;

pub use digest::{DiffId, Digest};
pub use error::{Error, ErrorKind, Result};
pub use hub::{Entry, FileEntry, LayerReader, LayerWriter, LinkEntry, Progress};
pub use ntmeta;
pub use parent_chain::ParentChain;
pub use path::{LayerPath, PathError, StreamName};
