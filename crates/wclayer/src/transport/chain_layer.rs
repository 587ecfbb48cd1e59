//! [`TransportLayer`]: a transport folder as a layer of a chain.
//!
//! Nothing is kept but what the folder removes, and the listings of the directories on the way to
//! the path asked for last. Every question goes to the disk; of a file only the headers of its
//! backup stream are read, unless its content is asked for.
//!
//! A directory that the folder only removes something in is implied.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use ntmeta::FileAttributes;

use super::entries::{Entries, EntryStream, OpenEntry};
use super::error::EntryProblem;
use super::streams::{Content, Summary, details, summarize};
use crate::chain::{BackupStream, ChainLayer, Details, Item, ItemKind, ParentChain, Removed, Slot};
use crate::error::{Error, Result, entry_error, io_error};
use crate::hcs;
use crate::layout;
use crate::path::{LayerPath, StreamName};
use crate::volume::{Listed, Privilege, Privileges, Root, Scope, Volume};

#[cfg(unix)]
type Disks = crate::volume::host::HostVolume;
#[cfg(windows)]
type Disks = crate::windows::NtVolume;

/// Returns the parents that a folder names in a `layerchain.json`; none without one.
pub(crate) fn stored_parents(folder: &Path) -> Result<ParentChain> {
    let path = folder.join(layout::LAYER_CHAIN);
    match std::fs::symlink_metadata(&path) {
        Ok(found) if found.is_file() => {
            let parents = hcs::stored_parents(&Disks::new(), folder)?;
            Ok(parents.unwrap_or_default())
        }
        Ok(_) => Err(EntryProblem::ReparsePoint.of(&layout::path(layout::LAYER_CHAIN))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(ParentChain::none()),
        Err(error) => Err(io_error("open", &path)(error)),
    }
}

/// Opens a transport folder.
pub(crate) fn chain_layer(folder: &Path) -> Result<Box<dyn ChainLayer>> {
    let volume = Disks::new();
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
    /// Dropped last.
    _privileges: Privileges,
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
        for (depth, step) in steps.iter().enumerate() {
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
            place: self.entries.root().path().to_owned(),
        })?;
        self.entries.entry(&found.0, found.1)
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
        details(&mut self.open(item)?, &item.path)
    }

    fn content(&self, item: &Item, stream: Option<&StreamName>) -> Result<Box<dyn Read + Send>> {
        let no_stream = || Error::NoStream {
            path: item.path.to_string(),
            stream: stream.map(ToString::to_string),
        };
        let known = self.details(item)?.streams;
        let found = known.iter().find(|known| match (&known.name, stream) {
            (None, None) => true,
            (Some(name), Some(stream)) => name.is_same(stream),
            _ => false,
        });
        let Some(found) = found else {
            return match (&item.kind, stream) {
                // An empty file need not say so.
                (ItemKind::File, None) => Ok(Box::new(io::empty())),
                _ => Err(no_stream()),
            };
        };
        let content = Content::find(self.open(item)?, stream, found.size, &item.path)?;
        Ok(Box::new(content.ok_or_else(no_stream)?))
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
