//! The hard links of a transport folder, made once all else is there.
//!
//! A link to a file of the layer becomes a hard link of the disk. Two kinds cannot, and become
//! copies with a warning: a link to a file that only a parent has, and one between `Files` and the
//! utility VM. The files of these two lie in the folder in different forms, as Windows wants them:
//! one file of the disk cannot be both. However many links there are, each file is copied once for
//! each of the two.

use std::collections::HashMap;
use std::io::Read;

use ntmeta::FileBasicInfo;

use super::entries::{EntryStream, read_attributes};
use super::writer::is_live;
use super::{Added, TransportWriter};
use crate::error::{Error, Result, entry_error};
use crate::hub::FileEntry;
use crate::layer::ItemKind;
use crate::path::LayerPath;
use crate::rules::Breach;
use crate::view::{NodeKind, View};
use crate::volume::{Access, File, Root, Scope, Volume};

impl<V: Volume> TransportWriter<V>
where
    V::Root: 'static,
{
    /// Makes the links that have waited.
    pub(super) fn make_links(&mut self) -> Result<()> {
        let links = std::mem::take(&mut self.pending.links);
        // The file that each link leads to, over other links.
        let mut ends: HashMap<&LayerPath, &LayerPath> = HashMap::new();
        // The copies that there are, by their file and form.
        let mut copies: HashMap<(&LayerPath, bool), &LayerPath> = HashMap::new();
        for (path, target) in links.in_order()? {
            let end = ends.get(target).copied().unwrap_or(target);
            ends.insert(path, end);
            let form = is_live(path);
            match self.added(end) {
                Some(Added::File) if is_live(end) == form => self.link(end, path)?,
                Some(Added::Directory | Added::DirectoryReparsePoint) => {
                    let target = target.clone();
                    return Err(Breach::LinkToDirectory { target }.broken_by(path));
                }
                added => {
                    if let Some(copy) = copies.get(&(end, form)) {
                        self.link(copy, path)?;
                        continue;
                    }
                    match added {
                        Some(_) => self.copy_other_form(path, end)?,
                        None => self.copy_from_parents(path, end)?,
                    }
                    copies.insert((end, form), path);
                }
            }
        }
        Ok(())
    }

    fn link(&mut self, existing: &LayerPath, new: &LayerPath) -> Result<()> {
        let root = self.files.root();
        let made = root.link(root, existing, new);
        made.map_err(entry_error("link", root.path(), new))?;
        self.files.linked(existing, new);
        Ok(())
    }

    /// Copies a file of the layer from `Files` to the utility VM, or the reverse.
    fn copy_other_form(&mut self, path: &LayerPath, target: &LayerPath) -> Result<()> {
        let (info, mut stream) = open_written(self.files.root(), target)?;
        let size = match is_live(target) {
            true => self.live.size(target),
            false => self.files.size(target),
        };
        self.start_copy(path, info, size)?;
        let folder = self.files.root().path().to_owned();
        self.put_all(&mut stream, |error| {
            entry_error("read", &folder, target)(error)
        })?;
        self.pending.warnings.push(format!(
            "`{path}` is a copy of `{target}`, not a hard link to it: a transport folder holds the \
             files of the utility VM in another form"
        ));
        Ok(())
    }

    fn copy_from_parents(&mut self, path: &LayerPath, target: &LayerPath) -> Result<()> {
        // Taken out while the copy is written.
        let parents = self.parents.take();
        let copied = self.copy_from(parents.as_ref(), path, target);
        self.parents = parents;
        copied
    }

    fn copy_from(
        &mut self,
        parents: Option<&View>,
        path: &LayerPath,
        target: &LayerPath,
    ) -> Result<()> {
        let missing = || {
            let target = target.clone();
            Breach::LinkTargetMissing { target }.broken_by(path)
        };
        let found = match parents {
            Some(view) => view.find(target)?.map(|node| (view, node)),
            None => None,
        };
        let Some((view, node)) = found else {
            return Err(missing());
        };
        if node.kind == NodeKind::Directory {
            let target = target.clone();
            return Err(Breach::LinkToDirectory { target }.broken_by(path));
        }
        let info = match &node.item {
            Some(item) if item.kind == ItemKind::File => item.basic_info,
            // A link whose own file is missing.
            _ => return Err(missing()),
        };
        let mut source = view.backup_stream(&node)?;
        self.start_copy(path, info, node.size())?;
        self.put_all(&mut source.reader, Error::input)?;
        self.pending.warnings.push(format!(
            "`{path}` is a copy of the parents' `{target}`, which it should be a link to"
        ));
        Ok(())
    }

    /// Starts the file that takes the place of a link.
    fn start_copy(&mut self, path: &LayerPath, info: FileBasicInfo, size: u64) -> Result<()> {
        match is_live(path) {
            true => self.live.forget_link(path),
            false => self.files.forget_link(path),
        }
        self.start(&FileEntry {
            path: path.clone(),
            basic_info: info,
            size,
            metadata_first: true,
        })
    }

    fn put_all(
        &mut self,
        source: &mut dyn Read,
        failed: impl Fn(std::io::Error) -> Error,
    ) -> Result<()> {
        let mut piece = vec![0; 256 * 1024];
        loop {
            match source.read(&mut piece).map_err(&failed)? {
                0 => break,
                read => self.put(&piece[..read])?,
            }
        }
        self.files.end_entry()?;
        self.live.end_entry()
    }
}

/// Opens a file of the folder that is being made: its times and attributes, and its backup stream.
fn open_written<R: Root>(
    root: &R,
    path: &LayerPath,
) -> Result<(FileBasicInfo, EntryStream<R::File>)> {
    let failed = entry_error("read", root.path(), path);
    let opened = root.open(Some(path), Access::Read);
    let (mut file, stat) = opened
        .and_then(|file| {
            let stat = file.stat()?;
            Ok((file, stat))
        })
        .map_err(failed)?;
    let mut info = stat.basic_info;
    if is_live(path) {
        // Few disks take these two as they are given.
        info.creation_time = info.last_write_time;
        info.last_access_time = info.last_write_time;
        return Ok((info, EntryStream::Backup(file, Scope::WithSecurity)));
    }
    info.attributes = read_attributes(&mut file, root.path(), path)?;
    Ok((info, EntryStream::Data(file)))
}
