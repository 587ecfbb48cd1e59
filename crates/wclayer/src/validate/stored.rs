//! Checking a portable layer by its index: the rules that its import does not check, except those
//! that only a tar can break.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};

use super::entry::{self, Ea, Kind, Subject};
use super::hive::{self, Hive};
use super::{Report, names, source, whole};
use crate::error::{Result, io_error};
use crate::hub::Progress;
use crate::hub::poll;
use crate::index::{Index, IndexedEntry, IndexedKind};
use crate::parent_chain::ParentChain;
use crate::portable::PortableLayer;
use crate::view::View;

/// Checks a portable layer, with its parents, by its index. That takes a fraction of the time of
/// [`validate`](super::validate), which reads the tar. Rules that only the tar can break are not
/// checked, and neither are those that the import has checked.
///
/// # Errors
///
/// Returns an error if the layer or a parent cannot be read, and
/// [`Error::Cancelled`](crate::Error::Cancelled).
pub fn validate_stored(
    layer: &PortableLayer,
    limit: usize,
    progress: &dyn Progress,
) -> Result<Report> {
    let parents = source::open_parents(&layer.path().into(), &ParentChain::none(), progress)?;
    let parents = parents.as_ref();
    let index = layer.index()?;
    let mut report = Report::new(limit);
    report.parents = parents.map_or(0, View::depth);
    let mut stored = Stored {
        layer,
        index: &index,
        tar: layer.open_tar()?,
        security: None,
    };
    index.for_each(|indexed| {
        poll(progress)?;
        report.entries += 1;
        stored.check(&indexed, parents.is_none(), &mut report)
    })?;
    whole::check_beyond_import(&index, parents, &mut report, progress)?;
    report.is_complete = true;
    Ok(report)
}

/// A portable layer, read entry by entry.
struct Stored<'a> {
    layer: &'a PortableLayer,
    index: &'a Index,
    tar: File,
    /// The security descriptor read last: neighbours often share it.
    security: Option<(u64, Vec<u8>)>,
}

impl Stored<'_> {
    fn check(&mut self, indexed: &IndexedEntry, is_base: bool, report: &mut Report) -> Result<()> {
        let (path, offset) = (&indexed.path, Some(indexed.offset));
        names::check(path.as_bytes(), |rule, detail| {
            report.add(rule, path.to_string(), offset, detail);
        });
        self.read_security(indexed.security)?;
        let subject = Subject {
            path,
            offset,
            unstorable_time: indexed.basic_info.as_ref().and_then(entry::unstorable_time),
            kind: self.kind(indexed),
        };
        entry::check(&subject, is_base, report);
        let has_data = indexed.kind == IndexedKind::File && indexed.reparse.is_none();
        if !has_data || !hive::is_hive(path) {
            return Ok(());
        }
        self.check_hive(indexed, &subject, report)
    }

    fn kind<'e>(&'e self, indexed: &'e IndexedEntry) -> Kind<'e> {
        match (indexed.kind, &indexed.target) {
            (IndexedKind::Removal, _) => Kind::Removal,
            (IndexedKind::Opaque, _) => Kind::Opaque,
            (IndexedKind::Link, Some(target)) => Kind::Link { target },
            _ => Kind::File(entry::File {
                attributes: indexed.basic_info.unwrap_or_default().attributes,
                security: self
                    .security
                    .as_ref()
                    .filter(|(id, _)| Some(*id) == indexed.security)
                    .map(|(_, bytes)| &bytes[..]),
                ea: indexed.ea.as_ref().map(|_| Ea::Checked),
                reparse: indexed.reparse.as_deref(),
            }),
        }
    }

    fn read_security(&mut self, id: Option<u64>) -> Result<()> {
        if let Some(id) = id
            && self.security.as_ref().is_none_or(|(last, _)| *last != id)
        {
            self.security = Some((id, self.index.security(id)?));
        }
        Ok(())
    }

    fn check_hive(
        &self,
        indexed: &IndexedEntry,
        subject: &Subject<'_>,
        report: &mut Report,
    ) -> Result<()> {
        let streams = self.index.streams(indexed)?;
        let data = streams.into_iter().find(|stream| stream.name.is_none());
        let mut start = Vec::new();
        if let Some(data) = &data {
            let size = data.size.min(hive::START as u64);
            let mut tar = &self.tar;
            tar.seek(SeekFrom::Start(data.offset))
                .and_then(|_| tar.take(size).read_to_end(&mut start))
                .map_err(io_error("read", self.layer.path()))?;
        }
        let content = Hive {
            start: &start,
            size: data.as_ref().map_or(0, |data| data.size),
            is_packed: data.is_some_and(|data| data.stored.is_some()),
        };
        entry::check_hive(subject, &content, report);
        Ok(())
    }
}
