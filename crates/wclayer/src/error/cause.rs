//! [`FailureCause`]: the reason behind a failed call of the service.

use std::path::PathBuf;

use super::Privilege;

/// Why a call of the service failed, where its code does not say; found by
/// [`hcs::explain`](crate::hcs::explain).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FailureCause {
    /// A parent is missing.
    #[error("the parent layer `{}` does not exist", parent.display())]
    ParentMissing {
        /// The parent's folder.
        parent: PathBuf,
    },
    /// A parent is a file.
    #[error("the parent `{}` is a file, not the folder of a layer", parent.display())]
    ParentIsFile {
        /// The file.
        parent: PathBuf,
    },
    /// The import of a parent was interrupted.
    #[error("the import of the parent layer `{}` was interrupted", parent.display())]
    ParentIncomplete {
        /// The parent's folder.
        parent: PathBuf,
    },
    /// A parent is not a Windows layer.
    #[error("the parent layer `{}` has no `Files` folder, so Windows did not make it", parent.display())]
    ParentWithoutFiles {
        /// The parent's folder.
        parent: PathBuf,
    },
    /// The transport folder is missing.
    #[error("the transport folder `{}` does not exist", folder.display())]
    TransportFolderMissing {
        /// The transport folder.
        folder: PathBuf,
    },
    /// The folder to import is not a transport folder.
    #[error("`{}` has no `Files` folder, so it is not a transport folder", folder.display())]
    NotATransportFolder {
        /// The folder.
        folder: PathBuf,
    },
    /// The transport folder lacks a hive that `HcsImportLayer` requires.
    #[error("`{}` has no hive `{hive}`, and HcsImportLayer requires all five", folder.display())]
    HiveMissing {
        /// The transport folder.
        folder: PathBuf,
        /// The name of the hive.
        hive: &'static str,
    },
    /// The folder that is to hold the layer is missing.
    #[error("the folder `{}`, in which to create the layer, does not exist", folder.display())]
    FolderMissing {
        /// The folder.
        folder: PathBuf,
    },
    /// The layer is missing.
    #[error("the layer `{}` does not exist", layer.display())]
    LayerMissing {
        /// The layer's folder.
        layer: PathBuf,
    },
    /// The folder is not a layer.
    #[error("`{}` has neither `sandbox.vhdx` nor `Files`, so it is not a layer", layer.display())]
    NotALayer {
        /// The folder.
        layer: PathBuf,
    },
    /// A path is longer than many calls of Windows accept.
    #[error("the path `{}` may be too long for Windows", path.display())]
    PathTooLong {
        /// The path.
        path: PathBuf,
    },
    /// The disk is nearly full.
    #[error("only {free_mib} MiB are free where `{}` is", folder.display())]
    LittleSpace {
        /// The free space in MiB.
        free_mib: u64,
        /// A folder on the disk.
        folder: PathBuf,
    },
    /// The disk is full, by the code of the call.
    #[error("the disk is full")]
    DiskFull,
    /// The process lacks a privilege.
    #[error("the process does not hold {0} ({title})", title = .0.title())]
    Privilege(Privilege),
    /// The process lacks a privilege, by the code of the call.
    #[error("the process does not hold a privilege that the call needs")]
    SomePrivilege,
    /// A path or name cannot be passed to Windows.
    #[error("the path or name contains a NUL character")]
    Nul,
}
