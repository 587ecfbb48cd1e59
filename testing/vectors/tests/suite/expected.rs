//! What we are to make of a layer tar: the reference's operations, changed where we differ.
//!
//! The reference's operations and its listing of the tar are walked side by side. Where the rules
//! of [`crate::differences`] apply, the expectation follows from the listing; everywhere else it is
//! the reference's own result.

use std::collections::{BTreeMap, BTreeSet};

use ntmeta::FileBasicInfo;
use vectors::blob::Blob;
use vectors::streams::{self, Canonical, Piece, id};
use vectors::{Check, same, time};
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
}

/// How reading is to end.
#[derive(Debug, PartialEq)]
enum End {
    Complete,
    /// As the reference does; the last entry may be there in part, or not at all.
    Fails,
    /// On purpose.
    Refused(Difference),
}

#[derive(Debug)]
enum ExpectedEntry {
    File {
        path: Vec<u8>,
        info: FileBasicInfo,
        size: u64,
        stream: Stream,
    },
    Link {
        path: Vec<u8>,
        target: Vec<u8>,
    },
    Removal(Vec<u8>),
    Opaque(Vec<u8>),
}

/// A backup stream, by what is different from the reference's.
#[derive(Debug, Default)]
struct Stream {
    reference: Option<Blob>,
    /// Other hashes that are as good.
    any_of: Vec<String>,
    /// The data that the reference drops.
    data: Option<Blob>,
    /// Alternate streams that the reference makes entries of.
    joined: Vec<(String, Blob)>,
    /// Whether the reference doubles `:$DATA`.
    doubled_suffix: bool,
}

/// Go's zero time, 0001-01-01, in nanoseconds since 1970: the reference's time when there is none.
const GO_ZERO_TIME: i128 = -62_135_596_800 * 1_000_000_000;

type Refusable<T = ()> = Result<T, Difference>;

impl Expected {
    /// Finds out what is expected.
    pub(crate) fn of(import: &Import, is_empty: bool) -> Check<Self> {
        let mut expected = Self {
            entries: Vec::new(),
            end: if import.error.is_some() {
                End::Fails
            } else {
                End::Complete
            },
            differences: BTreeSet::new(),
            globals: BTreeMap::new(),
        };
        if let Some(panic) = &import.panic {
            return Err(format!("the reference crashed ({panic}): no rule for that"));
        }
        if is_empty && import.error.is_none() {
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
            // A header without an operation is a stream of the file before it.
            let Some(operation) = operations.peek() else {
                break;
            };
            if !is_of(operation, &name)? {
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

    /// The reference made an entry of a stream: it belongs to the file before it, or nowhere.
    fn join_stream(&mut self, header: &Header, file: &[u8], stream: &[u8]) -> Refusable {
        let file = spelled(file)?;
        let stream = String::from_utf8_lossy(stream);
        let stream = stream.strip_suffix(":$DATA").unwrap_or(&stream);
        if stream.is_empty() || stream.contains(['/', '\\', ':', '\0']) {
            return Err(Difference::BadPath);
        }
        let parse = |path: &[u8]| LayerPath::parse(path).map_err(|_| Difference::BadPath);
        match self.entries.last_mut() {
            Some(ExpectedEntry::File {
                path,
                stream: of_file,
                ..
            }) if parse(path)? == parse(&file)? && is_regular(header) => {
                self.differences.insert(Difference::JoinedStream);
                of_file.joined.push((stream.to_owned(), content(header)));
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
        let times = match self.times(header, info.times())? {
            Ok(times) => times,
            Err(difference) => return Ok(Err(difference)),
        };
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
        let streams = operation
            .stream_headers
            .as_deref()
            .unwrap_or_default()
            .iter();
        let doubled_suffix = streams
            .filter_map(|stream| stream.name.as_deref())
            .any(|name| name.ends_with(":$DATA:$DATA"));
        if doubled_suffix {
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
            stream: Stream {
                reference: operation.stream.clone(),
                any_of: operation.stream_sha256_any_of.clone().unwrap_or_default(),
                data: loses_data.then(|| content(header)),
                joined: Vec::new(),
                doubled_suffix,
            },
        });
        Ok(Ok(()))
    }

    /// The times: the reference's, where it could count to them.
    fn times(&mut self, header: &Header, reference: [u64; 4]) -> Check<Refusable<[u64; 4]>> {
        let written = self.time(header, "mtime", header.mtime);
        let written = written.ok_or("the vector's entry has no mtime")?;
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
            let Some(exact) = time::to_filetime(nanoseconds) else {
                return Ok(Err(Difference::TimeRange));
            };
            *result = exact;
            if !time::reference_can_count(nanoseconds) {
                self.differences.insert(Difference::TimeRange);
            }
        }
        Ok(Ok(result))
    }

    fn time(&self, header: &Header, key: &str, own: Option<Time>) -> Option<i128> {
        let has_own = header.record(key).is_some_and(|text| !text.is_empty());
        let global = self.globals.get(key).filter(|_| !has_own);
        match global {
            Some(text) => time::parse_pax(text),
            None => own.map(Time::nanoseconds),
        }
    }

    /// Compares with what was read.
    pub(crate) fn check(&self, layer: &Layer) -> Check {
        let error = layer.error.as_ref().map(layer::describe);
        let error = error.as_deref().unwrap_or("no error");
        let mut read = layer.entries.iter();
        for (at, expected) in self.entries.iter().enumerate() {
            let in_part = self.end == End::Fails && at + 1 == self.entries.len();
            match read.next() {
                Some((entry, stream)) => expected.check(entry, stream, in_part)?,
                None if in_part => {}
                None => return Err(format!("expected {expected:?}, got no entry and {error}")),
            }
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

    /// Takes out what the reference does not have, checking it, so that the rest can be compared.
    fn undo(&self, bytes: &[u8]) -> Check<Option<Vec<u8>>> {
        if self.data.is_none() && self.joined.is_empty() && !self.doubled_suffix {
            return Ok(None);
        }
        let mut pieces = streams::split(bytes)?;
        for (name, content) in self.joined.iter().rev() {
            let piece = pieces.pop().ok_or("a joined stream is missing")?;
            same("the kind of a joined stream", &id::ALTERNATE, &piece.id)?;
            same(
                "the name of a joined stream",
                &format!(":{name}:$DATA"),
                &piece.name_text(),
            )?;
            content.check("the content of a joined stream", &piece.body)?;
        }
        if let Some(content) = &self.data {
            let at = pieces.iter().position(|piece| piece.id == id::DATA);
            let piece = pieces.remove(at.ok_or("the data is missing")?);
            content.check("the data", &piece.body)?;
        }
        if self.doubled_suffix {
            pieces
                .iter_mut()
                .filter(|piece| piece.id == id::ALTERNATE)
                .for_each(double_suffix);
        }
        Ok(Some(streams::join(&pieces)))
    }
}

fn double_suffix(piece: &mut Piece) {
    piece.name.extend(":$DATA".encode_utf16());
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

/// Whether an operation comes from the entry of that name.
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
