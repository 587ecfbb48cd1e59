//! How the service handles layers on the disk: it converts a transport folder to a layer and back,
//! and finds the changes that a layer makes to its parent.
//!
//! A layer with parents contains everything that its nearest parent contains, with hard links to
//! the parent's unchanged files. The reference's writers expect this: they delete removed files
//! from the layer after `ImportLayer`, and link to the parents' files. The content of the layer is
//! therefore the difference between the two.
//!
//! Source: hcsshim `internal/wclayer/legacy.go` for the transport folder.

use std::collections::HashMap;

use ntmeta::{FileAttributes, FileBasicInfo, StreamId};
use wclayer::volume::Scope;

use crate::code::Code;
use crate::disk::{Disk, Names, ObjectId, key};
use crate::stream::{compose, restore};

/// The suffix of the file in a transport folder that describes the directory `NAME`.
const DIRECTORY_SUFFIX: &[u8] = b".$wcidirs$";

/// A difference between a layer and its parent.
#[derive(Debug, Clone)]
pub(crate) struct Change {
    pub(crate) path: Names,
    /// The current object; `None` if it was removed.
    pub(crate) object: Option<ObjectId>,
}

/// Fills the directory `to` with the content of `from`: files as hard links, everything else as
/// copies. Existing entries of `to` stay.
pub(crate) fn merge(disk: &mut Disk, from: ObjectId, to: ObjectId) -> Result<(), Code> {
    for child in disk.children(from) {
        let object = disk.get(child.object);
        if object.is_plain_directory() {
            let own = match disk.child(to, &child.name) {
                Some(own) if disk.get(own).is_plain_directory() => own,
                Some(_) => continue,
                None => {
                    let own = disk.copy(child.object);
                    disk.name(to, &child.name, own)?;
                    own
                }
            };
            let info = disk.get(child.object).info;
            merge(disk, child.object, own)?;
            disk.get_mut(own).info = info;
        } else if disk.child(to, &child.name).is_none() {
            let own = if object.reparse.is_some() {
                disk.copy(child.object)
            } else {
                child.object
            };
            disk.name(to, &child.name, own)?;
        }
    }
    Ok(())
}

/// Creates the directory `name` in `layer` as it is in `parent`: `merge` for a top-level directory.
pub(crate) fn inherit(
    disk: &mut Disk,
    layer: ObjectId,
    parent: ObjectId,
    name: &[u8],
) -> Result<ObjectId, Code> {
    let own = disk.ensure_directory(layer, name)?;
    if let Some(from) = disk.child(parent, name) {
        let metadata = disk.get(from).without_children();
        let object = disk.get_mut(own);
        object.security = metadata.security;
        object.extended_attributes = metadata.extended_attributes;
        object.streams = metadata.streams;
        merge(disk, from, own)?;
        disk.get_mut(own).info = metadata.info;
    }
    Ok(own)
}

/// Converts a transport folder to a layer on top of `parent`.
pub(crate) fn import(
    disk: &mut Disk,
    transport: ObjectId,
    layer: ObjectId,
    parent: Option<ObjectId>,
) -> Result<(), Code> {
    let source = plain_directory(disk, transport, b"Files")?;
    let files = match parent {
        Some(parent) => {
            plain_directory(disk, parent, b"Files")?;
            inherit(disk, layer, parent, b"Files")?
        }
        None => disk.ensure_directory(layer, b"Files")?,
    };
    remove_tombstones(disk, transport, files)?;
    describe(disk, transport, b"Files", files)?;
    import_directory(disk, source, files, &mut HashMap::new())?;
    if let Ok(hives) = plain_directory(disk, transport, b"Hives") {
        let to = disk.ensure_directory(layer, b"Hives")?;
        for child in disk.children(hives) {
            if !is_description(&child.name) {
                disk.unname_tree(to, &child.name);
                let copy = disk.copy(child.object);
                disk.name(to, &child.name, copy)?;
            }
        }
    }
    Ok(())
}

fn plain_directory(disk: &Disk, inside: ObjectId, name: &[u8]) -> Result<ObjectId, Code> {
    disk.child(inside, name)
        .filter(|id| disk.get(*id).is_plain_directory())
        .ok_or(Code::PATH_NOT_FOUND)
}

fn is_description(name: &[u8]) -> bool {
    let cut = name.len().saturating_sub(DIRECTORY_SUFFIX.len());
    name[cut..].eq_ignore_ascii_case(DIRECTORY_SUFFIX)
}

