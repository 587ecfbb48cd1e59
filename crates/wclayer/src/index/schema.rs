//! The tables of an index, and the keys of paths in it.

use std::borrow::Cow;
use std::path::Path;

use rusqlite::config::DbConfig;
use rusqlite::limits::Limit;
use rusqlite::{Connection, OpenFlags};
use sha2::{Digest as _, Sha256};

use crate::error::Error;
use crate::error::{IndexError, SystemFailure};
use crate::path::{LayerPath, for_folded_bytes};

/// The tables. Times are FILETIME ticks and attributes `FILE_ATTRIBUTE_*` bits, both unsigned
/// numbers stored bit by bit as SQLite's signed ones; offsets and sizes are in bytes.
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

/// The indexes, created after all rows: sorting once is faster than keeping them in order.
pub(super) const INDEXES: &str = "
CREATE INDEX entry_path ON entry (path_key, id, kind);
CREATE INDEX entry_parent ON entry (parent_key);
";

/// `PRAGMA user_version`: a change to the meaning of a table or column is a new version, of the
/// index and of the portable layer around it.
pub(super) const VERSION: u32 = 2;
/// `PRAGMA application_id`: `WCLP`.
pub(super) const APPLICATION_ID: i32 = i32::from_be_bytes(*b"WCLP");

/// Settings for writing a database that need not survive a crash, because its folder is thrown away
/// then.
pub(super) const WRITING: &str = "
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
PRAGMA locking_mode = EXCLUSIVE;
";

/// The largest row and value in bytes: the largest that is ever written has the two lists of ranges
/// of a stream.
const MAX_ROW: i32 = 16 << 20;

/// Opens a database that nobody writes to any more, in such a way that nothing in its schema is
/// executed.
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

/// Returns the URI that opens a database without locks, journals or writes.
///
/// Every byte that could have a meaning in a URI is escaped, so SQLite gets exactly this path.
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

/// Computes keys of paths: the first 64 bits of the SHA-256 of the upper-cased UTF-16 units,
/// little-endian, `/` between components.
///
/// It keeps a hash for each directory of the last path, so the next path costs only the part that
/// it does not share with that one.
#[derive(Debug, Default)]
pub(super) struct Keys {
    /// The last path.
    path: Option<LayerPath>,
    /// For each of its components, the hash up to there.
    steps: Vec<Step>,
    /// How many bytes of paths have been hashed.
    #[cfg(test)]
    pub(super) hashed: usize,
}

#[derive(Debug)]
struct Step {
    /// The end of the component in the path.
    end: usize,
    hasher: Sha256,
    key: i64,
}

impl Keys {
    /// Returns the key of a path.
    pub(super) fn key(&mut self, path: &LayerPath) -> i64 {
        self.keys(path).last().unwrap_or(0)
    }

    /// Returns the key of a path's directory (0 at the top) and that of the path.
    pub(super) fn parent_and_own(&mut self, path: &LayerPath) -> (i64, i64) {
        let mut keys = self.keys(path).rev();
        let own = keys.next().unwrap_or(0);
        (keys.next().unwrap_or(0), own)
    }

    /// Returns the keys of all directories above a path, outermost first, and finally its own.
    pub(super) fn keys(&mut self, path: &LayerPath) -> impl DoubleEndedIterator<Item = i64> {
        let known = self.path.as_ref();
        self.keep(path, known.map_or(0, |known| known.shared_length(path)));
        let start = self.steps.last().map_or(0, |last| last.end + 1);
        let rest = path.as_bytes().get(start..).unwrap_or_default();
        let mut end = start;
        for component in rest
            .split(|byte| *byte == b'/')
            .filter(|name| !name.is_empty())
        {
            let mut hasher = Sha256::new();
            if let Some(above) = self.steps.last() {
                hasher.clone_from(&above.hasher);
                hasher.update(u16::from(b'/').to_le_bytes());
            }
            for_folded_bytes(component, |bytes| hasher.update(bytes));
            #[cfg(test)]
            {
                self.hashed += component.len();
            }
            let key = key_of(hasher.clone());
            end += component.len();
            self.steps.push(Step { end, hasher, key });
            end += 1;
        }
        self.path = Some(path.clone());
        self.steps.iter().map(|step| step.key)
    }

