//! The errors of this crate.
//!
//! [`Error`] says what failed and where; each area has a closed type of its own below it, found
//! through [`std::error::Error::source`]. Programs act on [`Error::kind`]; [`Error::hint`] gives
//! people one sentence on what to do. No code matches on a message.

mod hcs;
mod image;
mod index;
mod messages;
mod portable;
mod privilege;
mod registry;
mod tar;
mod transport;

use std::io;
use std::path::{Path, PathBuf};

use crate::digest::Digest;
use crate::path::{LayerPath, PathError};
use crate::resources;
use crate::rules::RuleError;

pub use hcs::{HResult, HcsError, ServiceError, WindowsError};
pub use image::ImageError;
pub use index::IndexError;
pub use portable::{OtherDiffIds, PortableError};
pub use privilege::{Privilege, PrivilegeError};
pub use registry::RegistryError;
pub use tar::{TarError, TarProblem};
pub use transport::{EntryProblem, TombstoneProblem, TransportError};

/// The result of every fallible operation of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, on what.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An operation on a layer as a whole failed.
    #[error("cannot {operation} layer `{}`", layer.display())]
    Layer {
        /// What was to be done: `import`, `export`, `remove`, …
        operation: &'static str,
        /// The layer's folder, as given.
        layer: PathBuf,
        /// Why.
        source: Box<Error>,
    },
    /// A file or folder of the host could not be used.
    #[error("cannot {action} `{}`", path.display())]
    Io {
        /// What was to be done: `create`, `open`, `rename`, …
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The stream that a layer is read from failed.
    #[error("cannot read the layer's input")]
    Input(#[source] io::Error),
    /// The stream that a layer is written to failed.
    #[error("cannot write the layer's output")]
    Output(#[source] io::Error),
    /// A layer tar is not what it should be.
    #[error(transparent)]
    Tar(#[from] TarError),
    /// A layer breaks a rule of layers.
    #[error(transparent)]
    Rule(#[from] RuleError),
    /// The index of a layer cannot be used.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// An image cannot be read.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// A registry cannot be used.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// A folder is not a readable portable layer.
    #[error(transparent)]
    Portable(#[from] PortableError),
    /// A layer of the Host Compute Service cannot be made, read or deleted.
    #[error(transparent)]
    Hcs(#[from] HcsError),
    /// A transport folder cannot be read or made.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// A path given by the caller is not a path of a layer.
    #[error("`{path}` is not a path of a layer")]
    Path {
        /// The path as given.
        path: String,
        /// The rule it breaks.
        source: PathError,
    },
    /// A file has no such data stream.
    #[error("`{path}` has no {}", stream_name(stream.as_deref()))]
    NoStream {
        /// The file.
        path: String,
        /// The alternate stream; `None` for the unnamed data.
        stream: Option<String>,
    },
    /// Nothing is at a path of a layer or of the chain that it is on top of.
    #[error("`{path}` is not in {}", place.display())]
    NotInLayer {
        /// The path.
        path: String,
        /// Where the layer is.
        place: PathBuf,
    },
    /// The file that a hard link names is not there.
    #[error("the hard link `{path}` names `{target}`, and no layer of the chain has that file")]
    LinkTarget {
        /// The link.
        path: String,
        /// What it names.
        target: String,
    },
    /// Layers that change the registry cannot become one layer.
    #[error("the registry changes in `{hive}` of {layers} cannot be merged")]
    SeveralHives {
        /// The hive.
        hive: String,
        /// The layers that change it, as text.
        layers: String,
    },
    /// A chain has nothing on top of its base layer.
    #[error("the chain has no layer on top of its base")]
    OnlyBase,
    /// A file or folder is no layer of any kind that can be read.
    #[error("`{}` is no layer", place.display())]
    NoLayer {
        /// The file or folder.
        place: PathBuf,
    },
    /// Something is neither a file nor a folder: a pipe, a device.
    #[error("`{}` is neither a file nor a folder", place.display())]
    NotKept {
        /// What is there.
        place: PathBuf,
    },
    /// The content is not what its digest says.
    #[error("the {what} is {actual}, but {expected} was expected")]
    DigestMismatch {
        /// Which digest: `DiffID`, `digest of the source`, …
        what: &'static str,
        /// What it should be.
        expected: Digest,
        /// What it is.
        actual: Digest,
    },
    /// The digest of a blob was given for its DiffID.
    #[error("{digest} is the digest of the compressed blob; its DiffID is {diff_id}")]
    DigestForDiffId {
        /// SHA-256 of the blob.
        digest: Digest,
        /// SHA-256 of the uncompressed tar.
        diff_id: Digest,
    },
    /// The destination exists.
    #[error("`{}` exists already", path.display())]
    Exists {
        /// The destination.
        path: PathBuf,
        /// Whether it is a layer, which may be replaced on request.
        is_layer: bool,
    },
    /// Another process is importing to a path, or removing the layer there.
    #[error("another import to `{}`, or its removal, is under way", path.display())]
    Busy {
        /// The path of the layer.
        path: PathBuf,
    },
    /// A destination has no name, or no folder to be in.
    #[error("`{}` cannot be the folder of a layer", path.display())]
    Destination {
        /// The destination.
        path: PathBuf,
    },
    /// The caller asked to stop.
    #[error("cancelled")]
    Cancelled,
    /// The caller used a writer out of order.
    #[error("backup stream bytes were written without a file to hold them")]
    NoCurrentFile,
    /// The caller used a writer that had failed before.
    #[error("a layer cannot be continued after an error")]
    AfterError,
    /// The system refuses a thread or memory.
    #[error(transparent)]
    Resources(io::Error),
    /// A part of the work ended without saying why.
    #[error("an internal worker thread stopped unexpectedly")]
    WorkerLost,
}

/// What kind of failure an [`Error`] is, for programs to act on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ErrorKind {
    /// The layer's data is malformed, breaks a rule or fails a digest.
    InvalidLayer,
    /// What the caller passed cannot be.
    InvalidInput,
    /// A file or folder does not exist, or is no layer.
    NotFound,
    /// The destination exists.
    Exists,
    /// Another process is working on the layer: try again later.
    Busy,
    /// The system failed to read or write.
    Io,
    /// The caller asked to stop.
    Cancelled,
    /// The environment lacks something.
    Unsupported,
}

impl From<ServiceError> for Error {
    fn from(error: ServiceError) -> Self {
        Self::Hcs(error.into())
    }
}

impl From<PrivilegeError> for Error {
    fn from(error: PrivilegeError) -> Self {
        Self::Hcs(error.into())
    }
}

impl Error {
    /// Returns the kind of failure.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Layer { source, .. } => source.kind(),
            Self::Io { source, .. } | Self::Input(source) | Self::Output(source) => io_kind(source),
            Self::Tar(error) => error.kind(),
            Self::Rule(_) | Self::LinkTarget { .. } | Self::DigestMismatch { .. } => {
                ErrorKind::InvalidLayer
            }
            Self::SeveralHives { .. } => ErrorKind::Unsupported,
            Self::Index(error) => error.kind(),
            Self::Image(error) => error.kind(),
            Self::Registry(error) => error.kind(),
            Self::Portable(error) => error.kind(),
            Self::Hcs(error) => error.kind(),
            Self::Transport(error) => error.kind(),
            Self::Path { .. }
            | Self::NotKept { .. }
            | Self::OnlyBase
            | Self::Destination { .. }
            | Self::NoCurrentFile
            | Self::DigestForDiffId { .. }
            | Self::AfterError => ErrorKind::InvalidInput,
            Self::NoStream { .. } | Self::NotInLayer { .. } | Self::NoLayer { .. } => {
                ErrorKind::NotFound
            }
            Self::Exists { .. } => ErrorKind::Exists,
            Self::Busy { .. } => ErrorKind::Busy,
            Self::Cancelled => ErrorKind::Cancelled,
            Self::Resources(_) | Self::WorkerLost => ErrorKind::Io,
        }
    }

    /// Returns what can be done about it, as one sentence, where there is something.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Layer { source, .. } => source.hint(),
            Self::Exists { is_layer: true, .. } => Some("Pass --force to replace it.".to_owned()),
            Self::Exists {
                is_layer: false,
                path,
            } => Some(format!(
                "`{}` is no layer and is never replaced: choose another path.",
                path.display()
            )),
            Self::NotInLayer { .. } => Some("`wclayer ls` shows what is there.".to_owned()),
            Self::NoLayer { .. } => Some(
                "A layer is a folder made by `wclayer import`, a transport folder, or a layer tar \
                 (plain, gzip or zstd)."
                    .to_owned(),
            ),
            Self::LinkTarget { .. } => Some("Name every parent with -l, nearest first.".to_owned()),
            Self::SeveralHives { .. } => Some(
                "Squash fewer layers, leave the base out (--keep-base), or lose these changes \
                 (--lose-registry)."
                    .to_owned(),
            ),
            Self::Busy { .. } => Some("Wait for it to end, or choose another path.".to_owned()),
            Self::Destination { .. } => {
                Some("Name a folder that does not exist yet, such as `layers/base`.".to_owned())
            }
            Self::NotKept { .. } => {
                Some("A layer is read more than once: write it to a file first.".to_owned())
            }
            Self::Rule(error) => Some(error.rule.hint()),
            Self::Index(error) => error.hint(),
            Self::Portable(error) => error.hint(),
            Self::Hcs(error) => error.hint(),
            Self::Transport(error) => error.hint(),
            Self::Tar(error) => error.hint(),
            Self::DigestForDiffId { diff_id, .. } => Some(format!(
                "The blob is the one that you mean: give its DiffID, `--diff-id {diff_id}`."
            )),
            Self::DigestMismatch { .. } => {
                Some("The file is damaged or is another layer: fetch it again.".to_owned())
            }
            Self::Io { source, .. }
            | Self::Input(source)
            | Self::Output(source)
            | Self::Resources(source) => io_hint(source),
            _ => None,
        }
    }

    /// Says which layer's operation failed.
    pub(crate) fn of_layer(self, operation: &'static str, layer: &Path) -> Self {
        Self::Layer {
            operation,
            layer: layer.to_owned(),
            source: Box::new(self),
        }
    }
}

/// Makes an [`Error::Io`] of a system error: `.map_err(io_error("open", path))`.
pub(crate) fn io_error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::Io {
        action,
        path,
        source,
    }
}

