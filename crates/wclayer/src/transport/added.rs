//! [`AddedPaths`]: what a writer was given so far, and the rules that follow from it.
//!
//! A disk alone cannot say whether a name is there because this layer brought it. With this
//! table, a clash is found at the entry that causes it, before anything is written.

use std::collections::HashMap;

use crate::error::Result;
use crate::hcs::HcsRule;
use crate::path::LayerPath;

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
    added: Added,
    has_children: bool,
}

impl AddedPaths {
    /// Returns what a path was added as.
    pub(crate) fn get(&self, path: &LayerPath) -> Option<Added> {
        self.paths.get(path).map(|state| state.added)
    }

    /// Iterates over all of them in no order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&LayerPath, Added)> {
        self.paths.iter().map(|(path, state)| (path, state.added))
    }

    /// Returns the directories above a path that were not added, outermost first; refuses a path
    /// below a file or a reparse point.
    pub(crate) fn missing(&self, path: &LayerPath) -> Result<Vec<LayerPath>> {
        let mut missing = Vec::new();
        let mut next = path.parent();
        while let Some(directory) = next {
            match self.get(&directory) {
                Some(Added::Directory) => break,
                Some(Added::File) => {
                    return Err(HcsRule::FileInWay { path: directory }.broken_by(path));
                }
                Some(Added::DirectoryReparsePoint) => {
                    return Err(HcsRule::ReparsePointInWay { path: directory }.broken_by(path));
                }
                None => next = directory.parent(),
            }
            missing.push(directory);
        }
        missing.reverse();
        Ok(missing)
    }

    /// Returns whether a path was added before; refuses an entry of another kind than it was.
    pub(crate) fn is_replaced(&self, path: &LayerPath, is_directory: bool) -> Result<bool> {
        match self.get(path) {
            None => Ok(false),
            Some(was) if (was != Added::File) == is_directory => Ok(true),
            Some(_) => Err(HcsRule::DuplicateOfOtherKind.broken_by(path)),
        }
    }

    /// Takes note of an entry whose directory has been noted.
    pub(crate) fn insert(&mut self, path: &LayerPath, is_directory: bool) {
        if let Some(parent) = path.parent()
            && let Some(state) = self.paths.get_mut(&parent)
        {
            state.has_children = true;
        }
        let has_children = self.paths.get(path).is_some_and(|was| was.has_children);
        let added = if is_directory {
            Added::Directory
        } else {
            Added::File
        };
        self.paths.insert(
            path.clone(),
            State {
                added,
                has_children,
            },
        );
    }

    /// Turns a directory into a reparse point; refuses one that has something in it.
    pub(crate) fn become_reparse_point(&mut self, path: &LayerPath) -> Result<()> {
        if let Some(state) = self.paths.get_mut(path) {
            if state.has_children {
                return Err(HcsRule::DuplicateOfOtherKind.broken_by(path));
            }
            state.added = Added::DirectoryReparsePoint;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> LayerPath {
        text.parse().expect(text)
    }

    fn some() -> AddedPaths {
        let mut added = AddedPaths::default();
        added.insert(&path("Files"), true);
        added.insert(&path("Files/d"), true);
        added.insert(&path("Files/d/f"), false);
        added.insert(&path("Files/j"), true);
        added
            .become_reparse_point(&path("Files/J"))
            .expect("an empty directory");
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
            ("Files/d/f/x", "is a file"),
            ("Files/d/F/x/y", "is a file"),
            ("Files/j/x/y", "is a reparse point"),
        ] {
            let error = some().missing(&path(below)).expect_err(below);
            assert!(error.to_string().contains(rule), "{error}");
        }
    }

    #[test]
    fn an_entry_replaces_only_its_own_kind() {
        for (name, is_directory, replaced) in [
            ("Files/new", false, Some(false)),
            ("Files/D/F", false, Some(true)),
            ("Files/d/f", true, None),
            ("Files/d", true, Some(true)),
            ("Files/j", true, Some(true)),
            ("Files/j", false, None),
        ] {
            let result = some().is_replaced(&path(name), is_directory);
            assert_eq!(result.ok(), replaced, "{name}");
        }
    }

    #[test]
    fn a_directory_with_children_does_not_become_a_reparse_point() {
        let mut added = some();
        assert!(added.become_reparse_point(&path("Files/d")).is_err());
        assert_eq!(added.get(&path("Files/d")), Some(Added::Directory));
    }
}
