//! [`ImpliedDirectories`]: the directories that a layer tar has no entry for.

use std::collections::HashMap;

use super::Index;
use super::schema::Keys;
use crate::error::Result;
use crate::path::LayerPath;

/// Roughly how many bytes the directories without an entry may take in memory: enough for some
/// hundred thousand. Layers have a few of them if a tool leaves them out.
const MAX_IMPLIED_BYTES: usize = 64 << 20;
/// Roughly how many bytes one of them takes, apart from the text of a path below it.
const IMPLIED_BYTES: usize = 160;

/// The directories that have no entry, though paths below them do. They are found by the keys of
/// the index.
#[derive(Default)]
pub(super) struct ImpliedDirectories {
    /// Roughly how many bytes they take.
    bytes: usize,
    /// The directories of each key, and whether something is added below.
    by_key: HashMap<i64, Vec<(LayerPath, bool)>>,
    /// The same directories by the key of the directory that they are in.
    children: HashMap<i64, Vec<LayerPath>>,
}

impl ImpliedDirectories {
    pub(super) fn is_empty(&self) -> bool {
        self.by_key.is_empty()
    }

    pub(super) fn find(index: &Index) -> Result<Self> {
        let mut found = Self::default();
        let mut all_keys = Keys::default();
        index.for_each_orphan(|entry, adds| {
            // The directories above share the text of this path.
            found.bytes += entry.path.as_bytes().len();
            let mut directory = entry.path.parent();
            let mut keys = all_keys.keys(&entry.path).rev().skip(1).peekable();
            while let (Some(path), Some(key)) = (directory, keys.next()) {
                let parent_key = keys.peek().copied().unwrap_or(0);
                // Directories above an entry are found through that entry.
                if index.has_added(key, &path)? || !found.put(key, parent_key, &path, adds) {
                    break;
                }
                directory = path.parent();
            }
            match found.bytes {
                0..=MAX_IMPLIED_BYTES => Ok(()),
                _ => Err(index.too_many_implied().into()),
            }
        })?;
        Ok(found)
    }

    /// Remembers a directory; returns whether it is new.
    fn put(&mut self, key: i64, parent_key: i64, path: &LayerPath, adds: bool) -> bool {
        let of_key = self.by_key.entry(key).or_default();
        if let Some((_, known)) = of_key.iter_mut().find(|(other, _)| other == path) {
            let is_news = adds && !*known;
            *known |= adds;
            return is_news;
        }
        of_key.push((path.clone(), adds));
        let siblings = self.children.entry(parent_key).or_default();
        siblings.push(path.clone());
        self.bytes += IMPLIED_BYTES;
        true
    }

    /// Returns an implied directory as it is spelled, and whether something is added below it.
    pub(super) fn get(&self, index: &Index, path: &LayerPath) -> Option<(&LayerPath, bool)> {
        if self.by_key.is_empty() {
            return None;
        }
        let of_key = self.by_key.get(&index.key_of(path))?;
        let found = of_key.iter().find(|(other, _)| other == path);
        found.map(|(path, adds)| (path, *adds))
    }

    /// Returns the implied directories directly in a directory, at the top for `None`.
    pub(super) fn children(
        &self,
        index: &Index,
        directory: Option<&LayerPath>,
    ) -> impl Iterator<Item = &LayerPath> {
        let key = match directory {
            Some(directory) if !self.children.is_empty() => index.key_of(directory),
            _ => 0,
        };
        let found = self.children.get(&key).into_iter().flatten();
        found.filter(move |path| path.parent().as_ref() == directory)
    }
}
