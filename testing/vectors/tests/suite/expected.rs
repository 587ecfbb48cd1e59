//! The expected result of reading a layer tar: the reference's operations, with our differences.
//!
//! The reference's operations and its listing of the tar are walked side by side. Where the rules
//! of [`crate::differences`] apply, the expectation follows from the listing; everywhere else it is
//! the reference's own result.

use std::collections::{BTreeMap, BTreeSet};

use ntmeta::{FileBasicInfo, ReparsePoint};
use vectors::blob::Blob;
use vectors::streams::{self, Canonical, Piece, id};
use vectors::{Check, same, tarball, time};
use wclayer::{Entry, LayerPath};

use crate::differences::Difference;
use crate::import::{Header, Import, Operation, Time, with_times};
use crate::layer::{self, Layer};
use crate::spelling::spelled;

/// The expected result of reading a layer tar.
pub(crate) struct Expected {
    entries: Vec<ExpectedEntry>,
    end: End,
    pub(crate) differences: BTreeSet<Difference>,
    globals: BTreeMap<String, String>,
    /// Whether only a part of the last entry is read, because the rest is rejected.
    last_in_part: bool,
}

/// The expected end of reading.
#[derive(Debug, PartialEq)]
enum End {
    Complete,
    /// The same as in the reference; the last entry may be partial or missing.
    Fails,
    /// An intentional error.
    Refused(Difference),
}

#[derive(Debug)]
enum ExpectedEntry {
    File {
        path: Vec<u8>,
        info: FileBasicInfo,
        size: u64,
        stream: Box<Stream>,
    },
    Link {
        path: Vec<u8>,
        target: Vec<u8>,
    },
    Removal(Vec<u8>),
    Opaque(Vec<u8>),
}

/// A backup stream, described by its differences from the reference's.
#[derive(Debug, Default)]
struct Stream {
    reference: Option<Blob>,
    /// Other acceptable hashes.
    any_of: Vec<String>,
    /// The data that the reference drops.
    data: Option<Blob>,
    /// Alternate data streams that the reference turns into entries.
    joined: Vec<(Vec<u16>, Blob)>,
    /// The reference's name of each alternate data stream whose name already ended in `:$DATA`,
    /// which the reference appends again.
    suffixed: Vec<Option<String>>,
}

/// Go's zero time, 0001-01-01, in nanoseconds since 1970: the reference's value for a missing time.
const GO_ZERO_TIME: i128 = -62_135_596_800 * 1_000_000_000;

type Refusable<T = ()> = Result<T, Difference>;

impl Expected {
    /// Determines the expected result.
    pub(crate) fn of(import: &Import, tar: &[u8]) -> Check<Self> {
        let mut expected = Self {
            entries: Vec::new(),
            end: if import.error.is_some() || import.panic.is_some() {
                End::Fails
            } else {
                End::Complete
            },
            differences: BTreeSet::new(),
            globals: BTreeMap::new(),
            last_in_part: false,
        };
        let fails = expected.end == End::Fails;
        expected.last_in_part = fails;
        if fails && tarball::has_odd_numbers(tar) {
            expected.differences.insert(Difference::HeaderNumber);
        }
        if tar.is_empty() && expected.end == End::Complete {
            expected.refuse(Difference::EmptyInput);
            return Ok(expected);
        }
        let mut operations = import.ops.as_deref().unwrap_or_default().iter().peekable();
        let total: u64 = operations
            .clone()
            .filter_map(|operation| operation.size)
            .sum();
        if import.error.is_none() {
            same("the reference's own total", &import.total_size, &total)?;
        }
        for header in import.tar_headers.as_deref().unwrap_or_default() {
            let name = header.name()?;
            // A header without an operation is a stream of the previous file.
            let Some(operation) = operations.peek() else {
                if is_odd_stream(&name) && expected.end == End::Complete {
                    expected.last_in_part = true;
                    expected.refuse(Difference::BadPath);
                }
                continue;
            };
            if !is_of(operation, &name)? {
                if is_odd_stream(&name) {
                    expected.last_in_part = true;
                    expected.refuse(Difference::BadPath);
                    return Ok(expected);
                }
                continue;
            }
            let result = expected.add(operation, header, &name)?;
            operations.next();
            if let Err(difference) = result {
                expected.refuse(difference);
                return Ok(expected);
            }
        }
        match operations.next() {
            Some(operation) => Err(format!("the vector lists no entry for {operation:?}")),
            None => Ok(expected),
        }
    }

