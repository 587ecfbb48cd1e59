//! What can go wrong with the layers of the Host Compute Service.

use std::path::{Path, PathBuf};

use super::PrivilegeError;
use super::cause::FailureCause;
use super::hresult::HResult;
use crate::error::ErrorKind;
use crate::path::LayerPath;
use crate::rules::HcsRule;

/// What Windows said.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message} (HRESULT {hresult})")]
pub struct WindowsError {
    /// The code.
    pub hresult: HResult,
    /// Windows' sentence for it, or ours where Windows is not there to ask.
    pub message: String,
}

impl WindowsError {
    /// Explains a code with what this crate knows itself; `windows/` asks the system first.
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
    /// The DLL does not have it.
    #[error("{dll} does not have {function}")]
    Missing {
        /// The call.
        function: &'static str,
        /// The DLL.
        dll: &'static str,
    },
    /// It returned a failure.
    #[error("{function} ({dll}) failed on {on}")]
    Failed {
        /// The call.
        function: &'static str,
        /// The DLL.
        dll: &'static str,
        /// What it was called with: ``layer `C:\layers\app` ``.
        on: String,
        /// The reason, when it was found.
        cause: Option<Box<FailureCause>>,
        /// What Windows said.
        source: WindowsError,
    },
}

impl ServiceError {
    /// Returns the code, when the call was made.
    pub fn hresult(&self) -> Option<HResult> {
        match self {
            Self::Missing { .. } => None,
            Self::Failed { source, .. } => Some(source.hresult),
        }
    }
}

/// Why a layer of the Host Compute Service cannot be made, read or deleted.
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
    /// A parent's folder has no name to make an id of.
    #[error("the parent `{}` cannot be the folder of a layer", parent.display())]
    ParentName {
        /// The parent as given.
        parent: PathBuf,
    },
    /// An entry cannot be written; the rule it breaks is the source.
    #[error("entry `{entry}`: {rule}")]
    Entry {
        /// The entry.
        entry: LayerPath,
        /// The rule.
        rule: HcsRule,
    },
    /// What a failed import left could not be deleted.
    #[error("the unfinished layer `{}` could not be deleted ({deletion})", path.display())]
    LeftBehind {
        /// The folder.
        path: PathBuf,
        /// Why it could not be deleted.
        deletion: Box<crate::Error>,
        /// Why the layer is unfinished.
        source: Box<crate::Error>,
    },
    /// A folder that a layer is to be imported to has something in it, or is none.
    #[error("`{}` is there already and no empty folder", path.display())]
    NotEmpty {
        /// What is there.
        path: PathBuf,
    },
    /// A path has no name that a layer could have.
    #[error("`{}` cannot be the folder of a layer", path.display())]
    LayerName {
        /// The path as given.
        path: PathBuf,
    },
    /// `DestroyLayer` reported success, but something of the layer is there.
    #[error("the service reported success, but `{}` is still there", layer.display())]
    StillThere {
        /// The layer's folder.
        layer: PathBuf,
    },
    /// A scratch layer on top of nothing.
    #[error("a scratch layer needs at least one parent layer")]
    NoParents,
    /// An import to this folder, or its removal, was killed before it was complete.
    #[error("the layer `{}` is incomplete: its import or removal was interrupted", path.display())]
    Incomplete {
        /// The folder.
        path: PathBuf,
    },
    /// A folder is not what a base layer can be made of.
    #[error("`{}` cannot become a base layer: {why}", path.display())]
    BaseLayer {
        /// The folder or file that is wrong.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// The scratch layer's mount path is no volume, and cannot appear at a folder.
    #[error("`{mount_path}` is no volume and cannot be mounted at a folder")]
    NoVolume {
        /// What `GetLayerMountPath` returned.
        mount_path: String,
    },
    /// The backup stream of an entry is malformed or too large to be looked at.
    #[error("the backup stream of `{entry}` cannot be read")]
    Stream {
        /// The entry.
        entry: LayerPath,
        /// Why.
        source: ntmeta::Error,
    },
}

impl HcsRule {
    /// Says which entry breaks the rule.
    pub(crate) fn broken_by(self, entry: &LayerPath) -> crate::Error {
        HcsError::Entry {
            entry: entry.clone(),
            rule: self,
        }
        .into()
    }
}

impl HcsError {
    /// Says that a layer is unfinished because of `source`, and could not be deleted either.
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
            Self::Entry { .. } | Self::Stream { .. } | Self::Incomplete { .. } => {
                ErrorKind::InvalidLayer
            }
        }
    }
}
