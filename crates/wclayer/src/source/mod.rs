//! From what a user names to layers: what kind of thing a path is, and which chain it belongs to.
//!
//! ```text
//! LayerRef ──► recognise ──► Layer (label, path, Kind) ──► Chain ──► View
//! what a user     what it is, decided        with its parents    opened
//! wrote           nowhere else
//! ```
//!
//! An image ([`image`](crate::image)) is named by a transport such as `oci:`, or recognised at its path;
//! all its layers are the chain, unless an [`ImageChoice`] picks one.
//!
//! [`open`] goes the whole way in one call, whatever kinds the layers are. A command that treats
//! kinds differently asks [`recognise`]; one that cannot take a kind answers with [`Layer::refuse`],
//! so that all commands say the same of it. [`content_in_passing`] is a short cut: one file out of
//! compressed tars.

mod chain;
mod image_choice;
mod open;
mod passing;
mod recognise;
#[cfg(test)]
mod recognise_tests;
mod reference;
mod tar;
mod tar_blob;

pub use chain::Chain;
pub use image_choice::{ImageChoice, LayerChoice, LayerChoiceError};
pub use open::{Access, OpenOptions, open, open_parents};
pub use passing::{Passed, content_in_passing};
pub use recognise::{Layer, recognise};
pub use reference::LayerRef;

pub use crate::kind::{Kind, Needed, WindowsLayerKind};

/// The disks of this machine.
#[cfg(not(windows))]
pub use crate::volume::host::HostVolume as Disks;
/// The disks of this machine.
#[cfg(windows)]
pub use crate::windows::NtVolume as Disks;