    fn refuse(&mut self, difference: Difference) {
        self.differences.insert(difference);
        self.end = End::Refused(difference);
    }

    fn add(&mut self, operation: &Operation, header: &Header, name: &[u8]) -> Check<Refusable> {
        let whiteout = name
            .split(|byte| *byte == b'/')
            .any(|part| part.starts_with(b".wh."));
        match operation.op.as_str() {
            "add" | "add_link" if whiteout => Ok(Err(Difference::InvalidWhiteout)),
            "remove" => Ok(self.add_removal(operation, name)?),
            "add_link" => Ok(self.add_link(name, &operation.target()?)),
            "add" if header.typeflag == "g" => {
                self.differences.insert(Difference::GlobalHeader);
                self.globals.extend(header.pax.clone().unwrap_or_default());
                Ok(Ok(()))
            }
            "add" => self.add_file_or_stream(operation, header, name),
            other => Err(format!("the vector has an unknown operation `{other}`")),
        }
    }

    fn add_removal(&mut self, operation: &Operation, name: &[u8]) -> Check<Refusable> {
        let slash = name
            .iter()
            .rposition(|byte| *byte == b'/')
            .map_or(0, |at| at + 1);
        let (directory, base) = name.split_at(slash);
        if base == b".wh..wh..opq" {
            self.differences.insert(Difference::OpaqueWhiteout);
            return Ok(
                spelled(directory).map(|path| self.entries.push(ExpectedEntry::Opaque(path)))
            );
        }
        let removed = match base.strip_prefix(b".wh.") {
            Some(b"" | b"." | b"..") | None => return Ok(Err(Difference::InvalidWhiteout)),
            Some(removed) => removed,
        };
        let path = match spelled(&[directory, removed].concat()) {
            Ok(path) => path,
            Err(difference) => return Ok(Err(difference)),
        };
        let reference = spelled(&operation.name()?).unwrap_or_default();
        same(
            "the path that the suite and the reference remove",
            &reference,
            &path,
        )?;
        self.entries.push(ExpectedEntry::Removal(path));
        Ok(Ok(()))
    }

    fn add_link(&mut self, name: &[u8], target: &[u8]) -> Refusable {
        let (path, target) = (spelled(name)?, spelled(target)?);
        self.entries.push(ExpectedEntry::Link { path, target });
        Ok(())
    }

    fn add_file_or_stream(
        &mut self,
        operation: &Operation,
        header: &Header,
        name: &[u8],
    ) -> Check<Refusable> {
        let last = name
            .iter()
            .rposition(|byte| matches!(byte, b'/' | b'\\'))
            .map_or(0, |at| at + 1);
        let colon = name[last..]
            .iter()
            .position(|byte| *byte == b':')
            .map(|at| last + at);
        Ok(match colon {
            Some(colon) if colon > 1 => {
                self.join_stream(header, &name[..colon], &name[colon + 1..])
            }
            _ => return self.add_file(operation, header, name),
        })
    }

    /// Handles a stream that the reference turned into an entry: it belongs to the previous file,
    /// or nowhere.
    fn join_stream(&mut self, header: &Header, file: &[u8], stream: &[u8]) -> Refusable {
        let file = spelled(file)?;
        let stream = stream_name(stream).ok_or(Difference::BadPath)?;
        let parse = |path: &[u8]| LayerPath::parse(path).map_err(|_| Difference::BadPath);
        match self.entries.last_mut() {
            Some(ExpectedEntry::File {
                path,
                stream: of_file,
                ..
            }) if parse(path)? == parse(&file)? && is_regular(header) => {
                self.differences.insert(Difference::JoinedStream);
                of_file.joined.push((stream, content(header)));
                Ok(())
            }
            _ => Err(Difference::StrayStream),
        }
    }

