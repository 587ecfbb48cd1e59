//! What can be wrong with a portable layer, and which rules a layer must keep.

use std::path::PathBuf;

use crate::digest::DiffId;
use crate::error::ErrorKind;

/// Why a folder cannot be used as a portable layer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PortableError {
    /// The folder is not a portable layer.
    #[error("`{}` is not a portable layer: it has no `{missing}`", path.display())]
    NotALayer {
        /// The folder.
        path: PathBuf,
        /// The file that is missing.
        missing: &'static str,
    },
    /// A folder has a descriptor, but nothing says that it is one of ours.
    #[error("`{}` is not recognised as a portable layer: its `layer.json` is not one of wclayer's", path.display())]
    Stranger {
        /// The folder.
        path: PathBuf,
    },
    /// A link stands where the folder of a layer should.
    #[error("`{}` is a symbolic link, not the folder of a layer", path.display())]
    Link {
        /// The link.
        path: PathBuf,
    },
    /// A JSON file of the layer is malformed.
    #[error("`{}` is malformed", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// Where and why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The layer has a format version that this program does not know.
    #[error("`{}` has format {format} version {version}, which this program does not read", path.display())]
    Version {
        /// The layer's folder.
        path: PathBuf,
        /// The name of the format.
        format: String,
        /// Its version.
        version: String,
    },
    /// The parents given for a layer are not those that it has.
    #[error("the parents of `{}` are {expected}, not {given}", layer.display())]
    ParentMismatch {
        /// The layer.
        layer: PathBuf,
        /// Its own parents, nearest first.
        expected: String,
        /// Those that the caller gave for it.
        given: String,
    },
    /// A small file of the layer is not the one that was written.
    #[error("`{}` is damaged, or was changed", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
    },
    /// A small file of the layer is far too large.
    #[error("`{}` is larger than 1 MiB", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// The layer tar is not as long as it was.
    #[error("`{}` has {found} bytes, not {expected}", path.display())]
    TarSize {
        /// The tar.
        path: PathBuf,
        /// What the descriptor says.
        expected: u64,
        /// What it has.
        found: u64,
    },
    /// A parent of a layer cannot be opened.
    #[error("the parent `{}` of `{}` cannot be opened", parent.display(), layer.display())]
    Parent {
        /// The layer.
        layer: PathBuf,
        /// Where it has its parent.
        parent: PathBuf,
        /// Why.
        source: Box<crate::Error>,
    },
    /// Another layer is where a parent should be.
    #[error(
        "the parent `{}` of `{}` is another layer: its DiffID is {}, not {}",
        parent.display(),
        layer.display(),
        diff_ids.found,
        diff_ids.expected
    )]
    OtherParent {
        /// The layer.
        layer: PathBuf,
        /// Where it has its parent.
        parent: PathBuf,
        /// Which layer it should be, and which is there.
        diff_ids: Box<OtherDiffIds>,
    },
    /// Something lies in the folder of a layer that is to be made anew.
    #[error("`{}` does not belong to a layer", path.display())]
    ForeignFile {
        /// What it is.
        path: PathBuf,
    },
    /// The parents of a layer are not a chain.
    #[error("the parents from `{}` on are not a chain of layers", layer.display())]
    Chain {
        /// The nearest parent.
        layer: PathBuf,
    },
}

/// The DiffIDs of a parent. Boxed in the error: results stay small.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OtherDiffIds {
    /// That of the parent which the layer was made on.
    pub expected: DiffId,
    /// That of the layer which is there.
    pub found: DiffId,
}

impl PortableError {
    /// Returns the kind of failure.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::NotALayer { .. } | Self::Stranger { .. } => ErrorKind::NotFound,
            Self::Json { .. }
            | Self::Damaged { .. }
            | Self::TooLarge { .. }
            | Self::TarSize { .. }
            | Self::OtherParent { .. } => ErrorKind::InvalidLayer,
            Self::Parent { source, .. } => source.kind(),
            Self::Version { .. } => ErrorKind::Unsupported,
            Self::ParentMismatch { .. }
            | Self::ForeignFile { .. }
            | Self::Link { .. }
            | Self::Chain { .. } => ErrorKind::InvalidInput,
        }
    }
}
