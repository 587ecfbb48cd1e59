//! [`IndexedLayer`]: a layer tar with its index, as a layer of a chain.

use std::collections::HashMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::backup_stream::BackupStreamParts;
use super::content::TarContent;
use super::schema::Keys;
use super::{Index, IndexedEntry, IndexedKind, IndexedStream};
use crate::chain::{
    BackupStream, ChainLayer, Details, Item, ItemId, ItemKind, Removed, Slot, StreamDetails,
};
use crate::error::{Error, Result};
use crate::path::{LayerPath, StreamName};
use crate::tar::SparseMap;

/// A layer tar that is read in place, through its index.
///
/// In memory are only the directories without an entry of their own.
pub(crate) struct IndexedLayer {
    // Before the folder that it lies in, which Windows does not remove otherwise.
    index: Index,
    content: TarContent,
    place: PathBuf,
    implied: ImpliedDirectories,
    /// Where the index lies, when it was made for this view alone.
    folder: Option<TempDir>,
}

/// How many bytes the directories without an entry may take in memory, about: some hundred
/// thousand of them. Layers have a few such directories, when a tool leaves them out.
const MAX_IMPLIED_BYTES: usize = 64 << 20;
/// About how many bytes one of them takes, beside the text of a path below it.
const IMPLIED_BYTES: usize = 160;

/// The directories that have no entry, though something is said of paths below them. They are found
/// by the keys of the index.
#[derive(Default)]
struct ImpliedDirectories {
    /// About how many bytes they take.
    bytes: usize,
    /// The directories of each key, and whether something is added below.
    by_key: HashMap<i64, Vec<(LayerPath, bool)>>,
    /// The same directories by the key of the one that they lie in.
    children: HashMap<i64, Vec<LayerPath>>,
}

impl IndexedLayer {
    /// Joins an index with its tar. `folder` is removed in the end.
    pub(crate) fn new(
        place: &Path,
        index: Index,
        content: TarContent,
        folder: Option<TempDir>,
    ) -> Result<Self> {
        Ok(Self {
            implied: ImpliedDirectories::find(&index)?,
            index,
            content,
            place: place.to_owned(),
            folder,
        })
    }

    /// Returns whether content is compared with its hash: not that of a tar whose hashes were taken
    /// only now.
    fn is_verified(&self) -> bool {
        self.folder.is_none()
    }

    fn slot_of(&self, path: &LayerPath, entries: Vec<IndexedEntry>) -> Result<Slot> {
        let implied = self.implied.get(&self.index, path);
        // In the layer's spelling, whatever that of the question is.
        let spelled = entries.first().map(|entry| &entry.path);
        let spelled = spelled.or(implied.map(|(path, _)| path)).unwrap_or(path);
        let mut slot = Slot {
            path: spelled.clone(),
            added: None,
            removed: None,
            has_below: implied.is_some(),
            has_added_below: implied.is_some_and(|(_, adds)| adds),
        };
        let mut last = None;
        for entry in entries {
            match entry.kind {
                IndexedKind::Removal => slot.removed = Some(Removed::Path),
                IndexedKind::Opaque => {
                    slot.removed.get_or_insert(Removed::Contents);
                }
                _ => last = Some(entry),
            }
        }
        if let Some(entry) = last {
            slot.path = entry.path.clone();
            slot.added = Some(self.item(entry)?);
        }
        Ok(slot)
    }

    fn item(&self, entry: IndexedEntry) -> Result<Item> {
        let (size, total_size) = match entry.kind {
            IndexedKind::Link => (0, 0),
            _ => self.index.sizes(entry.id)?,
        };
        Ok(Item {
            is_reparse_point: entry.is_reparse_point(),
            basic_info: entry.basic_info.unwrap_or_default(),
            kind: match (entry.kind, entry.target) {
                (IndexedKind::Link, Some(target)) => ItemKind::Link(target),
                (IndexedKind::Directory, _) => ItemKind::Directory,
                _ => ItemKind::File,
            },
            path: entry.path,
            size,
            total_size,
            id: item_id(entry.id),
        })
    }

    fn entry(&self, item: &Item) -> Result<(IndexedEntry, Vec<IndexedStream>)> {
        let entry = self.index.entry(entry_id(&item.id))?;
        let entry = entry.ok_or_else(|| Error::NotInLayer {
            path: item.path.to_string(),
            place: self.place.clone(),
        })?;
        let streams = self.index.streams(&entry)?;
        Ok((entry, streams))
    }
}

fn item_id(entry: u64) -> ItemId {
    u128::from(entry).to_le_bytes()
}

