//! Questions about a directory.

use ntmeta::FileAttributes;

use super::entry::{ENTRY_COLUMNS, IndexedEntry};
use super::read::Index;
use super::schema::index_error;
use crate::error::Result;
use crate::path::LayerPath;

impl Index {
    /// Returns whether the layer puts something into a directory.
    pub(crate) fn has_children(&self, directory: &LayerPath) -> Result<bool> {
        let query = "SELECT 1 FROM entry WHERE parent_key = ? AND kind <= 2 LIMIT 1";
        self.connection
            .prepare_cached(query)
            .and_then(|mut query| query.exists([self.key_of(directory)]))
            .map_err(index_error(&self.path))
    }

    /// Lists the entries directly in a directory (at the top for `None`), in the order of the tar.
    ///
    /// # Errors
    ///
    /// [`IndexError`] when the index is damaged.
    pub fn children(&self, directory: Option<&LayerPath>) -> Result<Vec<IndexedEntry>> {
        let mut found = Vec::new();
        self.for_each_child(directory, |entry| {
            found.push(entry);
            Ok(())
        })?;
        Ok(found)
    }

    /// Calls `visit` for every entry directly in a directory (at the top for `None`), in the order of
    /// the tar.
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

    /// Calls `visit` for every name directly in a directory (at the top for `None`), with what the
    /// layer has there, in the order of the tar.
    pub(super) fn for_each_name(
        &self,
        directory: Option<&LayerPath>,
        mut visit: impl FnMut(&LayerPath, Vec<IndexedEntry>) -> Result<()>,
    ) -> Result<()> {
        let error = index_error(&self.path);
        // Equal names have equal keys, and different ones hardly ever.
        let query = format!(
            "SELECT {ENTRY_COLUMNS}, path_key FROM entry WHERE parent_key = ?
             ORDER BY path_key, id"
        );
        let mut statement = self.connection.prepare_cached(&query).map_err(&error)?;
        let parent_key = directory.map_or(0, |directory| self.key_of(directory));
        let mut rows = statement.query([parent_key]).map_err(&error)?;
        let mut of_key: (i64, Vec<IndexedEntry>) = (0, Vec::new());
        let mut flush = |entries: &mut Vec<IndexedEntry>| -> Result<()> {
            while let Some(path) = entries.first().map(|first| first.path.clone()) {
                let same = entries.extract_if(.., |entry| entry.path == path);
                let same = same.collect();
                visit(&path, same)?;
            }
            Ok(())
        };
        while let Some(row) = rows.next().map_err(&error)? {
            let entry = self.entry_of(row)?;
            if !self.is_in(&entry.path, directory, parent_key)? {
                continue;
            }
            let key = row.get(14).map_err(&error)?;
            if key != of_key.0 {
                flush(&mut of_key.1)?;
            }
            of_key.0 = key;
            of_key.1.push(entry);
        }
        flush(&mut of_key.1)
    }

    /// The same for what was found under the key of a directory; returns whether it is in there.
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

    /// Returns whether something may be added directly below what is not a plain directory.
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

    /// Calls `visit` for the first entry in each directory that has no entry itself, and says
    /// whether something is added in there, rather than only removed.
    pub(super) fn for_each_orphan(
        &self,
        mut visit: impl FnMut(IndexedEntry, bool) -> Result<()>,
    ) -> Result<()> {
        let columns = ENTRY_COLUMNS;
        // The directories first, each once, so that those with an entry cost one search.
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

    /// Returns whether entries lie in a directory that has no entry itself.
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
