//! [`TransportWriter`]: a transport folder as a sink of the hub.
//!
//! ```text
//! Files, Hives ─► TransportFiles          UtilityVM ─► files as they are to be
//! links, removals, opaque directories ─► kept until the end, when all of the layer is known
//! ```
//!
//! In the end links become hard links, and `tombstones.txt` is written. A removal is dropped
//! where the layer itself brings a file, and becomes the removal of what is inside where it
//! brings a directory: Windows applies removals last. A hard link to a file that only a parent has
//! becomes a copy of it, and so does one between `Files` and the utility VM, whose files lie in the
//! folder in different forms (`writer_links`). The folder is built beside its place and put there whole.
//!
//! Source: hcsshim `internal/wclayer/legacy.go`, `legacyLayerWriter`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use ntmeta::backup_stream::{StreamHeader, StreamId};
use ntmeta::{FileAttributes, FileBasicInfo, hive};

use super::live::LiveFiles;
use super::{Added, FolderSummary, TransportFiles, tombstones};
use crate::error::{Result, entry_error, io_error};
use crate::hub::{FileEntry, LayerWriter, LinkEntry};
use crate::layout;
use crate::path::LayerPath;
use crate::place::{Staging, Written};
use crate::rules::Breach;
use crate::transport::PendingLinks;
use crate::view::View;
use crate::volume::{Access, File, Privileges, Root, Volume};

/// How to make a transport folder. The DiffID is checked by the source.
#[derive(Default)]
#[non_exhaustive]
pub struct ImportOptions {
    /// The merged view of the parents, for hard links to their files; `None` for a base layer.
    pub parents: Option<View>,
    /// Whether the empty delta hives are added that the layer does not have.
    pub hives: bool,
    /// Whether a layer that is there is replaced.
    pub replace: bool,
}

setters!(ImportOptions { hives: bool, replace: bool } into { parents: Option<View> });

/// What was made.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ImportSummary {
    /// Where it is.
    pub path: PathBuf,
    /// What it holds: the same as [`count`](super::count) finds in it.
    pub found: FolderSummary,
    /// What was done beyond what the source says, as sentences.
    pub warnings: Vec<String>,
}

/// Writes a transport folder entry by entry.
///
/// Dropped without [`finish`](LayerWriter::finish), it leaves nothing behind.
pub struct TransportWriter<V: Volume> {
    // Declared before the folder they are in: closed first.
    pub(super) files: TransportFiles<V::Root>,
    pub(super) live: LiveFiles<V::Root>,
    pub(super) pending: Pending,
    /// What the parents together have; none without parents.
    pub(super) parents: Option<View>,
    hives: bool,
    in_utility_vm: bool,
    staging: Staging,
}

/// What waits for the end.
#[derive(Default)]
pub(super) struct Pending {
    pub(super) links: PendingLinks,
    pub(super) removals: Vec<LayerPath>,
    pub(super) opaque: Vec<LayerPath>,
    /// `Files` and `Hives`, whose own times count.
    directories: Vec<(LayerPath, FileBasicInfo)>,
    pub(super) warnings: Vec<String>,
}