fn remove_tombstones(disk: &mut Disk, transport: ObjectId, files: ObjectId) -> Result<(), Code> {
    let Some(id) = disk.child(transport, b"tombstones.txt") else {
        return Ok(());
    };
    let text = String::from_utf8(disk.get(id).data.clone()).map_err(|_| Code::INVALID_DATA)?;
    let text = text
        .strip_prefix("\u{feff}Version 1.0")
        .ok_or(Code::INVALID_DATA)?;
    for line in text.lines().filter(|line| !line.is_empty()) {
        let names = crate::disk::names(line.as_ref());
        if let Ok((folder, name)) = disk.parent(files, &names) {
            disk.unname_tree(folder, name);
        }
    }
    Ok(())
}

fn import_directory(
    disk: &mut Disk,
    from: ObjectId,
    to: ObjectId,
    links: &mut HashMap<ObjectId, ObjectId>,
) -> Result<(), Code> {
    for child in disk.children(from) {
        if is_description(&child.name) {
            continue;
        }
        if disk.get(child.object).is_directory() {
            let existing = disk.child(to, &child.name);
            let own = match existing.filter(|id| disk.get(*id).is_plain_directory()) {
                Some(own) => own,
                None => {
                    disk.unname_tree(to, &child.name);
                    disk.ensure_directory(to, &child.name)?
                }
            };
            if describes_reparse_point(disk, from, &child.name) {
                for below in disk.children(own) {
                    disk.unname_tree(own, &below.name);
                }
            }
            describe(disk, from, &child.name, own)?;
            if disk.get(own).reparse.is_some() && !disk.get(child.object).children.is_empty() {
                disk.traversals += 1;
                return Err(Code::REPARSE_POINT_ENCOUNTERED);
            }
            import_directory(disk, child.object, own, links)?;
            continue;
        }
        disk.unname_tree(to, &child.name);
        let own = match links.get(&child.object) {
            Some(own) => *own,
            None => {
                let own = disk.make(false);
                decode(disk, child.object, own)?;
                links.insert(child.object, own);
                own
            }
        };
        disk.name(to, &child.name, own)?;
    }
    Ok(())
}

fn description(name: &[u8]) -> Vec<u8> {
    [name, DIRECTORY_SUFFIX].concat()
}

fn describes_reparse_point(disk: &Disk, inside: ObjectId, name: &[u8]) -> bool {
    let Some(id) = disk.child(inside, &description(name)) else {
        return false;
    };
    let bytes = disk.get(id).data.get(4..).unwrap_or_default();
    let mut reader = ntmeta::BackupStreamReader::new(bytes);
    while let Ok(Some(header)) = reader.next_header() {
        if header.id == StreamId::REPARSE_DATA {
            return true;
        }
    }
    false
}

/// Applies `NAME.$wcidirs$` to a directory, if that file exists.
fn describe(disk: &mut Disk, inside: ObjectId, name: &[u8], own: ObjectId) -> Result<(), Code> {
    match disk.child(inside, &description(name)) {
        Some(id) => decode(disk, id, own),
        None => Ok(()),
    }
}

/// Applies a file of a transport folder to an object: attributes, then a backup stream.
fn decode(disk: &mut Disk, encoded: ObjectId, own: ObjectId) -> Result<(), Code> {
    let source = disk.get(encoded);
    let (attributes, stream) = source.data.split_first_chunk().ok_or(Code::INVALID_DATA)?;
    let attributes = FileAttributes::from_bits_retain(u32::from_le_bytes(*attributes));
    let info = FileBasicInfo {
        attributes,
        ..source.info
    };
    let stream = stream.to_vec();
    let object = disk.get_mut(own);
    object.streams.clear();
    object.security.clear();
    object.extended_attributes.clear();
    restore(object, &stream, Scope::WithSecurity)?;
    object.set_info(&info);
    Ok(())
}

