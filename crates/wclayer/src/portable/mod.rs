//! The portable layer: a layer as a folder on any host, the default where Windows is not.
//!
//! ```text
//! PATH/layer.tar         the uncompressed layer tar, verbatim
//! PATH/index.sqlite      entries, places, metadata, content hashes, checksums of the tar's blocks
//! PATH/layer.json        what the layer is: DiffID, source, counts, parents; binds the other files
//! PATH/layerchain.json   where the parents were, nearest first; `null` for a base layer
//! ```
//!
//! [`import`] stores a tar while it is parsed, hashed and indexed in one pass; [`PortableLayer`]
//! opens, reads and exports it again, bit for bit; [`verify`] reads all of it, [`repair`] makes all but
//! the tar anew; [`PortableLayerWriter`] takes entries from any
//! source of the hub. A layer appears at its path whole or not at all: it is built in a sibling
//! folder, flushed to the disk and renamed. The format is described in `docs/portable-layer.md`.

mod check;
mod descriptor;
mod error;
mod export;
mod import;
mod layer;
mod links;
mod parents;
mod recognise;
mod remove;
mod repair;
mod staging;
mod verify;
mod writer;

pub(crate) use check::{check_each, for_each_clash, poll};
pub use descriptor::{
    BoundFiles, FORMAT_VERSION, LayerDescriptor, ParentRecord, SourceBlob, is_layer,
};
pub use error::{OtherDiffIds, PortableError, Rule, RuleError};
pub use import::{ImportOptions, import};
pub use layer::{PortableLayer, PortableLayerReader};
pub(crate) use links::{LinkEnd, Links};
pub use recognise::may_be_replaced;
pub use remove::{Children, Removed, children_of, remove};
pub use repair::{RepairOptions, Repaired, repair};
pub(crate) use staging::{Staging, Written};
pub use verify::{Check, Verified, verify};
pub use writer::PortableLayerWriter;

/// The layer tar, verbatim.
pub(crate) const TAR_FILE: &str = "layer.tar";
/// The index, an SQLite database.
pub(crate) const INDEX_FILE: &str = "index.sqlite";
/// The descriptor.
pub(crate) const DESCRIPTOR_FILE: &str = "layer.json";
/// All files of a layer.
const FILES: [&str; 4] = [
    TAR_FILE,
    INDEX_FILE,
    DESCRIPTOR_FILE,
    crate::layout::LAYER_CHAIN,
];
