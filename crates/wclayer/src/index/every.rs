//! Passes over all entries, or all of a kind.

use super::entry::{ENTRY_COLUMNS, IndexedEntry};
use super::read::Index;
use crate::error::Result;

impl Index {
    /// Calls `visit` for every entry, in the order of the tar, until it fails.
    ///
    /// # Errors
    ///
    /// [`IndexError`] when the index is damaged; what `visit` returns.
    pub fn for_each(&self, visit: impl FnMut(IndexedEntry) -> Result<()>) -> Result<()> {
        self.visit(
            &format!("SELECT {ENTRY_COLUMNS} FROM entry ORDER BY id"),
            visit,
        )
    }

    /// Calls `visit` for the first entry (removals left out) of each directory.
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

    /// Calls `visit` for every reparse point.
    pub(crate) fn for_each_reparse_point(
        &self,
        visit: impl FnMut(IndexedEntry) -> Result<()>,
    ) -> Result<()> {
        let query =
            format!("SELECT {ENTRY_COLUMNS} FROM entry WHERE reparse IS NOT NULL ORDER BY id");
        self.visit(&query, visit)
    }

    /// Calls `visit` for every whiteout, opaque ones among them.
    pub(crate) fn for_each_whiteout(
        &self,
        visit: impl FnMut(IndexedEntry) -> Result<()>,
    ) -> Result<()> {
        self.visit(
            &format!("SELECT {ENTRY_COLUMNS} FROM entry WHERE kind > 2 ORDER BY id"),
            visit,
        )
    }

    /// Calls `visit` for the entries of every key under which more than one thing was added.
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
