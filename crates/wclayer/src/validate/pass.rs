//! The pass over a tar: each entry by itself, while the index of all of them is made.
//!
//! What is wrong with one entry does not end the pass. An entry whose metadata cannot be read is
//! put into the index as what it is meant to be, so that nothing is missed that lies below it.
//! Damage to the tar itself ends the pass, and then only single entries have been checked.

use std::io::{BufRead, Read};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use ntmeta::{FileAttributes, FileBasicInfo, FileTime, wide};

use super::entry::{self, Place};
use super::problem::{is_of_metadata, is_trailing, rule_of, text_of};
use super::streams::Streams;
use super::{Report, Rule, whole};
use crate::compression::Decoder;
use crate::error::{Error, Result};
use crate::error::{TarError, TarProblem};
use crate::hub::{Progress, poll};
use crate::index::IndexBuilder;
use crate::path::{LayerPath, split_stream};
use crate::pipeline::{Counting, ReadAhead, skip_to_end};
use crate::place::INDEX_FILE;
use crate::place::leftovers;
use crate::place::scratch::Scratch;
use crate::tar::{ArchiveEnd, FileMember, Member, TarEntries, TarEntry, TarEntryKind};
use crate::view::View;

/// Checks a layer tar (plain, gzip or zstd) by all rules, on top of its parents; `None` for a base
/// layer. `limit` findings of each rule are kept.
///
/// # Errors
///
/// When the tar or a parent cannot be read; [`Error::Cancelled`]. Damage is no error here, but in
/// the report.
pub fn validate_tar<R: Read + Send + 'static>(
    source: R,
    parents: Option<&View>,
    limit: usize,
    progress: &dyn Progress,
) -> Result<Report> {
    run(source, parents, Report::new(limit), progress)
}

/// Checks a tar into a report that is to be completed.
pub(super) fn run<R: Read + Send + 'static>(
    source: R,
    parents: Option<&View>,
    mut report: Report,
    progress: &dyn Progress,
) -> Result<Report> {
    report.parents = parents.map_or(0, View::depth);
    let mut scratch = Scratch::new(leftovers::CHECK)?;
    let mut index = IndexBuilder::create(&scratch.path().join(INDEX_FILE))?;
    scratch.hide();
    let counter = Arc::new(AtomicU64::new(0));
    let counting = Counting::new(source, Arc::clone(&counter));
    let mut input = ReadAhead::start(move || Decoder::new(counting), counter, None, progress)?;
    let read = Pass {
        report: &mut report,
        index: &mut index,
        is_base: parents.is_none(),
        streams: Streams::default(),
        progress,
    }
    .read(&mut input);
    if matches!(read, Err(Error::Cancelled)) {
        // The thread may wait for a pipe that says no more.
        return Err(Error::Cancelled);
    }
    input.abandon();
    report.is_complete = read?;
    if report.is_complete {
        whole::check(&index.finish()?, parents, &mut report, progress)?;
    }
    Ok(report)
}

struct Pass<'a> {
    report: &'a mut Report,
    index: &'a mut IndexBuilder,
    is_base: bool,
    streams: Streams,
    progress: &'a dyn Progress,
}

