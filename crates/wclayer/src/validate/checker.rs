//! Checking a source of the hub, such as a transport folder: [`Checker`] is a sink that keeps
//! nothing but findings and an index.

use ntmeta::backup_stream::{BackupStreamDecoder, StreamEvent};
use ntmeta::{StreamAttributes, StreamHeader, StreamId, wide};

use super::entry::{self, Ea, Kind, Subject};
use super::hive::{self, Hive};
use super::problem::rule_of_path;
use super::streams::Streams;
use super::{Report, Rule, names};
use crate::error::{Error, HcsError, Result};
use crate::hub::{FileEntry, LayerWriter, LinkEntry};
use crate::index::{IndexBuilder, IndexedKind, NewEntry};
use crate::path::{LayerPath, StreamName};

/// How much of a metadata stream is kept, in bytes. Windows accepts none that is longer, so that
/// what is cut off here is malformed either way.
const MAX_METADATA: usize = 1 << 20;

/// A sink that checks entries one by one and builds the index for the rules on whole layers.
pub(super) struct Checker<'a> {
    report: &'a mut Report,
    index: IndexBuilder,
    is_base: bool,
    file: Option<OpenFile>,
}

impl<'a> Checker<'a> {
    pub(super) fn new(report: &'a mut Report, index: IndexBuilder, is_base: bool) -> Self {
        Self {
            report,
            index,
            is_base,
            file: None,
        }
    }

    /// Checks an entry without a backup stream.
    fn check_bare(&mut self, path: &LayerPath, kind: Kind<'_>, time: Option<&'static str>) {
        check_name(path, self.report);
        let subject = Subject {
            path,
            offset: None,
            unstorable_time: time,
            kind,
        };
        entry::check(&subject, self.is_base, self.report);
    }

    /// Ends the entry before the next one.
    fn next_entry(&mut self) -> Result<()> {
        self.report.entries += 1;
        self.end_file()
    }

    /// Checks the file whose backup stream ends here.
    fn end_file(&mut self) -> Result<()> {
        let Some(mut file) = self.file.take() else {
            return Ok(());
        };
        file.decoder
            .finish()
            .map_err(|error| malformed(&file.entry.path, error))?;
        file.end(self.is_base, self.report);
        self.index.add(&file.row())
    }
}

impl LayerWriter for Checker<'_> {
    type Output = IndexBuilder;

    fn add(&mut self, file: &FileEntry) -> Result<()> {
        self.next_entry()?;
        check_name(&file.path, self.report);
        self.file = Some(OpenFile::new(file.clone()));
        Ok(())
    }

    fn write(&mut self, mut backup_stream: &[u8]) -> Result<()> {
        let file = self.file.as_mut().ok_or(Error::NoCurrentFile)?;
        loop {
            let event = file.decoder.decode(&mut backup_stream);
            match event.map_err(|error| malformed(&file.entry.path, error))? {
                Some(StreamEvent::Header(header)) => file.start_stream(&header, self.report),
                Some(StreamEvent::Body(bytes)) => file.take_body(bytes),
                None => return Ok(()),
            }
        }
    }

    fn add_link(&mut self, link: &LinkEntry) -> Result<()> {
        self.next_entry()?;
        let time = link.basic_info.as_ref().and_then(entry::unstorable_time);
        let target = &link.target;
        self.check_bare(&link.path, Kind::Link { target }, time);
        self.index.add(&NewEntry {
            basic_info: link.basic_info,
            target: Some(target),
            ..NewEntry::new(IndexedKind::Link, &link.path, 0)
        })
    }

    fn remove(&mut self, path: &LayerPath) -> Result<()> {
        self.next_entry()?;
        self.check_bare(path, Kind::Removal, None);
        self.index
            .add(&NewEntry::new(IndexedKind::Removal, path, 0))
    }

    fn remove_contents(&mut self, directory: &LayerPath) -> Result<()> {
        self.next_entry()?;
        self.check_bare(directory, Kind::Opaque, None);
        self.index
            .add(&NewEntry::new(IndexedKind::Opaque, directory, 0))
    }

    fn finish(mut self) -> Result<IndexBuilder> {
        self.end_file()?;
        Ok(self.index)
    }
}

/// A file whose backup stream is being read.
struct OpenFile {
    entry: FileEntry,
    decoder: BackupStreamDecoder,
    streams: Streams,
    current: Current,
    has_data: bool,
    security: Option<Vec<u8>>,
    ea: Option<Vec<u8>>,
    reparse: Option<Vec<u8>>,
    /// The first bytes of the data of a hive, holes as zeros.
    hive: Option<Vec<u8>>,
}

/// Where the body of the current stream goes.
enum Current {
    Security,
    Ea,
    Reparse,
    /// The unnamed data, from this offset on.
    Data(u64),
    Nowhere,
}

impl OpenFile {
    fn new(entry: FileEntry) -> Self {
        Self {
            hive: hive::is_hive(&entry.path).then(Vec::new),
            entry,
            decoder: BackupStreamDecoder::new(),
            streams: Streams::default(),
            current: Current::Nowhere,
            has_data: false,
            security: None,
            ea: None,
            reparse: None,
        }
    }

