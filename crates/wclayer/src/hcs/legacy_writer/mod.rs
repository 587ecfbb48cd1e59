//! [`LegacyWriter`]: writes a layer with parents through a transport folder and `ImportLayer`.
//!
//! ```text
//! Files, Hives ─► transport folder ─┐
//!                                   ├─► ImportLayer ─► removals ─► links ─► times ─┐
//! UtilityVM ─► clone of the parent's, written in place ──────── ProcessUtilityImage ┴─► layer
//! ```
//!
//! Until `ImportLayer` nothing of `Files` is in the layer's folder, so removals and links wait.
//! Beyond the reference: directories that are missing above an entry come from the parents or are
//! made; opaque whiteouts become removals of what the parents have there; a removal never takes
//! away what the same layer adds.
//!
//! Source: hcsshim `internal/wclayer/legacy.go` and `importlayer.go`.

mod copy;
mod finish;
mod parents;
mod utility_vm;

use std::collections::BTreeSet;
use std::path::Path;

use ntmeta::FileAttributes;

use self::parents::Parents;
use self::utility_vm::UtilityVmWriter;
use super::directory_times::DirectoryTimes;
use super::summary::WriterSummary;
use super::temporary::TemporaryFolder;
use super::{HostCompute, ParentLayer, parent_layers};
use crate::error::{Result, entry_error, io_error};
use crate::hub::{FileEntry, LayerWriter, LinkEntry};
use crate::layout;
use crate::parent_chain::ParentChain;
use crate::path::LayerPath;
use crate::rules::Breach;
use crate::transport::PendingLinks;
use crate::transport::TransportFiles;
use crate::volume::{Access, File, Privileges, Root, Scope, Stat, Volume};

/// Writes a layer with parents.
pub(super) struct LegacyWriter<'a, V: Volume> {
    host: &'a HostCompute<V>,
    chain: Vec<ParentLayer>,
    parents: Parents<V::Root>,
    layer: V::Root,
    utility_vm: UtilityVmWriter<<V::Root as Root>::File>,
    links: PendingLinks,
    removals: BTreeSet<LayerPath>,
    opaque: BTreeSet<LayerPath>,
    times: DirectoryTimes,
    inherited: BTreeSet<LayerPath>,
    left_out: LeftOut,
    transport: TransportFiles<V::Root>,
    /// Behind `transport`: what is dropped first is closed first.
    temporary: TemporaryFolder<'a, V>,
}

/// Whether the entry `tombstones.txt` came, which the transport folder has no place for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LeftOut {
    Nothing,
    /// It is the current entry.
    Current,
    /// It is an earlier one.
    Earlier,
}

/// The part of a layer that an entry belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    /// `UtilityVM` itself and what is below it.
    UtilityVm,
    /// All else.
    Transport,
}

impl Part {
    fn of(path: &LayerPath) -> Self {
        if layout::is_in(path, layout::UTILITY_VM) {
            Self::UtilityVm
        } else {
            Self::Transport
        }
    }
}

impl<'a, V: Volume> LegacyWriter<'a, V> {
    pub(super) fn new(
        host: &'a HostCompute<V>,
        layer: &Path,
        parents: &ParentChain,
        privileges: &'a Privileges,
    ) -> Result<Self> {
        let chain = parent_layers(&*host.service, parents)?;
        let parents = Parents::open(&host.volume, parents, privileges)?;
        let destination = host.volume.open_root(layer, privileges);
        let destination = destination.map_err(io_error("open", layer))?;
        let temporary = TemporaryFolder::new(&host.volume, privileges)?;
        Ok(Self {
            host,
            chain,
            parents,
            layer: destination,
            utility_vm: UtilityVmWriter::new(),
            links: PendingLinks::default(),
            removals: BTreeSet::new(),
            opaque: BTreeSet::new(),
            times: DirectoryTimes::default(),
            inherited: BTreeSet::new(),
            left_out: LeftOut::Nothing,
            transport: TransportFiles::new(temporary.open()?),
            temporary,
        })
    }

    fn end_entry(&mut self) -> Result<()> {
        if self.left_out == LeftOut::Current {
            self.left_out = LeftOut::Earlier;
        }
        // Both are ended, whatever becomes of the first.
        let utility_vm = self.utility_vm.end_entry();
        self.transport.end_entry().and(utility_vm)
    }

    fn start_utility_vm(&mut self, entry: &LayerPath) -> Result<()> {
        self.utility_vm
            .start(self.parents.nearest(), &self.layer, entry)
    }

    /// Takes the directories above a path that no entry brought over from the parents, with their
    /// metadata, as far as a parent has them.
    fn inherit_directories(&mut self, path: &LayerPath) -> Result<()> {
        for directory in self.transport.missing(path)? {
            if !self.inherit(&directory, path)? {
                break;
            }
        }
        Ok(())
    }