/// Makes an [`Error::Io`] for a path below an opened folder.
pub(crate) fn entry_error<'a>(
    action: &'static str,
    folder: &'a Path,
    entry: &'a LayerPath,
) -> impl FnOnce(io::Error) -> Error + use<'a> {
    move |source| Error::Io {
        action,
        path: folder.join(entry.to_string().split('/').collect::<PathBuf>()),
        source,
    }
}

pub(crate) fn io_kind(error: &io::Error) -> ErrorKind {
    match error.kind() {
        io::ErrorKind::NotFound => ErrorKind::NotFound,
        io::ErrorKind::AlreadyExists => ErrorKind::Exists,
        io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => ErrorKind::InvalidLayer,
        io::ErrorKind::Unsupported => ErrorKind::Unsupported,
        _ => ErrorKind::Io,
    }
}

fn io_hint(error: &io::Error) -> Option<String> {
    if let Some(hint) = resources::hint(error) {
        return Some(hint.to_owned());
    }
    match error.kind() {
        io::ErrorKind::StorageFull => Some("The disk is full: free some space.".to_owned()),
        io::ErrorKind::PermissionDenied => {
            Some("The user that runs wclayer may not do this: check the permissions.".to_owned())
        }
        io::ErrorKind::IsADirectory => Some(
            "A directory is in the way, which is never replaced: move it away, or choose another \
             path."
                .to_owned(),
        ),
        _ => None,
    }
}

fn stream_name(stream: Option<&str>) -> String {
    match stream {
        Some(name) => format!("alternate data stream `{name}`"),
        None => "data".to_owned(),
    }
}
