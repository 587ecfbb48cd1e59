//! `export/`: the entries of a layer are written to a tar; hard links are found by file ID.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use ntmeta::{FileAttributes, FileBasicInfo};
use serde::Deserialize;
use vectors::blob::{Blob, unhex};
use vectors::{Check, files, same};
use wclayer::tar::TarLayerWriter;
use wclayer::volume::{FileId, LinkTracker};
use wclayer::{Entry, Error, LayerPath, LayerWriter, LinkEntry};

use crate::backup_to_tar::{Reference, refusal};
use crate::case::{Case, Outcome};
use crate::differences::Difference;
use crate::import::BasicInfo;
use crate::source::Source;
use crate::{layer, tar_diff};

#[derive(Deserialize)]
struct Export {
    entries: Option<Vec<ExportEntry>>,
    seekable_reader: Reference,
    non_seekable_reader: Reference,
}

#[derive(Deserialize)]
struct ExportEntry {
    name: String,
    whiteout: bool,
    size: u64,
    basic_info: Option<BasicInfo>,
    number_of_links: u32,
    file_id: Option<String>,
    stream: Option<Blob>,
}

/// The content of the tar, with links resolved.
enum Item {
    File(Source),
    Link(LinkEntry),
    Removal(LayerPath),
}

impl Item {
    /// Returns whether it would be read back as something else: a file as a whiteout, the removal
    /// of `.wh..opq` as an opaque directory.
    fn is_reserved(&self) -> bool {
        let has_whiteout =
            |path: &LayerPath| path.components().any(|name| name.starts_with(b".wh."));
        match self {
            Self::File(source) => source.is_reserved(),
            Self::Link(link) => has_whiteout(&link.path) || has_whiteout(&link.target),
            Self::Removal(path) => {
                let parent = path.parent();
                parent.is_some_and(|parent| has_whiteout(&parent))
                    || path.file_name() == b".wh..opq"
            }
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
    let export: Export = files::load(json)?;
    let references = [
        export.seekable_reader.read(folder)?,
        export.non_seekable_reader.read(folder)?,
    ];
    let reference = tar_diff::fuller(references.into_iter().flatten().collect())?;
    let mut differences = BTreeSet::new();
    let items = match items(
        export.entries.as_deref().unwrap_or_default(),
        &mut differences,
    )? {
        Ok(items) => items,
        Err(_) if reference.is_none() => return Ok(Outcome::Matches),
        Err(difference) => return Ok(difference.into()),
    };
    if items.iter().any(Item::is_reserved) {
        return refusal(&write(&items, usize::MAX), Difference::ReservedName);
    }
    let refused = items.iter().find_map(|item| match item {
        Item::File(source) => source.refused,
        _ => None,
    });
    if let (Some(difference), Some(_)) = (refused, &reference) {
        return refusal(&write(&items, usize::MAX), difference);
    }
    let malformed = items.iter().find_map(|item| match item {
        Item::File(source) => source.meaning.as_ref().err(),
        _ => None,
    });
    let result = write(&items, usize::MAX);
    let tar = match (malformed, result, reference.is_some()) {
        (None, Ok(tar), _) => tar,
        (Some(_), Err(_), false) => return Ok(Outcome::Matches),
        (malformed, result, has_reference) => {
            let result = result.as_ref().map(Vec::len).map_err(layer::describe);
            return Err(format!(
                "got {result:?}; problem with the input: {malformed:?}; the reference succeeds: \
                 {has_reference}"
            ));
        }
    };
    let again = write(&items, 7).map_err(|error| layer::describe(&error))?;
    same("the tar, written 7 bytes at a time", &tar, &again)?;
    read_back(&items, &tar)?;
    let sources: Vec<Source> = items
        .into_iter()
        .filter_map(|item| match item {
            Item::File(source) => Some(source),
            _ => None,
        })
        .collect();
    differences.extend(sources.iter().flat_map(|source| source.differences.clone()));
    match reference {
        Some(reference) => tar_diff::compare(&reference, &tar, &sources, &differences),
        None if differences.is_empty() => {
            Err("the reference rejects it, and no rule gives a reason".into())
        }
        None => Ok(differences.into()),
    }
}

/// Finds the links, and the entries that the reference takes for links.
fn items(
    entries: &[ExportEntry],
    differences: &mut BTreeSet<Difference>,
) -> Check<Result<Vec<Item>, Difference>> {
    let mut tracker = LinkTracker::new();
    let mut seen = BTreeMap::new();
    let mut items = Vec::new();
    for entry in entries {
        let Ok(path) = LayerPath::parse(entry.name.as_bytes()) else {
            return Ok(Err(Difference::BadPath));
        };
        if entry.whiteout {
            items.push(Item::Removal(path));
            continue;
        }
        let info: FileBasicInfo = entry
            .basic_info
            .ok_or("the vector's file has no basic info")?
            .into();
        let first = match &entry.file_id {
            Some(id) => tracker.first_name(&path, &info, file_id(id)?, entry.number_of_links),
            None => None,
        };
        // An independent implementation of the reference's rule.
        let id = entry.file_id.as_ref().filter(|_| entry.number_of_links > 1);
        let reference_first = id.and_then(|id| seen.get(id).cloned());
        if let (Some(id), None) = (id, &reference_first) {
            seen.insert(id, path.clone());
        }
        if info.attributes.contains(FileAttributes::DIRECTORY) && reference_first.is_some() {
            same("the first name of a directory", &None, &first)?;
            differences.insert(Difference::LinkedDirectory);
        } else {
            same("the first name of the file", &reference_first, &first)?;
        }
        if let Some(target) = first {
            items.push(Item::Link(LinkEntry {
                path,
                target,
                basic_info: Some(info),
            }));
            continue;
        }
        let stream = match &entry.stream {
            Some(stream) => stream.bytes()?.ok_or("the vector's stream is not given")?,
            None => Vec::new(),
        };
        match Source::new(&entry.name, entry.size, info, stream) {
            Ok(source) => items.push(Item::File(source)),
            Err(difference) => return Ok(Err(difference)),
        }
    }
    Ok(Ok(items))
}

fn file_id(text: &str) -> Check<FileId> {
    let id = unhex(text)?;
    id.try_into()
        .map_err(|_| format!("the file ID {text} does not have 16 bytes"))
}

fn write(items: &[Item], piece: usize) -> Result<Vec<u8>, Error> {
    let mut writer = TarLayerWriter::new(Vec::new());
    for item in items {
        match item {
            Item::File(source) => layer::add(&mut writer, &source.entry, &source.stream, piece)?,
            Item::Link(link) => writer.add_link(link)?,
            Item::Removal(path) => writer.remove(path)?,
        }
    }
    writer.finish()
}

fn read_back(items: &[Item], tar: &[u8]) -> Check {
    let layer = layer::read(tar)?;
    if let Some(error) = &layer.error {
        return Err(format!("read back: {}", layer::describe(error)));
    }
    same(
        "the number of entries, read back",
        &items.len(),
        &layer.entries.len(),
    )?;
    for (item, (entry, stream)) in items.iter().zip(&layer.entries) {
        match item {
            Item::File(source) => source.check_read_back(entry, stream)?,
            Item::Link(link) => same("a link, read back", &Entry::Link(link.clone()), entry)?,
            Item::Removal(path) => {
                same("a removal, read back", &Entry::Removal(path.clone()), entry)?;
            }
        }
    }
    Ok(())
}
