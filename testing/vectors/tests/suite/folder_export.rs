//! `base_export/` and `transport_export/`: a folder is exported as a layer tar.

use std::collections::BTreeSet;
use std::path::Path;

use fakewindows::FakeWindows;
use serde::Deserialize;
use vectors::{Check, files, same};
use wclayer::hcs::BaseReader;
use wclayer::hub::copy;
use wclayer::tar::TarLayerWriter;
use wclayer::transport::TransportReader;
use wclayer::volume::{Privilege, Volume};
use wclayer::{Entry, Error};

use crate::case::{Case, Outcome};
use crate::differences::Difference;
use crate::folder::{Item, plant};
use crate::layer;

#[derive(Deserialize)]
struct Export {
    folder: Vec<Item>,
    #[serde(default)]
    hard_links: Vec<(String, String)>,
    result: Reference,
}

#[derive(Deserialize)]
struct Reference {
    tar: Option<String>,
    error: Option<String>,
}

/// The kind of folder.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The live files of a base layer.
    Base,
    /// A transport folder.
    Transport,
}

pub(crate) fn cases(folder: &Path, kind: Kind) -> Check<Vec<Case>> {
    let cases = files::json_files(folder)?.into_iter().map(|(name, json)| {
        let folder = folder.to_owned();
        Case::new(name, move || run(&folder, &json, kind))
    });
    Ok(cases.collect())
}

const FOLDER: &str = "/c/layer";

fn run(vectors: &Path, json: &Path, kind: Kind) -> Check<Outcome> {
    let export: Export = files::load(json)?;
    let windows = FakeWindows::new();
    plant(&windows, FOLDER, &export.folder, &export.hard_links)?;
    let ours = write(&windows, kind);
    same("open files", &Vec::<String>::new(), &windows.open_handles())?;
    let reference = export.result.tar.map(|tar| files::read(&vectors.join(tar)));
    match (ours, reference.transpose()?) {
        (Err(_), None) => Ok(Outcome::Matches),
        (Ok(ours), Some(reference)) if ours == reference => Ok(Outcome::Matches),
        (Ok(ours), Some(reference)) => kept_tombstones(&export.folder, &ours, &reference),
        (Ok(ours), None) => accepted(&export.folder, &ours),
        (Err(error), Some(_)) => match has_directory_bit_on_a_file(&export.folder)? {
            true => Ok(Difference::FileWithDirectoryBit.into()),
            false => Err(format!("rejected: {}", layer::describe(&error))),
        },
    }
    .map_err(|error| format!("{error} (the reference: {:?})", export.result.error))
}

fn write(windows: &FakeWindows, kind: Kind) -> Result<Vec<u8>, Error> {
    let volume = windows.host_compute().volume;
    let privileges = volume.enable(&[Privilege::Backup, Privilege::Restore])?;
    let writer = TarLayerWriter::new(Vec::new());
    match kind {
        Kind::Base => {
            let mut reader = BaseReader::open(&volume, FOLDER.as_ref(), &privileges)?;
            copy(&mut reader, writer, &())
        }
        Kind::Transport => {
            let root = volume.open_root(FOLDER.as_ref(), &privileges);
            let mut reader = TransportReader::new(root.map_err(Error::Input)?)?;
            copy(&mut reader, writer, &())
        }
    }
}

fn content_of(folder: &[Item], path: &str) -> Check<Option<Vec<u8>>> {
    let item = folder.iter().find(|item| item.path == path);
    match item.and_then(|item| item.content.as_ref()) {
        Some(content) => content.bytes(),
        None => Ok(None),
    }
}

/// Returns whether the attributes of a file in `Files` mark it as a directory.
fn has_directory_bit_on_a_file(folder: &[Item]) -> Check<bool> {
    let is_file = |item: &&Item| {
        let is_description = item.path.ends_with(".$wcidirs$");
        !item.dir && !is_description && item.path.starts_with(r"Files\")
    };
    for item in folder.iter().filter(is_file) {
        let bytes = content_of(folder, &item.path)?.unwrap_or_default();
        if bytes
            .first()
            .is_some_and(|attributes| attributes & 0x10 != 0)
        {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Returns the lines of the folder's tombstones that the reference drops.
fn tombstones(folder: &[Item]) -> Check<Vec<String>> {
    let Some(bytes) = content_of(folder, "tombstones.txt")? else {
        return Ok(Vec::new());
    };
    let text = String::from_utf8_lossy(&bytes).replace('\\', "/");
    Ok(text
        .lines()
        .skip(1)
        .map(|line| format!("Files{line}"))
        .collect())
}

/// Checks that our tar is the reference's plus the removals that the reference drops.
fn kept_tombstones(folder: &[Item], ours: &[u8], reference: &[u8]) -> Check<Outcome> {
    let [ours, reference] = [layer::read(ours)?.entries, layer::read(reference)?.entries];
    let listed = tombstones(folder)?;
    let is_dropped = |entry: &Entry| match entry {
        Entry::Removal(path) => {
            let is_listed = listed.iter().any(|line| line.parse().as_ref() == Ok(path));
            is_listed && !reference.iter().any(|(other, _)| other == entry)
        }
        _ => false,
    };
    let (dropped, rest): (Vec<_>, Vec<_>) =
        ours.into_iter().partition(|(entry, _)| is_dropped(entry));
    same("the entries except dropped tombstones", &reference, &rest)?;
    same(
        "whether a tombstone was dropped",
        &false,
        &dropped.is_empty(),
    )?;
    Ok(Difference::KeptTombstone.into())
}

/// Finds the reason why we accept a folder that the reference rejects.
fn accepted(folder: &[Item], ours: &[u8]) -> Check<Outcome> {
    let entries = layer::read(ours)?.entries;
    let has = |path: &str| {
        folder
            .iter()
            .any(|item| item.path.eq_ignore_ascii_case(path))
    };
    let mut differences = BTreeSet::new();
    let list = content_of(folder, "tombstones.txt")?;
    if list.is_some_and(|list| !list.starts_with(b"\xEF\xBB\xBF")) {
        differences.insert(Difference::NoByteOrderMark);
    }
    if !has(r"Hives\System_Delta") {
        differences.insert(Difference::NoSystemHive);
    }
    let undescribed = |item: &&Item| {
        let is_below_files = item.path.starts_with(r"Files\");
        item.dir && is_below_files && !has(&format!("{}.$wcidirs$", item.path))
    };
    if folder.iter().any(|item| undescribed(&item)) {
        differences.insert(Difference::UndescribedDirectory);
    }
    for (_, stream) in &entries {
        let pieces = vectors::streams::split(stream)?;
        if pieces
            .iter()
            .any(|piece| piece.id == vectors::streams::id::SPARSE_BLOCK)
        {
            differences.insert(Difference::SparseStream);
        }
    }
    match differences.is_empty() {
        true => Err("the reference rejects it, and no rule gives a reason".to_owned()),
        false => Ok(differences.into()),
    }
}
