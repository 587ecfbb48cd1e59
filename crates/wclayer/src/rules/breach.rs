//! [`Breach`]: how an entry breaks a rule, in the words that every writer and `validate` use.

use super::Rule;
use crate::path::LayerPath;

/// Names an entry and its position in the tar, for messages.
pub(crate) fn place(entry: &str, offset: Option<u64>) -> String {
    match (entry.is_empty(), offset) {
        (true, None) => "the layer".to_owned(),
        (true, Some(offset)) => format!("at byte {offset:#x} of the tar"),
        (false, None) => format!("entry `{entry}`"),
        (false, Some(offset)) => format!("entry `{entry}` at byte {offset:#x} of the tar"),
    }
}

/// An entry that breaks a rule of layers.
#[derive(Debug, thiserror::Error)]
#[error("{}", place(entry, *offset))]
pub struct RuleError {
    /// The entry's path.
    pub entry: String,
    /// Where its first header block starts, in bytes from the start of the uncompressed tar;
    /// `None` if the entry does not come from a tar, or its writer does not know.
    pub offset: Option<u64>,
    /// How it breaks the rule.
    #[source]
    pub breach: Breach,
}

/// How an entry breaks a rule of layers.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Breach {
    /// A hard link to a path at which neither the layer nor a parent has anything.
    #[error("the hard link's target `{target}` is neither in this layer nor in its parents")]
    LinkTargetMissing {
        /// The target.
        target: LayerPath,
    },
    /// A hard link to a directory.
    #[error("the hard link's target `{target}` is a directory")]
    LinkToDirectory {
        /// The target.
        target: LayerPath,
    },
    /// Hard links that lead to one another and never to a file.
    #[error("the hard link's target `{target}` leads into a loop of hard links")]
    LinkLoop {
        /// The target.
        target: LayerPath,
    },
    /// More hard links in a row than a file can have names.
    #[error("more than 1,023 hard links lead from the target `{target}` to its file")]
    LinkChainTooLong {
        /// The target.
        target: LayerPath,
    },
    /// A hard link from or to a path outside `Files` and `UtilityVM/Files`.
    #[error(
        "it is a hard link to `{target}`, but both names must be below `Files` or \
         `UtilityVM/Files`"
    )]
    LinkOutside {
        /// The target.
        target: LayerPath,
    },
    /// A hard link for the filter writer, which has no call for it.
    #[error("the filter writer (ImportLayerNext) cannot create hard links")]
    LinkWithFilter,
    /// A removal in a layer without parents.
    #[error("a layer without parents has nothing to remove")]
    RemovalInBaseLayer,
    /// A removal of a path outside `Files` and `UtilityVM/Files`.
    #[error("only paths below `Files` or `UtilityVM/Files` can be removed")]
    RemovalOutside,
    /// A removal of a path outside `Files`, for a transport folder.
    #[error("a transport folder can only remove paths below `Files`")]
    RemovalOutsideFiles,
    /// A removal of a name with a line break, for a transport folder.
    #[error("`tombstones.txt` cannot hold a name with a line break")]
    RemovalWithLineBreak,
    /// A removal of a path that the parents' utility VM does not have.
    #[error("the parents' utility VM has nothing at this path to remove")]
    RemovalOfNothing,
    /// An opaque directory for the filter writer, which has no call for it.
    #[error("the filter writer (ImportLayerNext) cannot make a directory opaque")]
    OpaqueWithFilter,
    /// An entry below something that is not a directory.
    #[error("it is below `{file}`, which is not a directory")]
    BelowFile {
        /// The file.
        file: LayerPath,
    },
    /// An entry below a reparse point, which is never followed.
    #[error("it is below `{reparse_point}`, which is a reparse point")]
    BelowReparsePoint {
        /// The reparse point.
        reparse_point: LayerPath,
    },
    /// A reparse point at a path below which the layer has already put something.
    #[error("it is a reparse point, but the layer has entries below it")]
    ReparsePointWithContents,
    /// A reparse point outside `Files` and `UtilityVM/Files`, where Windows would follow it.
    #[error("reparse points are only allowed below `Files` or `UtilityVM/Files`")]
    ReparsePointOutside,
    /// Two entries at one path that are different kinds of thing.
    #[error("it is {second}, but another entry at the same path is {first}{}", at(*first_offset))]
    DuplicateOfOtherKind {
        /// The kind of the other entry, with its article.
        first: &'static str,
        /// The offset of the other entry, where there is a tar.
        first_offset: Option<u64>,
        /// The kind of this entry, with its article.
        second: &'static str,
    },
    /// A directory with data, which would be lost.
    #[error("its attributes make it a directory, but it has data")]
    DirectoryWithData,
    /// A directory of the layout that is something else.
    #[error("`{path}` must be a plain directory")]
    NotAPlainDirectory {
        /// The path: `Files`, `Hives`, `UtilityVM` or `UtilityVM/Files`.
        path: LayerPath,
    },
    /// An entry below `UtilityVM` before that directory.
    #[error("the entry `UtilityVM` must come before the entries below it")]
    UtilityVmMissing,
    /// An entry below `UtilityVM` that is not in `UtilityVM/Files`.
    #[error("below `UtilityVM`, only `UtilityVM/Files` is allowed")]
    OutsideUtilityVmFiles,
    /// A utility VM on top of a parent without one.
    #[error("the nearest parent has no utility VM (`UtilityVM/Files`) to start from")]
    ParentUtilityVmMissing,
    /// A name that the transport format uses itself.
    #[error("the name is reserved: in a transport folder it describes the layer")]
    ReservedName,
}

