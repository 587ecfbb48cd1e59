//! [`IndexedLayer`]: a layer tar with its index, as a layer of a chain.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use super::backup_stream::BackupStreamParts;
use super::content::TarContent;
use super::implied::ImpliedDirectories;
use super::in_directory::Named;
use super::lost::for_each_lost_in;
use super::streams::Sizes;
use super::{Index, IndexedEntry, IndexedKind, IndexedStream};
use crate::error::{Error, Result};
use crate::layer::{
    BackupStream, ChainLayer, Content, Details, Item, ItemId, ItemKind, LostEntry, Slot,
    StreamDetails,
};
use crate::path::{LayerPath, StreamName};
use crate::place::scratch::Scratch;
use crate::tar::SparseMap;

/// How many hard links are read at once, so that the index is free while they are visited.
const LINKS_AT_ONCE: u32 = 256;

/// A layer tar that is read in place, through its index.
///
/// Threads that share it take turns at the index, for one question at a time; content is read
/// without it. Memory holds only the directories that have no entry of their own.
pub(crate) struct IndexedLayer {
    // Closed before its folder is removed, as Windows requires.
    index: Mutex<Index>,
    content: TarContent,
    place: PathBuf,
    implied: ImpliedDirectories,
    has_checked_amounts: OnceLock<()>,
    /// The streams of the file whose content was asked for last. Locked before the index.
    streams: Mutex<Option<OpenStreams>>,
    /// Where the index is, if it was made for this view alone.
    folder: Option<Scratch>,
}

/// The streams of a file by their folded names, so that reading all of them takes one query,
/// however many there are.
struct OpenStreams {
    entry: u64,
    by_name: HashMap<Option<Vec<u16>>, IndexedStream>,
}

