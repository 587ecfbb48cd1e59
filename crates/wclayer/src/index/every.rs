//! Passes over all entries, or all of one kind.

use rusqlite::params;

use super::entry::{ENTRY_COLUMNS, IndexedEntry, LISTED_COLUMNS};
use super::read::Index;
use super::schema::index_error;
use crate::error::Result;

impl Index {
    /// Calls `visit` for every entry, in the order of the tar, until it fails.
    ///
    /// # Errors
    ///
    /// Returns [`IndexError`](super::IndexError) if the index is damaged, and the errors of `visit`.
    pub fn for_each(&self, visit: impl FnMut(IndexedEntry) -> Result<()>) -> Result<()> {
        self.visit(
            &format!("SELECT {ENTRY_COLUMNS} FROM entry ORDER BY id"),
            visit,
        )
    }

    /// Calls `visit` for the first entry in each directory that is not a removal.
    pub(crate) fn for_each_directory(
        &self,
        visit: impl FnMut(IndexedEntry) -> Result<()>,
    ) -> Result<()> {
        let query = format!(
            "SELECT {ENTRY_COLUMNS} FROM entry WHERE id IN
             (SELECT MIN(id) FROM entry WHERE kind <= 2 GROUP BY parent_key) ORDER BY id"
        );
        self.visit(&query, visit)
    }

    /// Calls `visit` for every hard link.
    pub(crate) fn for_each_link(
        &self,
        visit: impl FnMut(IndexedEntry) -> Result<()>,
    ) -> Result<()> {
        self.visit(
            &format!("SELECT {ENTRY_COLUMNS} FROM entry WHERE kind = 2 ORDER BY id"),
            visit,
        )
    }

    /// Returns at most `limit` hard links after the entry of the number `after` (from the start for
    /// `None`), without values that may be long.
    pub(super) fn links_after(&self, after: Option<u64>, limit: u32) -> Result<Vec<IndexedEntry>> {
        let error = index_error(&self.path);
        let query = format!(
            "SELECT {LISTED_COLUMNS} FROM entry WHERE kind = 2 AND id > ? ORDER BY id LIMIT ?"
        );
        let mut statement = self.connection.prepare_cached(&query).map_err(&error)?;
        let after = after.map_or(-1, |after| after as i64);
        let mut rows = statement.query(params![after, limit]).map_err(&error)?;
        let mut links = Vec::new();
        while let Some(row) = rows.next().map_err(&error)? {
            links.push(self.entry_of(row)?);
        }
        Ok(links)
    }

    /// Calls `visit` for every reparse point.
    pub(crate) fn for_each_reparse_point(
        &self,
        visit: impl FnMut(IndexedEntry) -> Result<()>,
    ) -> Result<()> {
        let query =
            format!("SELECT {ENTRY_COLUMNS} FROM entry WHERE reparse IS NOT NULL ORDER BY id");
        self.visit(&query, visit)
    }

    /// Calls `visit` for every whiteout, including opaque ones.
    pub(crate) fn for_each_whiteout(
        &self,
        visit: impl FnMut(IndexedEntry) -> Result<()>,
    ) -> Result<()> {
        self.visit(
            &format!("SELECT {ENTRY_COLUMNS} FROM entry WHERE kind > 2 ORDER BY id"),
            visit,
        )
    }

    /// Calls `visit` for the entries of every key that has more than one entry which adds
    /// something.
    pub(crate) fn for_each_repeated(
        &self,
        visit: impl FnMut(IndexedEntry) -> Result<()>,
    ) -> Result<()> {
        let query = format!(
            "SELECT {ENTRY_COLUMNS} FROM entry WHERE kind <= 2 AND path_key IN
             (SELECT path_key FROM entry WHERE kind <= 2 GROUP BY path_key HAVING COUNT(*) > 1)
             ORDER BY path_key, id"
        );
        self.visit(&query, visit)
    }
}
