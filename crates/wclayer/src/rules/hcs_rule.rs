//! [`HcsRule`]: the rules of the writers and readers of Windows.

use std::path::PathBuf;

use crate::path::LayerPath;

/// A rule of the writers and readers of Windows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HcsRule {
    /// A removal in a layer without parents.
    #[error("a base layer has no parent to remove something from")]
    RemovalInBaseLayer,
    /// A removal that is not below `Files` or `UtilityVM/Files`.
    #[error("only what is below `Files` or `UtilityVM/Files` can be removed")]
    RemovalOutside,
    /// A removal in the utility VM of something that is not there.
    #[error("the parent's utility VM has nothing there to remove")]
    RemovalOfNothing,
    /// A link from or to what is neither below `Files` nor below `UtilityVM/Files`.
    #[error(
        "it is a hard link to `{target}`: hard links lead from and to paths below `Files` or `UtilityVM/Files` only"
    )]
    LinkOutside {
        /// The target.
        target: LayerPath,
    },
    /// A link whose target is nowhere.
    #[error("the target `{target}` of the hard link is neither in this layer nor in a parent")]
    LinkTargetMissing {
        /// The target.
        target: LayerPath,
    },
    /// A link to a directory.
    #[error("the target `{target}` of the hard link is a directory")]
    LinkToDirectory {
        /// The target.
        target: LayerPath,
    },
    /// An opaque whiteout with the filter writer, which has no call for it.
    #[error("the filter writer (ImportLayerNext) cannot empty a directory")]
    OpaqueWithFilter,
    /// A hard link with the filter writer, which has no call for it.
    #[error("the filter writer (ImportLayerNext) cannot make hard links")]
    LinkWithFilter,
    /// `UtilityVM` as a file.
    #[error("`UtilityVM` must be a directory")]
    UtilityVmNoDirectory,
    /// Something below `UtilityVM` before that directory.
    #[error("the entry `UtilityVM` must come before what is below it")]
    UtilityVmMissing,
    /// Something below `UtilityVM` that is not below `UtilityVM/Files`.
    #[error("below `UtilityVM` only `UtilityVM/Files` is allowed")]
    OutsideUtilityVmFiles,
    /// A utility VM on top of a parent that has none.
    #[error("the nearest parent `{}` has no `UtilityVM/Files` to start from", parent.display())]
    ParentUtilityVmMissing {
        /// The parent's folder.
        parent: PathBuf,
    },
    /// A reparse point where a directory must be.
    #[error("`{path}` is a reparse point, which is never followed")]
    ReparsePointInWay {
        /// The reparse point.
        path: LayerPath,
    },
    /// Something below a file.
    #[error("`{path}` is a file, so nothing can lie below it")]
    FileInWay {
        /// The file.
        path: LayerPath,
    },
    /// Two entries of one name and different kinds.
    #[error("the layer has the path already, as another kind of entry")]
    DuplicateOfOtherKind,
    /// A name that the transport format needs for itself.
    #[error("the name is reserved: in a transport folder it describes the layer")]
    ReservedName,
}