impl<V: Volume> TransportWriter<V>
where
    V::Root: 'static,
{
    /// Prepares a folder at a place where nothing is yet.
    ///
    /// # Errors
    ///
    /// [`Error::Exists`](crate::Error::Exists); as for `source::open` of the parents; an error of the system.
    pub fn create(
        volume: &V,
        destination: &Path,
        options: ImportOptions,
        privileges: &Privileges,
    ) -> Result<Self> {
        let staging = Staging::create(destination, options.replace)?;
        let open = || {
            let root = volume.open_root(staging.path(), privileges);
            root.map_err(io_error("open", staging.path()))
        };
        Ok(Self {
            files: TransportFiles::new(open()?),
            live: LiveFiles::new(open()?),
            pending: Pending::default(),
            parents: options.parents,
            hives: options.hives,
            in_utility_vm: false,
            staging,
        })
    }

    pub(super) fn start(&mut self, file: &FileEntry) -> Result<()> {
        self.files.end_entry()?;
        self.live.end_entry()?;
        let is_directory = file
            .basic_info
            .attributes
            .contains(FileAttributes::DIRECTORY);
        if is_directory && file.size > 0 {
            return Err(Breach::DirectoryWithData.broken_by(&file.path));
        }
        if !is_directory && is_top_level(&file.path) {
            let path = file.path.clone();
            return Err(Breach::NotAPlainDirectory { path }.broken_by(&file.path));
        }
        self.in_utility_vm = is_live(&file.path);
        if self.in_utility_vm {
            return self.live.add(file);
        }
        if is_top_level(&file.path) {
            let at = (file.path.clone(), file.basic_info);
            self.pending.directories.push(at);
        }
        self.files.add(file)
    }

    pub(super) fn put(&mut self, bytes: &[u8]) -> Result<()> {
        match self.in_utility_vm {
            true => self.live.write(bytes),
            false => self.files.write(bytes),
        }
    }

    pub(super) fn added(&self, path: &LayerPath) -> Option<Added> {
        match is_live(path) {
            true => self.live.added(path),
            false => self.files.added(path),
        }
    }

    /// Returns what `tombstones.txt` is to say.
    fn removals(&mut self) -> Result<BTreeSet<LayerPath>> {
        let mut removals = BTreeSet::new();
        let mut opaque = std::mem::take(&mut self.pending.opaque);
        for path in std::mem::take(&mut self.pending.removals) {
            match self.added(&path) {
                None => {
                    removals.insert(path);
                }
                Some(Added::Directory) => opaque.push(path),
                // What replaces it hides it.
                Some(_) => {}
            }
        }
        let mut known = BTreeSet::new();
        while let Some(directory) = opaque.pop() {
            if !known.insert(directory.clone()) {
                continue;
            }
            for child in self.contents(&directory)? {
                match self.added(&child) {
                    None => {
                        removals.insert(child);
                    }
                    Some(Added::Directory) => opaque.push(child),
                    Some(_) => {}
                }
            }
        }
        Ok(removals)
    }

    /// Lists what the parents together have in a directory.
    fn contents(&self, directory: &LayerPath) -> Result<Vec<LayerPath>> {
        let Some(parents) = &self.parents else {
            return Ok(Vec::new());
        };
        let children = match parents.find(directory)? {
            Some(node) if node.is_plain_directory() => parents.children(Some(&node))?,
            _ => Vec::new(),
        };
        Ok(children.into_iter().map(|child| child.path).collect())
    }

    fn add_hives(&mut self) -> Result<()> {
        let files = self.pending.directories.first();
        let times = files.map(|(_, info)| *info).unwrap_or_default();
        for name in layout::HIVE_DELTAS {
            let path = layout::path(layout::HIVES);
            let path = path.join(name.as_bytes()).unwrap_or(path);
            if self.files.contains(&path) {
                continue;
            }
            let content = hive::empty_delta(name);
            let mut stream = Vec::new();
            StreamHeader::new(StreamId::DATA, content.len() as u64).encode(&mut stream);
            stream.extend(&content);
            self.start(&FileEntry {
                path,
                basic_info: FileBasicInfo {
                    attributes: FileAttributes::ARCHIVE,
                    ..times
                },
                size: content.len() as u64,
                metadata_first: true,
            })?;
            self.put(&stream)?;
            self.files.end_entry()?;
        }
        Ok(())
    }

    /// Writes the removals and returns how many there are.
    fn write_tombstones(&mut self) -> Result<u64> {
        let removals = self.removals()?;
        let text = tombstones::format(&removals)?;
        let (root, name) = (self.files.root(), layout::path(layout::TOMBSTONES));
        let made = root.create(&name, crate::volume::Kind::File);
        made.and_then(|mut file| {
            file.write_all(&text)?;
            file.close()
        })
        .map_err(entry_error("write", root.path(), &name))?;
        Ok(removals.len() as u64)
    }

    /// Adds up what the folder holds.
    fn sums(&self, removals: u64) -> FolderSummary {
        let mut sums = FolderSummary::default();
        self.files.add_to(&mut sums);
        self.live.add_to(&mut sums);
        sums.entries.removals = removals;
        sums
    }

    fn set_directory_times(&self) -> Result<()> {
        let root = self.files.root();
        for (path, info) in &self.pending.directories {
            let opened = root.open(Some(path), Access::Info);
            opened
                .and_then(|directory| {
                    directory.set_basic_info(info)?;
                    directory.close()
                })
                .map_err(entry_error("set the times of", root.path(), path))?;
        }
        Ok(())
    }
}

