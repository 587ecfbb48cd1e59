//! Questions about one path.

use super::entry::{ENTRY_COLUMNS, IndexedEntry, IndexedKind};
use super::often::Ends;
use super::read::Index;
use super::schema::index_error;
use crate::error::Result;
use crate::layer::Removed;
use crate::path::LayerPath;

/// What the layer has at a path.
enum At {
    /// A few entries, in the order of the tar.
    Few(Vec<IndexedEntry>),
    /// More than a few: only those that count.
    Often(Box<Ends<IndexedEntry>>),
}

/// What one layer has at a path, taking the directories above into account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lookup {
    /// It has the path.
    Present(Box<IndexedEntry>),
    /// It removes the path or a directory above it, or has something else in its way: the parents'
    /// path is hidden.
    Hidden,
    /// It does not mention the path: the parents decide.
    Unknown,
}

impl Index {
    /// Returns all entries at a path, removals included, in the order of the tar.
    ///
    /// # Errors
    ///
    /// Returns [`IndexError`](super::IndexError) if the index is damaged.
    pub fn find(&self, path: &LayerPath) -> Result<Vec<IndexedEntry>> {
        let query = format!("SELECT {ENTRY_COLUMNS} FROM entry WHERE path_key = ? ORDER BY id");
        self.entries_at(&query, path)
    }

    /// Returns the entry that the layer adds at a path; the last one if the path comes more than
    /// once.
    ///
    /// # Errors
    ///
    /// Returns [`IndexError`](super::IndexError) if the index is damaged.
    pub fn find_added(&self, path: &LayerPath) -> Result<Option<IndexedEntry>> {
        let mut found = self.deciding(path)?;
        Ok(found.pop_if(|last| last.is_added()))
    }

    /// Returns the entry that the layer adds at a path; the first one if the path comes more than
    /// once.
    pub(crate) fn find_first_added(&self, path: &LayerPath) -> Result<Option<IndexedEntry>> {
        Ok(match self.at(path)? {
            At::Few(entries) => entries.into_iter().find(IndexedEntry::is_added),
            At::Often(ends) => ends.first,
        })
    }

    /// Returns the first entry at a path, in the given order, that meets a condition.
    fn first(
        &self,
        path: &LayerPath,
        condition: &str,
        order: &str,
    ) -> Result<Option<IndexedEntry>> {
        let error = index_error(&self.path);
        let query = format!(
            "SELECT {ENTRY_COLUMNS} FROM entry WHERE path_key = ? AND {condition}
             ORDER BY id {order}"
        );
        let mut statement = self.connection.prepare_cached(&query).map_err(&error)?;
        let key = self.key_of(path);
        let mut rows = statement.query([key]).map_err(&error)?;
        while let Some(row) = rows.next().map_err(&error)? {
            let entry = self.entry_of(row)?;
            if entry.path == *path {
                return Ok(Some(entry));
            }
            self.check_key(&entry.path, path, key)?;
        }
        Ok(None)
    }

    /// Returns whether the layer adds something at a path, given its key as well.
    pub(super) fn has_added(&self, key: i64, path: &LayerPath) -> Result<bool> {
        let error = index_error(&self.path);
        let query = "SELECT path FROM entry WHERE path_key = ? AND kind <= 2";
        let mut statement = self.connection.prepare_cached(query).map_err(&error)?;
        let mut rows = statement.query([key]).map_err(&error)?;
        while let Some(row) = rows.next().map_err(&error)? {
            let found = row.get_ref(0).and_then(|found| Ok(found.as_blob()?));
            let found = LayerPath::parse(found.map_err(&error)?);
            let found = found.map_err(|_| self.damaged("an entry is not valid"))?;
            if found == *path {
                return Ok(true);
            }
            self.check_key(&found, path, key)?;
        }
        Ok(false)
    }

    /// Returns how the layer removes a path: as a whole, or only its contents.
    pub(crate) fn removal(&self, path: &LayerPath) -> Result<Option<Removed>> {
        let found = self.deciding(path)?;
        Ok(found.iter().find_map(|entry| match entry.kind {
            IndexedKind::Removal => Some(Removed::Path),
            IndexedKind::Opaque => Some(Removed::Contents),
            _ => None,
        }))
    }

    /// Returns the entries that decide about a path: its removal, otherwise its opaque whiteout,
    /// and after that the last one that adds something. A path may come any number of times.
    pub(super) fn deciding(&self, path: &LayerPath) -> Result<Vec<IndexedEntry>> {
        let (removal, last) = match self.at(path)? {
            At::Often(ends) => (ends.removal, ends.last),
            At::Few(mut entries) => {
                let last = entries.iter().rposition(IndexedEntry::is_added);
                let last = last.map(|at| entries.remove(at));
                entries.retain(|entry| !entry.is_added());
                // The first one of the stronger kind.
                let removal = entries.into_iter().min_by_key(|entry| entry.kind as u8);
                (removal, last)
            }
        };
        Ok(removal.into_iter().chain(last).collect())
    }

    /// Returns the entries at a path, or only those that count if it comes often.
    fn at(&self, path: &LayerPath) -> Result<At> {
        const FEW: usize = 4;
        let key = self.key_of(path);
        if let Some(ends) = self.often.get(key) {
            let ends = ends.try_map(|id| self.entry(id))?;
            if ends.all().all(|entry| entry.path == *path) {
                return Ok(At::Often(Box::new(ends)));
            }
        }
        let query =
            format!("SELECT {ENTRY_COLUMNS} FROM entry WHERE path_key = ? ORDER BY id LIMIT {FEW}");
        let found = self.entries_at(&query, path)?;
        if found.len() < FEW {
            return Ok(At::Few(found));
        }
        let removal = match self.first(path, "kind = 3", "ASC")? {
            None => self.first(path, "kind = 4", "ASC")?,
            removal => removal,
        };
        let ends = Ends {
            removal,
            first: self.first(path, "kind <= 2", "ASC")?,
            last: self.first(path, "kind <= 2", "DESC")?,
        };
        self.often.put(key, &ends);
        Ok(At::Often(Box::new(ends)))
    }

    /// Returns what the layer has at a path, taking the directories above into account.
    ///
    /// # Errors
    ///
    /// Returns [`IndexError`](super::IndexError) if the index is damaged.
    pub fn look_up(&self, path: &LayerPath) -> Result<Lookup> {
        let mut here = self.deciding(path)?;
        if let Some(at) = here.iter().rposition(IndexedEntry::is_added) {
            return Ok(Lookup::Present(Box::new(here.swap_remove(at))));
        }
        if here.iter().any(|entry| entry.kind == IndexedKind::Removal) {
            return Ok(Lookup::Hidden);
        }
        let mut above = path.parent();
        while let Some(directory) = above {
            let found = self.deciding(&directory)?;
            let removed = |entry: &IndexedEntry| !entry.is_added();
            let in_the_way = found
                .iter()
                .rfind(|entry| entry.is_added())
                .is_some_and(|entry| {
                    entry.kind != IndexedKind::Directory || entry.is_reparse_point()
                });
            if in_the_way || found.iter().any(removed) {
                return Ok(Lookup::Hidden);
            }
            above = directory.parent();
        }
        Ok(Lookup::Unknown)
    }
}
