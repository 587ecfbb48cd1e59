//! [`AddedPaths`]: what a writer was given so far, and the rules that follow from it.
//!
//! A disk alone cannot say whether a name is there because this layer brought it. With this
//! table, a clash is found at the entry that causes it, before anything is written.

use std::collections::HashMap;

use ntmeta::FileAttributes;

use super::sums::FolderSummary;
use crate::error::Result;
use crate::hub::FileEntry;
use crate::layout;
use crate::path::LayerPath;
use crate::rules::Breach;

/// What an entry was added as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Added {
    /// A file, a reparse point that is no directory, or a link.
    File,
    /// A directory that names can lie in.
    Directory,
    /// A directory that is a reparse point.
    DirectoryReparsePoint,
}

/// Every path that was added, compared without case.
#[derive(Debug, Default)]
pub(crate) struct AddedPaths {
    paths: HashMap<LayerPath, State>,
}

#[derive(Debug)]
struct State {
    kind: Kind,
    /// What an earlier entry of the path was.
    before: Option<Kind>,
    /// Whether an entry of the layer brought it, rather than the writer.
    is_own: bool,
    has_children: bool,
    counts: Counts,
}

/// What an entry adds to the sums of a layer.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Counts {
    /// Length of the unnamed data in bytes.
    pub(crate) size: u64,
    is_reparse_point: bool,
}

impl Counts {
    /// Returns the counts of an entry that is not a hard link.
    pub(crate) fn of(entry: &FileEntry) -> Self {
        let attributes = entry.basic_info.attributes;
        Self {
            size: entry.size,
            is_reparse_point: attributes.contains(FileAttributes::REPARSE_POINT),
        }
    }
}

/// What there is to tell apart when a path comes twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    File,
    FileReparsePoint,
    Link,
    Directory,
    DirectoryReparsePoint,
}

impl Kind {
    fn added(self) -> Added {
        match self {
            Self::File | Self::FileReparsePoint | Self::Link => Added::File,
            Self::Directory => Added::Directory,
            Self::DirectoryReparsePoint => Added::DirectoryReparsePoint,
        }
    }

    fn describe(self) -> &'static str {
        match self {
            Self::File => "a file",
            Self::Link => "a hard link",
            Self::Directory => "a directory",
            Self::FileReparsePoint | Self::DirectoryReparsePoint => "a reparse point",
        }
    }

    fn is_directory(self) -> bool {
        matches!(self, Self::Directory | Self::DirectoryReparsePoint)
    }

    fn is_reparse_point(self) -> bool {
        matches!(self, Self::FileReparsePoint | Self::DirectoryReparsePoint)
    }
}

impl AddedPaths {
    /// Returns what a path was added as.
    pub(crate) fn get(&self, path: &LayerPath) -> Option<Added> {
        self.paths.get(path).map(|state| state.kind.added())
    }