impl<V: Volume> LayerWriter for TransportWriter<V>
where
    V::Root: 'static,
{
    type Output = ImportSummary;

    fn add(&mut self, file: &FileEntry) -> Result<()> {
        self.pending.links.remove(&file.path);
        self.start(file)
    }

    fn write(&mut self, backup_stream: &[u8]) -> Result<()> {
        self.put(backup_stream)
    }

    fn add_link(&mut self, link: &LinkEntry) -> Result<()> {
        let (path, target) = (&link.path, &link.target);
        if !layout::is_link_allowed(path, target) {
            let target = target.clone();
            return Err(Breach::LinkOutside { target }.broken_by(path));
        }
        self.files.end_entry()?;
        self.live.end_entry()?;
        let info = link.basic_info.unwrap_or_default();
        match is_live(path) {
            true => self.live.add_link(path, &info)?,
            false => self.files.add_link(path, &info)?,
        }
        self.pending.links.insert(path, target);
        Ok(())
    }

    fn remove(&mut self, path: &LayerPath) -> Result<()> {
        self.check_removal(path, layout::is_below)?;
        self.pending.removals.push(path.clone());
        Ok(())
    }

    fn remove_contents(&mut self, directory: &LayerPath) -> Result<()> {
        self.check_removal(directory, layout::is_in)?;
        self.pending.opaque.push(directory.clone());
        Ok(())
    }

    fn finish(mut self) -> Result<ImportSummary> {
        self.files.end_entry()?;
        self.live.end_entry()?;
        let files = layout::path(layout::FILES);
        if !self.files.contains(&files) {
            self.start(&FileEntry {
                path: files,
                basic_info: FileBasicInfo {
                    attributes: FileAttributes::DIRECTORY,
                    ..FileBasicInfo::default()
                },
                size: 0,
                metadata_first: true,
            })?;
        }
        self.check_obstacles()?;
        self.make_links()?;
        if self.hives {
            self.add_hives()?;
        }
        self.files.finish()?;
        let removals = self.write_tombstones()?;
        self.live.finish()?;
        self.set_directory_times()?;
        let found = self.sums(removals);
        let mut warnings = std::mem::take(&mut self.pending.warnings);
        let made = self.files.made().chain(self.live.made());
        warnings.extend(made.map(|path| {
            format!("the directory `{path}` was made, because the layer has something in it")
        }));
        let Self {
            files,
            live,
            staging,
            ..
        } = self;
        // Windows does not rename a folder with anything in it open.
        drop((files, live));
        let path = staging.commit(Written::Many)?;
        Ok(ImportSummary {
            path,
            found,
            warnings,
        })
    }
}

impl<V: Volume> TransportWriter<V> {
    /// Refuses a removal that a transport folder cannot hold.
    fn check_removal(
        &mut self,
        path: &LayerPath,
        is_placed: fn(&LayerPath, &str) -> bool,
    ) -> Result<()> {
        self.files.end_entry()?;
        self.live.end_entry()?;
        if self.parents.is_none() {
            return Err(Breach::RemovalInBaseLayer.broken_by(path));
        }
        match [layout::FILES, layout::UTILITY_VM_FILES].map(|top| is_placed(path, top)) {
            [true, _] => Ok(()),
            [_, true] => Err(Breach::RemovalOutsideFiles.broken_by(path)),
            _ => Err(Breach::RemovalOutside.broken_by(path)),
        }
    }
}

/// Whether what is at a path lies in the folder as it is to be, rather than written into a file.
pub(super) fn is_live(path: &LayerPath) -> bool {
    layout::is_in(path, layout::UTILITY_VM)
}

fn is_top_level(path: &LayerPath) -> bool {
    layout::is(path, layout::FILES) || layout::is(path, layout::HIVES)
}
