//! Portable layers: a layer as a folder on any host, and the default format outside Windows.
//!
//! ```text
//! PATH/layer.tar         the uncompressed layer tar, verbatim
//! PATH/index.sqlite      entries, offsets, metadata, content hashes, checksums of the tar's blocks
//! PATH/layer.json        the descriptor: DiffID, source, counts, parents; binds the other files
//! PATH/layerchain.json   the paths of the parents at import, nearest first; `null` for a base layer
//! ```
//!
//! [`import`] parses, hashes, indexes and stores a tar in a single pass. [`PortableLayer`] opens, reads
//! and exports it, bit for bit. [`verify`] reads the entire layer, [`repair`] rebuilds everything except
//! the tar, and [`PortableLayerWriter`] accepts entries from any source of the hub. A layer appears at
//! its path completely or not at all: it is built in a sibling folder, flushed to disk and renamed.
//! `docs/portable-layer.md` describes the format.

mod chain_layer;
mod descriptor;
mod export;
mod import;
mod layer;
mod parents;
mod remove;
mod repair;
mod verify;
mod writer;

pub use crate::error::{OtherDiffIds, PortableError};
pub use chain_layer::chain_layer;
pub use descriptor::{BoundFiles, FORMAT_VERSION, LayerDescriptor, ParentRecord, SourceBlob};
pub use import::{ImportOptions, import};
pub use layer::{PortableLayer, PortableLayerReader};
pub use remove::{Children, Removed, children_of, remove};
pub use repair::{RepairOptions, Repaired, repair};
pub use verify::{Check, Verified, verify};
pub use writer::PortableLayerWriter;

use crate::place::{DESCRIPTOR_FILE, INDEX_FILE, TAR_FILE};

/// All files of a portable layer.
const FILES: [&str; 4] = [
    TAR_FILE,
    INDEX_FILE,
    DESCRIPTOR_FILE,
    crate::layout::LAYER_CHAIN,
];
