//! Reading a layer without parents: its live files are the layer.
//!
//! `Files` is walked, then `UtilityVM` with `UtilityVM\Files` when there is one; a directory comes
//! before what lies in it, names in byte-wise order. Of all else in the folder (hives, disks,
//! chains) nothing is part of the layer. A reparse point is an entry and is not followed. Memory
//! holds the names of the directories on the way to the current one, and the first names of files
//! that have several.
//!
//! Source: hcsshim `internal/wclayer/baselayerreader.go`, `pkg/ociwclayer/export.go`; the vectors
//! of `base_export`.

use std::path::Path;
use std::vec;

use crate::error::{Result, entry_error, io_error};
use crate::hub::{Entry, FileEntry, LayerReader, LinkEntry};
use crate::layout;
use crate::path::LayerPath;
use crate::rules::Breach;
use crate::volume::LinkTracker;
use crate::volume::{Access, File, Listed, Privileges, Root, Scope, Volume};

/// Reads the entries of a base layer.
pub struct BaseReader<R: Root> {
    root: R,
    /// Paths that come before all that is in `open`.
    start: vec::IntoIter<Start>,
    /// The directories on the way to the current entry, outermost first.
    open: Vec<Level>,
    current: Option<(LayerPath, R::File)>,
    links: LinkTracker,
    recycle_bin: LayerPath,
}

/// A directory of which names are still to come.
struct Level {
    directory: LayerPath,
    names: vec::IntoIter<Listed>,
}

/// A path from which reading starts.
struct Start {
    path: LayerPath,
    /// Whether what lies in it comes too.
    with_contents: bool,
}

impl<R: Root> BaseReader<R> {
    /// Starts to read the layer in a folder.
    ///
    /// # Errors
    ///
    /// Returns [`Error::Io`](crate::Error::Io) if the folder cannot be opened or has no `Files`,
    /// and [`Error::Rule`](crate::Error::Rule) if one of the layer's own directories is a file or
    /// a reparse point.
    pub fn open<V: Volume<Root = R>>(
        volume: &V,
        layer: &Path,
        privileges: &Privileges,
    ) -> Result<Self> {
        let root = volume
            .open_root(layer, privileges)
            .map_err(io_error("open", layer))?;
        let files = layout::path(layout::FILES);
        require_directory(&root, &files)?;
        let mut start = vec![Start {
            path: files,
            with_contents: true,
        }];
        if let Some(utility_vm_files) = find_utility_vm(&root)? {
            start.push(Start {
                path: layout::path(layout::UTILITY_VM),
                with_contents: false,
            });
            start.push(Start {
                path: utility_vm_files,
                with_contents: true,
            });
        }
        Ok(Self {
            root,
            start: start.into_iter(),
            open: Vec::new(),
            current: None,
            links: LinkTracker::new(),
            recycle_bin: layout::path(layout::RECYCLE_BIN),
        })
    }

    /// Returns the next path, and whether a directory there is to be entered.
    fn next_path(&mut self) -> Result<Option<(LayerPath, bool)>> {
        while let Some(level) = self.open.last_mut() {
            let Some(listed) = level.names.next() else {
                self.open.pop();
                continue;
            };
            let path = listed.path_in(Some(&level.directory))?;
            if listed.is_plain_directory() && path == self.recycle_bin {
                continue;
            }
            return Ok(Some((path, true)));
        }
        Ok(self
            .start
            .next()
            .map(|start| (start.path, start.with_contents)))
    }

    fn enter(&mut self, directory: &LayerPath) -> Result<()> {
        let names = self.root.list(Some(directory)).map_err(entry_error(
            "list",
            self.root.path(),
            directory,
        ))?;
        self.open.push(Level {
            directory: directory.clone(),
            names: names.into_iter(),
        });
        Ok(())
    }
}

impl<R: Root> LayerReader for BaseReader<R> {
    fn next_entry(&mut self) -> Result<Option<Entry>> {
        self.current = None;
        let Some((path, enter)) = self.next_path()? else {
            return Ok(None);
        };
        let folder = self.root.path();
        let file = self
            .root
            .open(Some(&path), Access::Read)
            .map_err(entry_error("open", folder, &path))?;
        let stat = file
            .stat()
            .map_err(entry_error("read the metadata of", folder, &path))?;
        if enter && stat.is_plain_directory() {
            self.enter(&path)?;
        }
        let first_name = self
            .links
            .first_name(&path, &stat.basic_info, stat.id, stat.links);
        if let Some(target) = first_name {
            return Ok(Some(Entry::Link(LinkEntry {
                path,
                target,
                basic_info: Some(stat.basic_info),
            })));
        }
        self.current = Some((path.clone(), file));
        Ok(Some(Entry::File(FileEntry {
            path,
            basic_info: stat.basic_info,
            size: stat.size,
            metadata_first: false,
        })))
    }

    fn read_stream(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let Some((path, file)) = &mut self.current else {
            return Ok(0);
        };
        file.backup_read(buffer, Scope::WithSecurity)
            .map_err(entry_error("read", self.root.path(), path))
    }
}

/// Returns `UtilityVM/Files` when the layer has one; without it, `UtilityVM` is none.
fn find_utility_vm<R: Root>(root: &R) -> Result<Option<LayerPath>> {
    for name in [layout::UTILITY_VM, layout::UTILITY_VM_FILES] {
        let path = layout::path(name);
        let stat = root
            .look(&path)
            .map_err(entry_error("open", root.path(), &path))?;
        match stat {
            None => return Ok(None),
            Some(_) => require_directory(root, &path)?,
        }
    }
    Ok(Some(layout::path(layout::UTILITY_VM_FILES)))
}

/// Checks that a path is a directory in which names can lie.
fn require_directory<R: Root>(root: &R, path: &LayerPath) -> Result<()> {
    let stat = root
        .open(Some(path), Access::Look)
        .and_then(|file| file.stat())
        .map_err(entry_error("open", root.path(), path))?;
    match stat.is_plain_directory() {
        true => Ok(()),
        false => Err(Breach::NotAPlainDirectory { path: path.clone() }.broken_by(path)),
    }
}
