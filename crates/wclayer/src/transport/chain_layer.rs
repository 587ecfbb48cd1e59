//! [`TransportLayer`]: a transport folder as a layer of a chain.
//!
//! Nothing is kept but what the folder removes, the listings of the directories on the way to the
//! path asked for last, and where in a file the streams are whose content was asked for last. Every
//! question goes to the disk; of a file only the headers of its backup stream are read, unless its
//! content is asked for.
//!
//! A directory that the folder only removes something in is implied.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::Path;
use std::sync::Arc;

use ntmeta::FileAttributes;

use super::entries::{Entries, EntryStream, OpenEntry};
use super::streams::{StreamContent, StreamPlace, Summary, details, summarize};
use crate::error::EntryProblem;
use crate::error::Privilege;
use crate::error::{Error, Result, entry_error, io_error};
use crate::layer::{BackupStream, ChainLayer, Content, Details, Item, ItemKind, Removed, Slot};
use crate::path::{LayerPath, StreamName};
use crate::volume::{Listed, Privileges, Root, Scope, Stat, Volume};

/// Opens a transport folder as a layer of a chain.
///
/// # Errors
///
/// [`TransportError`](super::TransportError) if it is not a transport folder; [`Error::Io`].
pub fn chain_layer<V: Volume>(volume: &V, folder: &Path) -> Result<Box<dyn ChainLayer>>
where
    V::Root: Send + 'static,
    <V::Root as Root>::File: Send,
{
    let privileges = volume.enable(&[Privilege::Backup])?;
    let root = volume.open_root(folder, &privileges);
    let root = root.map_err(io_error("open", folder))?;
    Ok(Box::new(TransportLayer::new(root, privileges)?))
}

/// A transport folder, read where it is asked.
struct TransportLayer<R: Root> {
    entries: Entries<R>,
    removals: Removals,
    /// The directories on the way to the path that was asked for last, outermost first.
    way: RefCell<Vec<Arc<Listing>>>,
    /// The streams of the file whose content was asked for last.
    streams: RefCell<Option<OpenStreams>>,
    /// Dropped last.
    _privileges: Privileges,
}

/// Where the streams of a file are, so that reading all of them reads their headers twice, however
/// many there are.
struct OpenStreams {
    path: LayerPath,
    stat: Stat,
    by_name: HashMap<Option<Vec<u16>>, StreamPlace>,
}

/// A directory that was listed.
struct Listing {
    /// As the disk spells it; `None` for the folder.
    directory: Option<LayerPath>,
    /// What is an entry, sorted by name.
    names: Vec<(LayerPath, FileAttributes)>,
}

/// What a folder removes, sorted: what is below a directory comes together.
struct Removals(Vec<LayerPath>);

impl<R: Root> TransportLayer<R> {
    fn new(root: R, privileges: Privileges) -> Result<Self> {
        let (mut entries, removals) = Entries::open(root)?;
        entries.set_utility_vm(Scope::WithSecurity);
        Ok(Self {
            entries,
            removals: Removals::new(removals),
            way: RefCell::new(Vec::new()),
            streams: RefCell::default(),
            _privileges: privileges,
        })
    }

