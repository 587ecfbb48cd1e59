//! Asking the index about paths, directories and streams.

use std::cell::RefCell;
use std::path::PathBuf;

use ntmeta::{FileAttributes, FileBasicInfo, FileTime};
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::often::{Ends, KnownEnds};
use super::schema::{Keys, index_error, path_key};
use crate::digest::Digest;
use crate::error::IndexError;
use crate::error::Result;
use crate::path::{LayerPath, StreamName};
use crate::tar::{SparseMap, ranges_on_windows};

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

/// What the layer has at a path.
enum At {
    /// A few entries, in the order of the tar.
    Few(Vec<IndexedEntry>),
    /// More than that: those that count.
    Often(Box<Ends<IndexedEntry>>),
}

/// What an entry of the index is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IndexedKind {
    /// A file, which may be a reparse point.
    File = 0,
    /// A directory, which may be a reparse point.
    Directory = 1,
    /// One more name for a file.
    Link = 2,
    /// A path of the parents that is gone.
    Removal = 3,
    /// A directory whose content in the parents is gone.
    Opaque = 4,
}

/// An entry of the index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexedEntry {
    /// Its place in the order of the tar, from 0.
    pub id: u64,
    /// What it is.
    pub kind: IndexedKind,
    /// Its path, as the tar spells it.
    pub path: LayerPath,
    /// Where its first header block starts in `layer.tar`, in bytes.
    pub offset: u64,
    /// Times and attributes; removals have none.
    pub basic_info: Option<FileBasicInfo>,
    /// The id of its security descriptor, for [`Index::security`].
    pub security: Option<u64>,
    /// The buffer of its reparse point.
    pub reparse: Option<Vec<u8>>,
    /// Its extended attributes, as a `FILE_FULL_EA_INFORMATION` list.
    pub ea: Option<Vec<u8>>,
    /// Records of a backup stream for what has no place in a tar.
    pub other_streams: Option<Vec<u8>>,
    /// The target of a link.
    pub target: Option<LayerPath>,
}

/// A data stream of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexedStream {
    /// Its name; `None` for the unnamed data.
    pub name: Option<StreamName>,
    /// Where its content starts in `layer.tar`, in bytes.
    pub offset: u64,
    /// Its size in bytes, holes included.
    pub size: u64,
    /// Which parts of it `layer.tar` holds, when GNU tar left holes out.
    pub stored: Option<SparseMap>,
    /// Which parts of it are allocated on Windows, when it is sparse.
    pub sparse: Option<SparseMap>,
    /// SHA-256 of the content, holes as zeros. The index of a portable layer has it, unless most of
    /// the content is holes of the tar; that which a view makes of an uncompressed tar has none.
    pub sha256: Option<Digest>,
}

/// What one layer says about a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lookup {
    /// It has the path.
    Present(Box<IndexedEntry>),
    /// It removes the path, or a directory above it, or has something else in its way: whatever
    /// the parents have there is not to be seen.
    Hidden,
    /// It says nothing: the parents decide.
    Unknown,
}

const ENTRY_COLUMNS: &str = "id, kind, path, offset, creation_time, last_access_time, \
     last_write_time, change_time, attributes, security, reparse, ea, other_streams, target";

impl IndexedKind {
    fn from_number(number: i64) -> Option<Self> {
        [
            Self::File,
            Self::Directory,
            Self::Link,
            Self::Removal,
            Self::Opaque,
        ]
        .into_iter()
        .find(|kind| *kind as i64 == number)
    }

    /// Returns what it is, for messages.
    pub fn describe(self) -> &'static str {
        match self {
            Self::File => "a file",
            Self::Directory => "a directory",
            Self::Link => "a hard link",
            Self::Removal => "a removal",
            Self::Opaque => "an opaque whiteout",
        }
    }
}

impl IndexedEntry {
    /// Returns whether the entry puts something at its path, rather than removing it.
    pub fn is_added(&self) -> bool {
        !matches!(self.kind, IndexedKind::Removal | IndexedKind::Opaque)
    }

    /// Returns whether nothing may be reached through the entry: it is a reparse point, by its
    /// data or by its attributes.
    pub fn is_reparse_point(&self) -> bool {
        let marked = self
            .basic_info
            .as_ref()
            .is_some_and(|info| info.attributes.contains(FileAttributes::REPARSE_POINT));
        self.reparse.is_some() || (marked && self.kind != IndexedKind::Link)
    }
}

