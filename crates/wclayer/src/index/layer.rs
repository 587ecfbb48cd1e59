//! [`IndexedLayer`]: a layer tar with its index, as a layer of a chain.

use std::cell::{OnceCell, RefCell};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::backup_stream::BackupStreamParts;
use super::content::TarContent;
use super::lost::for_each_lost_in;
use super::schema::Keys;
use super::{Index, IndexedEntry, IndexedKind, IndexedStream};
use crate::error::{Error, Result};
use crate::layer::{
    BackupStream, ChainLayer, Content, Details, Item, ItemId, ItemKind, LostEntry, Removed, Slot,
    StreamDetails,
};
use crate::path::{LayerPath, StreamName};
use crate::place::scratch::Scratch;
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
    has_checked_amounts: OnceCell<()>,
    /// The streams of the file whose content was asked for last.
    streams: RefCell<Option<OpenStreams>>,
    /// Where the index lies, when it was made for this view alone.
    folder: Option<Scratch>,
}

/// The streams of a file by their folded names, so that reading all of them takes one look at the
/// index, however many there are.
struct OpenStreams {
    entry: u64,
    by_name: HashMap<Option<Vec<u16>>, IndexedStream>,
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
    /// Joins an index with its tar. `folder` is removed in the end; `has_implied` says whether there
    /// may be directories without an entry.
    pub(crate) fn new(
        place: &Path,
        index: Index,
        content: TarContent,
        folder: Option<Scratch>,
        has_implied: bool,
    ) -> Result<Self> {
        Ok(Self {
            implied: match has_implied {
                true => ImpliedDirectories::find(&index)?,
                false => ImpliedDirectories::default(),
            },
            index,
            content,
            place: place.to_owned(),
            has_checked_amounts: OnceCell::new(),
            streams: RefCell::default(),
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

    /// Checks, once, that the index does not ask for more content than there is.
    fn check_amounts(&self) -> Result<()> {
        let TarContent::Checked(tar) = &self.content else {
            return Ok(());
        };
        if self.has_checked_amounts.get().is_none() {
            self.index.check_amounts(tar.size())?;
            let _ = self.has_checked_amounts.set(());
        }
        Ok(())
    }

    fn entry(&self, item: &Item) -> Result<(IndexedEntry, Vec<IndexedStream>)> {
        let entry = self.index.entry(entry_id(&item.id))?;
        let entry = entry.ok_or_else(|| Error::NotInLayer {
            path: item.path.to_string(),
            layer: self.place.display().to_string(),
        })?;
        let streams = self.index.streams(&entry)?;
        let lacks_hash = |stream: &IndexedStream| {
            let is_hashed = !(stream.stored.as_ref()).is_some_and(SparseMap::is_mostly_holes);
            is_hashed && stream.sha256.is_none()
        };
        if self.is_verified() && streams.iter().any(lacks_hash) {
            return Err(self.index.damaged("content has no hash"));
        }
        Ok((entry, streams))
    }

    /// Returns a stream of a file; of several with one name, the first.
    fn stream(&self, item: &Item, name: Option<&StreamName>) -> Result<Option<IndexedStream>> {
        let mut open = self.streams.borrow_mut();
        open.take_if(|open| open.entry != entry_id(&item.id));
        let open = match &mut *open {
            Some(open) => open,
            none => {
                let (entry, streams) = self.entry(item)?;
                let mut by_name = HashMap::new();
                for stream in streams {
                    let name = stream.name.as_ref().map(StreamName::folded);
                    by_name.entry(name).or_insert(stream);
                }
                let entry = entry.id;
                none.insert(OpenStreams { entry, by_name })
            }
        };
        Ok(open.by_name.get(&name.map(StreamName::folded)).cloned())
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

    fn content(&self, item: &Item, stream: Option<&StreamName>) -> Result<Box<dyn Content + Send>> {
        self.check_amounts()?;
        let found = self.stream(item, stream)?;
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
        self.check_amounts()?;
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

    fn for_each_lost(&self, visit: &mut dyn FnMut(LostEntry) -> Result<()>) -> Result<()> {
        // An import refuses layers with such entries.
        if self.is_verified() {
            return Ok(());
        }
        for_each_lost_in(&self.index, !self.implied.by_key.is_empty(), visit)
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

#[cfg(test)]
mod tests {
    use std::fs;
    use std::sync::Arc;

    use ntmeta::{FileAttributes, FileBasicInfo, StreamHeader, StreamId};

    use super::*;
    use crate::hub::{FileEntry, LayerWriter as _};
    use crate::index::{IndexBuilder, scan_headers};
    use crate::tar::TarLayerWriter;
    use crate::view::View;

    /// Indexes a tar of files with these backup streams.
    fn layer(files: &[(LayerPath, Vec<u8>)]) -> IndexedLayer {
        let mut tar = TarLayerWriter::new(Vec::new());
        for (path, stream) in files {
            let basic_info = FileBasicInfo {
                attributes: FileAttributes::ARCHIVE,
                ..FileBasicInfo::default()
            };
            tar.add(&FileEntry {
                path: path.clone(),
                basic_info,
                size: 0,
                metadata_first: true,
            })
            .and_then(|()| tar.write(stream))
            .expect("memory");
        }
        let folder = tempfile::tempdir().expect("a folder");
        let place = folder.path().join("tar");
        fs::write(&place, tar.finish().expect("memory")).expect("a file");
        let open = || fs::File::open(&place).expect("a file");
        let scratch = Scratch::new(crate::place::leftovers::VIEW).expect("a folder");
        let index = IndexBuilder::create(&scratch.path().join("index.sqlite")).expect("an index");
        let index = scan_headers(open(), index, &()).expect("a tar");
        let content = TarContent::Plain(Arc::new(open()));
        IndexedLayer::new(&place, index, content, Some(scratch), true).expect("a layer")
    }

    #[test]
    fn all_streams_of_a_file_are_found_by_one_look_at_the_index() {
        const COUNT: usize = 1000;
        let mut stream = Vec::new();
        StreamHeader::new(StreamId::DATA, 0).encode(&mut stream);
        for number in 0..COUNT {
            let name: Vec<u16> = format!("s{number}").encode_utf16().collect();
            StreamHeader::alternate_data(&name, 1).encode(&mut stream);
            stream.push(b'x');
        }
        let path: LayerPath = "Files/a".parse().expect("a path");
        let layer = layer(&[(path.clone(), stream)]);
        let item = layer.slot(&path).expect("readable").added.expect("a file");
        for number in (0..COUNT).rev() {
            let name = StreamName::parse(format!("S{number}").as_bytes()).expect("a name");
            let mut content = layer.content(&item, Some(&name)).expect("there");
            assert_eq!(
                std::io::copy(&mut content, &mut std::io::sink()).expect("read"),
                1
            );
        }
        assert_eq!(layer.index.stream_rows.get(), 1 + COUNT);
    }

    #[test]
    fn a_walk_through_deep_directories_without_entries_hashes_each_name_a_few_times() {
        let rest = vec!["directory"; 1000].join("/");
        let paths = (0..5).map(|number| format!("Files/{number}/{rest}").parse().expect("a path"));
        let files: Vec<(LayerPath, Vec<u8>)> = paths.map(|path| (path, Vec::new())).collect();
        let bytes: usize = files.iter().map(|(path, _)| path.as_bytes().len()).sum();
        let view = View::new(vec![Box::new(layer(&files))]);
        assert_eq!(view.walk(None).count(), 1 + 5 * 1001);
        let layer = layer(&files);
        let mut directories = vec![None];
        while let Some(directory) = directories.pop() {
            let slots = layer.slots(directory.as_ref()).expect("readable");
            let below = slots.into_iter().filter(|slot| slot.has_below);
            directories.extend(below.map(|slot| Some(slot.path)));
        }
        let hashed = layer.index.hashed();
        assert!(hashed <= 4 * bytes, "{hashed} of {bytes}");
    }
}
