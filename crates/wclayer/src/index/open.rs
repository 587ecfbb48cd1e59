//! Opening an index: first its file is checked, then its schema, then SQLite reads it.

use std::cell::RefCell;
use std::path::Path;

use rusqlite::Connection;

use super::Index;
use super::often::KnownEnds;
use super::pages::{self, FoundFile};
use super::schema::{self, APPLICATION_ID, BLOCK_TABLE, INDEXES, TABLES, VERSION, index_error};
use super::seal::IndexSeal;
use crate::error::IndexError;
use crate::error::Result;
use crate::steps;

impl Index {
    /// Opens an index that nobody writes to any more, of any version that this crate reads.
    ///
    /// # Errors
    ///
    /// Returns [`IndexError::Database`] or [`IndexError::Content`] if it is not an index or is
    /// damaged, and [`IndexError::Version`] if this crate does not read its version.
    pub fn open(path: &Path) -> Result<Self> {
        let roots = pages::read(path)?.roots;
        Self::open_checked(path, &[1, VERSION], Some(&roots))
    }

    /// Opens the index of a layer of that version; from version 2 on, the layer's descriptor has
    /// its seal.
    pub(crate) fn open_of_layer(
        path: &Path,
        version: u32,
        expected: Option<&IndexSeal>,
    ) -> Result<Self> {
        let found = pages::read(path);
        // A damaged file is damaged, whatever else is wrong with it.
        let differs = |found: &FoundFile| expected.is_some_and(|expected| *expected != found.seal);
        if found.as_ref().is_ok_and(differs) {
            return Err(IndexError::Content {
                path: path.to_owned(),
                what: "it is not the one that was made for the layer",
            }
            .into());
        }
        Self::open_checked(path, &[version], Some(&found?.roots))
    }

    /// Takes over a database that has just been built: by its connection, since the path may be
    /// gone.
    pub(super) fn built(connection: Connection, path: &Path) -> rusqlite::Result<Self> {
        connection.pragma_update(None, "query_only", true)?;
        steps::watch(&connection);
        Ok(Self {
            connection,
            path: path.to_owned(),
            often: KnownEnds::default(),
            keys: RefCell::default(),
            #[cfg(test)]
            stream_rows: std::cell::Cell::default(),
        })
    }

    fn open_checked(path: &Path, versions: &[u32], roots: Option<&[u32]>) -> Result<Self> {
        let error = index_error(path);
        let connection = schema::open_for_reading(path).map_err(&error)?;
        let pragma = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
        let application = pragma("application_id").map_err(&error)?;
        let version = pragma("user_version").map_err(&error)?;
        let known = versions.iter().find(|known| i64::from(**known) == version);
        let (Some(known), true) = (known, application == i64::from(APPLICATION_ID)) else {
            return Err(IndexError::Version {
                path: path.to_owned(),
                version,
            }
            .into());
        };
        check_schema(&connection, path, *known, roots)?;
        steps::watch(&connection);
        Ok(Self {
            connection,
            path: path.to_owned(),
            often: KnownEnds::default(),
            keys: RefCell::default(),
            #[cfg(test)]
            stream_rows: std::cell::Cell::default(),
        })
    }

    /// Reads an index that has just been written, and returns its seal for a descriptor.
    pub(crate) fn seal(path: &Path) -> Result<IndexSeal> {
        Ok(pages::read(path)?.seal)
    }
}

/// Checks that the tables are exactly ours, and that each has its own pages. A view, a trigger or a
/// computed column in place of a table could run forever.
fn check_schema(
    connection: &Connection,
    path: &Path,
    version: u32,
    roots: Option<&[u32]>,
) -> Result<()> {
    let error = index_error(path);
    let ours = Connection::open_in_memory().map_err(&error)?;
    ours.execute_batch(TABLES)
        .and_then(|()| match version {
            1 => Ok(()),
            _ => ours.execute_batch(BLOCK_TABLE),
        })
        .and_then(|()| ours.execute_batch(INDEXES))
        .map_err(&error)?;
    let (found, mut found_roots) = schema_of(connection).map_err(&error)?;
    let (expected, _) = schema_of(&ours).map_err(&error)?;
    found_roots.sort_unstable();
    let are_roots = |roots: &[u32]| roots.iter().copied().map(i64::from).eq(found_roots);
    if found == expected && roots.is_none_or(are_roots) {
        return Ok(());
    }
    let what = "its tables are not those of an index";
    Err(IndexError::Content {
        path: path.to_owned(),
        what,
    }
    .into())
}

/// Type, name, table and statement of a part of a schema.
type SchemaRow = [Option<String>; 4];

/// Returns the parts of the schema sorted by name, and their root pages.
fn schema_of(connection: &Connection) -> rusqlite::Result<(Vec<SchemaRow>, Vec<i64>)> {
    let query = "SELECT type, name, tbl_name, sql, rootpage FROM sqlite_schema
                 ORDER BY name LIMIT 99";
    let mut statement = connection.prepare(query)?;
    let rows = statement.query_map([], |row| {
        let part = [row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?];
        Ok((part, row.get(4)?))
    })?;
    let rows: Vec<(SchemaRow, i64)> = rows.collect::<rusqlite::Result<_>>()?;
    Ok(rows.into_iter().unzip())
}
