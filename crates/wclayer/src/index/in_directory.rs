//! Questions about a directory.

use ntmeta::FileAttributes;

use super::entry::{ENTRY_COLUMNS, IndexedEntry, IndexedKind, LISTED_COLUMNS};
use super::read::Index;
use super::schema::index_error;
use super::streams::{SIZE_COLUMNS, Sizes};
use crate::error::Result;
use crate::layer::Removed;
use crate::path::LayerPath;

/// What the layer has at a path. Entries are put in one by one, in the order of the tar.
pub(super) struct Named {
    /// The path, as the entry spells it that decides about removal, otherwise as the first entry
    /// does.
    pub(super) spelled: LayerPath,
    /// What is removed there.
    pub(super) removed: Option<Removed>,
    /// The last entry that adds something, with [`LISTED_COLUMNS`] at least.
    pub(super) added: Option<(IndexedEntry, Sizes)>,
}

impl Named {
    pub(super) fn new(first: IndexedEntry, sizes: Sizes) -> Self {
        let mut named = Self {
            spelled: first.path.clone(),
            removed: None,
            added: None,
        };
        named.put(first, sizes);
        named
    }

    pub(super) fn put(&mut self, entry: IndexedEntry, sizes: Sizes) {
        match entry.kind {
            IndexedKind::Removal if self.removed != Some(Removed::Path) => {
                (self.removed, self.spelled) = (Some(Removed::Path), entry.path);
            }
            IndexedKind::Opaque if self.removed.is_none() => {
                (self.removed, self.spelled) = (Some(Removed::Contents), entry.path);
            }
            IndexedKind::Removal | IndexedKind::Opaque => {}
            _ => self.added = Some((entry, sizes)),
        }
    }
}

impl Index {
    /// Returns whether the layer adds something to a directory.
    pub(crate) fn has_children(&self, directory: &LayerPath) -> Result<bool> {
        let query = "SELECT 1 FROM entry WHERE parent_key = ? AND kind <= 2 LIMIT 1";
        self.connection
            .prepare_cached(query)
            .and_then(|mut query| query.exists([self.key_of(directory)]))
            .map_err(index_error(&self.path))
    }

    /// Returns the entries directly in a directory (at the top for `None`), in the order of the
    /// tar.
    ///
    /// # Errors
    ///
    /// Returns [`IndexError`](super::IndexError) if the index is damaged.
    pub fn children(&self, directory: Option<&LayerPath>) -> Result<Vec<IndexedEntry>> {
        let mut found = Vec::new();
        self.for_each_child(directory, |entry| {
            found.push(entry);
            Ok(())
        })?;
        Ok(found)
    }

    /// Calls `visit` for every entry directly in a directory (at the top for `None`), in the order
    /// of the tar.
    pub(crate) fn for_each_child(
        &self,
        directory: Option<&LayerPath>,
        mut visit: impl FnMut(IndexedEntry) -> Result<()>,
    ) -> Result<()> {
        let error = index_error(&self.path);
        let query = format!("SELECT {ENTRY_COLUMNS} FROM entry WHERE parent_key = ? ORDER BY id");
        let mut statement = self.connection.prepare_cached(&query).map_err(&error)?;
        let parent_key = directory.map_or(0, |directory| self.key_of(directory));
        let mut rows = statement.query([parent_key]).map_err(&error)?;
        while let Some(row) = rows.next().map_err(&error)? {
            let entry = self.entry_of(row)?;
            if self.is_in(&entry.path, directory, parent_key)? {
                visit(entry)?;
            }
        }
        Ok(())
    }