    /// Iterates over all of them in no order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&LayerPath, Added)> {
        self.paths
            .iter()
            .map(|(path, state)| (path, state.kind.added()))
    }

    /// Iterates over the paths that entries of the layer have brought, in no order.
    pub(crate) fn entries(&self) -> impl Iterator<Item = &LayerPath> {
        let own = self.paths.iter().filter(|(_, state)| state.is_own);
        own.map(|(path, _)| path)
    }

    /// Returns the directories above a path that were not added, outermost first; refuses a path
    /// below a file or a reparse point.
    pub(crate) fn missing(&self, path: &LayerPath) -> Result<Vec<LayerPath>> {
        let mut missing = Vec::new();
        let mut next = path.parent();
        while let Some(directory) = next {
            if let Some(kind) = self.paths.get(&directory).map(|state| state.kind) {
                match Breach::below(&directory, kind.is_directory(), kind.is_reparse_point()) {
                    Some(breach) => return Err(breach.broken_by(path)),
                    None => break,
                }
            }
            next = directory.parent();
            missing.push(directory);
        }
        missing.reverse();
        Ok(missing)
    }

    /// Returns whether a path was added before; refuses a file or directory where something of
    /// another kind was. Whether both are reparse points shows only once the entry
    /// [ends](Self::end).
    pub(crate) fn is_replaced(&self, path: &LayerPath, is_directory: bool) -> Result<bool> {
        let Some(was) = self.paths.get(path) else {
            return Ok(false);
        };
        let is_same = match was.kind {
            Kind::File | Kind::FileReparsePoint => !is_directory,
            Kind::Link => false,
            Kind::Directory | Kind::DirectoryReparsePoint => is_directory,
        };
        let second = match is_directory {
            true => Kind::Directory,
            false => Kind::File,
        };
        match is_same {
            true => Ok(true),
            false => Err(duplicate(was.kind, second).broken_by(path)),
        }
    }

    /// Returns whether a path was added before, as a hard link; refuses a link where anything else
    /// was, whose content would be lost.
    pub(crate) fn is_replaced_by_link(&self, path: &LayerPath) -> Result<bool> {
        match self.paths.get(path).map(|was| was.kind) {
            None => Ok(false),
            Some(Kind::Link) => Ok(true),
            Some(kind) => Err(duplicate(kind, Kind::Link).broken_by(path)),
        }
    }

    /// Takes note of an entry whose directory has been noted.
    pub(crate) fn insert(&mut self, path: &LayerPath, is_directory: bool) {
        let kind = match is_directory {
            true => Kind::Directory,
            false => Kind::File,
        };
        self.put(path, kind);
    }

    /// Takes note of a hard link whose directory has been noted.
    pub(crate) fn insert_link(&mut self, path: &LayerPath) {
        self.put(path, Kind::Link);
    }

    fn put(&mut self, path: &LayerPath, kind: Kind) {
        if let Some(parent) = path.parent()
            && let Some(state) = self.paths.get_mut(&parent)
        {
            state.has_children = true;
        }
        let was = self.paths.get(path);
        let state = State {
            kind,
            before: was.filter(|was| was.is_own).map(|was| was.kind),
            is_own: true,
            has_children: was.is_some_and(|was| was.has_children),
            counts: Counts::default(),
        };
        self.paths.insert(path.clone(), state);
    }

    /// Forgets a path that has nothing below it.
    pub(crate) fn forget(&mut self, path: &LayerPath) {
        self.paths.remove(path);
    }

    /// Takes note of what the entry at a path adds to the sums of the layer.
    pub(crate) fn set_counts(&mut self, path: &LayerPath, counts: Counts) {
        if let Some(state) = self.paths.get_mut(path) {
            state.counts = counts;
        }
    }

    /// Returns what the entry at a path adds to the sums of the layer.
    pub(crate) fn counts(&self, path: &LayerPath) -> Option<Counts> {
        self.paths.get(path).map(|state| state.counts)
    }

    /// Makes a link count as the file that it names: for a file whose own name is not counted.
    pub(crate) fn count_as(&mut self, link: &LayerPath, file: &LayerPath) {
        let Some(counts) = self.counts(file) else {
            return;
        };
        if let Some(state) = self.paths.get_mut(link) {
            (state.kind, state.counts) = (Kind::File, counts);
        }
    }

    /// Makes an entry count as a reparse point, whatever its attributes say.
    pub(crate) fn count_as_reparse_point(&mut self, path: &LayerPath) {
        if let Some(state) = self.paths.get_mut(path) {
            state.counts.is_reparse_point = true;
        }
    }

    /// Adds up all paths, without those in the recycle bin: they are not read back.
    pub(crate) fn add_to(&self, sums: &mut FolderSummary) {
        let bin = self.get(&layout::path(layout::RECYCLE_BIN));
        let has_bin = matches!(bin, Some(Added::Directory | Added::DirectoryReparsePoint));
        for (path, state) in &self.paths {
            if has_bin && layout::is_in(path, layout::RECYCLE_BIN) {
                continue;
            }
            let entries = &mut sums.entries;
            let counter = match state.kind {
                Kind::Link => &mut entries.links,
                _ if state.counts.is_reparse_point => &mut entries.reparse_points,
                Kind::Directory | Kind::DirectoryReparsePoint => &mut entries.directories,
                Kind::File | Kind::FileReparsePoint => &mut entries.files,
            };
            *counter += 1;
            sums.content_size = sums.content_size.saturating_add(state.counts.size);
        }
    }

    /// Takes note that no entry of the layer brought a directory: an entry of its path may be
    /// anything that is a directory.
    pub(crate) fn disown(&mut self, path: &LayerPath) {
        if let Some(state) = self.paths.get_mut(path) {
            state.is_own = false;
        }
    }

    /// Takes note of whether the entry at a path is a reparse point, which shows when its backup
    /// stream ends. Refuses a directory with something in it that becomes one, and an entry of
    /// another kind than an earlier one of its path.
    pub(crate) fn end(&mut self, path: &LayerPath, is_reparse_point: bool) -> Result<()> {
        let Some(state) = self.paths.get_mut(path) else {
            return Ok(());
        };
        let kind = match (state.kind, is_reparse_point) {
            (Kind::Directory, true) => Kind::DirectoryReparsePoint,
            (Kind::File, true) => Kind::FileReparsePoint,
            (kind, _) => kind,
        };
        let is_other = |before: &Kind| before.is_reparse_point() != is_reparse_point;
        if let Some(before) = state.before.filter(is_other) {
            return Err(duplicate(before, kind).broken_by(path));
        }
        if is_reparse_point && state.has_children {
            return Err(Breach::ReparsePointWithContents.broken_by(path));
        }
        state.kind = kind;
        Ok(())
    }
}

