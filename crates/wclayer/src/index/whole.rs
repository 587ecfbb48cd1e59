//! Questions about an index as a whole.

use super::Index;
use super::schema::index_error;
use crate::error::Result;
use crate::tar::{MAX_EXPANDED, SparseMap};

impl Index {
    /// Compares all rows with those of another index. The sums of the tar are compared if both have
    /// them.
    pub(crate) fn differs_from(&self, other: &Self) -> Result<()> {
        let has_sums = |index: &Self| index.connection.table_exists(None, "block");
        let error = index_error(&self.path);
        let both = has_sums(self).map_err(&error)? && has_sums(other).map_err(&error)?;
        let tables = [
            ("entry", "id"),
            ("stream", "entry, ordinal"),
            ("security", "id"),
            ("block", "id"),
        ];
        for (table, order) in tables.into_iter().take(if both { 4 } else { 3 }) {
            if !self.has_rows_of(other, table, order).map_err(&error)? {
                return Err(self.damaged("it does not match the layer tar"));
            }
        }
        Ok(())
    }

    fn has_rows_of(&self, other: &Self, table: &str, order: &str) -> rusqlite::Result<bool> {
        let query = format!("SELECT * FROM {table} ORDER BY {order}");
        let mut mine = self.connection.prepare(&query)?;
        let mut others = other.connection.prepare(&query)?;
        let columns = mine.column_count();
        let (mut mine, mut others) = (mine.query([])?, others.query([])?);
        loop {
            match (mine.next()?, others.next()?) {
                (None, None) => return Ok(true),
                (Some(mine), Some(other)) => {
                    for column in 0..columns {
                        if mine.get_ref(column)? != other.get_ref(column)? {
                            return Ok(false);
                        }
                    }
                }
                _ => return Ok(false),
            }
        }
    }

    /// Checks that the streams do not claim more than a tar of that size can have: each byte once,
    /// and no more holes than are allowed in a tar.
    pub(super) fn check_amounts(&self, tar_size: u64) -> Result<()> {
        let error = index_error(&self.path);
        let whole = "SELECT TOTAL(size) FROM stream WHERE stored IS NULL";
        let whole = self.connection.query_row(whole, [], |row| row.get(0));
        // As a float, it does not overflow.
        let mut stored: f64 = whole.map_err(&error)?;
        let mut holes = 0.0;
        let query = "SELECT size, stored FROM stream WHERE stored IS NOT NULL";
        let mut statement = self.connection.prepare(query).map_err(&error)?;
        let mut rows = statement.query([]).map_err(&error)?;
        while let Some(row) = rows.next().map_err(&error)? {
            let size = u64::try_from(row.get::<_, i64>(0).map_err(&error)?);
            let size = size.map_err(|_| self.damaged("a stream is not valid"))?;
            let map = row.get_ref(1).and_then(|text| Ok(text.as_bytes()?));
            let map = SparseMap::from_record(map.map_err(&error)?, size);
            let map = map.map_err(|_| self.damaged("a stream is not valid"))?;
            stored += map.allocated() as f64;
            holes += (size - map.allocated()) as f64;
        }
        match stored <= tar_size as f64 && holes <= MAX_EXPANDED as f64 {
            true => Ok(()),
            false => Err(self.damaged("its streams are larger than the tar")),
        }
    }
}
