//! Errors of Windows layers, which the Host Compute Service manages.

use std::path::{Path, PathBuf};

use super::PrivilegeError;
use super::cause::FailureCause;
use super::hresult::HResult;
use crate::error::ErrorKind;
use crate::path::LayerPath;

/// A failure that Windows reported.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message} (HRESULT {hresult})")]
pub struct WindowsError {
    /// The code.
    pub hresult: HResult,
    /// Windows' message for it, or ours on other systems.
    pub message: String,
}

impl WindowsError {
    /// Explains a code by the table of this crate; `windows/` asks the system first.
    pub fn new(hresult: HResult) -> Self {
        let message = super::messages::known(hresult).unwrap_or("The call failed.");
        Self {
            hresult,
            message: message.to_owned(),
        }
    }
}

/// A call of the service failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServiceError {
    /// The DLL does not have the function.
    #[error("{dll} does not have {function}")]
    Missing {
        /// The function.
        function: &'static str,
        /// The DLL.
        dll: &'static str,
    },
    /// The function returned a failure.
    #[error("{function} ({dll}) failed on {on}")]
    Failed {
        /// The function.
        function: &'static str,
        /// The DLL.
        dll: &'static str,
        /// The object that it was called with: ``layer `C:\layers\app` ``.
        on: String,
        /// The cause, if it was found.
        cause: Option<Box<FailureCause>>,
        /// The failure that Windows reported.
        source: WindowsError,
    },
}

impl ServiceError {
    /// Returns the code, if the function was called.
    pub fn hresult(&self) -> Option<HResult> {
        match self {
            Self::Missing { .. } => None,
            Self::Failed { source, .. } => Some(source.hresult),
        }
    }
}

/// The reason why a Windows layer cannot be created, read or deleted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HcsError {
    /// A call of the service failed.
    #[error(transparent)]
    Service(#[from] ServiceError),
    /// A privilege is not held.
    #[error(transparent)]
    Privilege(#[from] PrivilegeError),
    /// The service is not on this machine.
    #[error("the Host Compute Service is not on this machine: {dll} cannot be loaded")]
    NoService {
        /// The DLL.
        dll: &'static str,
    },
    /// A parent's folder has no name from which an id could be made.
    #[error("the parent `{}` cannot be the folder of a layer", parent.display())]
    ParentName {
        /// The parent as given.
        parent: PathBuf,
    },
    /// The remains of a failed import could not be deleted.
    #[error("the unfinished layer `{}` could not be deleted ({deletion})", path.display())]
    LeftBehind {
        /// The folder.
        path: PathBuf,
        /// Why it could not be deleted.
        deletion: Box<crate::Error>,
        /// Why the layer is unfinished.
        source: Box<crate::Error>,
    },
    /// The destination of an import is not an empty folder.
    #[error("`{}` already exists and is not an empty folder", path.display())]
    NotEmpty {
        /// The destination.
        path: PathBuf,
    },
    /// A path does not end in a name that a layer could have.
    #[error("`{}` cannot be the folder of a layer", path.display())]
    LayerName {
        /// The path as given.
        path: PathBuf,
    },
    /// `DestroyLayer` reported success, but part of the layer still exists.
    #[error("the service reported success, but `{}` still exists", layer.display())]
    StillThere {
        /// The layer's folder.
        layer: PathBuf,
    },
    /// A scratch layer needs a parent.
    #[error("a scratch layer needs at least one parent layer")]
    NoParents,
    /// An import to this folder, or its removal, was killed before it was complete.
    #[error("the layer `{}` is incomplete: its import or removal was interrupted", path.display())]
    Incomplete {
        /// The folder.
        path: PathBuf,
    },
    /// A folder cannot be turned into a base layer.
    #[error("`{}` cannot become a base layer: {why}", path.display())]
    BaseLayer {
        /// The folder or file that is wrong.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// The scratch layer's mount path is not a volume, and cannot be mounted at a folder.
    #[error("`{mount_path}` is not a volume and cannot be mounted at a folder")]
    NoVolume {
        /// The result of `GetLayerMountPath`.
        mount_path: String,
    },
    /// The backup stream of an entry is malformed, or too large to be examined.
    #[error("the backup stream of `{entry}` cannot be read")]
    Stream {
        /// The entry.
        entry: LayerPath,
        /// Why.
        source: ntmeta::Error,
    },
}

impl HcsError {
    /// Makes the error for a layer that `source` left unfinished and that could not be deleted.
    pub(crate) fn left_behind(
        path: &Path,
        deletion: crate::Error,
        source: crate::Error,
    ) -> crate::Error {
        Self::LeftBehind {
            path: path.to_owned(),
            deletion: Box::new(deletion),
            source: Box::new(source),
        }
        .into()
    }

    /// Returns the kind of failure.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Service(ServiceError::Missing { .. }) | Self::NoService { .. } => {
                ErrorKind::Unsupported
            }
            Self::Service(error) => match error.hresult().and_then(HResult::win32) {
                Some(2 | 3) => ErrorKind::NotFound,
                Some(80 | 183) => ErrorKind::Exists,
                _ => ErrorKind::Io,
            },
            Self::Privilege(_) | Self::LeftBehind { .. } | Self::StillThere { .. } => ErrorKind::Io,
            Self::NotEmpty { .. } => ErrorKind::Exists,
            Self::LayerName { .. }
            | Self::ParentName { .. }
            | Self::BaseLayer { .. }
            | Self::NoVolume { .. }
            | Self::NoParents => ErrorKind::InvalidInput,
            Self::Stream { .. } | Self::Incomplete { .. } => ErrorKind::InvalidLayer,
        }
    }
}