    fn inherit(&mut self, directory: &LayerPath, entry: &LayerPath) -> Result<bool> {
        let Some((parent, stat)) = self.parents.with_directory(directory, entry)? else {
            return Ok(false);
        };
        copy_directory(parent, &stat, directory, &mut self.transport)?;
        self.times.note(directory, &stat.basic_info);
        self.inherited.insert(directory.clone());
        Ok(true)
    }
}

/// Checks that a link has a place, and leads to another one.
fn check_link(link: &LinkEntry) -> Result<()> {
    let (path, target) = (&link.path, link.target.clone());
    if !layout::is_link_allowed(path, &target) {
        return Err(Breach::LinkOutside { target }.broken_by(path));
    }
    if *path == target {
        return Err(Breach::LinkLoop { target }.broken_by(path));
    }
    Ok(())
}

impl<V: Volume> LayerWriter for LegacyWriter<'_, V> {
    type Output = WriterSummary;

    fn add(&mut self, file: &FileEntry) -> Result<()> {
        self.end_entry()?;
        let path = &file.path;
        if layout::is(path, layout::TOMBSTONES) {
            // As in the reference: what it says would be taken for the layer's removals.
            self.left_out = LeftOut::Current;
            return Ok(());
        }
        let is_directory = file
            .basic_info
            .attributes
            .contains(FileAttributes::DIRECTORY);
        match Part::of(path) {
            Part::UtilityVm => {
                if layout::is(path, layout::UTILITY_VM) {
                    if !is_directory {
                        let breach = Breach::NotAPlainDirectory { path: path.clone() };
                        return Err(breach.broken_by(path));
                    }
                    self.start_utility_vm(path)?;
                }
                self.utility_vm.add(&self.layer, file)?;
            }
            Part::Transport => {
                self.inherit_directories(path)?;
                self.transport.add(file)?;
                self.inherited.remove(path);
            }
        }
        self.links.remove(path);
        if is_directory {
            self.times.note(path, &file.basic_info);
        }
        Ok(())
    }

    fn write(&mut self, backup_stream: &[u8]) -> Result<()> {
        if self.left_out == LeftOut::Current {
            return Ok(());
        }
        match self.utility_vm.write(backup_stream) {
            Some(written) => written,
            None => self.transport.write(backup_stream),
        }
    }

    fn add_link(&mut self, link: &LinkEntry) -> Result<()> {
        self.end_entry()?;
        check_link(link)?;
        let info = link.basic_info.unwrap_or_default();
        match Part::of(&link.path) {
            Part::UtilityVm => self.utility_vm.add_link(&self.layer, &link.path, &info)?,
            Part::Transport => {
                self.inherit_directories(&link.path)?;
                self.transport.add_link(&link.path, &info)?;
            }
        }
        self.links.insert(&link.path, &link.target);
        Ok(())
    }

    fn remove(&mut self, path: &LayerPath) -> Result<()> {
        self.end_entry()?;
        if layout::is_below(path, layout::FILES) {
            // Windows makes a directory of its own in the layer only of one that the layer has.
            self.inherit_directories(path)?;
            self.removals.insert(path.clone());
            Ok(())
        } else if layout::is_below(path, layout::UTILITY_VM_FILES) {
            self.start_utility_vm(path)?;
            self.utility_vm.remove(&self.layer, path)
        } else {
            Err(Breach::RemovalOutside.broken_by(path))
        }
    }

    fn remove_contents(&mut self, directory: &LayerPath) -> Result<()> {
        self.end_entry()?;
        if layout::is_in(directory, layout::FILES) {
            self.inherit_directories(directory)?;
            if !self.transport.contains(directory) {
                self.inherit(directory, directory)?;
            }
            self.opaque.insert(directory.clone());
            Ok(())
        } else if layout::is_in(directory, layout::UTILITY_VM_FILES) {
            self.start_utility_vm(directory)?;
            self.utility_vm.remove_contents(&self.layer, directory)
        } else {
            Err(Breach::RemovalOutside.broken_by(directory))
        }
    }

    fn finish(mut self) -> Result<WriterSummary> {
        self.end_entry()?;
        let files = layout::path(layout::FILES);
        if !self.transport.contains(&files) {
            // `ImportLayer` takes no folder without it.
            self.inherit(&files, &files)?;
        }
        finish::finish(self)
    }
}

/// Copies the metadata of a parent's directory into the transport folder.
fn copy_directory<R: Root>(
    parent: &R,
    stat: &Stat,
    path: &LayerPath,
    transport: &mut TransportFiles<R>,
) -> Result<()> {
    transport.add(&FileEntry {
        path: path.clone(),
        basic_info: stat.basic_info,
        size: 0,
        metadata_first: true,
    })?;
    let read = |error| entry_error("read", parent.path(), path)(error);
    let mut directory = parent.open(Some(path), Access::Read).map_err(read)?;
    let mut piece = vec![0; 16 * 1024];
    loop {
        let length = directory.backup_read(&mut piece, Scope::WithSecurity);
        match length.map_err(read)? {
            0 => break,
            length => transport.write(&piece[..length])?,
        }
    }
    transport.end_entry()?;
    transport.disown(path);
    Ok(())
}
