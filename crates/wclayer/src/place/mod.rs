//! Changing paths on the host's disks so that nothing half-written is ever seen.
//!
//! ```text
//! lock ─→ staging (a folder beside its destination) ─→ flush ─→ rename
//! output (a file beside its destination)            ─→ flush ─→ rename
//! leftovers: what killed processes leave of either, and its removal
//! ```
//!
//! A destination is replaced only if it is a layer (`recognise`), and only on request.

pub(crate) mod disk;
pub mod leftovers;
pub(crate) mod lock;
pub mod output;
mod recognise;
pub(crate) mod scratch;
mod staging;
pub(crate) mod way;

pub(crate) use recognise::{DESCRIPTOR_FILE, FORMAT, INDEX_FILE, TAR_FILE};
pub(crate) use recognise::{
    has_descriptor, is_portable_layer, is_transport_folder, may_be_replaced,
};
pub(crate) use staging::{Place, Staging, Written, parts};
