//! Errors of portable layers.

use std::path::PathBuf;

use crate::digest::DiffId;
use crate::error::ErrorKind;

/// The reason why a folder cannot be used as a portable layer.
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
    /// A folder has a descriptor, but not one that this project wrote.
    #[error("`{}` is not recognised as a portable layer: its `layer.json` was not written by wclayer", path.display())]
    Stranger {
        /// The folder.
        path: PathBuf,
    },
    /// A symbolic link is where the folder of a layer should be.
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
        /// The position and the reason.
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
    /// The parents given for a layer are not the ones it has.
    #[error("the parents of `{}` are {expected}, not {given}", layer.display())]
    ParentMismatch {
        /// The layer.
        layer: PathBuf,
        /// Its own parents, nearest first.
        expected: String,
        /// The parents that the caller gave.
        given: String,
    },
    /// A parent was given that is not a portable layer: a layer tar, a transport folder.
    #[error(
        "`{}` is not a portable layer: whether it is a parent of `{}` cannot be checked, because \
         only portable layers store their DiffID",
        parent.display(),
        layer.display()
    )]
    ParentWithoutDiffId {
        /// The layer.
        layer: PathBuf,
        /// What was given as its parent.
        parent: PathBuf,
    },
    /// A small file of the layer does not have the content that was written.
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
    /// The layer tar does not have its original length.
    #[error("`{}` has {found} bytes, not {expected}", path.display())]
    TarSize {
        /// The tar.
        path: PathBuf,
        /// The size in the descriptor, in bytes.
        expected: u64,
        /// Its size, in bytes.
        found: u64,
    },
    /// A parent of a layer cannot be opened.
    #[error("the parent `{}` of `{}` cannot be opened", parent.display(), layer.display())]
    Parent {
        /// The layer.
        layer: PathBuf,
        /// The path at which it has its parent.
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
        /// The path at which it has its parent.
        parent: PathBuf,
        /// The layer that should be there, and the one that is.
        diff_ids: Box<OtherDiffIds>,
    },
    /// The folder of a layer that is to be rebuilt contains something else.
    #[error("`{}` does not belong to a layer", path.display())]
    ForeignFile {
        /// The file or folder.
        path: PathBuf,
    },
    /// The parents of a layer are not a chain.
    #[error("the parents starting at `{}` are not a chain of layers", layer.display())]
    Chain {
        /// The nearest parent.
        layer: PathBuf,
    },
}

/// The DiffIDs of a parent. Boxed in the error, so that results stay small.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OtherDiffIds {
    /// The DiffID of the parent that the layer was made on.
    pub expected: DiffId,
    /// The DiffID of the layer that was found.
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
            | Self::ParentWithoutDiffId { .. }
            | Self::ForeignFile { .. }
            | Self::Link { .. }
            | Self::Chain { .. } => ErrorKind::InvalidInput,
        }
    }
}