impl Index {
    /// Returns the key of a path: what two paths hardly ever share that NTFS takes for different.
    pub(crate) fn key(path: &LayerPath) -> i64 {
        path_key(path)
    }

    /// Returns how many bytes of paths were hashed for keys.
    #[cfg(test)]
    pub(super) fn hashed(&self) -> usize {
        self.keys.borrow().hashed
    }

    /// As [`key`](Self::key), at little cost when the last path was a near one.
    pub(super) fn key_of(&self, path: &LayerPath) -> i64 {
        self.keys.borrow_mut().key(path)
    }

    /// Finds what the layer has at a path, removals included, in the order of the tar.
    ///
    /// # Errors
    ///
    /// [`IndexError`] when the index is damaged.
    pub fn find(&self, path: &LayerPath) -> Result<Vec<IndexedEntry>> {
        let query = format!("SELECT {ENTRY_COLUMNS} FROM entry WHERE path_key = ? ORDER BY id");
        self.entries_at(&query, path)
    }

    /// Returns the entries at a path of a query by its key.
    fn entries_at(&self, query: &str, path: &LayerPath) -> Result<Vec<IndexedEntry>> {
        let key = self.key_of(path);
        let mut found = self.entries_of(query, key)?;
        for entry in &found {
            self.check_key(&entry.path, path, key)?;
        }
        found.retain(|entry| entry.path == *path);
        Ok(found)
    }

    /// Checks that what was found under the key of a path has that key: an index in which others
    /// have it too could make every question read all of it.
    fn check_key(&self, found: &LayerPath, path: &LayerPath, key: i64) -> Result<()> {
        match found == path || self.key_of(found) == key {
            true => Ok(()),
            false => Err(self.damaged("a path has the key of another one")),
        }
    }

    /// The same for what was found under the key of a directory; returns whether it is in there.
    fn is_in(&self, found: &LayerPath, directory: Option<&LayerPath>, key: i64) -> Result<bool> {
        if found.parent().as_ref() == directory {
            return Ok(true);
        }
        match self.keys.borrow_mut().parent_and_own(found).0 == key {
            true => Ok(false),
            false => Err(self.damaged("a path has the key of another directory")),
        }
    }

    /// Returns what the layer puts at a path; the last one when it comes more than once.
    ///
    /// # Errors
    ///
    /// [`IndexError`] when the index is damaged.
    pub fn find_added(&self, path: &LayerPath) -> Result<Option<IndexedEntry>> {
        let mut found = self.deciding(path)?;
        Ok(found.pop_if(|last| last.is_added()))
    }

    /// Returns what the layer puts at a path; the first one when it comes more than once.
    pub(crate) fn find_first_added(&self, path: &LayerPath) -> Result<Option<IndexedEntry>> {
        Ok(match self.at(path)? {
            At::Few(entries) => entries.into_iter().find(IndexedEntry::is_added),
            At::Often(ends) => ends.first,
        })
    }

    /// Returns the first entry of a path, in an order, that meets a condition.
    fn first(
        &self,
        path: &LayerPath,
        condition: &str,
        order: &str,
    ) -> Result<Option<IndexedEntry>> {
        let error = index_error(&self.path);
        let query = format!(
            "SELECT {ENTRY_COLUMNS} FROM entry WHERE path_key = ? AND {condition}
             ORDER BY id {order}"
        );
        let mut statement = self.connection.prepare_cached(&query).map_err(&error)?;
        let key = self.key_of(path);
        let mut rows = statement.query([key]).map_err(&error)?;
        while let Some(row) = rows.next().map_err(&error)? {
            let entry = self.entry_of(row)?;
            if entry.path == *path {
                return Ok(Some(entry));
            }
            self.check_key(&entry.path, path, key)?;
        }
        Ok(None)
    }

