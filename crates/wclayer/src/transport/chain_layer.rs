//! [`TransportLayer`]: a transport folder as a layer of a chain.
//!
//! The layer keeps only the paths that the folder removes, the listings of directories on the way
//! to recent questions, and the positions of the streams whose content was asked for last. Every
//! question goes to the disk. Unless the content of a file is asked for, only the headers of its
//! backup stream are read.
//!
//! A directory in which the folder only removes something is implied.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ntmeta::FileAttributes;

use super::entries::{Entries, EntryStream, OpenEntry};
use super::removals::Removals;
use super::streams::{Cursor, StreamContent, StreamPlace, Summary, details, summarize};
use crate::error::EntryProblem;
use crate::error::Privilege;
use crate::error::{Error, Result, entry_error, io_error};
use crate::layer::{
    BackupStream, ChainLayer, Content, Details, Empty, Item, ItemKind, Removed, Slot,
};
use crate::path::{LayerPath, StreamName};
use crate::volume::{Listed, Privileges, Root, Scope, Stat, Volume};

/// Opens a transport folder as a layer of a chain.
///
/// # Errors
///
/// Returns [`TransportError`](super::TransportError) if it is not a transport folder, and
/// [`Error::Io`].
pub fn chain_layer<V: Volume>(volume: &V, folder: &Path) -> Result<Box<dyn ChainLayer>>
where
    V::Root: Send + Sync + 'static,
    <V::Root as Root>::File: Send + 'static,
{
    let privileges = volume.enable(&[Privilege::Backup])?;
    let root = volume.open_root(folder, &privileges);
    let root = root.map_err(io_error("open", folder))?;
    Ok(Box::new(TransportLayer::new(root, privileges)?))
}

/// How many ways to directories are remembered: several threads that share a layer are in several
/// directories.
const WAYS: usize = 8;

/// A transport folder as a layer. Threads that share it wait for each other only to look up what is
/// remembered, never for the disk.
struct TransportLayer<R: Root> {
    folder: Arc<OpenFolder<R>>,
    removals: Removals,
    /// The ways to directories of the last questions, the newest at the end.
    ways: Mutex<VecDeque<Way>>,
    /// The streams of the file whose content was asked for last.
    streams: Mutex<Option<OpenStreams>>,
}

/// A directory and those above it, outermost first.
type Way = Vec<Arc<Listing>>;

/// The open folder, shared by content that outlives the layer.
struct OpenFolder<R: Root> {
    entries: Entries<R>,
    /// Dropped last.
    _privileges: Mutex<Privileges>,
}

/// The positions of a file's streams, so that reading all of them reads their headers twice,
/// however many there are.
struct OpenStreams {
    path: LayerPath,
    stat: Stat,
    by_name: HashMap<Option<Vec<u16>>, StreamPlace>,
}

/// A directory that was listed.
struct Listing {
    /// The directory, as the disk spells it; `None` for the folder.
    directory: Option<LayerPath>,
    /// The names that are entries, sorted.
    names: Vec<(LayerPath, FileAttributes)>,
}

impl<R: Root> TransportLayer<R> {
    fn new(root: R, privileges: Privileges) -> Result<Self> {
        let (mut entries, removals) = Entries::open(root)?;
        entries.set_utility_vm(Scope::WithSecurity);
        Ok(Self {
            folder: Arc::new(OpenFolder {
                entries,
                _privileges: Mutex::new(privileges),
            }),
            removals: Removals::new(removals),
            ways: Mutex::default(),
            streams: Mutex::default(),
        })
    }

    fn entries(&self) -> &Entries<R> {
        &self.folder.entries
    }

    /// Lists an existing directory, spelled as on the disk.
    fn list(&self, directory: Option<&LayerPath>) -> Result<Listing> {
        let mut names = Vec::new();
        for listed in self.entries().list(directory)? {
            if let Some(path) = self.entries().entry_path(directory, &listed)? {
                names.push((path, listed.attributes));
            }
        }
        names.sort_by(|(one, _), (other, _)| one.cmp(other));
        // Only one of them could be seen.
        let is_twin = |pair: &&[(LayerPath, FileAttributes)]| {
            let is_directory = |at: usize| pair[at].1.contains(FileAttributes::DIRECTORY);
            pair[0].0 == pair[1].0 && is_directory(0) != is_directory(1)
        };
        if let Some(twins) = names.windows(2).find(is_twin) {
            return Err(EntryProblem::Twin.of(&twins[0].0));
        }
        Ok(Listing {
            directory: directory.cloned(),
            names,
        })
    }