fn at(offset: Option<u64>) -> String {
    offset.map_or_else(String::new, |offset| format!(" (at byte {offset:#x})"))
}

impl Breach {
    /// Returns the rule that entries below a path break; `None` below a plain directory.
    pub(crate) fn below(
        path: &LayerPath,
        is_directory: bool,
        is_reparse_point: bool,
    ) -> Option<Self> {
        let path = path.clone();
        match (is_directory, is_reparse_point) {
            (_, true) => Some(Self::BelowReparsePoint {
                reparse_point: path,
            }),
            (false, false) => Some(Self::BelowFile { file: path }),
            (true, false) => None,
        }
    }

    /// Returns the rule of the table; `None` for a restriction of one writer, which `validate`
    /// does not check.
    pub fn rule(&self) -> Option<Rule> {
        Some(match self {
            Self::LinkTargetMissing { .. } => Rule::LinkTargetMissing,
            Self::LinkToDirectory { .. } => Rule::LinkToDirectory,
            Self::LinkLoop { .. } => Rule::LinkLoop,
            Self::LinkChainTooLong { .. } => Rule::LinkTooMany,
            Self::LinkOutside { .. } => Rule::LinkOutside,
            Self::RemovalInBaseLayer => Rule::WhiteoutInBase,
            Self::RemovalOutside => Rule::WhiteoutPlace,
            Self::RemovalWithLineBreak => Rule::PathCharacter,
            Self::RemovalOfNothing => Rule::WhiteoutUtilityVm,
            Self::BelowFile { .. } => Rule::BelowFile,
            Self::BelowReparsePoint { .. } | Self::ReparsePointWithContents => {
                Rule::BelowReparsePoint
            }
            Self::DuplicateOfOtherKind { .. } => Rule::DuplicateKind,
            Self::DirectoryWithData => Rule::AttributesKind,
            Self::NotAPlainDirectory { path } if is_in_utility_vm(path) => Rule::UtilityVmKind,
            Self::NotAPlainDirectory { .. } => Rule::TopLevelKind,
            Self::UtilityVmMissing => Rule::ChildBeforeParent,
            Self::OutsideUtilityVmFiles => Rule::UtilityVmName,
            Self::ParentUtilityVmMissing => Rule::UtilityVmParent,
            Self::ReservedName => Rule::PathTransportName,
            Self::LinkWithFilter
            | Self::OpaqueWithFilter
            | Self::RemovalOutsideFiles
            | Self::ReparsePointOutside => return None,
        })
    }

    /// Leaves out the offset of another entry, which means nothing without a tar.
    pub(crate) fn without_offset(mut self) -> Self {
        if let Self::DuplicateOfOtherKind { first_offset, .. } = &mut self {
            *first_offset = None;
        }
        self
    }

    /// Reports which entry breaks the rule, and where it is in the tar.
    pub(crate) fn of(self, entry: &LayerPath, offset: Option<u64>) -> RuleError {
        RuleError {
            entry: entry.to_string(),
            offset,
            breach: self,
        }
    }
}

fn is_in_utility_vm(path: &LayerPath) -> bool {
    let top = path.components().next();
    top.is_some_and(|top| top.eq_ignore_ascii_case(b"UtilityVM"))
}
