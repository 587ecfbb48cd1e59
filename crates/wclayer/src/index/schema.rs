//! The tables of the index, and the keys that paths have in it.

use std::borrow::Cow;
use std::path::Path;

use rusqlite::config::DbConfig;
use rusqlite::limits::Limit;
use rusqlite::{Connection, OpenFlags};
use sha2::{Digest as _, Sha256};

use super::error::IndexError;
use crate::error::Error;
use crate::path::LayerPath;

/// The tables. Times are FILETIME ticks and attributes `FILE_ATTRIBUTE_*` bits, both with the bits
/// of the unsigned number in SQLite's signed one; offsets and sizes are bytes.
pub(super) const TABLES: &str = "
CREATE TABLE security (
    id INTEGER PRIMARY KEY,
    descriptor BLOB NOT NULL              -- self-relative, as in the tar
);
CREATE TABLE entry (
    id INTEGER PRIMARY KEY,               -- order in the tar, from 0
    kind INTEGER NOT NULL,                -- 0 file, 1 directory, 2 link, 3 removal, 4 opaque
    path BLOB NOT NULL,                   -- WTF-8, components separated by '/'
    path_key INTEGER NOT NULL,
    parent_key INTEGER NOT NULL,          -- key of the directory; 0 at the top
    offset INTEGER NOT NULL,              -- of the first header block in layer.tar
    creation_time INTEGER,
    last_access_time INTEGER,
    last_write_time INTEGER,
    change_time INTEGER,
    attributes INTEGER,
    security INTEGER REFERENCES security (id),
    reparse BLOB,                         -- REPARSE_DATA_BUFFER
    ea BLOB,                              -- FILE_FULL_EA_INFORMATION list
    other_streams BLOB,                   -- backup stream records
    target BLOB                           -- of a link: a path as above
);
CREATE TABLE stream (
    entry INTEGER NOT NULL REFERENCES entry (id),
    ordinal INTEGER NOT NULL,             -- order behind the entry, from 0
    name BLOB,                            -- WTF-8; NULL for the unnamed data
    offset INTEGER NOT NULL,              -- of the content in layer.tar
    size INTEGER NOT NULL,                -- holes included
    stored TEXT,                          -- OFFSET+LENGTH,...: the ranges in layer.tar, if not all
    sparse TEXT,                          -- OFFSET+LENGTH,...: the ranges on Windows, if sparse
    sha256 BLOB NOT NULL,                 -- of the content, holes as zeros
    PRIMARY KEY (entry, ordinal)
) WITHOUT ROWID;
";

/// The table that version 1 does not have.
pub(super) const BLOCK_TABLE: &str = "
CREATE TABLE block (
    id INTEGER PRIMARY KEY,               -- place in the list, from 0: of 256 blocks each
    sums BLOB NOT NULL                    -- XXH3-64 of each 65,536 bytes of layer.tar, little-endian
);
";

/// The indexes, made once all rows are there: sorting once is faster than keeping in order.
pub(super) const INDEXES: &str = "
CREATE INDEX entry_path ON entry (path_key, id, kind);
CREATE INDEX entry_parent ON entry (parent_key);
";

/// `PRAGMA user_version`: changing what a table or a column means is a new version, of the index and
/// of the portable layer around it.
pub(super) const VERSION: u32 = 2;
/// `PRAGMA application_id`: `WCLP`.
pub(super) const APPLICATION_ID: i32 = i32::from_be_bytes(*b"WCLP");

/// How a database is written of which nothing survives a crash: the folder it lies in is thrown away
/// then.
pub(super) const WRITING: &str = "
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
PRAGMA locking_mode = EXCLUSIVE;
";

/// The largest row and value in bytes: the two lists of ranges of a stream are the largest that is
/// ever written.
const MAX_ROW: i32 = 16 << 20;

/// Opens a database that nobody writes any more, so that what its schema says cannot run.
pub(super) fn open_for_reading(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
        | OpenFlags::SQLITE_OPEN_URI
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(immutable_uri(path), flags)?;
    connection.set_limit(Limit::SQLITE_LIMIT_LENGTH, MAX_ROW)?;
    connection.set_limit(Limit::SQLITE_LIMIT_ATTACHED, 0)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_VIEW, false)?;
    connection.execute_batch("PRAGMA query_only = ON; PRAGMA cell_size_check = ON;")?;
    Ok(connection)
}

/// The URI that opens a database without locks, journals or any write.
///
/// Everything is escaped that could mean something there: SQLite gets the very path.
fn immutable_uri(path: &Path) -> String {
    let mut uri = "file:".to_owned();
    for byte in of_any_length(path).as_os_str().as_encoded_bytes() {
        if byte.is_ascii_alphanumeric() {
            uri.push(char::from(*byte));
        } else {
            uri.push_str(&format!("%{byte:02X}"));
        }
    }
    uri.push_str("?immutable=1");
    uri
}

/// Computes the key of a path: the first 64 bits of the SHA-256 of its upper-cased UTF-16 units,
/// little-endian, `/` between components.
pub(super) fn path_key(path: &LayerPath) -> i64 {
    let mut hasher = Sha256::new();
    path.for_folded_bytes(|bytes| hasher.update(bytes));
    key_of(hasher)
}

/// Computes the keys of the directories above a path, outermost first, in one pass.
pub(super) fn ancestor_keys(path: &LayerPath) -> Vec<i64> {
    let mut keys = Vec::new();
    let mut hasher = Sha256::new();
    for unit in path.folded_units() {
        if unit == u16::from(b'/') {
            keys.push(key_of(hasher.clone()));
        }
        hasher.update(unit.to_le_bytes());
    }
    keys
}

fn key_of(hasher: Sha256) -> i64 {
    let hash: [u8; 32] = hasher.finalize().into();
    let [a, b, c, d, e, f, g, h, ..] = hash;
    i64::from_be_bytes([a, b, c, d, e, f, g, h])
}

/// Computes the key of the directory that holds a path; 0 at the top.
pub(super) fn parent_key(path: &LayerPath) -> i64 {
    path.parent().map_or(0, |parent| path_key(&parent))
}

/// Returns the path of a file so that SQLite can open it whatever its length.
///
/// Windows takes more than 260 characters only in its `\\?\C:\…` form, which the standard library
/// makes for its own calls and SQLite does not.
pub(super) fn of_any_length(path: &Path) -> Cow<'_, Path> {
    if cfg!(windows)
        && let (Some(folder), Some(name)) = (path.parent(), path.file_name())
        && let Ok(folder) = std::fs::canonicalize(folder)
    {
        return folder.join(name).into();
    }
    path.into()
}

/// Says which index an SQLite error is about.
pub(super) fn index_error(path: &Path) -> impl Fn(rusqlite::Error) -> Error {
    move |source| {
        IndexError::Database {
            path: path.to_owned(),
            source,
        }
        .into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_keys_of_all_directories_are_those_of_each() {
        let deep = format!("Files/{}x", "Ünicode directory/".repeat(20));
        for text in ["Files", "Files/a", &deep] {
            let path: LayerPath = text.parse().expect(text);
            let each: Vec<i64> = path.ancestors().iter().map(path_key).collect();
            assert_eq!(ancestor_keys(&path), each, "{text}");
        }
    }
}
