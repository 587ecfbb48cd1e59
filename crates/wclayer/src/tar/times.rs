//! The times of a member, from its records or else from its header, as Windows stores them.
//!
//! A time that has no FILETIME is replaced with the nearest one that Windows can store, instead of
//! rejecting the layer: the tar itself is kept unchanged, and the entry records the replacement. The
//! reference silently wraps around.
//!
//! Source: go-winio `backuptar/tar.go`, `FileInfoFromHeader`.

use ntmeta::FileTime;

use super::members::Member;
use super::pax::key;
use crate::error::TarProblem;

/// The times of a member.
pub(super) struct Times {
    pub(super) created: FileTime,
    pub(super) accessed: FileTime,
    pub(super) written: FileTime,
    pub(super) changed: FileTime,
    /// The first one that Windows cannot store.
    pub(super) unstorable: Option<&'static str>,
}

impl Times {
    /// Reads the times. A missing time is that of the last modification.
    pub(super) fn of(member: &Member) -> Result<Self, TarProblem> {
        let mut reader = Reader {
            member,
            unstorable: None,
        };
        let modified = Some(member.modified);
        let written = reader.filled(key::MODIFIED, "mtime", modified)?;
        // Every header has a time.
        let written = written.unwrap_or_default();
        let created = match member.pax.get(key::CREATED) {
            Some(text) => reader.parse(text, "LIBARCHIVE.creationtime")?,
            None => written,
        };
        let accessed = reader.filled(key::ACCESSED, "atime", member.accessed)?;
        let changed = reader.filled(key::CHANGED, "ctime", member.changed)?;
        Ok(Self {
            created,
            accessed: accessed.unwrap_or(written),
            written,
            changed: changed.unwrap_or(written),
            unstorable: reader.unstorable,
        })
    }
}

struct Reader<'a> {
    member: &'a Member,
    unstorable: Option<&'static str>,
}

impl Reader<'_> {
    /// Returns the time of a record, if it is not empty, or else that of the header in seconds.
    fn filled(
        &mut self,
        record: &[u8],
        key: &'static str,
        header: Option<i64>,
    ) -> Result<Option<FileTime>, TarProblem> {
        match (self.member.pax.get_filled(record), header) {
            (Some(text), _) => self.parse(text, key).map(Some),
            (None, Some(seconds)) => self
                .storable(FileTime::from_unix(seconds, 0), key)
                .map(Some),
            (None, None) => Ok(None),
        }
    }

    fn parse(&mut self, text: &[u8], key: &'static str) -> Result<FileTime, TarProblem> {
        let text = String::from_utf8_lossy(text);
        self.storable(FileTime::parse_pax(&text), key)
    }

    fn storable(
        &mut self,
        time: Result<FileTime, ntmeta::TimeError>,
        key: &'static str,
    ) -> Result<FileTime, TarProblem> {
        let (time, is_storable) = match time {
            Ok(time) => (time, time <= FileTime::LATEST_STORED),
            Err(source) => match source.nearest() {
                Some(nearest) => (nearest, false),
                None => return Err(TarProblem::Time { key, source }),
            },
        };
        if !is_storable {
            self.unstorable.get_or_insert(key);
        }
        Ok(time)
    }
}
