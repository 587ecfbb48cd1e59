//! [`TransportReader`]: a transport folder as a source of the hub.
//!
//! Directories are read name by name, in the order of their bytes; what each entry is, [`Entries`]
//! tells. Further names of a file become links. The removals of a directory follow it; those whose directory is not in the folder come last, so that none is
//! dropped.
//!
//! As the reference does, `Files/$Recycle.Bin` is left out, and a folder without `tombstones.txt`
//! is refused: without it, nobody can tell a layer that removes nothing from half a copy.
//!
//! Beyond the reference: what `Files.$wcidirs$` says of `Files` is used where it exists, a file
//! whose attributes say that it is a directory is refused, and so are links of the disk itself.
//!
//! Source: hcsshim `internal/wclayer/legacy.go`, `legacyLayerReader`; `pkg/ociwclayer/export.go`
//! for links.

use std::collections::{HashMap, VecDeque};
use std::io::Read;
use std::vec;

use ntmeta::FileAttributes;

use super::entries::{Entries, EntryStream};
use super::streams::summarize;
use crate::error::EntryProblem;
use crate::error::{Result, entry_error};
use crate::hub::{Entry, FileEntry, LayerReader, LinkEntry};
use crate::path::LayerPath;
use crate::volume::LinkTracker;
use crate::volume::{Listed, Root, Scope};

/// Reads the entries of a transport folder.
pub struct TransportReader<R: Root> {
    entries: Entries<R>,
    /// The removals of each directory, in the order of the file.
    removals: HashMap<LayerPath, Vec<LayerPath>>,
    /// The directories with removals, in the order of the file.
    removal_order: VecDeque<LayerPath>,
    /// The directories that are being read, each with the names that are still to come.
    open: Vec<(Option<LayerPath>, vec::IntoIter<Listed>)>,
    /// What comes before the next name.
    next: VecDeque<Entry>,
    links: LinkTracker,
    /// The entry that has a backup stream, and where that comes from.
    current: Option<(LayerPath, EntryStream<R::File>)>,
}

impl<R: Root> TransportReader<R> {
    /// Starts to read a folder. Security descriptors outside `Files` are not read, as in the
    /// reference: they are those of the folder's disk.
    ///
    /// # Errors
    ///
    /// [`TransportError`](super::TransportError) when it is no transport folder; [`Error::Io`](crate::Error::Io).
    pub fn new(root: R) -> Result<Self> {
        let (entries, tombstones) = Entries::open(root)?;
        let mut removals: HashMap<_, Vec<_>> = HashMap::new();
        let mut removal_order = VecDeque::new();
        for path in tombstones {
            let directory = path.parent().unwrap_or_else(|| path.clone());
            let of_directory = removals.entry(directory.clone()).or_default();
            if of_directory.is_empty() {
                removal_order.push_back(directory);
            }
            of_directory.push(path);
        }
        let names = entries.list(None)?;
        Ok(Self {
            entries,
            removals,
            removal_order,
            open: vec![(None, names.into_iter())],
            next: VecDeque::new(),
            links: LinkTracker::new(),
            current: None,
        })
    }

    /// Reads security descriptors of the utility VM as well: right for a folder that
    /// [`TransportWriter`](super::TransportWriter) made.
    pub fn with_utility_vm_security(mut self) -> Self {
        self.entries.set_utility_vm(Scope::WithSecurity);
        self
    }

    /// Returns the next name that is an entry.
    fn next_name(&mut self) -> Result<Option<(LayerPath, Listed)>> {
        while let Some((directory, names)) = self.open.last_mut() {
            let Some(listed) = names.next() else {
                self.open.pop();
                continue;
            };
            if let Some(path) = self.entries.entry_path(directory.as_ref(), &listed)? {
                return Ok(Some((path, listed)));
            }
        }
        Ok(None)
    }

    fn entry(&mut self, path: &LayerPath, listed: &Listed) -> Result<Entry> {
        let entry = self.described(path, listed)?;
        if listed.attributes.contains(FileAttributes::DIRECTORY) {
            self.go_into(path, listed, &entry)?;
        }
        Ok(entry)
    }

    /// Starts the entry that describes what is at a path.
    fn described(&mut self, path: &LayerPath, listed: &Listed) -> Result<Entry> {
        let mut entry = self.entries.entry(path, listed.attributes)?;
        let (info, stat) = (entry.info, entry.stat);
        if let Some(target) = self.links.first_name(path, &info, stat.id, stat.links) {
            return Ok(Entry::Link(LinkEntry {
                path: path.clone(),
                target,
                basic_info: Some(info),
            }));
        }
        let is_directory = listed.attributes.contains(FileAttributes::DIRECTORY);
        let (size, metadata_first) = match entry.stream {
            EntryStream::Data(_) if is_directory => (0, false),
            EntryStream::Data(_) => {
                let summary = summarize(&mut entry, path)?;
                // From the start once more: a file cannot be wound back.
                entry = self.entries.entry(path, listed.attributes)?;
                (summary.size, summary.metadata_first)
            }
            EntryStream::Backup(..) => (stat.size, false),
        };
        self.current = Some((path.clone(), entry.stream));
        Ok(Entry::File(FileEntry {
            path: path.clone(),
            basic_info: info,
            size,
            metadata_first,
        }))
    }

    /// Starts a directory's names and puts its removals before them.
    fn go_into(&mut self, path: &LayerPath, listed: &Listed, entry: &Entry) -> Result<()> {
        if listed.is_plain_directory() {
            let names = self.entries.list(Some(path))?;
            let becomes_reparse_point = match entry {
                Entry::File(file) => file
                    .basic_info
                    .attributes
                    .contains(FileAttributes::REPARSE_POINT),
                _ => false,
            };
            if becomes_reparse_point && !names.is_empty() {
                return Err(EntryProblem::NotEmpty.of(path));
            }
            self.open.push((Some(path.clone()), names.into_iter()));
        }
        if let Some(removals) = self.removals.remove(path) {
            self.next.extend(removals.into_iter().map(Entry::Removal));
        }
        Ok(())
    }
}

impl<R: Root> LayerReader for TransportReader<R> {
    fn next_entry(&mut self) -> Result<Option<Entry>> {
        self.current = None;
        if let Some(entry) = self.next.pop_front() {
            return Ok(Some(entry));
        }
        if let Some((path, listed)) = self.next_name()? {
            return self.entry(&path, &listed).map(Some);
        }
        while let Some(directory) = self.removal_order.pop_front() {
            let removals = self.removals.remove(&directory).unwrap_or_default();
            self.next.extend(removals.into_iter().map(Entry::Removal));
        }
        Ok(self.next.pop_front())
    }

    fn read_stream(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let Some((path, stream)) = &mut self.current else {
            return Ok(0);
        };
        let read = stream.read(buffer);
        read.map_err(entry_error("read", self.entries.root().path(), path))
    }
}
