//! The differences between two views: two layers, two chains, or one of each.
//!
//! ```text
//! View ─ walk ─┐
//!              ├─ Diff → Change (added, removed, changed and in what)
//! View ─ walk ─┘
//! ```
//!
//! Both views are walked in the same order, so memory holds only the entries of the directories on
//! the current path, and a record for each file with hard links. Content is compared by length
//! first, then by SHA-256, which comes from the index or is computed if a layer does not have it.
//! If most of the content to hash is holes, both sides are read for a hash that leaves zeros out.

mod compare;
mod content;
mod security;
mod text;
mod walks;

pub use walks::Diff;

use std::collections::BTreeSet;

use crate::hub::Progress;
use crate::view::{Node, View};

/// A property in which two entries of one path can differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Aspect {
    /// File, directory or removal.
    Kind,
    /// The letter case of the name, or of a stream's name.
    Name,
    /// The unnamed data stream.
    Content,
    /// An alternate data stream.
    Stream,
    /// The time of creation.
    CreationTime,
    /// The time of the last access.
    LastAccessTime,
    /// The time of the last write to its content.
    LastWriteTime,
    /// The time of the last change to anything in it.
    ChangeTime,
    /// The attributes.
    Attributes,
    /// The owner.
    Owner,
    /// The primary group.
    Group,
    /// The discretionary list of the security descriptor, with the flags that belong to it.
    Dacl,
    /// The system list of the security descriptor, with the flags that belong to it.
    Sacl,
    /// A security descriptor that is malformed or on one side only; in other descriptors, the
    /// control flags that belong to no part, and the resource manager byte.
    Security,
    /// The bytes of an otherwise equal security descriptor: the order of its parts, or the bytes
    /// between them.
    SecurityBytes,
    /// An extended attribute.
    Ea,
    /// The reparse point.
    Reparse,
    /// The other names of the file.
    Links,
    /// The removals from the layers below, if these are out of sight.
    Removal,
    /// Object ids and other rare records of a backup stream.
    Other,
}

impl Aspect {
    /// All aspects, in the order in which differences are reported.
    pub const ALL: [Self; 20] = [
        Self::Kind,
        Self::Name,
        Self::Content,
        Self::Stream,
        Self::CreationTime,
        Self::LastAccessTime,
        Self::LastWriteTime,
        Self::ChangeTime,
        Self::Attributes,
        Self::Owner,
        Self::Group,
        Self::Dacl,
        Self::Sacl,
        Self::Security,
        Self::SecurityBytes,
        Self::Ea,
        Self::Reparse,
        Self::Links,
        Self::Removal,
        Self::Other,
    ];

    /// Returns its name, as the command line and JSON spell it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Kind => "kind",
            Self::Name => "name",
            Self::Content => "content",
            Self::Stream => "stream",
            Self::CreationTime => "creation-time",
            Self::LastAccessTime => "access-time",
            Self::LastWriteTime => "write-time",
            Self::ChangeTime => "change-time",
            Self::Attributes => "attributes",
            Self::Owner => "owner",
            Self::Group => "group",
            Self::Dacl => "dacl",
            Self::Sacl => "sacl",
            Self::Security => "security",
            Self::SecurityBytes => "security-bytes",
            Self::Ea => "ea",
            Self::Reparse => "reparse",
            Self::Links => "links",
            Self::Removal => "removal",
            Self::Other => "other",
        }
    }
}

/// One difference between two entries of one path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The property that differs.
    pub aspect: Aspect,
    /// The name of the stream or extended attribute.
    pub name: Option<String>,
    /// The value on the left side, as text; `None` if there is none.
    pub left: Option<String>,
    /// The value on the right side, as text; `None` if there is none.
    pub right: Option<String>,
}

/// A path at which two views differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Only the right view has it.
    Added(Box<Node>),
    /// Only the left view has it.
    Removed(Box<Node>),
    /// Both views have it, with differences.
    Changed {
        /// The entry of the left view.
        left: Box<Node>,
        /// The entry of the right view.
        right: Box<Node>,
        /// The differences: at least one.
        differences: Vec<Difference>,
    },
}

/// How to compare views.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct DiffOptions {
    /// The aspects to ignore.
    pub ignore: BTreeSet<Aspect>,
}

impl DiffOptions {
    /// Sets `ignore`.
    #[must_use]
    pub fn ignore(mut self, ignore: impl IntoIterator<Item = Aspect>) -> Self {
        self.ignore = ignore.into_iter().collect();
        self
    }
}

/// Compares two views; the changes are sorted by path. The differences between two files with
/// several names are reported once, at the first name that both have; so are differences between
/// their names.
///
/// ```
/// use wclayer::ParentChain;
/// use wclayer::source::{self, OpenOptions};
/// use wclayer::diff::{Change, DiffOptions, diff};
///
/// let sample = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/sample");
/// let base = format!("{sample}/base.tar.gz");
/// let options = OpenOptions {
///     parents: ParentChain::from_nearest_first([&base]),
///     ..OpenOptions::default()
/// };
/// let after = source::open(format!("{sample}/app.tar.gz"), &options, &())?;
/// let before = source::open(&base, &OpenOptions::default(), &())?;
/// let options = DiffOptions::default();
/// let changes: Vec<Change> = diff(&before, &after, &options, &()).collect::<Result<_, _>>()?;
/// assert!(changes.iter().any(|change| matches!(change, Change::Added(node)
///     if node.path.to_string() == "Files/ProgramData/State/third.json")));
/// # Ok::<(), wclayer::Error>(())
/// ```
pub fn diff<'a>(
    left: &'a View,
    right: &'a View,
    options: &'a DiffOptions,
    progress: &'a dyn Progress,
) -> Diff<'a> {
    Diff::new(left, right, options, progress)
}