impl IndexedLayer {
    /// Joins an index with its tar. `folder` is removed in the end; `has_implied` tells whether
    /// there may be directories without an entry.
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
            index: Mutex::new(index),
            content,
            place: place.to_owned(),
            has_checked_amounts: OnceLock::new(),
            streams: Mutex::default(),
            folder,
        })
    }

    /// Takes a turn at the index. Nothing else is locked meanwhile, and no visitor is called except
    /// by [`for_each_lost`](ChainLayer::for_each_lost).
    fn index(&self) -> MutexGuard<'_, Index> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns whether content is compared with its hash: not if the hashes were only taken when
    /// the tar was opened.
    fn is_verified(&self) -> bool {
        self.folder.is_none()
    }

    /// Makes a slot of the entries at a path, if any.
    fn slot_of(&self, index: &Index, path: &LayerPath, named: Option<Named>) -> Slot {
        let implied = self.implied.get(index, path);
        // In the layer's spelling, not that of the question.
        let spelled = named.as_ref().map(|named| &named.spelled);
        let spelled = spelled.or(implied.map(|(path, _)| path)).unwrap_or(path);
        let mut slot = Slot {
            path: spelled.clone(),
            added: None,
            removed: named.as_ref().and_then(|named| named.removed),
            has_below: implied.is_some(),
            has_added_below: implied.is_some_and(|(_, adds)| adds),
        };
        if let Some((entry, sizes)) = named.and_then(|named| named.added) {
            slot.path = entry.path.clone();
            slot.added = Some(item(entry, sizes));
        }
        slot
    }

    /// Checks once that the index does not claim more content than there is.
    fn check_amounts(&self) -> Result<()> {
        let TarContent::Checked(tar) = &self.content else {
            return Ok(());
        };
        if self.has_checked_amounts.get().is_none() {
            self.index().check_amounts(tar.size())?;
            let _ = self.has_checked_amounts.set(());
        }
        Ok(())
    }

    fn entry(&self, index: &Index, item: &Item) -> Result<(IndexedEntry, Vec<IndexedStream>)> {
        let entry = index.entry(entry_id(&item.id))?;
        let entry = entry.ok_or_else(|| Error::NotInLayer {
            path: item.path.to_string(),
            layer: self.place.display().to_string(),
        })?;
        let streams = index.streams(&entry)?;
        let lacks_hash = |stream: &IndexedStream| {
            let is_hashed = !(stream.stored.as_ref()).is_some_and(SparseMap::is_mostly_holes);
            is_hashed && stream.sha256.is_none()
        };
        if self.is_verified() && streams.iter().any(lacks_hash) {
            return Err(index.damaged("content has no hash"));
        }
        Ok((entry, streams))
    }

    /// Returns a stream of a file; the first if several have the name.
    fn stream(&self, item: &Item, name: Option<&StreamName>) -> Result<Option<IndexedStream>> {
        let mut open = self.streams.lock().unwrap_or_else(PoisonError::into_inner);
        open.take_if(|open| open.entry != entry_id(&item.id));
        let open = match &mut *open {
            Some(open) => open,
            none => {
                let (entry, streams) = self.entry(&self.index(), item)?;
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

fn item(entry: IndexedEntry, sizes: Sizes) -> Item {
    let sizes = match entry.kind {
        IndexedKind::Link => Sizes::default(),
        _ => sizes,
    };
    Item {
        is_reparse_point: entry.is_reparse_point(),
        basic_info: entry.basic_info.unwrap_or_default(),
        kind: match (entry.kind, entry.target) {
            (IndexedKind::Link, Some(target)) => ItemKind::Link(target),
            (IndexedKind::Directory, _) => ItemKind::Directory,
            _ => ItemKind::File,
        },
        path: entry.path,
        size: sizes.unnamed,
        total_size: sizes.total,
        id: item_id(entry.id),
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
        let index = self.index();
        let mut named: Option<Named> = None;
        for entry in index.deciding(path)? {
            let sizes = match entry.kind {
                IndexedKind::File | IndexedKind::Directory => index.sizes(entry.id)?,
                _ => Sizes::default(),
            };
            match &mut named {
                Some(named) => named.put(entry, sizes),
                None => named = Some(Named::new(entry, sizes)),
            }
        }
        Ok(self.slot_of(&index, path, named))
    }

    fn slots(&self, directory: Option<&LayerPath>) -> Result<Vec<Slot>> {
        let index = self.index();
        // Directories without an entry are mentioned nowhere else.
        let implied = self.implied.children(&index, directory);
        // All are in one directory, so comparing the last components is enough.
        let mut implied: HashMap<Vec<u16>, &LayerPath> =
            implied.map(|path| (path.folded_name(), path)).collect();
        let names = index.names_in(directory)?;
        let mut slots = Vec::with_capacity(names.len() + implied.len());
        for named in names {
            let path = named.spelled.clone();
            if !implied.is_empty() {
                implied.remove(&path.folded_name());
            }
            slots.push(self.slot_of(&index, &path, Some(named)));
        }
        for path in implied.into_values() {
            slots.push(self.slot_of(&index, path, None));
        }
        Ok(slots)
    }

    fn details(&self, item: &Item) -> Result<Details> {
        let index = self.index();
        let (entry, streams) = self.entry(&index, item)?;
        let security = entry.security.map(|id| index.security(id));
        Ok(Details {
            security: security.transpose()?,
            ea: entry.ea,
            reparse: entry.reparse,
            other_streams: entry.other_streams,
            streams: streams.into_iter().map(stream_details).collect(),
        })
    }

    fn content(&self, item: &Item, stream: Option<&StreamName>) -> Result<Box<dyn Content>> {
        self.check_amounts()?;
        let found = self.stream(item, stream)?;
        let found = found.ok_or_else(|| Error::NoStream {
            path: item.path.to_string(),
            stream: stream.map(ToString::to_string),
        })?;
        let content = self.content.stream(&found, self.is_verified());
        Ok(Box::new(content))
    }

    fn backup_stream(&self, item: &Item) -> Result<BackupStream> {
        self.check_amounts()?;
        let index = self.index();
        let (entry, streams) = self.entry(&index, item)?;
        let security = entry.security.map(|id| index.security(id));
        let parts = BackupStreamParts::new(
            self.content.clone(),
            security.transpose()?.as_deref(),
            &entry,
            streams,
            self.is_verified(),
        );
        Ok(BackupStream {
            reader: Box::new(parts),
            metadata_first: true,
        })
    }

    fn content_size(&self) -> Result<Option<u64>> {
        self.index().content_size().map(Some)
    }

    fn for_each_linked(&self, visit: &mut dyn FnMut(Item) -> Result<()>) -> Result<()> {
        let mut last = None;
        loop {
            let links = self.index().links_after(last, LINKS_AT_ONCE)?;
            let Some(next) = links.last() else {
                return Ok(());
            };
            last = Some(next.id);
            for link in links {
                visit(item(link, Sizes::default()))?;
            }
        }
    }

    fn for_each_lost(&self, visit: &mut dyn FnMut(LostEntry) -> Result<()>) -> Result<()> {
        // An import refuses layers with such entries.
        if self.is_verified() {
            return Ok(());
        }
        for_each_lost_in(&self.index(), !self.implied.is_empty(), visit)
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

#[cfg(test)]
mod tests {
    use std::fs;

    use ntmeta::{FileAttributes, FileBasicInfo, StreamHeader, StreamId};

    use super::*;
    use crate::blob::Blob;
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
        let tar = fs::File::open(&place).expect("a file");
        let tar = Blob::of_file(tar).expect("a file");
        let scratch = Scratch::new(crate::place::leftovers::VIEW).expect("a folder");
        let index = IndexBuilder::create(&scratch.path().join("index.sqlite")).expect("an index");
        let index = scan_headers(&tar, index, &()).expect("a tar");
        let content = TarContent::Plain(tar);
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
            let mut content = layer.content(&item, Some(&name)).expect("there").reader();
            assert_eq!(
                std::io::copy(&mut content, &mut std::io::sink()).expect("read"),
                1
            );
        }
        assert_eq!(layer.index().stream_rows.get(), 1 + COUNT);
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
        let hashed = layer.index().hashed();
        assert!(hashed <= 4 * bytes, "{hashed} of {bytes}");
    }
}