    /// Returns the listing of a directory; `None` if there is no such directory.
    fn listing(&self, directory: Option<&LayerPath>) -> Result<Option<Arc<Listing>>> {
        let mut steps = vec![None];
        if let Some(directory) = directory {
            steps.extend(directory.ancestors().into_iter().map(Some));
            steps.push(Some(directory.clone()));
        }
        let mut way = self.known_way(&steps);
        if let Some(known) = way.get(steps.len() - 1) {
            return Ok(Some(Arc::clone(known)));
        }
        for step in &steps[way.len()..] {
            let spelled = match (step, way.last()) {
                (Some(step), Some(above)) => match above.find(step) {
                    Some((path, attributes)) if is_open(attributes) => Some(path),
                    _ => {
                        self.remember(way);
                        return Ok(None);
                    }
                },
                _ => None,
            };
            way.push(Arc::new(self.list(spelled.as_ref())?));
        }
        let listing = way.last().cloned();
        self.remember(way);
        Ok(listing)
    }

    fn ways(&self) -> MutexGuard<'_, VecDeque<Way>> {
        self.ways.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the part of a way that is remembered.
    fn known_way(&self, steps: &[Option<LayerPath>]) -> Way {
        let ways = self.ways();
        let shared = |way: &Way| -> usize {
            let both = way.iter().zip(steps);
            both.take_while(|(known, step)| known.directory == **step)
                .count()
        };
        let longest = ways.iter().rev().map(|way| (shared(way), way));
        let longest = longest.max_by_key(|(shared, _)| *shared);
        longest.map_or_else(Way::new, |(shared, way)| way[..shared].to_vec())
    }

    /// Remembers a way, in place of those that are part of it.
    fn remember(&self, way: Way) {
        let mut ways = self.ways();
        ways.retain(|known| {
            let mut both = known.iter().zip(&way);
            known.len() > way.len() || !both.all(|(known, new)| Arc::ptr_eq(known, new))
        });
        if ways.len() == WAYS {
            ways.pop_front();
        }
        ways.push_back(way);
    }

    /// Finds a path; returns it as the disk spells it, with the attributes on the disk.
    fn look(&self, path: &LayerPath) -> Result<Option<(LayerPath, FileAttributes)>> {
        let above = self.listing(path.parent().as_ref())?;
        Ok(above.and_then(|above| above.find(path)))
    }

    /// Finds an item again; returns its path as the disk spells it, with the attributes on the
    /// disk.
    fn find(&self, item: &Item) -> Result<(LayerPath, FileAttributes)> {
        self.look(&item.path)?.ok_or_else(|| Error::NotInLayer {
            path: item.path.to_string(),
            layer: self.entries().root().path().display().to_string(),
        })
    }

    fn open(&self, item: &Item) -> Result<OpenEntry<R::File>> {
        let (path, listed) = self.find(item)?;
        self.entries().entry(&path, listed)
    }

    /// Returns the position of a stream; `entry` is the file as it was opened.
    fn stream(
        &self,
        item: &Item,
        entry: &OpenEntry<R::File>,
        name: Option<&StreamName>,
    ) -> Result<Option<StreamPlace>> {
        let folded = name.map(StreamName::folded);
        let is_known =
            |open: &&OpenStreams| open.path == item.path && is_unchanged(&open.stat, &entry.stat);
        if let Some(open) = self.open_streams().as_ref().filter(is_known) {
            return Ok(open.by_name.get(&folded).copied());
        }
        // A stream that was read cannot be wound back.
        let (known, places) = details(&mut self.open(item)?, &item.path)?;
        let names = known.streams.into_iter().map(|stream| stream.name);
        let mut by_name = HashMap::new();
        for (name, place) in names.zip(places) {
            let name = name.as_ref().map(StreamName::folded);
            by_name.entry(name).or_insert(place);
        }
        let found = by_name.get(&folded).copied();
        *self.open_streams() = Some(OpenStreams {
            path: item.path.clone(),
            stat: entry.stat,
            by_name,
        });
        Ok(found)
    }

