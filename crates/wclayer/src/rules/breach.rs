//! [`Breach`]: how an entry breaks a rule that every import enforces.

use crate::path::LayerPath;

/// Names an entry and its place in the tar, for messages.
pub(crate) fn place(entry: &str, offset: u64) -> String {
    if entry.is_empty() {
        format!("at byte {offset:#x} of the tar")
    } else {
        format!("entry `{entry}` at byte {offset:#x} of the tar")
    }
}

/// An entry that breaks a rule of layers.
#[derive(Debug, thiserror::Error)]
#[error("{}", place(entry, *offset))]
pub struct RuleError {
    /// The entry's path.
    pub entry: String,
    /// Where its first header block starts, in bytes from the start of the uncompressed tar.
    pub offset: u64,
    /// The rule.
    #[source]
    pub rule: Breach,
}

/// A rule that every layer keeps.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Breach {
    /// A hard link names a file of the layer or of a parent.
    #[error("the hard link's target `{target}` is neither in this layer nor in its parents")]
    LinkTargetMissing {
        /// The target.
        target: String,
    },
    /// A hard link names a file, not a directory.
    #[error("the hard link's target `{target}` is a directory")]
    LinkToDirectory {
        /// The target.
        target: String,
    },
    /// Hard links end at a file.
    #[error("the hard link's target `{target}` leads in a circle and to no file")]
    LinkLoop {
        /// The target.
        target: String,
    },
    /// Not too many hard links lead one over the other.
    #[error("between the hard link's target `{target}` and its file are more than 1,023 links")]
    LinkChainTooLong {
        /// The target.
        target: String,
    },
    /// Only layers with parents remove something.
    #[error("a layer without parents has nothing to remove")]
    RemovalInBaseLayer,
    /// Entries lie in directories.
    #[error("it lies below `{file}`, which is no directory")]
    BelowFile {
        /// The file.
        file: String,
    },
    /// Nothing is reached through a reparse point.
    #[error("it lies below `{reparse_point}`, which is a reparse point")]
    BelowReparsePoint {
        /// The reparse point.
        reparse_point: String,
    },
    /// A path that comes twice is the same kind of thing both times.
    #[error("it is {second}, but the same path is {first} at byte {first_offset:#x}")]
    DuplicateOfOtherKind {
        /// What the first one is.
        first: &'static str,
        /// Where the first one is.
        first_offset: u64,
        /// What this one is.
        second: &'static str,
    },
}

impl Breach {
    /// Returns the rule that entries below a path break; `None` below a plain directory.
    pub(crate) fn below(
        path: &LayerPath,
        is_directory: bool,
        is_reparse_point: bool,
    ) -> Option<Self> {
        let name = path.to_string();
        if is_reparse_point {
            let reparse_point = name;
            return Some(Self::BelowReparsePoint { reparse_point });
        }
        (!is_directory).then_some(Self::BelowFile { file: name })
    }
}
