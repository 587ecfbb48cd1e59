//! [`BaseWriter`]: writes the files of a layer without parents straight to their place.
//!
//! Every file is made below the layer's folder and fed its backup stream; in the end Windows makes
//! the layer usable (`ProcessBaseImage`, `ProcessUtilityImage`). Beyond the reference: a link may
//! come before its target, directories that are missing above an entry are made, and an entry that
//! comes twice replaces the first when it is of the same kind.
//!
//! Source: hcsshim `internal/wclayer/baselayerwriter.go`.

use std::path::Path;

use ntmeta::{FileAttributes, FileBasicInfo};

use super::directory_times::DirectoryTimes;
use super::summary::WriterSummary;
use super::utility_image::process_utility_vm;
use super::{HostCompute, is_absent};
use crate::error::{Error, Result, entry_error, io_error};
use crate::hub::{FileEntry, LayerWriter, LinkEntry};
use crate::layout;
use crate::path::LayerPath;
use crate::rules::Breach;
use crate::transport::PendingLinks;
use crate::transport::{Added, AddedPaths, EntryFile};
use crate::volume::{
    Access, BufferedFile, File, Form, Kind, Privileges, Root, Scope, Volume, delete_tree,
};

/// Writes a layer without parents.
pub(super) struct BaseWriter<'a, V: Volume> {
    host: &'a HostCompute<V>,
    root: V::Root,
    added: AddedPaths,
    times: DirectoryTimes,
    links: PendingLinks,
    current: Option<EntryFile<<V::Root as Root>::File>>,
    warnings: Vec<String>,
}

impl<'a, V: Volume> BaseWriter<'a, V> {
    pub(super) fn new(
        host: &'a HostCompute<V>,
        layer: &Path,
        privileges: &Privileges,
    ) -> Result<Self> {
        let root = host.volume.open_root(layer, privileges);
        Ok(Self {
            host,
            root: root.map_err(io_error("open", layer))?,
            added: AddedPaths::default(),
            times: DirectoryTimes::default(),
            links: PendingLinks::default(),
            current: None,
            warnings: Vec::new(),
        })
    }

    fn end_entry(&mut self) -> Result<()> {
        let Some(current) = self.current.take() else {
            return Ok(());
        };
        let path = current.path().clone();
        let is_reparse_point = current.close(None)?;
        // Windows writes to the other places, and follows what it finds there.
        let may_be_one = |top| layout::is_below(&path, top);
        if is_reparse_point && !may_be_one(layout::FILES) && !may_be_one(layout::UTILITY_VM_FILES) {
            return Err(Breach::ReparsePointOutside.broken_by(&path));
        }
        self.added.end(&path, is_reparse_point)
    }

    /// Makes the directories above a path that no entry has brought.
    fn make_missing(&mut self, path: &LayerPath, info: &FileBasicInfo) -> Result<()> {
        for directory in self.added.missing(path)? {
            let info = FileBasicInfo {
                attributes: FileAttributes::DIRECTORY,
                ..*info
            };
            self.create(&directory, &info)?
                .close()
                .map_err(entry_error("create", self.root.path(), &directory))?;
            self.added.disown(&directory);
            self.warnings.push(format!(
                "the directory `{directory}` is missing in the layer: it was made"
            ));
        }
        Ok(())
    }

    /// Makes a file or directory whose directory is there, replacing an earlier one of its kind.
    fn create(
        &mut self,
        path: &LayerPath,
        info: &FileBasicInfo,
    ) -> Result<<V::Root as Root>::File> {
        let is_directory = info.attributes.contains(FileAttributes::DIRECTORY);
        let mut is_there = self.added.is_replaced(path, is_directory)?;
        if is_there && self.added.get(path) != Some(Added::Directory) {
            self.delete(path)?;
            is_there = false;
        }
        let kind = if is_directory {
            Kind::Directory
        } else {
            Kind::File
        };
        let opened = if is_there {
            self.root.open(Some(path), Access::Write)
        } else {
            self.root.create(path, kind)
        };
        let file = opened.map_err(entry_error("create", self.root.path(), path))?;
        self.added.insert(path, is_directory);
        self.links.remove(path);
        let mut now = *info;
        if is_directory {
            self.times.note(path, info);
            // Until the end, nothing may keep names from being made in it.
            now.attributes.remove(FileAttributes::READONLY);
        }
        file.set_basic_info(&now).map_err(entry_error(
            "set the times of",
            self.root.path(),
            path,
        ))?;
        Ok(file)
    }