    /// Returns whether the layer puts something at a path, whose key is known.
    pub(super) fn has_added(&self, key: i64, path: &LayerPath) -> Result<bool> {
        let error = index_error(&self.path);
        let query = "SELECT path FROM entry WHERE path_key = ? AND kind <= 2";
        let mut statement = self.connection.prepare_cached(query).map_err(&error)?;
        let mut rows = statement.query([key]).map_err(&error)?;
        while let Some(row) = rows.next().map_err(&error)? {
            let found = row.get_ref(0).and_then(|found| Ok(found.as_blob()?));
            let found = LayerPath::parse(found.map_err(&error)?);
            let found = found.map_err(|_| self.damaged("an entry cannot be"))?;
            if found == *path {
                return Ok(true);
            }
            self.check_key(&found, path, key)?;
        }
        Ok(false)
    }

    /// Returns whether the layer puts something into a directory.
    pub(crate) fn has_children(&self, directory: &LayerPath) -> Result<bool> {
        let query = "SELECT 1 FROM entry WHERE parent_key = ? AND kind <= 2 LIMIT 1";
        self.connection
            .prepare_cached(query)
            .and_then(|mut query| query.exists([self.key_of(directory)]))
            .map_err(index_error(&self.path))
    }

    /// Returns whether the layer removes a path, or everything in it.
    pub(crate) fn removes(&self, path: &LayerPath) -> Result<bool> {
        let found = self.deciding(path)?;
        Ok(found.iter().any(|entry| !entry.is_added()))
    }

    /// Finds what decides about a path: its removal, else its opaque whiteout, and behind these the
    /// last thing that is put there. A path may come any number of times.
    pub(super) fn deciding(&self, path: &LayerPath) -> Result<Vec<IndexedEntry>> {
        let (removal, last) = match self.at(path)? {
            At::Often(ends) => (ends.removal, ends.last),
            At::Few(mut entries) => {
                let last = entries.iter().rposition(IndexedEntry::is_added);
                let last = last.map(|at| entries.remove(at));
                entries.retain(|entry| !entry.is_added());
                // The first of the stronger kind.
                let removal = entries.into_iter().min_by_key(|entry| entry.kind as u8);
                (removal, last)
            }
        };
        Ok(removal.into_iter().chain(last).collect())
    }

    /// Finds the entries of a path, or those that count when it comes often.
    fn at(&self, path: &LayerPath) -> Result<At> {
        const FEW: usize = 4;
        let key = self.key_of(path);
        if let Some(ends) = self.often.get(key) {
            let ends = ends.try_map(|id| self.entry(id))?;
            if ends.all().all(|entry| entry.path == *path) {
                return Ok(At::Often(Box::new(ends)));
            }
        }
        let query =
            format!("SELECT {ENTRY_COLUMNS} FROM entry WHERE path_key = ? ORDER BY id LIMIT {FEW}");
        let found = self.entries_at(&query, path)?;
        if found.len() < FEW {
            return Ok(At::Few(found));
        }
        let removal = match self.first(path, "kind = 3", "ASC")? {
            None => self.first(path, "kind = 4", "ASC")?,
            removal => removal,
        };
        let ends = Ends {
            removal,
            first: self.first(path, "kind <= 2", "ASC")?,
            last: self.first(path, "kind <= 2", "DESC")?,
        };
        self.often.put(key, &ends);
        Ok(At::Often(Box::new(ends)))
    }