fn entry_id(id: &ItemId) -> u64 {
    u128::from_le_bytes(*id) as u64
}

impl ChainLayer for IndexedLayer {
    fn place(&self) -> &Path {
        &self.place
    }

    fn slot(&self, path: &LayerPath) -> Result<Slot> {
        self.slot_of(path, self.index.deciding(path)?)
    }

    fn slots(&self, directory: Option<&LayerPath>) -> Result<Vec<Slot>> {
        let mut slots = Vec::new();
        // Directories without an entry are told by nothing else.
        let implied = self.implied.children(&self.index, directory);
        // All lie in one directory: the last components are enough.
        let mut implied: HashMap<Vec<u16>, &LayerPath> =
            implied.map(|path| (path.folded_name(), path)).collect();
        self.index.for_each_name(directory, |path, entries| {
            if !implied.is_empty() {
                implied.remove(&path.folded_name());
            }
            slots.push(self.slot_of(path, entries)?);
            Ok(())
        })?;
        for path in implied.into_values() {
            slots.push(self.slot_of(path, Vec::new())?);
        }
        Ok(slots)
    }

    fn details(&self, item: &Item) -> Result<Details> {
        let (entry, streams) = self.entry(item)?;
        let security = entry.security.map(|id| self.index.security(id));
        Ok(Details {
            security: security.transpose()?,
            ea: entry.ea,
            reparse: entry.reparse,
            other_streams: entry.other_streams,
            streams: streams.into_iter().map(stream_details).collect(),
        })
    }

    fn content(&self, item: &Item, stream: Option<&StreamName>) -> Result<Box<dyn Read + Send>> {
        let (_, streams) = self.entry(item)?;
        let is_same = |name: &StreamName| stream.is_some_and(|stream| stream.is_same(name));
        let found = streams.iter().find(|found| match &found.name {
            None => stream.is_none(),
            Some(name) => is_same(name),
        });
        let found = found.ok_or_else(|| Error::NoStream {
            path: item.path.to_string(),
            stream: stream.map(ToString::to_string),
        })?;
        let sha256 = found.sha256.filter(|_| self.is_verified());
        let stored = found.stored.as_ref();
        let content = self
            .content
            .stream(found.offset, found.size, stored, sha256)?;
        Ok(Box::new(content))
    }

    fn backup_stream(&self, item: &Item) -> Result<BackupStream> {
        let (entry, mut streams) = self.entry(item)?;
        if !self.is_verified() {
            streams.iter_mut().for_each(|stream| stream.sha256 = None);
        }
        let security = entry.security.map(|id| self.index.security(id));
        let parts = BackupStreamParts::new(
            self.content.clone(),
            security.transpose()?.as_deref(),
            &entry,
            streams,
        );
        Ok(BackupStream {
            reader: Box::new(parts),
            metadata_first: true,
        })
    }

    fn content_size(&self) -> Result<Option<u64>> {
        self.index.content_size().map(Some)
    }

    fn for_each_linked(&self, visit: &mut dyn FnMut(Item) -> Result<()>) -> Result<()> {
        self.index.for_each_link(|entry| visit(self.item(entry)?))
    }
}

fn stream_details(stream: IndexedStream) -> StreamDetails {
    StreamDetails {
        allocated: stream
            .sparse
            .as_ref()
            .map_or(stream.size, SparseMap::allocated),
        is_sparse: stream.sparse.is_some(),
        name: stream.name,
        size: stream.size,
        sha256: stream.sha256,
    }
}

impl ImpliedDirectories {
    fn find(index: &Index) -> Result<Self> {
        let mut found = Self::default();
        let mut all_keys = Keys::default();
        index.for_each_orphan(|entry, adds| {
            // The directories above share the text of this path.
            found.bytes += entry.path.as_bytes().len();
            let mut directory = entry.path.parent();
            let mut keys = all_keys.keys(&entry.path).rev().skip(1).peekable();
            while let (Some(path), Some(key)) = (directory, keys.next()) {
                let parent_key = keys.peek().copied().unwrap_or(0);
                // What is above an entry has been found through that entry.
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

    /// Takes note of a directory; returns whether that is news.
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

    /// Returns a directory as it is spelled, and whether something is added below; `None` when it is
    /// none of these.
    fn get(&self, index: &Index, path: &LayerPath) -> Option<(&LayerPath, bool)> {
        if self.by_key.is_empty() {
            return None;
        }
        let of_key = self.by_key.get(&index.key_of(path))?;
        let found = of_key.iter().find(|(other, _)| other == path);
        found.map(|(path, adds)| (path, *adds))
    }

    /// Returns those that lie directly in a directory, at the top for `None`.
    fn children(
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