/// Returns the rule that an entry breaks whose path was added as another kind of thing.
fn duplicate(first: Kind, second: Kind) -> Breach {
    Breach::DuplicateOfOtherKind {
        first: first.describe(),
        first_offset: None,
        second: second.describe(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::rule_of;
    use crate::rules::Rule;

    fn path(text: &str) -> LayerPath {
        text.parse().expect(text)
    }

    fn some() -> AddedPaths {
        let mut added = AddedPaths::default();
        added.insert(&path("Files"), true);
        added.insert(&path("Files/d"), true);
        added.insert(&path("Files/d/f"), false);
        added.insert_link(&path("Files/l"));
        added.insert(&path("Files/j"), true);
        added
            .end(&path("Files/J"), true)
            .expect("an empty directory");
        added.insert(&path("Files/s"), false);
        added.end(&path("Files/s"), true).expect("a symbolic link");
        added
    }

    #[test]
    fn only_directories_that_did_not_come_are_missing() {
        let missing = some().missing(&path("files/D/x/y/z")).expect("no clash");
        assert_eq!(missing, [path("Files/d/x"), path("Files/d/x/y")]);
        assert_eq!(some().missing(&path("Files/d/g")).expect("no clash"), []);
    }

    #[test]
    fn nothing_lies_below_a_file_or_a_reparse_point() {
        for (below, rule) in [
            ("Files/d/f/x", Rule::BelowFile),
            ("Files/d/F/x/y", Rule::BelowFile),
            ("Files/l/x", Rule::BelowFile),
            ("Files/j/x/y", Rule::BelowReparsePoint),
        ] {
            let error = some().missing(&path(below)).expect_err(below);
            assert_eq!(rule_of(&error), Some(rule), "{error}");
        }
    }

    /// What a second entry is: a link, or a file or directory that is a reparse point or not.
    #[derive(Debug, Clone, Copy)]
    enum Second {
        Link,
        Other { directory: bool, reparse: bool },
    }

    fn add(added: &mut AddedPaths, path: &LayerPath, second: Second) -> Result<bool> {
        match second {
            Second::Link => {
                let replaced = added.is_replaced_by_link(path)?;
                added.insert_link(path);
                Ok(replaced)
            }
            Second::Other { directory, reparse } => {
                let replaced = added.is_replaced(path, directory)?;
                added.insert(path, directory);
                added.end(path, reparse)?;
                Ok(replaced)
            }
        }
    }

    #[test]
    fn an_entry_replaces_only_its_own_kind() {
        let other = |directory, reparse| Second::Other { directory, reparse };
        let (file, symlink) = (other(false, false), other(false, true));
        let (directory, junction) = (other(true, false), other(true, true));
        for (name, legal) in [
            ("Files/D/F", file),
            ("Files/L", Second::Link),
            ("Files/S", symlink),
            ("Files/D", directory),
            ("Files/J", junction),
        ] {
            let kinds = [file, symlink, Second::Link, directory, junction];
            for (at, second) in kinds.into_iter().enumerate() {
                let is_legal = format!("{second:?}") == format!("{legal:?}");
                let result = add(&mut some(), &path(name), second);
                assert_eq!(result.ok(), is_legal.then_some(true), "{name} {at}");
                let fresh = add(&mut some(), &path("Files/new"), second);
                assert_eq!(fresh.ok(), Some(false), "{at}");
            }
        }
    }

    #[test]
    fn a_directory_with_children_does_not_become_a_reparse_point() {
        let mut added = some();
        assert!(added.end(&path("Files/d"), true).is_err());
        assert_eq!(added.get(&path("Files/d")), Some(Added::Directory));
    }

    #[test]
    fn what_the_writer_made_may_become_a_reparse_point() {
        let mut added = some();
        let made = path("Files/made");
        added.insert(&made, true);
        added.disown(&made);
        added.insert(&made, true);
        added
            .end(&made, true)
            .expect("nothing of the layer is lost");
        assert_eq!(added.get(&made), Some(Added::DirectoryReparsePoint));
    }
}
