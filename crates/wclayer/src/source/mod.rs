//! From what a user names to layers: what kind of thing a path is, and the chain on top of which it is.
//!
//! [`open`] makes a [`View`](crate::view::View) of a layer and its parents, whatever kinds they are;
//! [`content_in_passing`] is a short cut beside that: one file out of compressed tars.

mod open;
mod passing;
mod tar;

pub(crate) use open::stored_parents;
pub use open::{Access, OpenOptions, open, open_chain, open_layer, open_parents, whole_chain};
pub use passing::{Passed, content_in_passing};

/// The disks of this machine.
#[cfg(not(windows))]
pub use crate::volume::host::HostVolume as Disks;
/// The disks of this machine.
#[cfg(windows)]
pub use crate::windows::NtVolume as Disks;
