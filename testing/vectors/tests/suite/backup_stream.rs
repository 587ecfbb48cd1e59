//! `backupstream.json`: backup streams read by pull and push, and the checks of the writer.

use std::io::{Read, Write};
use std::path::Path;

use ntmeta::{
    BackupStreamDecoder, BackupStreamReader, BackupStreamWriter, StreamEvent, StreamHeader,
    StreamId,
};
use serde::Deserialize;
use vectors::blob::{Blob, unhex};
use vectors::{Check, files, same};

use crate::case::{Case, Outcome};
use crate::differences::Difference;

#[derive(Deserialize)]
struct BackupStream {
    read: Vec<ReadCase>,
    write: Vec<WriteCase>,
}

#[derive(Deserialize)]
struct ReadCase {
    note: String,
    #[serde(default)]
    bytes_hex: String,
    headers: Option<Vec<Header>>,
    data: Option<Vec<Blob>>,
    error: Option<String>,
    headers_when_skipping: Option<Vec<Header>>,
    error_when_skipping: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
struct Header {
    id: u32,
    attributes: u32,
    size: i64,
    #[serde(default)]
    name: String,
    #[serde(default)]
    offset: i64,
}

#[derive(Deserialize)]
struct WriteCase {
    note: String,
    error: Option<String>,
}

/// The outcome of reading: headers, bodies, and whether it failed.
#[derive(Debug, Default, PartialEq)]
struct Outline {
    headers: Vec<Header>,
    bodies: Vec<Vec<u8>>,
    fails: bool,
}

impl From<StreamHeader> for Header {
    fn from(header: StreamHeader) -> Self {
        Self {
            id: header.id.0,
            attributes: header.attributes.bits(),
            size: header.size as i64,
            name: String::from_utf16_lossy(header.name_until_nul()),
            offset: header.sparse_offset.unwrap_or(0),
        }
    }
}

pub(crate) fn cases(json: &Path) -> Check<Vec<Case>> {
    let Some(vectors) = files::load_optional::<BackupStream>(json)? else {
        return Ok(Vec::new());
    };
    let read = vectors
        .read
        .into_iter()
        .map(|case| Case::new(format!("read {}", case.note), move || read(&case)));
    let write = vectors
        .write
        .into_iter()
        .map(|case| Case::new(format!("write {}", case.note), move || write(&case)));
    Ok(read.chain(write).collect())
}

fn read(case: &ReadCase) -> Check<Outcome> {
    let bytes = unhex(&case.bytes_hex)?;
    let pulled = pull(&bytes[..]);
    same("pulled a byte at a time", &pulled, &pull(OneByte(&bytes)))?;
    same("pushed whole", &pulled, &push(&bytes, bytes.len().max(1)))?;
    same("pushed a byte at a time", &pulled, &push(&bytes, 1))?;
    let skipped = skip(&bytes);
    same(
        "the headers when skipping",
        &pulled.headers,
        &skipped.headers,
    )?;
    same("the error when skipping", &pulled.fails, &skipped.fails)?;

    let headers = case.headers.as_deref().unwrap_or_default();
    let listed = case.headers_when_skipping.as_deref().unwrap_or_default();
    if let Some(difference) = refused(&bytes, &pulled) {
        let before = headers.get(..pulled.headers.len()).unwrap_or_default();
        same(
            "the headers before the rejected one",
            before,
            &pulled.headers[..],
        )?;
        return Ok(difference.into());
    }
    // The reference stops at a negative size too, although it lists the header.
    let possible = |headers: &[Header]| -> Vec<Header> {
        headers
            .iter()
            .filter(|header| header.size >= 0)
            .cloned()
            .collect()
    };
    same("the headers", &possible(headers), &pulled.headers)?;
    same("the headers, skipping", &possible(listed), &skipped.headers)?;
    same("the error", &case.error.is_some(), &pulled.fails)?;
    // Skipping a truncated stream does not fail if the reader can seek.
    let is_cut = pulled.fails && vectors::streams::split(&bytes).is_err();
    if !(is_cut && case.error_when_skipping.is_none()) {
        same(
            "the error, skipping",
            &case.error_when_skipping.is_some(),
            &skipped.fails,
        )?;
    }
    let bodies = case.data.as_deref().unwrap_or_default();
    // A stream truncated right after its header has a body of which nothing is present.
    let cut_at_once = pulled.fails && pulled.bodies.last().is_some_and(Vec::is_empty);
    let read = pulled.bodies.len();
    if !(cut_at_once && bodies.len() + 1 == read) {
        same("the number of bodies", &bodies.len(), &read)?;
    }
    for (body, read) in bodies.iter().zip(&pulled.bodies) {
        body.check("a body", read)?;
    }
    Ok(Outcome::Matches)
}

/// Recognises errors that only we report, in the header after those that were read.
fn refused(bytes: &[u8], read: &Outline) -> Option<Difference> {
    if !read.fails {
        return None;
    }
    let mut rest = bytes;
    for (header, body) in read.headers.iter().zip(&read.bodies) {
        let name_len = u32::from_le_bytes(*rest.get(16..)?.first_chunk()?) as usize;
        let offset_len = if header.id == StreamId::SPARSE_BLOCK.0 {
            8
        } else {
            0
        };
        rest = rest.get(20 + name_len + offset_len + body.len()..)?;
    }
    let id = u32::from_le_bytes(*rest.first_chunk()?);
    let name_len = u32::from_le_bytes(*rest.get(16..)?.first_chunk()?) as usize;
    if !name_len.is_multiple_of(2) && rest.len() >= 20 + name_len {
        return Some(Difference::OddName);
    }
    let ends_before_offset = id == StreamId::SPARSE_BLOCK.0 && rest.len() == 20 + name_len;
    ends_before_offset.then_some(Difference::CutSparseOffset)
}

/// Returns one byte at a time.
struct OneByte<'a>(&'a [u8]);

