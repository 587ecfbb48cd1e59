//! What can be wrong with an image.

use std::error::Error;

use super::ErrorKind;
use crate::digest::{DiffId, Digest};

/// Why an image cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImageError {
    /// A document is not well formed.
    #[error("{label} is malformed")]
    Malformed {
        /// The document.
        label: String,
        /// Where and why.
        source: Box<dyn Error + Send + Sync>,
    },
    /// A document is too large.
    #[error("{label} has {size} bytes, more than the {limit} that are read")]
    TooLarge {
        /// The document.
        label: String,
        /// Its size in bytes.
        size: u64,
        /// The limit in bytes.
        limit: u64,
    },
    /// A manifest of the first version, which has no digests of layers.
    #[error("{label} has schema version 1, which is not read")]
    OldSchema {
        /// The document.
        label: String,
    },
    /// A document that is an index and a manifest.
    #[error("{label} is an index and a manifest at once")]
    Ambiguous {
        /// The document.
        label: String,
    },
    /// A document that is neither an index nor a manifest.
    #[error("{label} is neither an index nor a manifest{}", said(media_type.as_deref()))]
    NotAnImage {
        /// The document.
        label: String,
        /// What it says that it is.
        media_type: Option<String>,
    },
    /// Indexes that lead too deep.
    #[error("{label}: indexes lie in one another more than {limit} deep")]
    TooDeep {
        /// The image.
        label: String,
        /// The limit.
        limit: usize,
    },
    /// A folder or an archive without the files of an image.
    #[error("`{label}` is not {what}: it has no `{missing}`")]
    Missing {
        /// The folder or archive.
        label: String,
        /// What it should be: `an OCI image layout`, …
        what: &'static str,
        /// The file that is missing.
        missing: String,
    },
    /// A layout of a version that is not known.
    #[error("`{label}` is an OCI image layout of version {version}, which is not read")]
    LayoutVersion {
        /// The layout.
        label: String,
        /// The version.
        version: String,
    },
    /// Several images, and no name.
    #[error("`{label}` holds {} images", names.len())]
    SeveralImages {
        /// The layout or archive.
        label: String,
        /// How each can be named.
        names: Vec<String>,
    },
    /// No image of that name.
    #[error("`{label}` has no image `{name}`")]
    NoSuchImage {
        /// The layout or archive.
        label: String,
        /// The name.
        name: String,
        /// How the images that are there can be named.
        names: Vec<String>,
    },
    /// No image for the platform.
    #[error("`{label}` has no image for {platform}")]
    NoSuchPlatform {
        /// The image.
        label: String,
        /// The platform.
        platform: String,
        /// Those that there are.
        platforms: Vec<String>,
    },
    /// A blob does not have the size of its descriptor.
    #[error("blob {digest} of `{label}` has {found} bytes, not {expected}")]
    Size {
        /// The image.
        label: String,
        /// The blob.
        digest: Digest,
        /// What the descriptor says.
        expected: u64,
        /// What it has.
        found: u64,
    },
    /// A blob is not what its digest says.
    #[error("blob {digest} of `{label}` is damaged: its digest is {found}")]
    Digest {
        /// The image.
        label: String,
        /// What it should be.
        digest: Digest,
        /// What it is.
        found: Digest,
    },
    /// A layer's tar is not what its DiffID says.
    #[error("`{label}` is damaged: the DiffID of its tar is {found}, not {diff_id}")]
    DiffId {
        /// The layer, with its image.
        label: String,
        /// What it should be.
        diff_id: DiffId,
        /// What it is.
        found: DiffId,
    },
    /// An image of several layers where one layer is needed.
    #[error("`{label}` has {} layers, and one layer is needed", layers.len())]
    SeveralLayers {
        /// The image.
        label: String,
        /// Its layers, the top first: number, DiffID and instruction.
        layers: Vec<String>,
    },
    /// No layer of that number or digest.
    #[error("`{label}` has no layer {layer}")]
    NoSuchLayer {
        /// The image.
        label: String,
        /// The number or digest.
        layer: String,
        /// Its layers, the top first: number, DiffID and instruction.
        layers: Vec<String>,
    },
    /// Parents were given for an image, which is a whole chain.
    #[error("`{label}` is an image with all its layers, and takes no parents")]
    WithParents {
        /// The image.
        label: String,
    },
    /// A layer or a platform was chosen of something that is not an image.
    #[error("`{label}` is not an image: it has no layers or platforms to choose from")]
    NothingToChoose {
        /// What was named.
        label: String,
    },
    /// The manifest and the configuration do not have the same number of layers.
    #[error("`{label}`: the manifest has {layers} layers, the configuration {diff_ids}")]
    LayerCount {
        /// The image.
        label: String,
        /// Layers of the manifest.
        layers: usize,
        /// DiffIDs of the configuration.
        diff_ids: usize,
    },
    /// An archive whose members cannot be used.
    #[error("`{label}`: `{member}` {problem}")]
    Member {
        /// The archive or layout.
        label: String,
        /// The member.
        member: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// An archive that is compressed: its blobs cannot be read where they are.
    #[error("the archive `{label}` is compressed")]
    CompressedArchive {
        /// The archive.
        label: String,
    },
    /// An archive with far more files than any image.
    #[error("`{label}` has too many members for an image archive")]
    TooManyMembers {
        /// The archive.
        label: String,
    },
    /// A layout or an archive without images.
    #[error("`{label}` holds no images")]
    NoImages {
        /// The layout or archive.
        label: String,
    },
    /// An image in a registry, which this build cannot reach.
    #[error("`{label}` is in a registry, which cannot be reached by this build")]
    NoRegistry {
        /// The image.
        label: String,
    },
    /// A layer that is not in the image but somewhere else.
    #[error("layer {digest} of `{label}` is not in it: it is a foreign layer")]
    Foreign {
        /// The image.
        label: String,
        /// The layer.
        digest: Digest,
        /// Where it is.
        urls: Vec<String>,
    },
}

fn said(media_type: Option<&str>) -> String {
    media_type.map_or_else(String::new, |media_type| {
        format!(": it says `{media_type}`")
    })
}

impl ImageError {
    /// Makes the error of a document that cannot be parsed.
    pub(crate) fn malformed(label: &str, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Malformed {
            label: label.to_owned(),
            source: source.into(),
        }
    }

    /// Returns the kind of failure.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Malformed { .. }
            | Self::TooLarge { .. }
            | Self::Ambiguous { .. }
            | Self::TooDeep { .. }
            | Self::Size { .. }
            | Self::Digest { .. }
            | Self::DiffId { .. }
            | Self::LayerCount { .. }
            | Self::TooManyMembers { .. }
            | Self::Member { .. } => ErrorKind::InvalidLayer,
            Self::OldSchema { .. }
            | Self::LayoutVersion { .. }
            | Self::NoRegistry { .. }
            | Self::Foreign { .. } => ErrorKind::Unsupported,
            Self::NotAnImage { .. }
            | Self::Missing { .. }
            | Self::NoImages { .. }
            | Self::NoSuchImage { .. }
            | Self::NoSuchLayer { .. }
            | Self::NoSuchPlatform { .. } => ErrorKind::NotFound,
            Self::SeveralImages { .. }
            | Self::SeveralLayers { .. }
            | Self::WithParents { .. }
            | Self::NothingToChoose { .. }
            | Self::CompressedArchive { .. } => ErrorKind::InvalidInput,
        }
    }
}