    fn start_stream(&mut self, header: &StreamHeader, report: &mut Report) {
        self.current = match header.id {
            StreamId::SECURITY_DATA => {
                self.security = Some(Vec::new());
                Current::Security
            }
            StreamId::EA_DATA => {
                self.ea = Some(Vec::new());
                Current::Ea
            }
            StreamId::REPARSE_DATA => {
                self.reparse = Some(Vec::new());
                Current::Reparse
            }
            StreamId::DATA => {
                if std::mem::replace(&mut self.has_data, true) {
                    self.add(Rule::StreamTwice, String::new(), report);
                }
                self.check_size(header, report);
                Current::Data(0)
            }
            StreamId::SPARSE_BLOCK => match (&self.current, header.sparse_offset) {
                (Current::Data(_), Some(offset)) => Current::Data(offset.cast_unsigned()),
                _ => Current::Nowhere,
            },
            StreamId::ALTERNATE_DATA => {
                self.check_alternate(header, report);
                Current::Nowhere
            }
            _ => Current::Nowhere,
        };
    }

    fn take_body(&mut self, bytes: &[u8]) {
        let kept = match &mut self.current {
            Current::Security => &mut self.security,
            Current::Ea => &mut self.ea,
            Current::Reparse => &mut self.reparse,
            Current::Data(offset) => {
                let start = *offset;
                *offset = offset.saturating_add(bytes.len() as u64);
                if let Some(hive) = &mut self.hive {
                    keep_start(hive, start, bytes);
                }
                return;
            }
            Current::Nowhere => return,
        };
        let kept = kept.get_or_insert_default();
        let left = MAX_METADATA.saturating_sub(kept.len());
        kept.extend_from_slice(&bytes[..bytes.len().min(left)]);
    }

    fn check_alternate(&mut self, header: &StreamHeader, report: &mut Report) {
        self.check_size(header, report);
        let name = wide::to_wtf8(header.stream_name().unwrap_or_default());
        match StreamName::parse(&name) {
            Ok(name) => {
                if let Some(rule) = self.streams.check(&name) {
                    self.add(rule, format!("the stream `{name}`"), report);
                }
            }
            Err(error) => self.add(rule_of_path(&error), error.to_string(), report),
        }
    }

    /// Checks the size of a data stream; that of a sparse one shows in its entry.
    fn check_size(&self, header: &StreamHeader, report: &mut Report) {
        let is_sparse = header.attributes.contains(StreamAttributes::SPARSE);
        let size = match header.id {
            StreamId::DATA if is_sparse => self.entry.size.max(header.size),
            _ => header.size,
        };
        entry::check_size(size, |rule, detail| self.add(rule, detail, report));
    }

    fn add(&self, rule: Rule, detail: String, report: &mut Report) {
        report.add(rule, self.entry.path.to_string(), None, detail);
    }

    /// Checks all of it, once its backup stream is complete.
    fn end(&mut self, is_base: bool, report: &mut Report) {
        if let Some(start) = &mut self.hive {
            // The rest of it may be a hole.
            let length = self.entry.size.min(hive::START as u64);
            start.resize(start.len().max(length as usize), 0);
        }
        let subject = Subject {
            path: &self.entry.path,
            offset: None,
            unstorable_time: entry::unstorable_time(&self.entry.basic_info),
            kind: Kind::File(entry::File {
                attributes: self.entry.basic_info.attributes,
                security: self.security.as_deref(),
                ea: self.ea.as_deref().map(Ea::Stored),
                reparse: self.reparse.as_deref(),
            }),
        };
        entry::check(&subject, is_base, report);
        let is_file = self.row().kind == IndexedKind::File && self.reparse.is_none();
        if let Some(start) = self.hive.as_ref().filter(|_| is_file) {
            let content = Hive {
                start,
                size: self.entry.size,
                is_packed: false,
            };
            entry::check_hive(&subject, &content, report);
        }
    }

    fn row(&self) -> NewEntry<'_> {
        NewEntry {
            security: self.security.as_deref(),
            reparse: self.reparse.as_deref(),
            ea: self.ea.as_deref(),
            ..NewEntry::file(&self.entry.path, self.entry.basic_info, 0)
        }
    }
}

/// Keeps those of the bytes from an offset on that are at the start of a hive.
fn keep_start(hive: &mut Vec<u8>, offset: u64, bytes: &[u8]) {
    let Ok(offset) = usize::try_from(offset) else {
        return;
    };
    let end = hive::START.min(offset.saturating_add(bytes.len()));
    if offset < end && hive.len() <= offset {
        hive.resize(offset, 0);
        hive.extend_from_slice(&bytes[..end - offset]);
    }
}

fn check_name(path: &LayerPath, report: &mut Report) {
    names::check(path.as_bytes(), |rule, detail| {
        report.add(rule, path.to_string(), None, detail);
    });
}

fn malformed(path: &LayerPath, error: ntmeta::BackupStreamError) -> Error {
    HcsError::Stream {
        entry: path.clone(),
        source: error.into(),
    }
    .into()
}
