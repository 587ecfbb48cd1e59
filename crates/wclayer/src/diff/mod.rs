//! What differs between two views: two layers, two chains, or one of each.
//!
//! ```text
//! View ─ walk ─┐
//!              ├─ Diff → Change (added, removed, changed and in what)
//! View ─ walk ─┘
//! ```
//!
//! Both views are walked in the same order, so that only the entries of the directories on the way
//! are held, and a record for each file that has hard links. Content is compared by length first,
//! then by SHA-256: of the index, or computed where a layer does not know it. Where that would mean
//! to hash holes for the most part, both sides are read for a hash that leaves zeros out.

mod compare;
mod content;
mod security;
mod text;
mod walks;

pub use walks::Diff;

use std::collections::BTreeSet;

use crate::hub::Progress;
use crate::view::{Node, View};

/// In what two entries of one path can differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Aspect {
    /// File, directory or removal.
    Kind,
    /// The spelling of the name, or of a stream's: upper and lower case.
    Name,
    /// The unnamed data stream.
    Content,
    /// An alternate data stream.
    Stream,
    /// When it was made.
    CreationTime,
    /// When it was read last.
    LastAccessTime,
    /// When its content changed last.
    LastWriteTime,
    /// When anything of it changed last.
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
    /// A security descriptor that cannot be parsed, or is there on one side only; of others the
    /// control flags that belong to no part, and the resource manager byte.
    Security,
    /// The same security descriptor in other bytes: the order of its parts, what lies between them.
    SecurityBytes,
    /// An extended attribute.
    Ea,
    /// The reparse point.
    Reparse,
    /// Which other names the file has.
    Links,
    /// What is hidden of layers below, when these are left out of sight.
    Removal,
    /// Object ids and other rare records of a backup stream.
    Other,
}

impl Aspect {
    /// All of them, in the order in which differences are told.
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
    /// In what they differ.
    pub aspect: Aspect,
    /// The name of the stream or extended attribute.
    pub name: Option<String>,
    /// What the left side has, as text; `None` for nothing.
    pub left: Option<String>,
    /// What the right side has, as text; `None` for nothing.
    pub right: Option<String>,
}

/// A path at which two views differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Only the right view has it.
    Added(Box<Node>),
    /// Only the left view has it.
    Removed(Box<Node>),
    /// Both have it, not the same.
    Changed {
        /// What the left view has.
        left: Box<Node>,
        /// What the right view has.
        right: Box<Node>,
        /// In what they differ: at least one.
        differences: Vec<Difference>,
    },
}

/// How views are to be compared.
#[derive(Debug, Clone, Default)]
pub struct DiffOptions {
    /// What does not count.
    pub ignore: BTreeSet<Aspect>,
}

/// Compares two views; the changes come in the order of paths. What differs in two files with
/// several names is told once, at the first name that both have; so is that these names differ.
///
/// ```
/// use wclayer::ParentChain;
/// use wclayer::source::{self, OpenOptions};
/// use wclayer::diff::{Change, DiffOptions, diff};
///
/// let sample = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/sample");
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
