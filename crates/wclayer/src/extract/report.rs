//! The report of an extraction: the entries it created, and its losses.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};

use super::first::{self, First, Texts};
use crate::path::LayerPath;

/// The most names in a list of the report; all are counted.
const MAX_LISTED: usize = 1000;
/// The most renamed entries in the report: only the report has the real names of those that were
/// cut.
const MAX_RENAMED: usize = 100_000;

/// The result of an extraction, with its losses.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Extracted {
    /// Directories created.
    pub directories: u64,
    /// Files written.
    pub files: u64,
    /// Bytes of their content, holes not counted.
    pub bytes: u64,
    /// Hard links created.
    pub links: u64,
    /// Hard links that the host refused, replaced by copies.
    pub copied_links: u64,
    /// Symbolic links created, from symbolic links and junctions.
    pub symlinks: u64,
    /// Previous files and links that were replaced.
    pub replaced: u64,
    /// Removals of paths of the parents, which need no action.
    pub removals: u64,
    /// Entries with another name on the host.
    pub renamed: Listed<Renamed>,
    /// Entries that were not created.
    pub not_made: Listed<NotMade>,
    /// How many of `not_made` are failures: all except links that lead outside.
    pub failed: u64,
    /// Metadata that the host does not keep, by kind. Kinds without losses are absent, and
    /// serialised with a count of 0.
    #[serde(serialize_with = "serialize_lost")]
    pub lost: BTreeMap<Loss, Lost>,
}

/// The first items of a list, sorted by path, and their total number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Listed<T> {
    /// The total number of items.
    pub count: u64,
    /// The first items.
    pub first: First<T>,
}

/// An entry with another name on the host.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[non_exhaustive]
pub struct Renamed {
    /// The path in the layer.
    pub path: String,
    /// The last component on the host.
    pub name: String,
}

/// An entry that was not created.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[non_exhaustive]
pub struct NotMade {
    /// The path in the layer.
    pub path: String,
    /// The target of the link.
    pub target: String,
    /// Why.
    pub reason: Reason,
    /// The error of the host.
    pub cause: Option<String>,
}

/// Why an entry was not created.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum Reason {
    /// The link leads out of the layer.
    LeadsOutside,
    /// The file that a hard link names was not extracted.
    TargetMissing,
    /// The target of a hard link is a directory.
    TargetIsDirectory,
    /// Another entry of the layer has that path.
    PlaceTaken,
    /// The host refuses the link.
    Refused,
    /// The reparse point is damaged.
    Damaged,
    /// In its own layer, it is below an entry that is not a directory.
    NotInDirectory,
}

/// Why an entry was not created, with the error of the host.
#[derive(Debug, Clone)]
pub(super) struct Why {
    pub(super) reason: Reason,
    pub(super) cause: Option<String>,
}

impl From<Reason> for Why {
    fn from(reason: Reason) -> Self {
        Self {
            reason,
            cause: None,
        }
    }
}

/// A kind of metadata that a host cannot keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum Loss {
    /// The security descriptor.
    SecurityDescriptors,
    /// An alternate stream.
    AlternateStreams,
    /// The extended attributes.
    ExtendedAttributes,
    /// Attributes such as hidden and system.
    Attributes,
    /// The times of creation and change.
    Times,
    /// The times of last write and access, where the host cannot hold or set them.
    LastTimes,
    /// Reparse data. For a link that was created, the properties that its text on the host does not
    /// have: the original target, the print name, whether it was a junction.
    ReparseData,
    /// The other records of a backup stream: object ids, …
    OtherStreams,
}

impl Loss {
    /// All kinds.
    pub const ALL: [Self; 8] = [
        Self::SecurityDescriptors,
        Self::AlternateStreams,
        Self::ExtendedAttributes,
        Self::Attributes,
        Self::Times,
        Self::LastTimes,
        Self::ReparseData,
        Self::OtherStreams,
    ];
}

/// Writes all kinds, so that programs need not check whether a kind is present.
fn serialize_lost<S: Serializer>(
    lost: &BTreeMap<Loss, Lost>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let none = Lost::default();
    let kinds = Loss::ALL.iter();
    serializer.collect_map(kinds.map(|kind| (kind, lost.get(kind).unwrap_or(&none))))
}

/// The losses of one kind.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Lost {
    /// The number of losses.
    pub count: u64,
    /// Their total size in bytes.
    pub bytes: u64,
    /// The first paths.
    pub first: First<String>,
}

impl<T> Default for Listed<T> {
    fn default() -> Self {
        Self {
            count: 0,
            first: First::default(),
        }
    }
}

fn push<T: Ord + Texts>(list: &mut Listed<T>, limit: usize, item: T) {
    list.count += 1;
    first::add(&mut list.first, limit, item);
}

/// Adds the items of another list, but not its count.
fn merge<T: Ord + Texts>(first: &mut First<T>, limit: usize, other: First<T>) {
    other
        .into_iter()
        .for_each(|item| first::add(first, limit, item));
}

impl Texts for Renamed {
    fn len_bytes(&self) -> usize {
        self.path.len() + self.name.len()
    }
}

impl Texts for NotMade {
    fn len_bytes(&self) -> usize {
        self.path.len() + self.target.len()
    }
}

impl Extracted {
    pub(super) fn lost(&mut self, kind: Loss, bytes: u64, name: impl FnOnce() -> String) {
        let lost = self.lost.entry(kind).or_default();
        lost.count += 1;
        lost.bytes = lost.bytes.saturating_add(bytes);
        first::add(&mut lost.first, MAX_LISTED, name());
    }

    pub(super) fn renamed(&mut self, path: &LayerPath, name: &str) {
        let renamed = Renamed {
            path: path.to_string(),
            name: name.to_owned(),
        };
        push(&mut self.renamed, MAX_RENAMED, renamed);
    }

    pub(super) fn not_made(&mut self, path: &LayerPath, target: &str, why: Why) {
        self.failed += u64::from(why.reason != Reason::LeadsOutside);
        let not_made = NotMade {
            path: path.to_string(),
            target: target.to_owned(),
            reason: why.reason,
            cause: why.cause,
        };
        push(&mut self.not_made, MAX_LISTED, not_made);
    }

    /// Sorts the lists and keeps the first items of each.
    pub(super) fn tidy(&mut self) {
        first::tidy(&mut self.renamed.first, MAX_RENAMED);
        first::tidy(&mut self.not_made.first, MAX_LISTED);
        for lost in self.lost.values_mut() {
            first::tidy(&mut lost.first, MAX_LISTED);
        }
    }

    /// Adds the report of another thread.
    pub(super) fn merge(&mut self, other: Self) {
        self.directories += other.directories;
        self.files += other.files;
        self.bytes += other.bytes;
        self.links += other.links;
        self.copied_links += other.copied_links;
        self.symlinks += other.symlinks;
        self.replaced += other.replaced;
        self.removals += other.removals;
        self.failed += other.failed;
        self.renamed.count += other.renamed.count;
        merge(&mut self.renamed.first, MAX_RENAMED, other.renamed.first);
        self.not_made.count += other.not_made.count;
        merge(&mut self.not_made.first, MAX_LISTED, other.not_made.first);
        for (kind, other) in other.lost {
            let lost = self.lost.entry(kind).or_default();
            lost.count += other.count;
            lost.bytes = lost.bytes.saturating_add(other.bytes);
            merge(&mut lost.first, MAX_LISTED, other.first);
        }
    }
}
