//! The merged view of a chain: the files that a container on top of it would see.
//!
//! ```text
//! [ChainLayer, …] ─→ View ─→ nodes: listing, metadata, content
//!                        └─→ ViewReader → hub
//! ```
//!
//! Every kind of layer answers the few questions of [`ChainLayer`](crate::layer::ChainLayer). Only
//! [`View`] knows the rules by which layers hide one another.

mod chain;
mod follow;
mod known_links;
mod layers;
mod lookup;
mod merge;
mod missing;
mod names;
mod node;
mod reader;
mod resolve;
mod upper;
mod walk;

pub use chain::View;
pub use missing::Absence;
pub use node::{Node, NodeKind};
pub use reader::ViewReader;
pub use resolve::Resolved;
pub(crate) use resolve::{Target, target_of_text};
pub use walk::Walk;