    fn add_file(
        &mut self,
        operation: &Operation,
        header: &Header,
        name: &[u8],
    ) -> Check<Refusable> {
        let path = match spelled(name) {
            Ok(path) => path,
            Err(difference) => return Ok(Err(difference)),
        };
        if !is_regular(header) && !matches!(header.typeflag.as_str(), "2" | "5" | "S") {
            return Ok(Err(Difference::SpecialType));
        }
        let info = operation
            .basic_info
            .ok_or("the vector's file has no basic info")?;
        let times = self.times(header, info.times())?;
        let attributes = match (
            header.record("MSWINDOWS.fileattr"),
            self.globals.get("MSWINDOWS.fileattr"),
        ) {
            (None, Some(text)) => text
                .parse()
                .map_err(|_| "the vector's attributes are odd")?,
            _ => info.attributes(),
        };
        let loses_data = matches!(header.typeflag.as_str(), "7" | "S");
        if loses_data {
            self.differences.insert(Difference::DataOfOtherTypes);
        }
        let suffixed = suffixed_names(operation);
        if suffixed.iter().any(Option::is_some) {
            self.differences.insert(Difference::StreamSuffix);
        }
        let reference_size = operation.size.ok_or("the vector's file has no size")?;
        self.entries.push(ExpectedEntry::File {
            path,
            info: with_times(times, attributes),
            size: if loses_data {
                header.size
            } else {
                reference_size
            },
            stream: Box::new(Stream {
                reference: operation.stream.clone(),
                any_of: operation.stream_sha256_any_of.clone().unwrap_or_default(),
                data: loses_data.then(|| content(header)),
                joined: Vec::new(),
                suffixed,
            }),
        });
        Ok(Ok(()))
    }

    /// Returns the times: the reference's if it could represent them.
    fn times(&mut self, header: &Header, reference: [u64; 4]) -> Check<[u64; 4]> {
        // Every header has a modification time; Go's zero time is listed as none.
        let written = self.time(header, "mtime", header.mtime);
        let written = written.unwrap_or(GO_ZERO_TIME);
        let key = "LIBARCHIVE.creationtime";
        let created = header
            .record(key)
            .or(self.globals.get(key).map(String::as_str));
        let created = created.map(|text| time::parse_pax(text).ok_or("the vector's time is odd"));
        let created = created.transpose()?.unwrap_or(written);
        let accessed = self.time(header, "atime", header.atime);
        let changed = self.time(header, "ctime", header.ctime);
        if accessed.is_none() || changed.is_none() {
            self.differences.insert(Difference::MissingTime);
        }
        let times = [Some(created), accessed, Some(written), changed];
        let mut result = [0; 4];
        for ((result, own), reference) in result.iter_mut().zip(times).zip(reference) {
            if self.globals.is_empty() {
                let counted = time::to_filetime_of_reference(own.unwrap_or(GO_ZERO_TIME));
                same("a time, as the reference counts", &counted, &reference)?;
            }
            let nanoseconds = own.unwrap_or(written);
            *result = time::to_nearest_filetime(nanoseconds);
            if !time::reference_can_count(nanoseconds) {
                self.differences.insert(Difference::TimeRange);
            }
        }
        Ok(result)
    }

    fn time(&self, header: &Header, key: &str, own: Option<Time>) -> Option<i128> {
        let record = header.record(key).filter(|text| !text.is_empty());
        let global = self.globals.get(key).filter(|_| record.is_none());
        // Go lists its zero time as none, and wraps around if seconds need more than 64 bits.
        match record.or(global.map(String::as_str)) {
            Some(text) => time::parse_pax(text),
            None => own.map(Time::nanoseconds),
        }
    }

    /// Compares with the actual result.
    pub(crate) fn check(&self, layer: &Layer) -> Check {
        let error = layer.error.as_ref().map(layer::describe);
        let error = error.as_deref().unwrap_or("no error");
        let mut read = layer.entries.iter();
        for (at, expected) in self.entries.iter().enumerate() {
            let in_part = self.last_in_part && at + 1 == self.entries.len();
            match read.next() {
                Some((entry, stream)) => expected.check(entry, stream, in_part)?,
                None if in_part => {}
                None => return Err(format!("expected {expected:?}, got no entry and {error}")),
            }
        }
        let goes_on = self.differences.contains(&Difference::HeaderNumber);
        if goes_on && layer.error.is_none() {
            return Ok(());
        }
        if let Some((entry, _)) = read.next() {
            return Err(format!("expected no more entries, got {entry:?}"));
        }
        match (
            &self.end,
            layer.error.as_ref().map(|error| layer::problem(error)),
        ) {
            (End::Complete, None) | (End::Fails, Some(Some(_))) => Ok(()),
            (End::Refused(difference), Some(Some(problem)))
                if difference.is_reported_as(problem) =>
            {
                Ok(())
            }
            (end, _) => Err(format!("expected the end {end:?}, got {error}")),
        }
    }
}

