//! Opens the directories of the layer on the host, in the order of its entries.

use std::collections::{HashMap, HashSet};
use std::io;
use std::sync::Arc;

use cap_fs_ext::DirExt;
use cap_std::fs::Dir;

use super::made::Place;
use super::names::other_name;
use super::place::{Folder, Ground, any_case, identity};
use super::report::Extracted;
use crate::error::Result;
use crate::path::LayerPath;
use crate::place::way::Way;

/// How many of the outermost directories of a path stay open, and how many of the innermost.
const KEPT_OPEN: usize = 24;

/// Opens directories of the layer on the host, and creates missing ones.
pub(super) struct Places {
    ground: Arc<Ground>,
    root: Arc<Folder>,
    /// The directories of the last path, outermost first.
    way: Vec<Level>,
    /// The directories that were entered.
    entered: HashSet<Place>,
    /// Their places by the rules of NTFS, by their identity on the host, if it has one.
    identities: HashMap<(u64, u64), Place>,
    /// The directories on the way to the target of the last link.
    found: Way<Folder>,
}

/// A directory on the way to the last path.
struct Level {
    real: Vec<u8>,
    host: String,
    place: Place,
    real_place: Place,
    /// `None` if too many directories are open.
    open: Option<Arc<Folder>>,
}

/// One component of a path.
struct Step<'a> {
    path: &'a LayerPath,
    /// Its number, from 0.
    depth: usize,
    name: &'a [u8],
}

impl Places {
    pub(super) fn new(ground: Arc<Ground>, root: Arc<Folder>) -> Self {
        Self {
            ground,
            root,
            way: Vec::new(),
            entered: HashSet::new(),
            identities: HashMap::new(),
            found: Way::default(),
        }
    }

    /// Opens the directory of a path, and creates it if necessary.
    pub(super) fn parent(
        &mut self,
        path: &LayerPath,
        report: &mut Extracted,
    ) -> Result<Arc<Folder>> {
        match path.parent() {
            Some(parent) => self.directory(&parent, report),
            None => Ok(Arc::clone(&self.root)),
        }
    }

    /// Opens a directory, and creates it if necessary.
    pub(super) fn directory(
        &mut self,
        path: &LayerPath,
        report: &mut Extracted,
    ) -> Result<Arc<Folder>> {
        let known = self.way.iter().map(|level| &level.real[..]);
        let known = known
            .zip(path.components())
            .take_while(|(a, b)| a == b)
            .count();
        self.way.truncate(known);
        let ground = Arc::clone(&self.ground);
        let failed = || ground.error("make the directory", path);
        let mut last = self.reopen().map_err(failed())?;
        for (depth, name) in path.components().enumerate().skip(known) {
            let step = Step { path, depth, name };
            last = self.enter(&last, &step, report).map_err(failed())?;
        }
        Ok(last)
    }

    /// Reopens the last directory of the way if it was closed.
    fn reopen(&mut self) -> io::Result<Arc<Folder>> {
        let open = self.way.iter().rposition(|level| level.open.is_some());
        let mut last = match open.and_then(|at| self.way[at].open.as_ref()) {
            Some(folder) => Arc::clone(folder),
            None => Arc::clone(&self.root),
        };
        for at in open.map_or(0, |at| at + 1)..self.way.len() {
            let level = &mut self.way[at];
            let dir = last.dir.open_dir_nofollow(&level.host)?;
            last = Arc::new(Folder::new(dir, level.place));
            level.open = Some(Arc::clone(&last));
            self.close_one(at);
        }
        Ok(last)
    }

    /// Closes one directory if too many are open with the one at `last`.
    fn close_one(&mut self, last: usize) {
        if let Some(at) = last.checked_sub(KEPT_OPEN).filter(|at| *at >= KEPT_OPEN) {
            self.way[at].open = None;
        }
    }

