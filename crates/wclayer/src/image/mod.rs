//! Images: several layers with a configuration, as layouts and archives hold them.
//!
//! ```text
//! oci:FOLDER  oci-archive:FILE  docker-archive:FILE
//!        └───────────┴── ImageReference ──┘
//!                             │ open: index → platform → manifest → configuration
//!                           Image ─→ layers, each a Blob, and how it came about
//! ```
//!
//! Everything in a document is checked before it is used: sizes, digests of documents, the number
//! of layers. Blobs are found by their digest, so that no document names a path.

mod archive;
pub(crate) mod document;
mod open;
mod platform;
mod reference;
mod store;

pub use crate::blob::{Blob, BlobBytes};
pub use crate::error::ImageError;
pub use document::{
    Config, Descriptor, Document, Execution, History, INDEX_TYPES, Index, MANIFEST_TYPES,
    MAX_DOCUMENT, Manifest, RootFs,
};
pub use open::{Image, ImageLayer, OpenImage, open, recognise};
pub use platform::{Platform, PlatformError, select};
pub use reference::{ImageName, ImageReference, ReferenceError, RegistryReference};