impl ExpectedEntry {
    fn check(&self, entry: &Entry, bytes: &[u8], in_part: bool) -> Check {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        match (self, entry) {
            (
                Self::File {
                    path,
                    info,
                    size,
                    stream,
                },
                Entry::File(file),
            ) => {
                same(
                    "the name of a file",
                    &text(path),
                    &text(file.path.as_bytes()),
                )?;
                let what = file.path.to_string();
                let at_path = |error| format!("{what}: {error}");
                same(
                    "the bytes of the name",
                    path,
                    &file.path.as_bytes().to_vec(),
                )?;
                same("the basic info", info, &file.basic_info).map_err(at_path)?;
                same("the size", size, &file.size).map_err(at_path)?;
                if !file.metadata_first {
                    return Err(at_path(
                        "metadata comes first in a tar, but not here".to_owned(),
                    ));
                }
                stream.check(bytes, in_part).map_err(at_path)
            }
            (Self::Link { path, target }, Entry::Link(link)) => {
                same(
                    "the name of a link",
                    &text(path),
                    &text(link.path.as_bytes()),
                )?;
                same(
                    "the target of a link",
                    &text(target),
                    &text(link.target.as_bytes()),
                )?;
                same("the stream of a link", &0, &bytes.len())
            }
            (Self::Removal(path), Entry::Removal(removed)) => {
                same("a removed path", &text(path), &text(removed.as_bytes()))
            }
            (Self::Opaque(path), Entry::Opaque(directory)) => same(
                "an opaque directory",
                &text(path),
                &text(directory.as_bytes()),
            ),
            _ => Err(format!("expected {self:?}, got {entry:?}")),
        }
    }
}

impl Stream {
    fn check(&self, bytes: &[u8], in_part: bool) -> Check {
        let Some(reference) = &self.reference else {
            return if in_part || bytes.is_empty() {
                Ok(())
            } else {
                Err(format!(
                    "expected no backup stream, got {} bytes",
                    bytes.len()
                ))
            };
        };
        if in_part {
            return match bytes.get(..usize::try_from(reference.len).unwrap_or(usize::MAX)) {
                Some(start) => reference.check("the start of the backup stream", start),
                None => Ok(()),
            };
        }
        let undone = self.undo(bytes)?;
        let bytes = undone.as_deref().unwrap_or(bytes);
        let result = reference.check("the backup stream", bytes);
        if result.is_ok() || self.any_of.is_empty() {
            return result;
        }
        match reference.bytes()? {
            _ if self.any_of.contains(&vectors::blob::sha256(bytes)) => Ok(()),
            Some(reference) => same(
                "the backup stream, its attributes sorted",
                &Canonical::of(&reference)?,
                &Canonical::of(bytes)?,
            ),
            None => result,
        }
    }

    /// Removes and checks the parts that the reference lacks, so that the rest can be compared.
    fn undo(&self, bytes: &[u8]) -> Check<Option<Vec<u8>>> {
        let has_suffix = self.suffixed.iter().any(Option::is_some);
        let has_surrogate = has_surrogate(bytes);
        if self.data.is_none() && self.joined.is_empty() && !has_suffix && !has_surrogate {
            return Ok(None);
        }
        let mut pieces = streams::split(bytes)?;
        for (name, content) in self.joined.iter().rev() {
            let piece = pieces.pop().ok_or("a joined stream is missing")?;
            same("the kind of a joined stream", &id::ALTERNATE, &piece.id)?;
            same("the name of a joined stream", &full_name(name), &piece.name)?;
            content.check("the content of a joined stream", &piece.body)?;
        }
        if let Some(content) = &self.data {
            let at = pieces.iter().position(|piece| piece.id == id::DATA);
            let piece = pieces.remove(at.ok_or("the data is missing")?);
            content.check("the data", &piece.body)?;
        }
        let alternates = pieces.iter_mut().filter(|piece| piece.id == id::ALTERNATE);
        for (piece, suffixed) in alternates.zip(&self.suffixed) {
            if let Some(name) = suffixed {
                let bare = &name[..name.len() - 2 * ":$DATA".len()];
                let expected = full_name(&bare.encode_utf16().skip(1).collect::<Vec<_>>());
                same("the name of a stream", &expected, &piece.name)?;
                piece.name = name.encode_utf16().collect();
            }
        }
        pieces.iter_mut().try_for_each(replace_surrogates)?;
        Ok(Some(streams::join(&pieces)))
    }
}

