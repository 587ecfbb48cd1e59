//! The OCI layer tar, in both directions.
//!
//! ```text
//! bytes → MemberReader → TarEntries → TarLayerReader → hub
//!         (a tar)        (a layer)    (backup streams)
//! hub → TarLayerWriter → bytes
//! ```
//!
//! [`BlobReader`] and [`BlobWriter`] stand outside of all that for a layer as it is distributed:
//! compressed, hashed and verified while its entries pass.
//!
//! Each step is useful alone: [`MemberReader`] knows tars and nothing of layers, [`TarEntries`]
//! says what members mean and where they lie, [`TarLayerReader`] and [`TarLayerWriter`] join the
//! hub. We read and write tars ourselves rather than with the `tar` crate: values with newlines
//! (Go accepts base64 that has them), global headers, byte offsets of every part, borrowed content
//! and headers byte-equal to Go's are what this project is about, and that crate has none of them.
//!
//! What a layer tar cannot say in its standard records travels in records of our own, which every
//! other reader ignores: `docs/vendor-records.md`.

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
