//! Reads and writes OCI layer tars.
//!
//! ```text
//! bytes → MemberReader → TarEntries → TarLayerReader → hub
//!         (a tar)        (a layer)    (backup streams)
//! hub → TarLayerWriter → bytes
//! ```
//!
//! [`BlobReader`] and [`BlobWriter`] add compression, hashing and verification around these, for blobs.
//!
//! Each step is useful on its own: [`MemberReader`] knows tars but not layers, [`TarEntries`] decodes
//! members and reports their offsets, and [`TarLayerReader`] and [`TarLayerWriter`] connect to the hub.
//! This module does not use the `tar` crate, because this project needs values with newlines (Go accepts
//! base64 that contains them), global headers, byte offsets of every part, borrowed content and headers
//! that are byte-equal to Go's, and the crate offers none of them.
//!
//! Metadata that the standard records cannot express is stored in vendor records, which other readers
//! ignore: `docs/vendor-records.md`.

mod blob;
mod blob_writer;
mod doubt;
mod entries;
mod header;
mod members;
mod metadata;
mod new_member;
mod output;
mod pax;
mod reader;
mod recompress;
mod sparse;
mod spool;
mod times;
mod unusual;
mod writer;

pub use crate::error::{TarError, TarProblem};
pub use crate::foreign::{Foreign, ImageArchive};
pub(crate) use blob::check_diff_id;
pub use blob::{BlobReader, LayerBlob};
pub use blob_writer::BlobWriter;
pub use doubt::Doubt;
pub use entries::{FileMember, StreamMember, TarEntries, TarEntry, TarEntryKind};
pub use header::BLOCK;
pub use members::{ArchiveEnd, Member, MemberReader, Skip};
pub use pax::PaxRecords;
pub use reader::TarLayerReader;
pub use recompress::recompress;
pub(crate) use sparse::{MAX_EXPANDED, ranges_on_windows};
pub use sparse::{SparseMap, SparseRange};
pub use writer::TarLayerWriter;