    fn open_streams(&self) -> MutexGuard<'_, Option<OpenStreams>> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn item(&self, path: LayerPath, listed: FileAttributes) -> Result<Item> {
        let mut entry = self.entries().entry(&path, listed)?;
        let summary = match entry.stream {
            EntryStream::Data(_) => summarize(&mut entry, &path)?,
            EntryStream::Backup(..) => Summary {
                size: entry.stat.size,
                total_size: entry.stat.size,
                ..Summary::default()
            },
        };
        let is_reparse_point = summary.has_reparse_data
            || entry
                .info
                .attributes
                .contains(FileAttributes::REPARSE_POINT);
        let is_directory = listed.contains(FileAttributes::DIRECTORY);
        if is_reparse_point && is_open(listed) && !self.entries().list(Some(&path))?.is_empty() {
            return Err(EntryProblem::NotEmpty.of(&path));
        }
        Ok(Item {
            path,
            kind: match is_directory {
                true => ItemKind::Directory,
                false => ItemKind::File,
            },
            basic_info: entry.info,
            is_reparse_point,
            size: if is_directory { 0 } else { summary.size },
            // The size of a directory on the host's disk is not that of any content.
            total_size: match (is_directory, &entry.stream) {
                (true, EntryStream::Backup(..)) => 0,
                _ => summary.total_size,
            },
            id: entry.stat.id,
        })
    }

    fn slot_of(&self, path: LayerPath, found: Option<(LayerPath, FileAttributes)>) -> Result<Slot> {
        let removed = self.removals.contains(&path).then_some(Removed::Path);
        let spelled = self.removals.spelling(&path);
        let added = found.map(|(path, listed)| self.item(path, listed));
        let added = added.transpose()?;
        Ok(Slot {
            has_below: self.removals.has_below(&path),
            path: match &added {
                Some(item) => item.path.clone(),
                None => spelled.unwrap_or(path),
            },
            added,
            removed,
            has_added_below: false,
        })
    }
}

/// Returns whether a file is the one that was opened before and has not been written to since.
fn is_unchanged(stat: &Stat, before: &Stat) -> bool {
    let written = |stat: &Stat| stat.basic_info.last_write_time;
    (stat.id, stat.size, written(stat)) == (before.id, before.size, written(before))
}

/// Returns whether a listed name can have others in it.
fn is_open(listed: FileAttributes) -> bool {
    let listed = Listed {
        name: Vec::new(),
        attributes: listed,
    };
    listed.is_plain_directory()
}

impl Listing {
    fn find(&self, path: &LayerPath) -> Option<(LayerPath, FileAttributes)> {
        // The order does not depend on how the directory is spelled.
        let at = self.names.binary_search_by(|(known, _)| known.cmp(path));
        at.ok().map(|at| self.names[at].clone())
    }
}

