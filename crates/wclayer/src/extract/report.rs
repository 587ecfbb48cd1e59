//! What an extraction did, and what it could not keep.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};

use super::first::{self, First, Texts};
use crate::path::LayerPath;

/// How many names a list of the report holds; all are counted.
const MAX_LISTED: usize = 1000;
/// How many renamed names the report holds: only it tells what the names that were cut had been.
const MAX_RENAMED: usize = 100_000;

/// What was extracted, and what was lost.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Extracted {
    /// Directories made.
    pub directories: u64,
    /// Files written.
    pub files: u64,
    /// Bytes of their content, holes not counted.
    pub bytes: u64,
    /// Hard links made.
    pub links: u64,
    /// Hard links that the host refused, made as copies.
    pub copied_links: u64,
    /// Symbolic links made, of symbolic links and junctions.
    pub symlinks: u64,
    /// Files and links that were there before and were replaced.
    pub replaced: u64,
    /// Removals of paths of the parents; there is nothing to do for them.
    pub removals: u64,
    /// Names that are others on the host.
    pub renamed: Listed<Renamed>,
    /// What was not made at all.
    pub not_made: Listed<NotMade>,
    /// How much of that should have been made: all but links that lead outside.
    pub failed: u64,
    /// What the host does not keep, by its kind; kinds of which nothing is lost are absent, and
    /// serialised with a count of 0.
    #[serde(serialize_with = "serialize_lost")]
    pub lost: BTreeMap<Loss, Lost>,
}

/// The first items of a list by their paths, and how many there are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Listed<T> {
    /// How many there are.
    pub count: u64,
    /// The first of them.
    pub first: First<T>,
}

/// A name that is another on the host.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Renamed {
    /// The path in the layer.
    pub path: String,
    /// The last component on the host.
    pub name: String,
}

/// Something that was not made.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct NotMade {
    /// The path in the layer.
    pub path: String,
    /// Where the link leads.
    pub target: String,
    /// Why.
    pub reason: Reason,
    /// What the host said.
    pub cause: Option<String>,
}

/// Why something was not made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Reason {
    /// The link leads out of the layer.
    LeadsOutside,
    /// The file that a hard link names was not extracted.
    TargetMissing,
    /// What a hard link names is a directory.
    TargetIsDirectory,
    /// Something else of the layer has that place.
    PlaceTaken,
    /// The host does not make that link.
    Refused,
    /// The reparse point is damaged.
    Damaged,
    /// In its own layer it lies below what is not a directory.
    NotInDirectory,
}

/// Why something was not made, and what the host said.
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

/// What of an entry a host cannot keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
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
    /// Reparse data; of a link that was made, what its text on the host does not tell: the target
    /// as it was written, the name to show, whether it was a junction.
    ReparseData,
    /// What else a backup stream holds: object ids, …
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

/// Programs need not ask whether a kind is there.
fn serialize_lost<S: Serializer>(
    lost: &BTreeMap<Loss, Lost>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let none = Lost::default();
    let kinds = Loss::ALL.iter();
    serializer.collect_map(kinds.map(|kind| (kind, lost.get(kind).unwrap_or(&none))))
}

/// What was lost of one kind.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Lost {
    /// How often.
    pub count: u64,
    /// How many bytes these were.
    pub bytes: u64,
    /// The paths of the first.
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

/// Adds the items of another list, not their number.
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

    /// Sorts the lists, and leaves the first items of each.
    pub(super) fn tidy(&mut self) {
        first::tidy(&mut self.renamed.first, MAX_RENAMED);
        first::tidy(&mut self.not_made.first, MAX_LISTED);
        for lost in self.lost.values_mut() {
            first::tidy(&mut lost.first, MAX_LISTED);
        }
    }

    /// Adds what another thread did.
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