    /// Goes one step further; the first time, reports a changed name.
    fn enter(
        &mut self,
        last: &Folder,
        step: &Step<'_>,
        report: &mut Extracted,
    ) -> io::Result<Arc<Folder>> {
        let real = step.name;
        let made = &self.ground.made;
        let above = self.way.last().map_or(made.top(), |level| level.real_place);
        let real_place = made.real_place(above, real);
        let mut host = made
            .name_of(last.place, real, self.ground.rules)
            .into_owned();
        let mut place = made.place(last.place, &host);
        let (mut dir, mut is_new) = self.ground.enter(last, &host)?;
        let is_first = !self.entered.contains(&place);
        if is_first && self.is_another(&dir, real_place, is_new)? {
            host = other_name(real, self.ground.rules);
            place = made.place(last.place, &host);
            (dir, is_new) = self.ground.enter(last, &host)?;
        }
        if is_first {
            self.entered.insert(place);
            if let Some(identity) = identity(&dir.dir_metadata()?) {
                self.identities.insert(identity, real_place);
            }
            made.note(last.place, real, &host);
            if host.as_bytes() != real {
                let above = step.path.ancestors();
                report.renamed(above.get(step.depth).unwrap_or(step.path), &host);
            }
        }
        report.directories += u64::from(is_new);
        let folder = Arc::new(Folder::new(dir, place));
        self.way.push(Level {
            real: real.to_owned(),
            host,
            place,
            real_place,
            open: Some(Arc::clone(&folder)),
        });
        self.close_one(self.way.len() - 1);
        Ok(folder)
    }

    /// Returns whether a directory was entered under another name of the layer, which the host does
    /// not distinguish.
    fn is_another(&self, dir: &Dir, real_place: Place, is_new: bool) -> io::Result<bool> {
        if is_new {
            return Ok(false);
        }
        let identity = identity(&dir.dir_metadata()?);
        let known = identity.and_then(|identity| self.identities.get(&identity));
        Ok(known.is_some_and(|known| *known != real_place))
    }

    /// Opens the directory of a path, if it exists.
    pub(super) fn find_parent(&mut self, path: &LayerPath) -> io::Result<Arc<Folder>> {
        let mut names = path.components();
        names.next_back();
        let ground = &self.ground;
        self.found.go(&self.root, names, |folder, real| {
            let name = ground.made.name_of(folder.place, real, ground.rules);
            let dir = folder.dir.open_dir_nofollow(&*name)?;
            Ok(Folder::new(dir, ground.made.place(folder.place, &name)))
        })
    }

    /// Returns whether the directory at a place has been entered.
    pub(super) fn has_entered(&self, place: Place) -> bool {
        self.entered.contains(&place)
    }

    /// Finds the spelling of the names in a link's target, for hosts that distinguish letter case.
    /// Missing names are kept. Every name that is read reduces `budget`.
    pub(super) fn spelling(&self, path: &LayerPath, budget: &mut u64) -> Vec<String> {
        let made = &self.ground.made;
        let mut place = self.root.place;
        let mut dir = self.root.dir.try_clone().ok();
        let mut names = Vec::new();
        for real in path.components() {
            let mut name = made.name_of(place, real, self.ground.rules).into_owned();
            if let Some(here) = dir.take() {
                if here.symlink_metadata(&*name).is_err()
                    && let Some(spelt) = any_case(&here, &name, budget)
                {
                    name = spelt;
                }
                dir = here.open_dir_nofollow(&*name).ok();
            }
            place = made.place(place, &name);
            names.push(name);
        }
        names
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    /// Not on Windows, which has a lower limit for such a path.
    #[test]
    fn few_directories_are_open_at_any_depth() {
        let folder = tempfile::tempdir().expect("a folder");
        let (ground, root) = Ground::open(folder.path()).expect("a folder");
        let mut places = Places::new(ground, root);
        let mut report = Extracted::default();
        let path = |depth: usize| -> LayerPath {
            ["Files"].repeat(depth).join("/").parse().expect("a path")
        };
        for depth in [300, 120, 299, 20] {
            let dir = places.directory(&path(depth), &mut report);
            let dir = dir.expect("made");
            dir.dir.create(format!("{depth}")).expect("free");
            let open = places.way.iter().filter(|level| level.open.is_some());
            assert!(open.count() <= 2 * KEPT_OPEN, "{depth}");
            let there = folder.path().join(path(depth).to_string());
            assert!(there.join(format!("{depth}")).exists(), "{depth}");
        }
        assert_eq!(report.directories, 300);
    }
}