    /// Lists the names directly in a directory (at the top for `None`) with a single query.
    pub(super) fn names_in(&self, directory: Option<&LayerPath>) -> Result<Vec<Named>> {
        let error = index_error(&self.path);
        // Equal names have equal keys, and different ones hardly ever do.
        let query = format!(
            "SELECT {LISTED_COLUMNS}, path_key, {SIZE_COLUMNS} FROM entry WHERE parent_key = ?
             ORDER BY path_key, id"
        );
        let mut statement = self.connection.prepare_cached(&query).map_err(&error)?;
        let parent_key = directory.map_or(0, |directory| self.key_of(directory));
        let mut rows = statement.query([parent_key]).map_err(&error)?;
        let mut names: Vec<Named> = Vec::new();
        // Where the names of the current key start.
        let (mut start, mut start_key) = (0, None);
        while let Some(row) = rows.next().map_err(&error)? {
            let entry = self.entry_of(row)?;
            if !self.is_in(&entry.path, directory, parent_key)? {
                continue;
            }
            let key: i64 = row.get(14).map_err(&error)?;
            if start_key.replace(key) != Some(key) {
                start = names.len();
            }
            let sizes = self.sizes_of(row, 15)?;
            let same = |named: &&mut Named| named.spelled == entry.path;
            match names[start..].iter_mut().find(same) {
                Some(named) => named.put(entry, sizes),
                None => {
                    if let Some(other) = names.get(start) {
                        self.check_key(&entry.path, &other.spelled, key)?;
                    }
                    names.push(Named::new(entry, sizes));
                }
            }
        }
        Ok(names)
    }

    /// Same as [`check_key`](Self::check_key) for an entry that was found under the key of a
    /// directory; returns whether it is in there.
    pub(super) fn is_in(
        &self,
        found: &LayerPath,
        directory: Option<&LayerPath>,
        key: i64,
    ) -> Result<bool> {
        if found.parent().as_ref() == directory {
            return Ok(true);
        }
        match self.keys.borrow_mut().parent_and_own(found).0 == key {
            true => Ok(false),
            false => Err(self.damaged("a path has the key of another directory")),
        }
    }

    /// Returns whether something may be directly below an entry that is not a plain directory.
    pub(crate) fn has_entries_below_others(&self) -> Result<bool> {
        let reparse_point = FileAttributes::REPARSE_POINT.bits();
        let query = format!(
            "SELECT 1 FROM
             (SELECT DISTINCT parent_key FROM entry WHERE parent_key <> 0) AS directory
             JOIN entry AS above ON above.path_key = directory.parent_key
             WHERE above.kind IN (0, 2)
                OR above.kind = 1
                   AND (above.reparse IS NOT NULL OR above.attributes & {reparse_point} <> 0)
             LIMIT 1"
        );
        self.connection
            .prepare(&query)
            .and_then(|mut query| query.exists([]))
            .map_err(index_error(&self.path))
    }

    /// Calls `visit` for the first entry in each directory that has no entry itself, once for
    /// entries that add something and once for removals, and with which of the two it is.
    pub(super) fn for_each_orphan(
        &self,
        mut visit: impl FnMut(IndexedEntry, bool) -> Result<()>,
    ) -> Result<()> {
        let columns = ENTRY_COLUMNS;
        // The directories first, each once: those with an entry then cost one search.
        let query = format!(
            "SELECT {columns} FROM entry WHERE id IN
             (SELECT MIN(id) FROM entry WHERE parent_key IN
              (SELECT parent_key FROM
               (SELECT DISTINCT parent_key FROM entry WHERE parent_key <> 0) AS directory
               WHERE NOT EXISTS (SELECT 1 FROM entry
                                 WHERE path_key = directory.parent_key AND kind <= 2))
              GROUP BY parent_key, kind > 2)
             ORDER BY id"
        );
        self.visit(&query, |entry| {
            let adds = entry.is_added();
            visit(entry, adds)
        })
    }

    /// Returns whether there are entries in a directory that has no entry itself.
    pub(crate) fn has_orphans(&self) -> Result<bool> {
        let query = "SELECT EXISTS
             (SELECT 1 FROM
              (SELECT DISTINCT parent_key FROM entry WHERE parent_key <> 0) AS directory
              WHERE NOT EXISTS (SELECT 1 FROM entry
                                WHERE path_key = directory.parent_key AND kind <= 2))";
        let found = self.connection.query_row(query, [], |row| row.get(0));
        found.map_err(index_error(&self.path))
    }
}