impl Pass<'_> {
    /// Reads the whole input; returns whether that was possible.
    fn read(&mut self, input: &mut impl BufRead) -> Result<bool> {
        let mut entries = TarEntries::new(&mut *input);
        loop {
            poll(self.progress)?;
            let next = entries.next_entry();
            if let Some(member) = entries.member() {
                self.report.entries += 1;
                self.progress.entry();
                entry::check_member(member, self.report);
            }
            let step = match next {
                Ok(None) => break,
                Ok(Some(found)) => self.take(&found, &mut entries)?,
                Err(error) => match entries.member() {
                    Some(member) => self.refused(member, error)?,
                    None => Some(error),
                },
            };
            if let Some(damage) = step {
                self.tell(damage)?;
                return Ok(false);
            }
        }
        if entries.end() == Some(ArchiveEnd::MissingEndBlocks) {
            self.report.add(Rule::TarNoEnd, "", None, "");
        }
        match skip_to_end(entries.into_inner()) {
            Ok(0) => {}
            Ok(count) => {
                let detail = format!("{count} bytes");
                self.report.add(Rule::TarTrailingData, "", None, detail);
            }
            Err(Error::Input(error)) if is_trailing(&error) => {
                self.report.add(Rule::BlobTrailingData, "", None, "");
            }
            Err(Error::Input(error)) => {
                let problem = TarProblem::Io(error);
                let Some(rule) = rule_of(&problem) else {
                    return Err(TarError::new(b"", 0, problem).into());
                };
                let detail = format!("behind the end of the tar: {}", text_of(&problem));
                self.report.add(rule, "", None, detail);
                return Ok(false);
            }
            Err(error) => return Err(error),
        }
        Ok(true)
    }

    /// Takes an entry; returns what ended it too early.
    fn take<R: BufRead>(
        &mut self,
        found: &TarEntry,
        entries: &mut TarEntries<R>,
    ) -> Result<Option<TarError>> {
        let place = Place {
            entry: found,
            is_base: self.is_base,
        };
        if let Some(member) = entries.member() {
            entry::check(&place, member, self.report);
            self.check_stream(found, member);
        }
        self.index.add_entry(found)?;
        let TarEntryKind::File(file) = &found.kind else {
            return Ok(None);
        };
        if !file.has_data || !entry::is_hive(&file.path) {
            return Ok(None);
        }
        match start_of_content(entries) {
            Ok(start) => entry::check_hive(&place, file, &start, self.report),
            Err(error) => return Ok(Some(error)),
        }
        Ok(None)
    }

    fn check_stream(&mut self, found: &TarEntry, member: &Member) {
        match &found.kind {
            TarEntryKind::File(_) => self.streams.start(&member.name),
            TarEntryKind::Stream(stream) => {
                for rule in self.streams.check(&member.name, &stream.name) {
                    let name = wide::display(&member.name);
                    self.report.add(rule, name, Some(found.offset), "");
                }
            }
            _ => {}
        }
    }

    /// Tells of an entry that could not be read, and puts into the index what it stands for.
    fn refused(&mut self, member: &Member, error: TarError) -> Result<Option<TarError>> {
        if rule_of(&error.problem).is_none() {
            return Ok(Some(error));
        }
        if is_of_metadata(&error.problem)
            && let Ok((path, None)) = split_stream(&member.name)
        {
            self.index.add_entry(&stand_in(path, member))?;
        }
        self.tell(error)?;
        Ok(None)
    }

    /// Adds a finding, unless the fault is not the layer's.
    fn tell(&mut self, error: TarError) -> Result<()> {
        let Some(rule) = rule_of(&error.problem) else {
            return Err(error.into());
        };
        let detail = text_of(&error.problem);
        self.report
            .add(rule, error.entry, Some(error.offset), detail);
        Ok(())
    }
}

/// Returns what an entry stands for whose metadata cannot be read.
fn stand_in(path: LayerPath, member: &Member) -> TarEntry {
    let attributes = match entry::is_directory_type(member) {
        true => FileAttributes::DIRECTORY,
        false => FileAttributes::empty(),
    };
    TarEntry {
        offset: member.offset,
        content_offset: member.content_offset,
        size: member.size,
        stored: None,
        unstorable_time: None,
        kind: TarEntryKind::File(Box::new(FileMember {
            path,
            basic_info: FileBasicInfo {
                attributes,
                ..no_basic_info()
            },
            has_data: false,
            security: None,
            ea: Vec::new(),
            reparse: None,
            other_streams: Vec::new(),
            sparse: None,
        })),
    }
}

/// Times and attributes of which nothing is known.
pub(super) fn no_basic_info() -> FileBasicInfo {
    let zero = FileTime::from_ticks(0);
    FileBasicInfo {
        creation_time: zero,
        last_access_time: zero,
        last_write_time: zero,
        change_time: zero,
        attributes: FileAttributes::empty(),
    }
}

/// Reads as much of a content as the check of a hive looks at.
fn start_of_content<R: BufRead>(entries: &mut TarEntries<R>) -> Result<Vec<u8>, TarError> {
    let mut start = Vec::with_capacity(entry::HIVE_START);
    while start.len() < entry::HIVE_START {
        let bytes = entries.fill_content()?;
        let count = bytes.len().min(entry::HIVE_START - start.len());
        if count == 0 {
            break;
        }
        start.extend_from_slice(&bytes[..count]);
        entries.consume_content(count);
    }
    Ok(start)
}
