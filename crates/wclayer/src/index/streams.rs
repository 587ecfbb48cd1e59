//! Questions about data streams and security descriptors.

use rusqlite::{OptionalExtension as _, Row};

use super::entry::{IndexedEntry, IndexedStream, stream_of};
use super::read::Index;
use super::schema::index_error;
use crate::error::Result;

/// The lengths of an entry's streams, for [`Index::sizes_of`]. The sum is negative if one of them
/// is.
pub(super) const SIZE_COLUMNS: &str = "\
     (SELECT MAX(size) FROM stream WHERE stream.entry = entry.id AND name IS NULL), \
     (SELECT CASE WHEN MIN(size) < 0 THEN -1 ELSE SUM(size) END \
      FROM stream WHERE stream.entry = entry.id)";

/// The lengths of an entry's streams in bytes, holes included.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Sizes {
    /// The length of the unnamed stream.
    pub(super) unnamed: u64,
    /// The length of all streams together.
    pub(super) total: u64,
}

impl Index {
    /// Returns the data streams of an entry, the unnamed one first.
    ///
    /// # Errors
    ///
    /// Returns [`IndexError`](super::IndexError) if the index is damaged.
    pub fn streams(&self, entry: &IndexedEntry) -> Result<Vec<IndexedStream>> {
        let error = index_error(&self.path);
        let mut statement = self
            .connection
            .prepare_cached(
                "SELECT name, offset, size, stored, sparse, sha256 FROM stream
                 WHERE entry = ? ORDER BY ordinal",
            )
            .map_err(&error)?;
        let mut rows = statement.query([entry.id as i64]).map_err(&error)?;
        let mut streams = Vec::new();
        while let Some(row) = rows.next().map_err(&error)? {
            let stream = stream_of(row).map_err(&error)?;
            streams.push(stream.ok_or_else(|| self.damaged("a stream is not valid"))?);
        }
        #[cfg(test)]
        self.stream_rows.set(self.stream_rows.get() + streams.len());
        Ok(streams)
    }

    /// Returns the lengths of an entry's streams.
    pub(super) fn sizes(&self, id: u64) -> Result<Sizes> {
        let query = format!("SELECT {SIZE_COLUMNS} FROM entry WHERE id = ?");
        let error = index_error(&self.path);
        let mut statement = self.connection.prepare_cached(&query).map_err(&error)?;
        let mut rows = statement.query([id as i64]).map_err(&error)?;
        match rows.next().map_err(&error)? {
            Some(row) => self.sizes_of(row, 0),
            None => Ok(Sizes::default()),
        }
    }

    /// Reads [`SIZE_COLUMNS`], starting at that column.
    pub(super) fn sizes_of(&self, row: &Row<'_>, first: usize) -> Result<Sizes> {
        let size = |column| -> Result<u64> {
            let size = row.get::<_, Option<i64>>(column);
            let size = size.map_err(index_error(&self.path))?.unwrap_or(0);
            u64::try_from(size).map_err(|_| self.damaged("a stream is not valid"))
        };
        Ok(Sizes {
            unnamed: size(first)?,
            total: size(first + 1)?,
        })
    }

    /// Returns the length of all streams together, in bytes.
    pub(super) fn content_size(&self) -> Result<u64> {
        // As a float, because a sum of integers that overflows is an error.
        let query = "SELECT TOTAL(size) FROM stream";
        let total = self
            .connection
            .query_row(query, [], |row| row.get::<_, f64>(0));
        total
            .map(|total| total as u64)
            .map_err(index_error(&self.path))
    }

    /// Returns a security descriptor by its id.
    ///
    /// # Errors
    ///
    /// Returns [`IndexError`](super::IndexError) if the index is damaged or has no such descriptor.
    pub fn security(&self, id: u64) -> Result<Vec<u8>> {
        self.connection
            .prepare_cached("SELECT descriptor FROM security WHERE id = ?")
            .and_then(|mut query| query.query_row([id as i64], |row| row.get(0)).optional())
            .map_err(index_error(&self.path))?
            .ok_or_else(|| self.damaged("a security descriptor is missing"))
    }
}
