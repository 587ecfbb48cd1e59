//! Which folders may be replaced or removed as layers, even if they cannot be read as layers any
//! more.
//!
//! These are the signs that [`source::recognise`](crate::source::recognise) relies on as well. The
//! decision what a path is as a whole is made there.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use serde::Deserialize;

use super::disk;
use crate::layout;

/// The name of the format in the `layer.json` of a portable layer.
pub(crate) const FORMAT: &str = "wclayer.portable";
/// The layer tar of a portable layer, verbatim.
pub(crate) const TAR_FILE: &str = "layer.tar";
/// Its index, an SQLite database.
pub(crate) const INDEX_FILE: &str = "index.sqlite";
/// Its descriptor.
pub(crate) const DESCRIPTOR_FILE: &str = "layer.json";

/// The largest descriptor that is read, in bytes.
const MAX_DESCRIPTOR: u64 = 1 << 20;

/// Returns whether a folder is a layer of a kind that is built in a staging folder.
pub(crate) fn is_any_layer(folder: &Path) -> bool {
    is_portable_layer(folder) || is_transport_folder(folder)
}

/// Returns whether a folder is a portable layer of any version, even if damaged. A symbolic link to
/// one counts.
pub(crate) fn is_portable_layer(folder: &Path) -> bool {
    format_of(folder).is_some_and(|format| format == FORMAT)
}

/// Returns whether a folder is a transport folder: it has `Files`, and a `tombstones.txt` that
/// starts as one. A symbolic link to a transport folder does not count.
pub(crate) fn is_transport_folder(folder: &Path) -> bool {
    let tombstones = folder.join(layout::TOMBSTONES);
    if !is_folder(folder) || !is_folder(&folder.join(layout::FILES)) || !is_file(&tombstones) {
        return false;
    }
    // The byte-order mark, the version and the end of its line.
    let mut start = Vec::new();
    let read = File::open(tombstones).and_then(|file| file.take(15).read_to_end(&mut start));
    let start = start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&start);
    let rest = start.strip_prefix(b"Version 1.0");
    read.is_ok() && rest.is_some_and(|rest| matches!(rest, [] | [b'\r' | b'\n', ..]))
}

/// Returns whether a folder may be replaced or removed as a layer: a portable layer of any version,
/// a transport folder, or the remains of a damaged portable layer.
///
/// A damaged descriptor proves nothing. It is one of ours if it is beside an index of ours (known by
/// the mark in its first bytes), or if the folder holds our files and nothing else. It is never one
/// of ours if it names another format.
pub(crate) fn may_be_replaced(folder: &Path) -> bool {
    is_any_layer(folder) || (is_folder(folder) && is_damaged_layer(folder))
}

/// Returns whether a folder has a descriptor, whatever that describes.
pub(crate) fn has_descriptor(folder: &Path) -> bool {
    is_file(&folder.join(DESCRIPTOR_FILE))
}

fn is_damaged_layer(folder: &Path) -> bool {
    let has = |name: &str| is_file(&folder.join(name));
    let is_foreign = format_of(folder).is_some_and(|format| format != FORMAT);
    if has(TAR_FILE) && is_index(&folder.join(INDEX_FILE)) {
        // The name of the format may be damaged, too.
        return true;
    }
    let has_content = has(TAR_FILE) || has(INDEX_FILE);
    !is_foreign && has(DESCRIPTOR_FILE) && has_content && has_only_our_files(folder)
}

/// Returns the format that a descriptor names; `None` if it cannot be read.
fn format_of(folder: &Path) -> Option<String> {
    #[derive(Deserialize)]
    struct AnyFormat {
        format: String,
    }
    let path = folder.join(DESCRIPTOR_FILE);
    // Opening anything else, such as a pipe, could block forever.
    if !path.is_file() {
        return None;
    }
    let mut text = Vec::new();
    let file = File::open(path).ok()?;
    file.take(MAX_DESCRIPTOR).read_to_end(&mut text).ok()?;
    let found: AnyFormat = serde_json::from_slice(&text).ok()?;
    Some(found.format)
}

/// Returns whether a file is a database that is marked as our index.
///
/// Source: SQLite, "Database File Format", 1.3: the magic string, and the application id at 68.
fn is_index(path: &Path) -> bool {
    let mut start = [0; 72];
    let read =
        is_file(path) && File::open(path).is_ok_and(|mut f| f.read_exact(&mut start).is_ok());
    read && start.starts_with(b"SQLite format 3\0") && start.ends_with(b"WCLP")
}

fn has_only_our_files(folder: &Path) -> bool {
    const OURS: [&str; 4] = [TAR_FILE, INDEX_FILE, DESCRIPTOR_FILE, layout::LAYER_CHAIN];
    let is_ours =
        |name: &OsString| OURS.iter().any(|ours| name == *ours) && is_file(&folder.join(name));
    let names = disk::names_in(folder, OURS.len() + 1);
    names.is_ok_and(|names| names.iter().all(is_ours))
}

fn is_folder(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|found| found.is_dir())
}

fn is_file(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|found| found.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn may(files: &[(&str, &[u8])]) -> bool {
        let folder = tempfile::tempdir().expect("a folder");
        for (name, content) in files {
            fs::write(folder.path().join(name), content).expect(name);
        }
        may_be_replaced(folder.path())
    }

    #[test]
    fn what_is_left_of_a_portable_layer_is_recognised() {
        let mut index = b"SQLite format 3\0".to_vec();
        index.resize(68, 1);
        index.extend_from_slice(b"WCLP and more");
        let (tar, index) = (("layer.tar", &b"tar"[..]), ("index.sqlite", &index[..]));
        for damaged in [
            &b""[..],
            b"{",
            b"null",
            b"\0\0\0",
            b"{\"format\": 5}",
            b"{\"format\": \"wclayer.portable\"",
            b"[1, 2]",
        ] {
            let json = ("layer.json", damaged);
            assert!(may(&[json, tar]));
            assert!(may(&[json, index]));
            assert!(may(&[json, tar, ("index.sqlite", b"")]));
            assert!(may(&[json, tar, ("layerchain.json", b"")]));
            assert!(may(&[json, tar, index, ("notes.txt", b"")]));
            assert!(!may(&[json]), "nothing of a layer");
            assert!(!may(&[json, tar, ("notes.txt", b"")]), "somebody's folder");
        }
        let foreign = ("layer.json", &b"{\"format\": \"of another program\"}"[..]);
        assert!(!may(&[foreign, tar, ("index.sqlite", b"")]));
        let flipped = ("layer.json", &b"{\"format\": \"wclayer.portabld\"}"[..]);
        assert!(may(&[flipped, tar, index]));
        assert!(may(&[tar, index]), "the descriptor is missing");
        assert!(!may(&[tar, ("index.sqlite", b"SQLite format 3\0")]));
        assert!(!may(&[index]));
        assert!(!may(&[]));
    }

    #[cfg(unix)]
    #[test]
    fn a_link_to_a_layer_is_none() {
        let folder = tempfile::tempdir().expect("a folder");
        let real = folder.path().join("real");
        fs::create_dir(&real).expect("made");
        fs::write(real.join("layer.json"), "{").expect("written");
        fs::write(real.join("layer.tar"), "").expect("written");
        assert!(may_be_replaced(&real));
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(&real, &link).expect("a link");
        assert!(!may_be_replaced(&link));
    }
}