    /// Lists a directory that is there, and is spelled so.
    fn list(&self, directory: Option<&LayerPath>) -> Result<Listing> {
        let mut names = Vec::new();
        for listed in self.entries.list(directory)? {
            if let Some(path) = self.entries.entry_path(directory, &listed)? {
                names.push((path, listed.attributes));
            }
        }
        names.sort_by(|(one, _), (other, _)| one.cmp(other));
        // Only one of the two could be seen.
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

    /// Returns the listing of a directory; `None` when no directory is there.
    fn listing(&self, directory: Option<&LayerPath>) -> Result<Option<Arc<Listing>>> {
        let mut steps = vec![None];
        if let Some(directory) = directory {
            steps.extend(directory.ancestors().into_iter().map(Some));
            steps.push(Some(directory.clone()));
        }
        let mut way = self.way.borrow_mut();
        let last = way.last().and_then(|last| last.directory.as_ref());
        let shared = last.zip(directory);
        let shared = shared.map_or(0, |(last, directory)| last.shared_depth(directory));
        for (depth, step) in steps.iter().enumerate().skip(shared) {
            if way.get(depth).is_some_and(|known| known.directory == *step) {
                continue;
            }
            way.truncate(depth);
            let spelled = match (step, way.last()) {
                (Some(step), Some(above)) => match above.find(step) {
                    Some((path, attributes)) if is_open(attributes) => Some(path),
                    _ => return Ok(None),
                },
                _ => None,
            };
            way.push(Arc::new(self.list(spelled.as_ref())?));
        }
        Ok(way.get(steps.len() - 1).cloned())
    }

    /// Finds a path: as the disk spells it, and the attributes of the disk.
    fn look(&self, path: &LayerPath) -> Result<Option<(LayerPath, FileAttributes)>> {
        let above = self.listing(path.parent().as_ref())?;
        Ok(above.and_then(|above| above.find(path)))
    }

    fn open(&self, item: &Item) -> Result<OpenEntry<R::File>> {
        let found = self.look(&item.path)?.ok_or_else(|| Error::NotInLayer {
            path: item.path.to_string(),
            layer: self.entries.root().path().display().to_string(),
        })?;
        self.entries.entry(&found.0, found.1)
    }

    /// Returns where a stream of a file is; `entry` is the file as it was opened.
    fn stream(
        &self,
        item: &Item,
        entry: &OpenEntry<R::File>,
        name: Option<&StreamName>,
    ) -> Result<Option<StreamPlace>> {
        let mut open = self.streams.borrow_mut();
        open.take_if(|open| open.path != item.path || open.stat != entry.stat);
        let open = match &mut *open {
            Some(open) => open,
            none => {
                // What is read once cannot be wound back.
                let (known, places) = details(&mut self.open(item)?, &item.path)?;
                let names = known.streams.into_iter().map(|stream| stream.name);
                let mut by_name = HashMap::new();
                for (name, place) in names.zip(places) {
                    let name = name.as_ref().map(StreamName::folded);
                    by_name.entry(name).or_insert(place);
                }
                none.insert(OpenStreams {
                    path: item.path.clone(),
                    stat: entry.stat,
                    by_name,
                })
            }
        };
        Ok(open.by_name.get(&name.map(StreamName::folded)).copied())
    }

    fn item(&self, path: LayerPath, listed: FileAttributes) -> Result<Item> {
        let mut entry = self.entries.entry(&path, listed)?;
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
        if is_reparse_point && is_open(listed) && !self.entries.list(Some(&path))?.is_empty() {
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
            // Of a directory on the disk of the host the size is none of content.
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

/// Returns whether names can lie in what was listed so.
fn is_open(listed: FileAttributes) -> bool {
    let listed = Listed {
        name: Vec::new(),
        attributes: listed,
    };
    listed.is_plain_directory()
}

impl Listing {
    fn find(&self, path: &LayerPath) -> Option<(LayerPath, FileAttributes)> {
        // In another spelling of the directory, the order is the same.
        let at = self.names.binary_search_by(|(known, _)| known.cmp(path));
        at.ok().map(|at| self.names[at].clone())
    }
}

impl Removals {
    fn new(mut paths: Vec<LayerPath>) -> Self {
        paths.sort();
        paths.dedup();
        Self(paths)
    }

    fn contains(&self, path: &LayerPath) -> bool {
        self.0.binary_search(path).is_ok()
    }

    /// Returns how a path is spelled that is removed, or that something is removed below.
    fn spelling(&self, path: &LayerPath) -> Option<LayerPath> {
        if let Ok(at) = self.0.binary_search(path) {
            return Some(self.0[at].clone());
        }
        let first = self.below(Some(path)).first()?;
        std::iter::successors(first.parent(), LayerPath::parent).find(|above| above == path)
    }

    /// Returns what is removed below a directory, at any depth.
    fn below(&self, directory: Option<&LayerPath>) -> &[LayerPath] {
        let Some(directory) = directory else {
            return &self.0;
        };
        let prefix: Vec<u16> = directory.folded_units().chain([u16::from(b'/')]).collect();
        let is_before = |path: &LayerPath| path.folded_units().lt(prefix.iter().copied());
        let rest = &self.0[self.0.partition_point(is_before)..];
        &rest[..rest.partition_point(|path| path.is_below(directory))]
    }

    fn has_below(&self, directory: &LayerPath) -> bool {
        !self.below(Some(directory)).is_empty()
    }

    /// Returns the names directly in a directory that are removed, or that something is removed in.
    fn children(&self, directory: Option<&LayerPath>) -> Result<Vec<LayerPath>> {
        let depth = directory.map_or(0, |directory| directory.components().count());
        let mut children: Vec<LayerPath> = Vec::new();
        for path in self.below(directory) {
            if children
                .last()
                .is_some_and(|last| path == last || path.is_below(last))
            {
                continue;
            }
            let name = path.components().nth(depth).unwrap_or_default().to_vec();
            let listed = Listed {
                name,
                attributes: FileAttributes::empty(),
            };
            children.push(listed.path_in(directory)?);
        }
        Ok(children)
    }
}

impl<R: Root + Send + 'static> ChainLayer for TransportLayer<R>
where
    R::File: Send + 'static,
{
    fn place(&self) -> &Path {
        self.entries.root().path()
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

    fn content(&self, item: &Item, stream: Option<&StreamName>) -> Result<Box<dyn Content + Send>> {
        let no_stream = || Error::NoStream {
            path: item.path.to_string(),
            stream: stream.map(ToString::to_string),
        };
        let entry = self.open(item)?;
        let Some(place) = self.stream(item, &entry, stream)? else {
            return match (&item.kind, stream) {
                // An empty file need not say so.
                (ItemKind::File, None) => Ok(Box::new(io::empty())),
                _ => Err(no_stream()),
            };
        };
        Ok(Box::new(StreamContent::at(entry, place, &item.path)?))
    }

    fn backup_stream(&self, item: &Item) -> Result<BackupStream> {
        let mut entry = self.open(item)?;
        let metadata_first = match entry.stream {
            EntryStream::Data(_) => summarize(&mut entry, &item.path)?.metadata_first,
            EntryStream::Backup(..) => false,
        };
        // From the start once more: a file cannot be wound back.
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
            let root = self.entries.root();
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
    use ntmeta::{StreamHeader, StreamId};

    use super::*;
    use crate::transport::streams::HEADERS_READ;

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
            let mut content = layer.content(&item, Some(&name)).expect("there");
            assert_eq!(
                std::io::copy(&mut content, &mut io::sink()).expect("read"),
                1
            );
        }
        let mut data = Vec::new();
        let content = layer.content(&item, None).expect("there");
        io::Read::read_to_end(&mut { content }, &mut data).expect("read");
        assert_eq!(data, b"ab");
        assert_eq!(HEADERS_READ.get() - before, COUNT + 2);
    }
}