/// The reference's names of a file's alternate data streams with a second `:$DATA`.
fn suffixed_names(operation: &Operation) -> Vec<Option<String>> {
    let streams = operation.stream_headers.iter().flatten();
    let alternates = streams.filter(|stream| stream.id == id::ALTERNATE);
    alternates
        .map(|stream| {
            let name = stream.name.as_ref()?;
            let is_doubled = name.to_ascii_lowercase().ends_with(":$data:$data");
            is_doubled.then(|| name.clone())
        })
        .collect()
}

/// Returns the bare name of a stream as spelled in a tar; `None` if it is invalid on NTFS.
fn stream_name(spelled: &[u8]) -> Option<Vec<u16>> {
    let cut = spelled.len().saturating_sub(":$DATA".len());
    let bare = match spelled[cut..].eq_ignore_ascii_case(b":$DATA") {
        true => &spelled[..cut],
        false => spelled,
    };
    let is_bad = bare
        .iter()
        .any(|byte| matches!(byte, b'/' | b'\\' | b':' | 0));
    let name = ntmeta::wide::from_wtf8(bare);
    (!is_bad && (1..=255).contains(&name.len())).then_some(name)
}

/// Returns whether a member that the reference takes for a stream has a name no stream can have.
fn is_odd_stream(name: &[u8]) -> bool {
    let last = name.iter().rposition(|byte| matches!(byte, b'/' | b'\\'));
    let base = &name[last.map_or(0, |at| at + 1)..];
    let colon = base.iter().position(|byte| *byte == b':');
    colon.is_none_or(|colon| stream_name(&base[colon + 1..]).is_none())
}

/// The name of an alternate stream in a backup stream.
fn full_name(bare: &[u16]) -> Vec<u16> {
    let colon = std::iter::once(u16::from(b':'));
    colon
        .chain(bare.iter().copied())
        .chain(":$DATA".encode_utf16())
        .collect()
}

/// Returns whether a backup stream has an unpaired surrogate in a name or a link's target.
pub(crate) fn has_surrogate(bytes: &[u8]) -> bool {
    let pieces = streams::split(bytes).unwrap_or_default();
    pieces.iter().any(|piece| {
        let target = link(piece).and_then(|(point, _)| point.target());
        String::from_utf16(&piece.name).is_err()
            || target.is_some_and(|target| std::str::from_utf8(&target).is_err())
    })
}

/// The link in a stream, and whether it is a mount point.
fn link(piece: &Piece) -> Option<(ReparsePoint, bool)> {
    let buffer = Some(&piece.body).filter(|_| piece.id == id::REPARSE)?;
    let point = ReparsePoint::decode(buffer).ok()?;
    let is_mount_point = matches!(point, ReparsePoint::MountPoint(_));
    Some((point, is_mount_point))
}

/// Replaces each unpaired surrogate as the reference does: by three replacement characters, one for
/// each byte of its WTF-8.
fn replace_surrogates(piece: &mut Piece) -> Check {
    let replaced = |bytes: &[u8]| -> String {
        let chunks = bytes.utf8_chunks();
        chunks
            .flat_map(|chunk| {
                let invalid = "\u{FFFD}".repeat(chunk.invalid().len());
                [chunk.valid().to_owned(), invalid]
            })
            .collect()
    };
    if String::from_utf16(&piece.name).is_err() {
        let name = replaced(&ntmeta::wide::to_wtf8(&piece.name));
        piece.name = name.encode_utf16().collect();
    }
    let Some((point, is_mount_point)) = link(piece) else {
        return Ok(());
    };
    match point.target() {
        Some(target) if std::str::from_utf8(&target).is_err() => {
            let target = replaced(&target);
            let point = ReparsePoint::from_target(target.as_bytes(), is_mount_point);
            let buffer = point.and_then(|point| point.encode());
            piece.body = buffer.map_err(|error| error.to_string())?;
            Ok(())
        }
        _ => Ok(()),
    }
}

fn is_regular(header: &Header) -> bool {
    matches!(header.typeflag.as_str(), "0" | "\0" | "" | "7")
}

fn content(header: &Header) -> Blob {
    header.data.clone().unwrap_or_else(|| Blob {
        len: 0,
        sha256: vectors::blob::sha256(b""),
        b64: None,
    })
}

/// Returns whether an operation comes from the entry with that name.
fn is_of(operation: &Operation, name: &[u8]) -> Check<bool> {
    if operation.op == "remove" {
        return Ok(name.windows(4).any(|window| window == b".wh."));
    }
    let name: Vec<u8> = name
        .iter()
        .map(|byte| if *byte == b'/' { b'\\' } else { *byte })
        .collect();
    Ok(operation.name()? == name)
}
