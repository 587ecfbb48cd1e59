//! Questions about data streams and security descriptors.

use rusqlite::OptionalExtension as _;

use super::entry::{IndexedEntry, IndexedStream, stream_of};
use super::read::Index;
use super::schema::index_error;
use crate::error::Result;

impl Index {
    /// Lists the data streams of an entry, the unnamed one first.
    ///
    /// # Errors
    ///
    /// [`IndexError`] when the index is damaged.
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
            streams.push(stream.ok_or_else(|| self.damaged("a stream cannot be"))?);
        }
        #[cfg(test)]
        self.stream_rows.set(self.stream_rows.get() + streams.len());
        Ok(streams)
    }

    /// Returns the length of an entry's unnamed stream and of all its streams together, in bytes.
    pub(super) fn sizes(&self, id: u64) -> Result<(u64, u64)> {
        let error = index_error(&self.path);
        let query = "SELECT name IS NULL, size FROM stream WHERE entry = ?";
        let mut statement = self.connection.prepare_cached(query).map_err(&error)?;
        let mut rows = statement.query([id as i64]).map_err(&error)?;
        let (mut unnamed, mut all) = (0, 0_u64);
        while let Some(row) = rows.next().map_err(&error)? {
            let size = u64::try_from(row.get::<_, i64>(1).map_err(&error)?);
            let size = size.map_err(|_| self.damaged("a stream cannot be"))?;
            if row.get(0).map_err(&error)? {
                unnamed = size;
            }
            all = all.saturating_add(size);
        }
        Ok((unnamed, all))
    }

    /// Returns the length of all streams together, in bytes.
    pub(super) fn content_size(&self) -> Result<u64> {
        // As a float: a sum of integers that overflows is an error.
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
    /// [`IndexError`] when the index is damaged or has no such descriptor.
    pub fn security(&self, id: u64) -> Result<Vec<u8>> {
        self.connection
            .prepare_cached("SELECT descriptor FROM security WHERE id = ?")
            .and_then(|mut query| query.query_row([id as i64], |row| row.get(0)).optional())
            .map_err(index_error(&self.path))?
            .ok_or_else(|| self.damaged("a security descriptor is missing"))
    }
}
