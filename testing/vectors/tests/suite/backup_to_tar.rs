//! `backup_to_tar/`: the backup stream of one file is written to a tar and read back.

use std::path::Path;

use serde::Deserialize;
use vectors::{Check, files, same};
use wclayer::tar::TarLayerWriter;
use wclayer::{Error, FileEntry, LayerWriter};

use crate::case::{Case, Outcome};
use crate::differences::Difference;
use crate::import::BasicInfo;
use crate::source::Source;
use crate::{layer, tar_diff};

#[derive(Deserialize)]
struct BackupToTar {
    file_name: String,
    size: u64,
    basic_info: BasicInfo,
    stream_file: String,
    seekable_reader: Reference,
    non_seekable_reader: Reference,
}

/// The reference's result with one kind of reader.
#[derive(Deserialize)]
pub(crate) struct Reference {
    tar: Option<String>,
    error: Option<String>,
    #[serde(default)]
    panic: Option<String>,
}

impl Reference {
    /// Returns the tar, if there is one.
    pub(crate) fn read(&self, folder: &Path) -> Check<Option<Vec<u8>>> {
        match &self.tar {
            Some(tar) if self.error.is_none() && self.panic.is_none() => {
                files::read(&folder.join(tar)).map(Some)
            }
            _ => Ok(None),
        }
    }
}

pub(crate) fn cases(folder: &Path) -> Check<Vec<Case>> {
    let cases = files::json_files(folder)?.into_iter().map(|(name, json)| {
        let folder = folder.to_owned();
        Case::new(name, move || run(&folder, &json))
    });
    Ok(cases.collect())
}

fn run(folder: &Path, json: &Path) -> Check<Outcome> {
    let case: BackupToTar = files::load(json)?;
    let stream = files::read(&folder.join(&case.stream_file))?;
    let references = [
        case.seekable_reader.read(folder)?,
        case.non_seekable_reader.read(folder)?,
    ];
    let reference = tar_diff::fuller(references.into_iter().flatten().collect())?;
    let source = match Source::new(&case.file_name, case.size, case.basic_info.into(), stream) {
        Ok(source) => source,
        Err(_) if reference.is_none() => return Ok(Outcome::Matches),
        Err(difference) => return Ok(difference.into()),
    };
    let result = write_in_pieces(&source)?;
    if source.is_reserved() {
        return refusal(&result, Difference::ReservedName);
    }
    if let (Some(difference), Some(_)) = (source.refused, &reference) {
        return refusal(&result, difference);
    }
    let tar = match (&source.meaning, result) {
        (Ok(_), Ok(tar)) => tar,
        (Ok(_), Err(error)) => {
            let error = layer::describe(&error);
            return Err(format!("expected a tar, got an error: {error}"));
        }
        (Err(problem), Ok(_)) => return Err(format!("expected an error: {problem}")),
        (Err(problem), Err(_)) if reference.is_some() => {
            return Err(format!("rejected, but the reference accepts it: {problem}"));
        }
        (Err(_), Err(_)) => return Ok(Outcome::Matches),
    };
    read_back(&source, &tar)?;
    let sources = std::slice::from_ref(&source);
    match reference {
        Some(reference) => tar_diff::compare(&reference, &tar, sources, &source.differences),
        None if source.differences.is_empty() => {
            Err("written, but the reference rejects it and no rule gives a reason".to_owned())
        }
        None => Ok(source.differences.into()),
    }
}

pub(crate) fn refusal(result: &Result<Vec<u8>, Error>, difference: Difference) -> Check<Outcome> {
    match result.as_ref().map_err(layer::problem) {
        Err(Some(problem)) if difference.is_reported_as(problem) => Ok(difference.into()),
        other => Err(format!(
            "expected an error because of {difference:?}, got {other:?}"
        )),
    }
}

/// Writes the tar in pieces of several sizes, which must not change the result.
fn write_in_pieces(source: &Source) -> Check<Result<Vec<u8>, Error>> {
    let text = |result: &Result<Vec<u8>, Error>| match result {
        Ok(tar) => Ok(vectors::blob::sha256(tar)),
        Err(error) => Err(layer::describe(error)),
    };
    let whole = source.stream.len().max(1);
    let plain = FileEntry {
        metadata_first: false,
        ..source.entry.clone()
    };
    let result = write(&plain, &source.stream, whole);
    for piece in [1, 7] {
        let again = write(&plain, &source.stream, piece);
        same(
            &format!("the tar, written {piece} bytes at a time"),
            &text(&result),
            &text(&again),
        )?;
    }
    for piece in [1, 7, whole]
        .into_iter()
        .filter(|_| source.entry.metadata_first)
    {
        let again = write(&source.entry, &source.stream, piece);
        let what = format!("the tar, metadata first, written {piece} bytes at a time");
        match (&result, &again) {
            // Which of several problems is reported first may depend on the order.
            (Err(_), Err(_)) => {}
            _ => same(&what, &text(&result), &text(&again))?,
        }
    }
    Ok(result)
}

fn write(file: &FileEntry, stream: &[u8], piece: usize) -> Result<Vec<u8>, Error> {
    let mut writer = TarLayerWriter::new(Vec::new());
    layer::add(&mut writer, file, stream, piece)?;
    writer.finish()
}

fn read_back(source: &Source, tar: &[u8]) -> Check {
    let layer = layer::read(tar)?;
    match (&layer.entries[..], &layer.error) {
        ([(entry, stream)], None) => source.check_read_back(entry, stream),
        (entries, error) => {
            let error = error.as_ref().map(layer::describe);
            Err(format!(
                "read back: expected one file, got {} and {error:?}",
                entries.len()
            ))
        }
    }
}
