//! The merged view of a chain: the files that a container on top of it would see.
//!
//! ```text
//! [ChainLayer, …] ─→ View ─→ nodes: listing, metadata, content
//!                        └─→ ViewReader → hub
//! ```
//!
//! Every kind of layer answers the few questions of [`ChainLayer`](crate::layer::ChainLayer); the
//! rules by which layers hide one another are in [`View`] alone.

mod links;
mod lookup;
mod merge;
mod missing;
mod reader;
mod upper;
mod walk;

pub(crate) use links::{Target, target_of_text};
pub use lookup::{Node, NodeKind, Resolved, View};
pub use missing::Absence;
pub use reader::ViewReader;
pub use walk::Walk;