    /// Returns what the layer says about a path, with regard to everything above it.
    ///
    /// # Errors
    ///
    /// [`IndexError`] when the index is damaged.
    pub fn look_up(&self, path: &LayerPath) -> Result<Lookup> {
        let mut here = self.deciding(path)?;
        if let Some(at) = here.iter().rposition(IndexedEntry::is_added) {
            return Ok(Lookup::Present(Box::new(here.swap_remove(at))));
        }
        if here.iter().any(|entry| entry.kind == IndexedKind::Removal) {
            return Ok(Lookup::Hidden);
        }
        let mut above = path.parent();
        while let Some(directory) = above {
            let found = self.deciding(&directory)?;
            let removed = |entry: &IndexedEntry| !entry.is_added();
            let in_the_way = found
                .iter()
                .rfind(|entry| entry.is_added())
                .is_some_and(|entry| {
                    entry.kind != IndexedKind::Directory || entry.is_reparse_point()
                });
            if in_the_way || found.iter().any(removed) {
                return Ok(Lookup::Hidden);
            }
            above = directory.parent();
        }
        Ok(Lookup::Unknown)
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

    /// Returns the entry of that number.
    pub(super) fn entry(&self, id: u64) -> Result<Option<IndexedEntry>> {
        let query = format!("SELECT {ENTRY_COLUMNS} FROM entry WHERE id = ?");
        Ok(self.entries_of(&query, id as i64)?.pop())
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

    fn visit(&self, query: &str, mut visit: impl FnMut(IndexedEntry) -> Result<()>) -> Result<()> {
        let error = index_error(&self.path);
        let mut statement = self.connection.prepare(query).map_err(&error)?;
        let mut rows = statement.query([]).map_err(&error)?;
        while let Some(row) = rows.next().map_err(&error)? {
            visit(self.entry_of(row)?)?;
        }
        Ok(())
    }

    fn entries_of(&self, query: &str, key: i64) -> Result<Vec<IndexedEntry>> {
        let error = index_error(&self.path);
        let mut statement = self.connection.prepare_cached(query).map_err(&error)?;
        let mut rows = statement.query(params![key]).map_err(&error)?;
        let mut found = Vec::new();
        while let Some(row) = rows.next().map_err(&error)? {
            found.push(self.entry_of(row)?);
        }
        Ok(found)
    }

    fn entry_of(&self, row: &Row<'_>) -> Result<IndexedEntry> {
        let entry = read_entry(row).map_err(index_error(&self.path))?;
        entry.ok_or_else(|| self.damaged("an entry cannot be"))
    }

    /// Makes the error of a layer that has too many directories without an entry.
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

fn read_entry(row: &Row<'_>) -> rusqlite::Result<Option<IndexedEntry>> {
    let time = |column| {
        row.get(column)
            .map(|ticks: i64| FileTime::from_ticks(ticks as u64))
    };
    let basic_info = match row.get::<_, Option<i64>>(8)? {
        None => None,
        Some(attributes) => Some(FileBasicInfo {
            creation_time: time(4)?,
            last_access_time: time(5)?,
            last_write_time: time(6)?,
            change_time: time(7)?,
            attributes: FileAttributes::from_bits_retain(attributes as u32),
        }),
    };
    let target = match row.get_ref(13)?.as_blob_or_null()? {
        None => None,
        Some(bytes) => match LayerPath::parse(bytes) {
            Ok(path) => Some(path),
            Err(_) => return Ok(None),
        },
    };
    let (Some(kind), Ok(path)) = (
        IndexedKind::from_number(row.get(1)?),
        LayerPath::parse(row.get_ref(2)?.as_blob()?),
    ) else {
        return Ok(None);
    };
    Ok(Some(IndexedEntry {
        id: row.get::<_, i64>(0)? as u64,
        kind,
        path,
        offset: row.get::<_, i64>(3)? as u64,
        basic_info,
        security: row.get::<_, Option<i64>>(9)?.map(|id| id as u64),
        reparse: row.get(10)?,
        ea: row.get(11)?,
        other_streams: row.get(12)?,
        target,
    }))
}

fn stream_of(row: &Row<'_>) -> rusqlite::Result<Option<IndexedStream>> {
    // What a tar holds fits into 63 bits.
    let (Ok(offset), Ok(size)) = (
        u64::try_from(row.get::<_, i64>(1)?),
        u64::try_from(row.get::<_, i64>(2)?),
    ) else {
        return Ok(None);
    };
    let map = |column| -> rusqlite::Result<Option<Option<SparseMap>>> {
        Ok(match row.get::<_, Option<String>>(column)? {
            None => Some(None),
            Some(text) => SparseMap::from_record(text.as_bytes(), size).ok().map(Some),
        })
    };
    let name = match row.get_ref(0)?.as_blob_or_null()? {
        None => Some(None),
        Some(bytes) => StreamName::parse(bytes).ok().map(Some),
    };
    let sha256 = match row.get_ref(5)?.as_blob()? {
        [] => Some(None),
        bytes => bytes.try_into().ok().map(Digest::from_bytes).map(Some),
    };
    let (Some(name), Some(stored), Some(sparse), Some(sha256)) = (name, map(3)?, map(4)?, sha256)
    else {
        return Ok(None);
    };
    Ok(Some(IndexedStream {
        name,
        offset,
        size,
        sparse: ranges_on_windows(sparse, stored.as_ref()),
        stored,
        sha256,
    }))
}