    fn delete(&self, path: &LayerPath) -> Result<()> {
        match delete_tree(&self.root, path) {
            Err(error) if !is_absent(&error) => {
                Err(entry_error("delete", self.root.path(), path)(error))
            }
            _ => Ok(()),
        }
    }

    fn link(&self, path: &LayerPath, target: &LayerPath) -> Result<()> {
        let linked = self.root.link(&self.root, target, path);
        linked.map_err(entry_error("link", self.root.path(), path))
    }

    /// Makes the links whose targets came after them.
    fn make_links(&self) -> Result<()> {
        for (path, target) in self.links.in_order()? {
            check_target(path, target, self.added.get(target))?;
            self.link(path, target)?;
        }
        Ok(())
    }
}

impl<V: Volume> LayerWriter for BaseWriter<'_, V> {
    type Output = WriterSummary;

    fn add(&mut self, file: &FileEntry) -> Result<()> {
        self.end_entry()?;
        self.make_missing(&file.path, &file.basic_info)?;
        let created = self.create(&file.path, &file.basic_info)?;
        let form = Form::BackupStream(Scope::WithSecurity);
        let created = BufferedFile::new(created, form);
        self.current = Some(EntryFile::new(self.root.path(), &file.path, created));
        Ok(())
    }

    fn write(&mut self, backup_stream: &[u8]) -> Result<()> {
        let current = self.current.as_mut().ok_or(Error::NoCurrentFile)?;
        current.write(backup_stream)
    }

    fn add_link(&mut self, link: &LinkEntry) -> Result<()> {
        self.end_entry()?;
        let (path, target) = (&link.path, &link.target);
        if path == target {
            let target = target.clone();
            return Err(Breach::LinkLoop { target }.broken_by(path));
        }
        self.make_missing(path, &link.basic_info.unwrap_or_default())?;
        if self.added.is_replaced_by_link(path)? {
            self.delete(path)?;
        }
        self.added.insert_link(path);
        self.links.remove(path);
        if self.added.get(target).is_none() || self.links.contains(target) {
            self.links.insert(path, target);
            return Ok(());
        }
        check_target(path, target, self.added.get(target))?;
        self.link(path, target)
    }

    fn remove(&mut self, path: &LayerPath) -> Result<()> {
        Err(Breach::RemovalInBaseLayer.broken_by(path))
    }

    fn remove_contents(&mut self, directory: &LayerPath) -> Result<()> {
        Err(Breach::RemovalInBaseLayer.broken_by(directory))
    }

    fn finish(mut self) -> Result<WriterSummary> {
        self.end_entry()?;
        self.make_links()?;
        self.times.reapply(&self.root)?;
        self.host.service.process_base_image(self.root.path())?;
        let files = layout::path(layout::UTILITY_VM_FILES);
        if self.added.get(&files) == Some(Added::Directory) {
            process_utility_vm(&*self.host.service, &self.root)?;
            self.times.reapply_utility_vm(&self.root)?;
        }
        Ok(WriterSummary {
            warnings: self.warnings,
        })
    }
}

/// Refuses a link to what is no file of the layer.
pub(super) fn check_target(
    path: &LayerPath,
    target: &LayerPath,
    found: Option<Added>,
) -> Result<()> {
    let target = target.clone();
    match found {
        Some(Added::File) => Ok(()),
        Some(_) => Err(Breach::LinkToDirectory { target }.broken_by(path)),
        None => Err(Breach::LinkTargetMissing { target }.broken_by(path)),
    }
}
