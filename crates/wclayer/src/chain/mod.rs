//! A layer and the layers below it: their order, and the merged view of them.
//!
//! ```text
//! portable folder ─┐
//! transport folder ┼─ ChainLayer ─→ View ─→ nodes: listing, metadata, content
//! layer tar       ─┘                    └─→ ViewReader → hub
//! ```
//!
//! [`ParentChain`] is the one order of parents that this project knows. [`open`](open::open) finds
//! out what kind of thing each layer is and makes a [`View`]: the files that a container on top of
//! the chain would see. Every kind of layer answers the few questions of [`ChainLayer`]; the rules
//! by which layers hide one another are in [`View`] alone.
//!
//! [`content_in_passing`] is a short cut beside that: one file out of compressed tars.

mod layer;
mod links;
mod lost;
mod merge;
mod open;
mod parent_chain;
mod passing;
mod reader;
mod upper;
mod view;
mod walk;

pub use layer::{
    BackupStream, ChainLayer, Content, Details, Item, ItemId, ItemKind, LostEntry, Removed, Slot,
    StreamDetails,
};
pub(crate) use links::{Target, target_of_text};
pub(crate) use lost::for_each_lost_in;
pub use open::{Access, OpenOptions, open, open_chain, open_layer, whole_chain};
pub(crate) use open::{open_portable, stored_parents};
pub use parent_chain::ParentChain;
pub use passing::{Passed, content_in_passing};
pub use reader::ViewReader;
pub use view::{Node, NodeKind, Resolved, View};
pub use walk::Walk;
