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

/// All files of a layer.
const FILES: [&str; 4] = [
    TAR_FILE,
    INDEX_FILE,
    DESCRIPTOR_FILE,
    crate::layout::LAYER_CHAIN,
];