impl Read for OneByte<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = buffer.len().min(1);
        self.0.read(&mut buffer[..count])
    }
}

fn pull(input: impl Read) -> Outline {
    let mut outline = Outline::default();
    let mut reader = BackupStreamReader::new(input);
    loop {
        match reader.next_header() {
            Ok(Some(header)) => outline.headers.push(header.into()),
            Ok(None) => return outline,
            Err(_) => break,
        }
        let mut body = Vec::new();
        let result = reader.read_to_end(&mut body);
        outline.bodies.push(body);
        if result.is_err() {
            break;
        }
    }
    outline.fails = true;
    outline
}

fn skip(bytes: &[u8]) -> Outline {
    let mut outline = Outline::default();
    let mut reader = BackupStreamReader::new(bytes);
    loop {
        match reader.next_header() {
            Ok(Some(header)) => outline.headers.push(header.into()),
            Ok(None) => return outline,
            Err(_) => break,
        }
    }
    outline.fails = true;
    outline
}

fn push(bytes: &[u8], piece: usize) -> Outline {
    let mut outline = Outline::default();
    let mut decoder = BackupStreamDecoder::new();
    for mut piece in bytes.chunks(piece) {
        loop {
            match decoder.decode(&mut piece) {
                Ok(Some(StreamEvent::Header(header))) => {
                    outline.headers.push(header.into());
                    outline.bodies.push(Vec::new());
                }
                Ok(Some(StreamEvent::Body(bytes))) => {
                    outline
                        .bodies
                        .last_mut()
                        .into_iter()
                        .for_each(|body| body.extend(bytes));
                }
                Ok(None) => break,
                Err(_) => {
                    outline.fails = true;
                    return outline;
                }
            }
        }
    }
    outline.fails = decoder.finish().is_err();
    outline
}

/// Misuses the writer as described in the note of a case.
fn write(case: &WriteCase) -> Check<Outcome> {
    let numbers: Vec<usize> = case
        .note
        .split(|letter: char| !letter.is_ascii_digit())
        .filter_map(|digits| digits.parse().ok())
        .collect();
    let &[size, written] = &numbers[..] else {
        return Err("the note of this case does not name a size and a length".to_owned());
    };
    let mut writer = BackupStreamWriter::new(Vec::new());
    let header = StreamHeader::new(StreamId::DATA, size as u64);
    writer.begin(&header).map_err(|error| error.to_string())?;
    let mut result = writer
        .write_all(&vec![0; written])
        .map_err(|error| error.to_string());
    if case.note.ends_with("the next header") {
        result = result.and_then(|()| writer.begin(&header).map_err(|error| error.to_string()));
    }
    match (result, &case.error) {
        (Err(_), Some(_)) | (Ok(()), None) => Ok(Outcome::Matches),
        (result, error) => Err(format!("the reference's error: {error:?}, got {result:?}")),
    }
}
