//! Windows container image layers, on any machine.
//!
//! A layer is a tar whose entries carry the metadata of Windows files. This crate reads and
//! writes layers in every form they take, without losing a bit:
//!
//! - [`hub`]: [`LayerReader`], [`LayerWriter`], [`Entry`] and [`copy`](hub::copy), which join any
//!   source to any sink;
//! - [`tar`]: the OCI layer tar, plain or compressed;
//! - [`portable`]: a layer as a folder on any host: the tar verbatim, an index beside it;
//! - [`hcs`]: layers of the Host Compute Service of Windows;
//! - [`transport`]: the folders in which Windows takes layers in and gives them out;
//! - [`chain`]: the merged view of a layer and those below it: what a container would see;
//! - [`diff`]: what differs between two chains, [`squash`]: a chain made into one layer;
//! - [`extract`]: plain files on the host;
//! - [`validate`]: why a layer will not import, or misbehave;
//! - [`volume`]: the disks that folders of layers lie on;
//! - [`output`], [`leftovers`]: files that appear whole, and what killed processes leave;
//! - [`path`], [`digest`], [`compression`], [`layout`]: the parts all of these share.
//!
//! The formats of Windows itself (backup streams, security descriptors, …) are the crate
//! [`ntmeta`], re-exported here.
//!
//! ```no_run
//! use std::fs::File;
//! use wclayer::portable::{self, ImportOptions};
//!
//! let layer = portable::import(File::open("base.tar.gz")?, "layers/base", &ImportOptions::default(), &())?;
//! println!("{} with {} entries", layer.descriptor().diff_id, layer.descriptor().entries.total());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

// For Windows the lint does not see the `const` that it asks for.
#![cfg_attr(windows, allow(clippy::missing_const_for_thread_local))]

mod check;
pub mod compression;
pub mod diff;
pub mod digest;
pub mod error;
pub mod extract;
pub mod foreign;
pub mod hcs;
pub mod hub;
pub mod image;
pub mod index;
pub mod layer;
pub mod layout;
mod parent_chain;
pub mod path;
mod pipeline;
pub mod place;
pub mod portable;
#[cfg(feature = "registry")]
pub mod registry;
#[doc(hidden)]
pub mod resources;
pub mod rules;
pub mod source;
pub mod squash;
mod steps;
pub mod tar;
pub mod transport;
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
