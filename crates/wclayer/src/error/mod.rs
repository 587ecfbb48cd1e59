//! The errors of this crate.
//!
//! [`Error`] reports what failed and where; each area has a closed type of its own below it, found
//! through [`std::error::Error::source`]. Programs act on [`Error::kind`] and on the variants. No
//! code matches on a message, and no error advises its user: advice names options and commands,
//! which only the program that is run knows.

mod cancelled;
mod cause;
mod hcs;
mod hresult;
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

use crate::digest::{DiffId, Digest};
use crate::kind::{Kind, Needed};
use crate::path::{LayerPath, PathError};
use crate::rules::{Breach, RuleError};

pub use cause::FailureCause;
pub use hcs::{HcsError, ServiceError, WindowsError};
pub use hresult::HResult;
pub use image::ImageError;
pub use index::{IndexError, SystemFailure};
pub use portable::{OtherDiffIds, PortableError};
pub use privilege::{Privilege, PrivilegeError};
pub use registry::RegistryError;
pub use tar::{TarError, TarProblem};
pub use transport::{EntryProblem, TombstoneProblem, TransportError};

/// The result of every fallible operation of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, and where.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An operation on a layer as a whole failed.
    #[error("cannot {operation} layer `{layer}`")]
    Layer {
        /// The operation: `import`, `export`, `remove`, …
        operation: &'static str,
        /// The layer, as its user named it.
        layer: String,
        /// Why.
        source: Box<Error>,
    },
    /// A file or folder of the host could not be used.
    #[error("cannot {action} `{}`", path.display())]
    Io {
        /// The action: `create`, `open`, `rename`, …
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
    /// The input that a layer is read from failed.
    #[error("cannot read the layer's input")]
    Input(#[source] io::Error),
    /// The output that a layer is written to failed.
    #[error("cannot write the layer's output")]
    Output(#[source] io::Error),
    /// A layer tar is malformed.
    #[error(transparent)]
    Tar(TarError),
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
    /// A Windows layer cannot be created, read or deleted.
    #[error(transparent)]
    Hcs(#[from] HcsError),
    /// A transport folder cannot be read or created.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// The caller gave a path that no layer can hold.
    #[error("`{path}` is not a path of a layer")]
    Path {
        /// The path as given.
        path: String,
        /// The rule it breaks.
        source: PathError,
    },
    /// A file does not have the data stream that was asked for.
    #[error("`{path}` has no {}", stream_name(stream.as_deref()))]
    NoStream {
        /// The file.
        path: String,
        /// The alternate stream; `None` for the unnamed data.
        stream: Option<String>,
    },
    /// Nothing is at a path of a layer or of the chain that it is on top of.
    #[error("`{path}` is not in `{layer}`")]
    NotInLayer {
        /// The path.
        path: String,
        /// The layer, as its user named it.
        layer: String,
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
    /// A layer, or the folder that should hold layers, does not exist.
    #[error("`{name}` does not exist")]
    NotFound {
        /// What the user named.
        name: String,
    },
    /// Something that is not a layer was given for one.
    #[error("`{name}` is not a layer: it is {kind}")]
    NotALayer {
        /// What the user named.
        name: String,
        /// What it is.
        kind: Kind,
    },
    /// A layer is not of the kind that the operation works on.
    #[error("`{layer}` is {kind}, {needed}")]
    WrongKind {
        /// The layer, as its user named it.
        layer: String,
        /// What it is.
        kind: Kind,
        /// What it should be.
        needed: Needed,
    },
    /// The content does not match its digest.
    #[error("the {what} is {actual}, but {expected} was expected")]
    DigestMismatch {
        /// The name of the digest: `DiffID`, `digest of the source`, …
        what: &'static str,
        /// The digest that was expected.
        expected: Digest,
        /// The digest of the content.
        actual: Digest,
    },
    /// The digest of a blob was given instead of its DiffID.
    #[error("{digest} is the digest of the compressed blob; its DiffID is {diff_id}")]
    DigestForDiffId {
        /// SHA-256 of the blob.
        digest: Digest,
        /// SHA-256 of the uncompressed tar.
        diff_id: DiffId,
    },
    /// The destination exists.
    #[error("`{}` already exists", path.display())]
    Exists {
        /// The destination.
        path: PathBuf,
        /// Whether it is a layer, which can be replaced on request.
        is_layer: bool,
    },
    /// Another process is importing to a path, or removing the layer there.
    #[error("another process is importing to `{}` or removing it", path.display())]
    Busy {
        /// The path of the layer.
        path: PathBuf,
    },
    /// A destination has no name, or no folder that could contain it.
    #[error("`{}` cannot be the folder of a layer", path.display())]
    Destination {
        /// The destination.
        path: PathBuf,
    },
    /// The caller asked the operation to stop.
    #[error("cancelled")]
    Cancelled,
    /// The caller used a writer out of order.
    #[error("backup stream bytes were written without a file to hold them")]
    NoCurrentFile,
    /// The caller used a writer after it had failed.
    #[error("a writer cannot be used after an error")]
    AfterError,
    /// The system refused a thread or memory.
    #[error(transparent)]
    Resources(io::Error),
    /// A thread of the operation ended without a result.
    #[error("an internal worker thread stopped unexpectedly")]
    WorkerLost,
}

/// The kind of failure that an [`Error`] is, for programs to act on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ErrorKind {
    /// The layer's data is malformed, breaks a rule or does not match a digest.
    InvalidLayer,
    /// The caller passed something that cannot work.
    InvalidInput,
    /// A file or folder does not exist, or is not a layer.
    NotFound,
    /// The destination exists.
    Exists,
    /// Another process is working on the layer: try again later.
    Busy,
    /// The system failed to read or write.
    Io,
    /// The caller asked the operation to stop.
    Cancelled,
    /// This machine, or this build, does not support it.
    Unsupported,
}

impl From<TarError> for Error {
    fn from(error: TarError) -> Self {
        match &error.problem {
            TarProblem::Io(source) if cancelled::is_cancelled(source) => Self::Cancelled,
            _ => Self::Tar(error),
        }
    }
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

impl Breach {
    /// Returns the error of a writer for an entry that breaks the rule.
    pub(crate) fn broken_by(self, entry: &LayerPath) -> Error {
        self.of(entry, None).into()
    }
}

impl Error {
    /// Returns the kind of failure.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Layer { source, .. } => source.kind(),
            Self::Io { source, .. } | Self::Input(source) | Self::Output(source) => io_kind(source),
            Self::Tar(error) => error.kind(),
            Self::Rule(_) | Self::DigestMismatch { .. } => ErrorKind::InvalidLayer,
            Self::SeveralHives { .. } => ErrorKind::Unsupported,
            Self::Index(error) => error.kind(),
            Self::Image(error) => error.kind(),
            Self::Registry(error) => error.kind(),
            Self::Portable(error) => error.kind(),
            Self::Hcs(error) => error.kind(),
            Self::Transport(error) => error.kind(),
            Self::Path { .. }
            | Self::WrongKind { .. }
            | Self::OnlyBase
            | Self::Destination { .. }
            | Self::NoCurrentFile
            | Self::DigestForDiffId { .. }
            | Self::AfterError => ErrorKind::InvalidInput,
            Self::NoStream { .. }
            | Self::NotInLayer { .. }
            | Self::NotFound { .. }
            | Self::NotALayer { .. } => ErrorKind::NotFound,
            Self::Exists { .. } => ErrorKind::Exists,
            Self::Busy { .. } => ErrorKind::Busy,
            Self::Cancelled => ErrorKind::Cancelled,
            Self::Resources(_) | Self::WorkerLost => ErrorKind::Io,
        }
    }

    /// Makes an error of what a layer's input returned: [`Error::Cancelled`] if the input stopped
    /// because the caller asked it to, [`Error::Input`] otherwise.
    pub fn input(error: io::Error) -> Self {
        match cancelled::is_cancelled(&error) {
            true => Self::Cancelled,
            false => Self::Input(error),
        }
    }

    /// Names the operation that failed and its layer. [`Error::Cancelled`] stays as it is: nothing
    /// failed.
    pub fn of_layer(self, operation: &'static str, layer: &Path) -> Self {
        match self {
            Self::Cancelled => self,
            source => Self::Layer {
                operation,
                layer: layer.display().to_string(),
                source: Box::new(source),
            },
        }
    }
}

/// Makes an [`Error::Io`] from a system error: `.map_err(io_error("open", path))`.
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

/// Returns the rule of the table that an error reports.
#[cfg(test)]
pub(crate) fn rule_of(error: &Error) -> Option<crate::rules::Rule> {
    match error {
        Error::Rule(error) => error.breach.rule(),
        _ => None,
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

fn stream_name(stream: Option<&str>) -> String {
    match stream {
        Some(name) => format!("alternate data stream `{name}`"),
        None => "data".to_owned(),
    }
}
