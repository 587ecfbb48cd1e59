//! [`Parents`]: what lies in the folders of the layers below, nearest first.

use std::collections::BTreeSet;
use std::path::Path;

use ntmeta::ReparseTag;

use crate::error::{Result, entry_error, io_error};
use crate::hcs::is_absent;
use crate::parent_chain::ParentChain;
use crate::path::LayerPath;
use crate::rules::Breach;
use crate::volume::{Listed, Privileges, Root, Stat, Volume};

/// The opened folders of the parents. Reparse points in them are seen, never followed.
pub(super) struct Parents<R: Root> {
    nearest_first: Vec<R>,
}

impl<R: Root> Parents<R> {
    pub(super) fn open<V: Volume<Root = R>>(
        volume: &V,
        chain: &ParentChain,
        privileges: &Privileges,
    ) -> Result<Self> {
        let open = |path: &Path| {
            let root = volume.open_root(path, privileges);
            root.map_err(io_error("open parent", path))
        };
        let nearest_first = chain.iter_nearest_first().map(open);
        Ok(Self {
            nearest_first: nearest_first.collect::<Result<_>>()?,
        })
    }

    /// Returns the immediate parent.
    pub(super) fn nearest(&self) -> Option<&R> {
        self.nearest_first.first()
    }

    /// Returns a parent, counted from the nearest.
    pub(super) fn get(&self, index: usize) -> &R {
        &self.nearest_first[index]
    }

    /// Finds the first parent that has something at a path.
    pub(super) fn find(&self, path: &LayerPath) -> Result<Option<(usize, Stat)>> {
        for (index, root) in self.nearest_first.iter().enumerate() {
            if let Some(stat) = walk(root, path)? {
                return Ok(Some((index, stat)));
            }
        }
        Ok(None)
    }

    /// Finds the first parent where `directory`, above the entry `entry`, is a plain directory.
    /// Refuses an entry that would lie below a file, a link or a junction of a parent; other
    /// reparse points are placeholders of Windows for directories of the layers further down.
    pub(super) fn with_directory(
        &self,
        directory: &LayerPath,
        entry: &LayerPath,
    ) -> Result<Option<(&R, Stat)>> {
        for root in &self.nearest_first {
            let Some(stat) = walk(root, directory)? else {
                continue;
            };
            if stat.is_plain_directory() {
                return Ok(Some((root, stat)));
            }
            let is_link = stat.reparse_tag.is_some_and(ReparseTag::is_name_surrogate);
            if let Some(breach) = Breach::below(directory, stat.is_directory(), is_link) {
                return Err(breach.broken_by(entry));
            }
        }
        Ok(None)
    }

    /// Lists what any of the parents has in a directory, each name once.
    pub(super) fn names_in(&self, directory: &LayerPath) -> Result<Vec<LayerPath>> {
        let mut names = BTreeSet::new();
        for root in &self.nearest_first {
            if plain_directory(root, directory)?.is_some() {
                for (path, _) in list(root, directory)? {
                    names.insert(path);
                }
            }
        }
        Ok(names.into_iter().collect())
    }
}

/// Returns what is at a path, if something is.
pub(super) fn look<R: Root>(root: &R, path: &LayerPath) -> Result<Option<Stat>> {
    match root.look(path) {
        Err(error) if is_absent(&error) => Ok(None),
        looked => looked.map_err(entry_error("open", root.path(), path)),
    }
}

/// Returns what is at a path if it lies in plain directories only.
pub(super) fn walk<R: Root>(root: &R, path: &LayerPath) -> Result<Option<Stat>> {
    for directory in path.ancestors() {
        if !look(root, &directory)?.is_some_and(|stat| stat.is_plain_directory()) {
            return Ok(None);
        }
    }
    look(root, path)
}

/// Returns what is at a path if it is a plain directory in plain directories only.
pub(super) fn plain_directory<R: Root>(root: &R, path: &LayerPath) -> Result<Option<Stat>> {
    Ok(walk(root, path)?.filter(Stat::is_plain_directory))
}

/// Lists a directory with whole paths.
pub(super) fn list<R: Root>(root: &R, directory: &LayerPath) -> Result<Vec<(LayerPath, Listed)>> {
    let names = root.list(Some(directory));
    let names = names.map_err(entry_error("list", root.path(), directory))?;
    let with_path = |listed: Listed| Ok((listed.path_in(Some(directory))?, listed));
    names.into_iter().map(with_path).collect()
}