    /// Forgets the components that do not belong to a path, which shares that many bytes with the
    /// last one.
    fn keep(&mut self, path: &LayerPath, shared: usize) {
        let mut kept = self.steps.partition_point(|step| step.end < shared);
        let ends = matches!(path.as_bytes().get(shared), None | Some(b'/'));
        if ends && self.steps.get(kept).is_some_and(|step| step.end == shared) {
            kept += 1;
        }
        self.steps.truncate(kept);
    }
}

/// Computes the key of one path.
pub(super) fn path_key(path: &LayerPath) -> i64 {
    let mut hasher = Sha256::new();
    path.for_folded_bytes(|bytes| hasher.update(bytes));
    key_of(hasher)
}

fn key_of(hasher: Sha256) -> i64 {
    let hash: [u8; 32] = hasher.finalize().into();
    let [a, b, c, d, e, f, g, h, ..] = hash;
    i64::from_be_bytes([a, b, c, d, e, f, g, h])
}

/// Returns the path of a file in a form that SQLite can open, however long it is.
///
/// Windows accepts more than 260 characters only in the form `\\?\C:\…`, which the standard library
/// uses for its own calls and SQLite does not.
pub(super) fn of_any_length(path: &Path) -> Cow<'_, Path> {
    if cfg!(windows)
        && let (Some(folder), Some(name)) = (path.parent(), path.file_name())
        && let Ok(folder) = std::fs::canonicalize(folder)
    {
        return folder.join(name).into();
    }
    path.into()
}

/// Converts an SQLite error into one that names the index.
pub(super) fn index_error(path: &Path) -> impl Fn(rusqlite::Error) -> Error {
    move |source| {
        IndexError::Database {
            path: path.to_owned(),
            system: failure_of_system(&source),
            source: source.into(),
        }
        .into()
    }
}

/// Returns the failure of the system that an SQLite error stands for; `None` if the content of the
/// database is at fault.
fn failure_of_system(error: &rusqlite::Error) -> Option<SystemFailure> {
    use rusqlite::{ErrorCode, ffi};
    let error = error.sqlite_error()?;
    let is_write = [
        ffi::SQLITE_IOERR_WRITE,
        ffi::SQLITE_IOERR_FSYNC,
        ffi::SQLITE_IOERR_TRUNCATE,
    ]
    .contains(&error.extended_code);
    match error.code {
        ErrorCode::DiskFull => Some(SystemFailure::DiskFull),
        _ if is_write => Some(SystemFailure::DiskFull),
        ErrorCode::OutOfMemory => Some(SystemFailure::Memory),
        // A file that ends within a page is damaged; the disk works.
        ErrorCode::SystemIoFailure if error.extended_code != ffi::SQLITE_IOERR_SHORT_READ => {
            Some(SystemFailure::Disk)
        }
        ErrorCode::CannotOpen => Some(SystemFailure::Open),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_those_of_each_path_by_itself() {
        let deep = format!("Files/{}x", "Ünicode directory/".repeat(20));
        let mut keys = Keys::default();
        for text in [
            "Files", "Files/a", &deep, "Files/b", "files/A", "Files", "x/a", &deep,
        ] {
            let path: LayerPath = text.parse().expect(text);
            let above = path.ancestors();
            let each: Vec<i64> = above.iter().chain([&path]).map(path_key).collect();
            assert_eq!(keys.keys(&path).collect::<Vec<_>>(), each, "{text}");
            assert_eq!(keys.key(&path), path_key(&path), "{text}");
            let parent = path.parent().map_or(0, |parent| path_key(&parent));
            assert_eq!(
                keys.parent_and_own(&path),
                (parent, path_key(&path)),
                "{text}"
            );
        }
    }

    #[test]
    fn what_paths_share_is_hashed_once() {
        let mut keys = Keys::default();
        let deep: LayerPath = ["directory"; 1000].join("/").parse().expect("a path");
        for path in deep.ancestors() {
            keys.key(&path);
            keys.key(&path.join(b"a").expect("a path"));
        }
        assert!(keys.hashed <= 1000 * 10, "{}", keys.hashed);
    }
}
