//! [`TransportReader`]: a transport folder as a source of entries.
//!
//! Directories are read name by name, in byte order, and [`Entries`] reads each entry. Further
//! names of a file become links. The removals of a directory follow it; removals whose directory is
//! not in the folder come last, so that none is lost.
//!
//! Like the reference, the reader skips `Files/$Recycle.Bin` and returns an error if there is no
//! `tombstones.txt`: without it, a layer without removals looks the same as an incomplete copy.
//!
//! Unlike the reference, it uses `Files.$wcidirs$` for the metadata of `Files` if it exists, and
//! rejects files with the attribute of directories and links of the disk itself.
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
    /// The removals of each directory, in the order of `tombstones.txt`.
    removals: HashMap<LayerPath, Vec<LayerPath>>,
    /// The directories with removals, in the order of `tombstones.txt`.
    removal_order: VecDeque<LayerPath>,
    /// The directories that are being read, each with its remaining names.
    open: Vec<(Option<LayerPath>, vec::IntoIter<Listed>)>,
    /// The entries that come before the next name.
    next: VecDeque<Entry>,
    links: LinkTracker,
    /// The entry that has a backup stream, and the stream itself.
    current: Option<(LayerPath, EntryStream<R::File>)>,
}

impl<R: Root> TransportReader<R> {
    /// Opens a folder. As in the reference, security descriptors outside `Files` are not read: they
    /// belong to the disk that holds the folder.
    ///
    /// # Errors
    ///
    /// Returns [`TransportError`](super::TransportError) if it is not a transport folder, and
    /// [`Error::Io`](crate::Error::Io) if it cannot be read.
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

    /// Enables the security descriptors of the utility VM, for a folder that
    /// [`TransportWriter`](super::TransportWriter) wrote.
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

    /// Starts the entry that describes a path.
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
                // Reopened, because a file cannot be rewound.
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

    /// Starts reading the names of a directory, after its removals.
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