impl<R: Root + Send + Sync + 'static> ChainLayer for TransportLayer<R>
where
    R::File: Send + 'static,
{
    fn place(&self) -> &Path {
        self.entries().root().path()
    }

    fn slot(&self, path: &LayerPath) -> Result<Slot> {
        let found = self.look(path)?;
        self.slot_of(path.clone(), found)
    }

    fn slots(&self, directory: Option<&LayerPath>) -> Result<Vec<Slot>> {
        let mut names = BTreeMap::new();
        if let Some(listing) = self.listing(directory)? {
            for found in &listing.names {
                names.insert(found.0.clone(), Some(found.clone()));
            }
        }
        for path in self.removals.children(directory)? {
            names.entry(path).or_insert(None);
        }
        names
            .into_iter()
            .map(|(path, found)| self.slot_of(path, found))
            .collect()
    }

    fn details(&self, item: &Item) -> Result<Details> {
        details(&mut self.open(item)?, &item.path).map(|(details, _)| details)
    }

    fn content(&self, item: &Item, stream: Option<&StreamName>) -> Result<Box<dyn Content>> {
        let no_stream = || Error::NoStream {
            path: item.path.to_string(),
            stream: stream.map(ToString::to_string),
        };
        let (path, listed) = self.find(item)?;
        let entry = self.entries().entry(&path, listed)?;
        let Some(place) = self.stream(item, &entry, stream)? else {
            return match (&item.kind, stream) {
                // A file need not have a record for data that is empty.
                (ItemKind::File, None) => Ok(Box::new(Empty)),
                _ => Err(no_stream()),
            };
        };
        let (folder, stat) = (Arc::clone(&self.folder), entry.stat);
        let cursor = Cursor::start(entry, place, &item.path)?;
        let content = StreamContent::new(cursor, move || {
            let entry = folder.entries.entry(&path, listed)?;
            match is_unchanged(&entry.stat, &stat) {
                true => Cursor::start(entry, place, &path),
                false => Err(EntryProblem::Changed.of(&path)),
            }
        });
        Ok(Box::new(content))
    }

    fn backup_stream(&self, item: &Item) -> Result<BackupStream> {
        let mut entry = self.open(item)?;
        let metadata_first = match entry.stream {
            EntryStream::Data(_) => summarize(&mut entry, &item.path)?.metadata_first,
            EntryStream::Backup(..) => false,
        };
        // From the start again: a file cannot be wound back.
        Ok(BackupStream {
            reader: Box::new(self.open(item)?.stream),
            metadata_first,
        })
    }

    fn for_each_linked(&self, visit: &mut dyn FnMut(Item) -> Result<()>) -> Result<()> {
        let mut open = vec![self.list(None)?.names.into_iter()];
        while let Some(names) = open.last_mut() {
            let Some((path, listed)) = names.next() else {
                open.pop();
                continue;
            };
            if is_open(listed) {
                open.push(self.list(Some(&path))?.names.into_iter());
                continue;
            }
            let root = self.entries().root();
            let stat = root
                .look(&path)
                .map_err(entry_error("open", root.path(), &path))?;
            if stat.is_some_and(|stat| stat.links > 1 && !stat.is_directory()) {
                visit(self.item(path, listed)?)?;
            }
        }
        Ok(())
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::io;

    use ntmeta::{StreamHeader, StreamId};

    use super::*;
    use crate::transport::streams::HEADERS_READ;

    /// Going back in a stream opens its file again, which must still be the same.
    #[test]
    fn a_file_that_changes_while_it_is_read_is_an_error() {
        let folder = tempfile::tempdir().expect("a folder");
        let place = folder.path().join("Files/a");
        let write = |data: &[u8]| {
            let mut file = 0x20_u32.to_le_bytes().to_vec();
            StreamHeader::new(StreamId::DATA, data.len() as u64).encode(&mut file);
            file.extend(data);
            std::fs::write(&place, file).expect("a file");
        };
        std::fs::create_dir(folder.path().join("Files")).expect("a folder");
        std::fs::write(folder.path().join("tombstones.txt"), "Version 1.0\n").expect("a file");
        write(b"0123456789");
        let layer =
            chain_layer(&crate::volume::host::HostVolume::new(), folder.path()).expect("a layer");
        let path = "Files/a".parse().expect("a path");
        let item = layer.slot(&path).expect("readable").added.expect("a file");
        let content = layer.content(&item, None).expect("there");
        let mut piece = [0; 3];
        for (offset, expected) in [(5, b"567"), (0, b"012"), (7, b"789")] {
            assert_eq!(content.read_at(offset, &mut piece).expect("readable"), 3);
            assert_eq!(&piece, expected);
        }
        write(b"another, and longer");
        let error = content.read_at(0, &mut piece).expect_err("changed");
        assert!(error.to_string().contains("`Files/a`"), "{error}");
        // It stays an error, and no other content.
        content.read_at(0, &mut piece).expect_err("changed");
    }

    #[test]
    fn all_streams_of_a_file_are_found_by_reading_its_headers_once() {
        const COUNT: usize = 6000;
        let folder = tempfile::tempdir().expect("a folder");
        let mut file = 0x20_u32.to_le_bytes().to_vec();
        StreamHeader::new(StreamId::DATA, 2).encode(&mut file);
        file.extend(b"ab");
        for number in 0..COUNT {
            let name: Vec<u16> = format!("s{number}").encode_utf16().collect();
            StreamHeader::alternate_data(&name, 1).encode(&mut file);
            file.push(b'x');
        }
        std::fs::create_dir(folder.path().join("Files")).expect("a folder");
        std::fs::write(folder.path().join("Files/a"), file).expect("a file");
        std::fs::write(folder.path().join("tombstones.txt"), "Version 1.0\n").expect("a file");
        let layer =
            chain_layer(&crate::volume::host::HostVolume::new(), folder.path()).expect("a layer");
        let path = "Files/a".parse().expect("a path");
        let item = layer.slot(&path).expect("readable").added.expect("a file");
        let before = HEADERS_READ.get();
        for number in (0..COUNT).rev().step_by(10) {
            let name = StreamName::parse(format!("S{number}").as_bytes()).expect("a name");
            let mut content = layer.content(&item, Some(&name)).expect("there").reader();
            assert_eq!(io::copy(&mut content, &mut io::sink()).expect("read"), 1);
        }
        let mut data = Vec::new();
        let content = layer.content(&item, None).expect("there");
        io::Read::read_to_end(&mut content.reader(), &mut data).expect("read");
        assert_eq!(data, b"ab");
        assert_eq!(HEADERS_READ.get() - before, COUNT + 2);
    }
}