/// Returns the changes that a layer makes to its parent, in the order of names. A directory comes
/// before its content, and its removals follow it immediately.
pub(crate) fn difference(disk: &Disk, layer: ObjectId, parent: Option<ObjectId>) -> Vec<Change> {
    let mut changes = Vec::new();
    let of_parent = |names: &[&[u8]]| {
        names
            .iter()
            .try_fold(parent?, |at, name| disk.child(at, name))
    };
    if let Some(files) = disk.child(layer, b"Files") {
        let name = b"Files".to_vec();
        changes.push(change(vec![name.clone()], files));
        compare(
            disk,
            vec![name],
            files,
            of_parent(&[b"Files"]),
            &mut changes,
        );
    }
    if let Some(hives) = disk.child(layer, b"Hives") {
        let name = b"Hives".to_vec();
        changes.push(change(vec![name.clone()], hives));
        compare(disk, vec![name], hives, None, &mut changes);
    }
    let Some(vm) = disk.child(layer, b"UtilityVM") else {
        return changes;
    };
    if let Some(files) = disk.child(vm, b"Files") {
        let names = vec![b"UtilityVM".to_vec(), b"Files".to_vec()];
        let mut below = Vec::new();
        let parents = of_parent(&[b"UtilityVM", b"Files"]);
        compare(disk, names.clone(), files, parents, &mut below);
        if parents.is_none() || !below.is_empty() {
            changes.push(change(names[..1].to_vec(), vm));
            changes.push(change(names, files));
            changes.append(&mut below);
        }
    }
    changes
}

fn change(path: Names, object: ObjectId) -> Change {
    Change {
        path,
        object: Some(object),
    }
}

fn compare(
    disk: &Disk,
    path: Names,
    own: ObjectId,
    parent: Option<ObjectId>,
    changes: &mut Vec<Change>,
) {
    let at = |name: &[u8]| [&path[..], &[name.to_vec()]].concat();
    if let Some(parent) = parent {
        for child in disk.children(parent) {
            if !disk.get(own).children.contains_key(&key(&child.name)) {
                changes.push(Change {
                    path: at(&child.name),
                    object: None,
                });
            }
        }
    }
    for child in disk.children(own) {
        let before = parent.and_then(|parent| disk.child(parent, &child.name));
        let object = disk.get(child.object);
        if object.is_plain_directory() {
            let before = before.filter(|id| disk.get(*id).is_plain_directory());
            let mut below = Vec::new();
            compare(disk, at(&child.name), child.object, before, &mut below);
            let same = before.is_some_and(|id| disk.get(id).same_metadata(object));
            if !same || !below.is_empty() {
                changes.push(change(at(&child.name), child.object));
                changes.append(&mut below);
            }
            continue;
        }
        let same = before.is_some_and(|id| {
            let before = disk.get(id);
            id == child.object
                || object.reparse.is_some()
                    && before.same_metadata(object)
                    && before.data == object.data
        });
        if !same {
            changes.push(change(at(&child.name), child.object));
        }
    }
}

/// Writes the changes that a layer makes to its parent as a transport folder.
pub(crate) fn export(
    disk: &mut Disk,
    layer: ObjectId,
    parent: Option<ObjectId>,
    transport: ObjectId,
    order: &[StreamId],
) -> Result<(), Code> {
    let mut tombstones = "\u{feff}Version 1.0\r\n".to_owned();
    let mut links = HashMap::new();
    for change in difference(disk, layer, parent) {
        let Some(object) = change.object else {
            if change.path[0] == b"Files" {
                for name in &change.path[1..] {
                    tombstones.push('\\');
                    tombstones.push_str(&String::from_utf8_lossy(name));
                }
                tombstones.push_str("\r\n");
            }
            continue;
        };
        let (folder, name) = disk.parent(transport, &change.path)?;
        if change.path[0] != b"Files" {
            let copy = *links.entry(object).or_insert_with(|| disk.copy(object));
            disk.name(folder, name, copy)?;
        } else if disk.get(object).is_directory() {
            disk.ensure_directory(folder, name)?;
            let encoded = encode(disk, object, order);
            disk.name(folder, &description(name), encoded)?;
        } else {
            let encoded = *links
                .entry(object)
                .or_insert_with(|| encode(disk, object, order));
            disk.name(folder, name, encoded)?;
        }
    }
    for (object, copy) in links {
        // Adding entries to a directory has changed its times.
        if disk.get(object).is_directory() {
            disk.get_mut(copy).info = disk.get(object).info;
        }
    }
    disk.put(transport, b"tombstones.txt", tombstones.as_bytes())?;
    Ok(())
}

/// Creates the file that describes an object in a transport folder.
fn encode(disk: &mut Disk, id: ObjectId, order: &[StreamId]) -> ObjectId {
    let object = disk.get(id);
    let info = object.shown_info();
    let mut data = info.attributes.bits().to_le_bytes().to_vec();
    data.extend(compose(object, Scope::WithSecurity, order));
    let encoded = disk.make(false);
    let file = disk.get_mut(encoded);
    file.data = data;
    file.set_info(&FileBasicInfo {
        attributes: FileAttributes::empty(),
        ..info
    });
    encoded
}
