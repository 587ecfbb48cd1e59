//! [`Index`]: an index that is open for questions, and the queries that they are made of.

use std::cell::RefCell;
use std::path::PathBuf;

use rusqlite::{Connection, Row, params};

use super::entry::{ENTRY_COLUMNS, IndexedEntry, read_entry};
use super::often::KnownEnds;
use super::schema::{Keys, index_error, path_key};
use crate::error::{IndexError, Result};
use crate::path::LayerPath;

/// The index of a layer tar, read-only.
#[derive(Debug)]
pub struct Index {
    pub(super) connection: Connection,
    pub(super) path: PathBuf,
    pub(super) often: KnownEnds,
    pub(super) keys: RefCell<Keys>,
    /// How many rows of streams have been read.
    #[cfg(test)]
    pub(super) stream_rows: std::cell::Cell<usize>,
}

impl Index {
    /// Returns the key of a path: two paths that NTFS distinguishes hardly ever share one.
    pub(crate) fn key(path: &LayerPath) -> i64 {
        path_key(path)
    }

    /// Returns how many bytes of paths were hashed for keys.
    #[cfg(test)]
    pub(super) fn hashed(&self) -> usize {
        self.keys.borrow().hashed
    }

    /// Same as [`key`](Self::key), but cheap if the last path was a neighbour.
    pub(super) fn key_of(&self, path: &LayerPath) -> i64 {
        self.keys.borrow_mut().key(path)
    }

    /// Checks that a path that was found under the key of another really has that key: otherwise
    /// every question about an index could be made to read all of it.
    pub(super) fn check_key(&self, found: &LayerPath, path: &LayerPath, key: i64) -> Result<()> {
        match found == path || self.key_of(found) == key {
            true => Ok(()),
            false => Err(self.damaged("a path has the key of another path")),
        }
    }

    /// Returns the entry of that number.
    pub(super) fn entry(&self, id: u64) -> Result<Option<IndexedEntry>> {
        let query = format!("SELECT {ENTRY_COLUMNS} FROM entry WHERE id = ?");
        Ok(self.entries_of(&query, id as i64)?.pop())
    }

    /// Returns the entries at a path that a query finds by its key.
    pub(super) fn entries_at(&self, query: &str, path: &LayerPath) -> Result<Vec<IndexedEntry>> {
        let key = self.key_of(path);
        let mut found = self.entries_of(query, key)?;
        for entry in &found {
            self.check_key(&entry.path, path, key)?;
        }
        found.retain(|entry| entry.path == *path);
        Ok(found)
    }

    pub(super) fn entries_of(&self, query: &str, key: i64) -> Result<Vec<IndexedEntry>> {
        let error = index_error(&self.path);
        let mut statement = self.connection.prepare_cached(query).map_err(&error)?;
        let mut rows = statement.query(params![key]).map_err(&error)?;
        let mut found = Vec::new();
        while let Some(row) = rows.next().map_err(&error)? {
            found.push(self.entry_of(row)?);
        }
        Ok(found)
    }

    pub(super) fn visit(
        &self,
        query: &str,
        mut visit: impl FnMut(IndexedEntry) -> Result<()>,
    ) -> Result<()> {
        let error = index_error(&self.path);
        let mut statement = self.connection.prepare(query).map_err(&error)?;
        let mut rows = statement.query([]).map_err(&error)?;
        while let Some(row) = rows.next().map_err(&error)? {
            visit(self.entry_of(row)?)?;
        }
        Ok(())
    }

    pub(super) fn entry_of(&self, row: &Row<'_>) -> Result<IndexedEntry> {
        let entry = read_entry(row).map_err(index_error(&self.path))?;
        entry.ok_or_else(|| self.damaged("an entry is not valid"))
    }

    /// Makes the error for a layer that has too many directories without an entry.
    pub(super) fn too_many_implied(&self) -> IndexError {
        IndexError::ImpliedDirectories {
            path: self.path.clone(),
        }
    }

    pub(super) fn damaged(&self, what: &'static str) -> crate::error::Error {
        IndexError::Content {
            path: self.path.clone(),
            what,
        }
        .into()
    }
}
