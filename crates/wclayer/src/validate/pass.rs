//! The pass over a tar: checks each entry and builds the index of all of them.
//!
//! A fault of one entry does not end the pass. An entry whose metadata cannot be read is added to
//! the index as the file or directory that it stands for, so that the entries below it have a parent.
//! Damage to the tar itself ends the pass; then only single entries have been checked.

use std::io::{BufRead, Read};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use ntmeta::{FileAttributes, FileBasicInfo, wide};

use super::hive::{self, Hive};
use super::problem::{is_of_metadata, is_trailing, rule_of, text_of};
use super::streams::Streams;
use super::{Report, Rule, entry, member, whole};
use crate::compression::Decoder;
use crate::error::{Error, Result};
use crate::error::{TarError, TarProblem};
use crate::hub::{Progress, poll};
use crate::index::{IndexBuilder, NewEntry};
use crate::path::split_stream;
use crate::pipeline::{Counting, ReadAhead, skip_to_end};
use crate::tar::{ArchiveEnd, Member, TarEntries, TarEntry, TarEntryKind};
use crate::view::View;

/// Checks a layer tar (plain, gzip or zstd) against all rules, on top of its parents; `None` for a
/// base layer. Keeps `limit` findings of each rule.
///
/// # Errors
///
/// Returns an error if the tar or a parent cannot be read, and [`Error::Cancelled`]. Damage is not an
/// error but a finding in the report.
pub fn validate_tar<R: Read + Send + 'static>(
    source: R,
    parents: Option<&View>,
    limit: usize,
    progress: &dyn Progress,
) -> Result<Report> {
    run(source, parents, Report::new(limit), progress)
}

/// Checks a tar and completes a report.
pub(super) fn run<R: Read + Send + 'static>(
    source: R,
    parents: Option<&View>,
    mut report: Report,
    progress: &dyn Progress,
) -> Result<Report> {
    report.parents = parents.map_or(0, View::depth);
    let (_scratch, mut index) = whole::new_index()?;
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
        // The thread may be waiting for a pipe that stays silent.
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
    /// Reads the whole input; returns whether it was readable to the end.
    fn read(&mut self, input: &mut impl BufRead) -> Result<bool> {
        let mut entries = TarEntries::new(&mut *input);
        loop {
            poll(self.progress)?;
            let next = entries.next_entry();
            if let Some(member) = entries.member() {
                self.report.entries += 1;
                self.progress.entry();
                member::check(member, self.report);
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
                self.report_problem(damage)?;
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
                let detail = format!("after the end of the tar: {}", text_of(&problem));
                self.report.add(rule, "", None, detail);
                return Ok(false);
            }
            Err(error) => return Err(error),
        }
        Ok(true)
    }

    /// Takes an entry; returns the error that cut it off.
    fn take<R: BufRead>(
        &mut self,
        found: &TarEntry,
        entries: &mut TarEntries<R>,
    ) -> Result<Option<TarError>> {
        if let Some(member) = entries.member() {
            member::check_entry(found, member, self.is_base, self.report);
            self.check_stream(found, member);
        }
        self.index.add_entry(found)?;
        let Some(subject) = member::subject(found) else {
            return Ok(None);
        };
        entry::check(&subject, self.is_base, self.report);
        let has_data = matches!(&found.kind, TarEntryKind::File(file) if file.has_data);
        if !has_data || !hive::is_hive(subject.path) {
            return Ok(None);
        }
        let start = match start_of_content(entries) {
            Ok(start) => start,
            Err(error) => return Ok(Some(error)),
        };
        let content = Hive {
            start: &start,
            size: found.size,
            is_packed: found.stored.is_some(),
        };
        entry::check_hive(&subject, &content, self.report);
        Ok(None)
    }

    fn check_stream(&mut self, found: &TarEntry, member: &Member) {
        let name = match &found.kind {
            TarEntryKind::File(_) => return self.streams.start_member(&member.name),
            TarEntryKind::Stream(stream) => &stream.name,
            _ => return,
        };
        let spelling = self.streams.check_spelling(&member.name);
        for rule in spelling.into_iter().chain(self.streams.check(name)) {
            let name = wide::display(&member.name);
            self.report.add(rule, name, Some(found.offset), "");
        }
    }

    /// Reports an entry that could not be read, and adds what it stands for to the index.
    fn refused(&mut self, member: &Member, error: TarError) -> Result<Option<TarError>> {
        if rule_of(&error.problem).is_none() {
            return Ok(Some(error));
        }
        if is_of_metadata(&error.problem)
            && let Ok((path, None)) = split_stream(&member.name)
        {
            let attributes = match member::is_directory(member) {
                true => FileAttributes::DIRECTORY,
                false => FileAttributes::empty(),
            };
            let info = FileBasicInfo {
                attributes,
                ..FileBasicInfo::default()
            };
            self.index
                .add(&NewEntry::file(&path, info, member.offset))?;
        }
        self.report_problem(error)?;
        Ok(None)
    }

    /// Adds a finding, unless the fault is not the layer's.
    fn report_problem(&mut self, error: TarError) -> Result<()> {
        let Some(rule) = rule_of(&error.problem) else {
            return Err(error.into());
        };
        let detail = text_of(&error.problem);
        self.report
            .add(rule, error.entry, Some(error.offset), detail);
        Ok(())
    }
}

/// Reads the part of a content that the check of a hive needs.
fn start_of_content<R: BufRead>(entries: &mut TarEntries<R>) -> Result<Vec<u8>, TarError> {
    let mut start = Vec::with_capacity(hive::START);
    while start.len() < hive::START {
        let bytes = entries.fill_content()?;
        let count = bytes.len().min(hive::START - start.len());
        if count == 0 {
            break;
        }
        start.extend_from_slice(&bytes[..count]);
        entries.consume_content(count);
    }
    Ok(start)
}
