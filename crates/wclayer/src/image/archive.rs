//! [`Archive`]: a tar with the files of an image, found by name.
//!
//! Only the headers are read. The archive is not unpacked: its blobs are read where they are.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufReader, Read as _};
use std::path::Path;
use std::sync::Arc;

use crate::blob::{Blob, BlobBytes};
use crate::compression::Compression;
use crate::error::{Error, ImageError, Result, io_error};
use crate::hub::Progress;
use crate::kind::Kind;
use crate::tar::{Member, MemberReader};

/// How many members are kept: an image has three files a layer.
const MAX_MEMBERS: usize = 100_000;
/// How long the names of all members may be, in bytes.
const MAX_NAMES: usize = 16 << 20;
/// After how many members without a name a tar is not taken for an archive.
const FIRST_MEMBERS: usize = 16;
/// How much is read at once, in bytes: a few headers.
const BUFFER: usize = 8 * 1024;

/// An archive, with where its files lie.
#[derive(Debug)]
pub(super) struct Archive {
    label: String,
    file: Arc<File>,
    members: HashMap<String, Place>,
}

/// What is at a name.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    /// A file.
    File { start: u64, len: u64 },
    /// A symbolic link, as `docker save` wrote for layers that come twice.
    Link(String),
    /// Something that has no content, or one that is not in one piece.
    Other,
    /// Several members.
    Several,
}

impl Archive {
    /// Reads the headers of an archive.
    pub(super) fn open(path: &Path, progress: &dyn Progress) -> Result<Self> {
        let label = path.display().to_string();
        let file = File::open(path).map_err(io_error("open", path))?;
        let found = file.metadata().map_err(io_error("open", path))?;
        if !found.is_file() {
            let (name, kind) = (label, Kind::Special);
            return Err(Error::NotALayer { name, kind });
        }
        let file = Arc::new(file);
        let whole = Blob::new(Arc::clone(&file), 0, found.len());
        let mut start = Vec::new();
        let read = whole.reader().take(4).read_to_end(&mut start);
        read.map_err(io_error("read", path))?;
        if Compression::sniff(&start) != Compression::None {
            return Err(ImageError::CompressedArchive { label }.into());
        }
        let members = read_members(&whole, &label, progress)?;
        Ok(Self {
            label,
            file,
            members,
        })
    }

    /// Returns how the archive is named in messages.
    pub(super) fn label(&self) -> &str {
        &self.label
    }

    /// Returns whether there is a member of that name.
    pub(super) fn has(&self, name: &str) -> bool {
        self.members.contains_key(name)
    }

    /// Opens a file by its name. A link is followed once, inside the archive.
    pub(super) fn file(&self, name: &str, what: &'static str) -> Result<Blob> {
        let place = match self.members.get(name) {
            Some(Place::Link(target)) => {
                let target = resolve(name, target);
                target.and_then(|target| self.members.get(&target))
            }
            place => place,
        };
        let problem = match place {
            Some(Place::File { start, len }) => {
                return Ok(Blob::new(Arc::clone(&self.file), *start, *len));
            }
            None if !self.has(name) => {
                return Err(ImageError::Missing {
                    label: self.label.clone(),
                    what,
                    missing: name.to_owned(),
                }
                .into());
            }
            None | Some(Place::Link(_)) => "is a link that leads to no file of the archive",
            Some(Place::Several) => "is in the archive more than once",
            Some(Place::Other) => "is not a file, or is stored with its holes left out",
        };
        Err(ImageError::Member {
            label: self.label.clone(),
            member: name.to_owned(),
            problem,
        }
        .into())
    }
}

/// Returns whether a file may be an archive, by the names of its first members: a layer tar starts
/// with a directory of layers, so that its other headers need not be read to find out.
pub(super) fn may_be_archive(path: &Path) -> Result<bool> {
    let file = File::open(path).map_err(io_error("open", path))?;
    if !file.metadata().map_err(io_error("open", path))?.is_file() {
        return Ok(false);
    }
    let whole = Blob::of_file(file).map_err(io_error("open", path))?;
    let mut tar = MemberReader::skipping_by(BufReader::with_capacity(BUFFER, whole.reader()), skip);
    for _ in 0..FIRST_MEMBERS {
        // Anything that is not a tar is left to its reader, for a better error.
        let Ok(Some(member)) = tar.next_member() else {
            return Ok(false);
        };
        let name = String::from_utf8_lossy(&member.name).to_lowercase();
        let mut components = name
            .split(['/', '\\'])
            .filter(|part| !matches!(*part, "" | "."));
        match components.next() {
            Some("files" | "hives" | "utilityvm") => return Ok(false),
            Some(_) => return Ok(true),
            None => {}
        }
    }
    Ok(false)
}

fn read_members(
    whole: &Blob,
    label: &str,
    progress: &dyn Progress,
) -> Result<HashMap<String, Place>> {
    let input = BufReader::with_capacity(BUFFER, whole.reader());
    let mut tar = MemberReader::skipping_by(input, skip);
    let mut members = HashMap::new();
    let mut names = 0;
    loop {
        if progress.is_cancelled() {
            return Err(Error::Cancelled);
        }
        let of_archive = |error: Error| error.of_layer("read", Path::new(label));
        let Some(member) = tar
            .next_member()
            .map_err(|error| of_archive(error.into()))?
        else {
            return Ok(members);
        };
        // A name that is not UTF-8 is not that of a file of an image.
        let Ok(name) = std::str::from_utf8(&member.name) else {
            continue;
        };
        let name = name.strip_prefix("./").unwrap_or(name);
        let name = name.strip_suffix('/').unwrap_or(name);
        names += name.len();
        if members.len() == MAX_MEMBERS || names > MAX_NAMES {
            return Err(ImageError::TooManyMembers {
                label: label.to_owned(),
            }
            .into());
        }
        let place = place_of(&member);
        members
            .entry(name.to_owned())
            .and_modify(|known| {
                // Directories come as often as they like.
                if *known != Place::Other || place != Place::Other {
                    *known = Place::Several;
                }
            })
            .or_insert(place);
    }
}

fn place_of(member: &Member) -> Place {
    match member.type_flag {
        b'0' if member.sparse.is_none() => Place::File {
            start: member.content_offset,
            len: member.size,
        },
        b'1' | b'2' => match std::str::from_utf8(&member.link_name) {
            // A hard link names its target from the top.
            Ok(target) if member.type_flag == b'1' => Place::Link(format!("/{target}")),
            Ok(target) => Place::Link(target.to_owned()),
            Err(_) => Place::Other,
        },
        _ => Place::Other,
    }
}

/// Returns the name that a link leads to; `None` outside of the archive.
fn resolve(link: &str, target: &str) -> Option<String> {
    let mut way: Vec<&str> = match target.strip_prefix('/') {
        Some(_) => Vec::new(),
        None => link.split('/').collect(),
    };
    way.pop();
    for component in target.split('/') {
        match component {
            "" | "." => {}
            ".." => {
                way.pop()?;
            }
            component => way.push(component),
        }
    }
    Some(way.join("/"))
}

/// Skips content without reading it.
fn skip(input: &mut BufReader<BlobBytes>, count: u64) -> io::Result<u64> {
    let left = input.get_ref().left() + input.buffer().len() as u64;
    let count = count.min(left);
    input.seek_relative(i64::try_from(count).map_err(io::Error::other)?)?;
    Ok(count)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn archive(
        make: impl FnOnce(&mut tar::Builder<Vec<u8>>),
    ) -> (tempfile::NamedTempFile, Result<Archive>) {
        let mut tar = tar::Builder::new(Vec::new());
        make(&mut tar);
        let bytes = tar.into_inner().expect("a tar");
        let mut file = tempfile::NamedTempFile::new().expect("a file");
        file.write_all(&bytes).expect("written");
        let archive = Archive::open(file.path(), &());
        (file, archive)
    }

    fn add(tar: &mut tar::Builder<Vec<u8>>, name: &str, content: &[u8]) {
        let mut header = tar::Header::new_ustar();
        header.set_size(content.len() as u64);
        tar.append_data(&mut header, name, content).expect("added");
    }

    fn link(tar: &mut tar::Builder<Vec<u8>>, name: &str, target: &str) {
        let mut header = tar::Header::new_ustar();
        header.set_size(0);
        header.set_entry_type(tar::EntryType::Symlink);
        tar.append_link(&mut header, name, target).expect("added");
    }

    fn content(archive: &Archive, name: &str) -> Result<String> {
        let mut text = String::new();
        let blob = archive.file(name, "an archive")?;
        blob.reader()
            .read_to_string(&mut text)
            .map_err(Error::Input)?;
        Ok(text)
    }

    #[test]
    fn files_are_found_and_links_stay_inside() {
        let (_file, archive) = archive(|tar| {
            add(tar, "a/layer.tar", b"one");
            add(tar, "b/json", b"two");
            link(tar, "b/layer.tar", "../a/layer.tar");
            link(tar, "c/layer.tar", "../../a/layer.tar");
            link(tar, "d/layer.tar", "../b/layer.tar");
            link(tar, "e/layer.tar", "/a/layer.tar");
        });
        let archive = archive.expect("an archive");
        for (name, expected) in [
            ("a/layer.tar", "one"),
            ("b/json", "two"),
            ("b/layer.tar", "one"),
        ] {
            assert_eq!(content(&archive, name).expect(name), expected);
        }
        // What is absolute is meant from the top of the archive, as a hard link is.
        assert_eq!(content(&archive, "e/layer.tar").expect("there"), "one");
        for name in ["c/layer.tar", "d/layer.tar", "nothing", "../a/layer.tar"] {
            assert!(content(&archive, name).is_err(), "{name}");
        }
    }

    #[test]
    fn a_name_that_comes_twice_is_not_used() {
        let (_file, archive) = archive(|tar| {
            add(tar, "manifest.json", b"one");
            add(tar, "manifest.json", b"two");
            add(tar, "other", b"three");
        });
        let archive = archive.expect("an archive");
        let error = content(&archive, "manifest.json").expect_err("two");
        assert!(error.to_string().contains("more than once"), "{error}");
        assert_eq!(content(&archive, "other").expect("there"), "three");
    }

    #[test]
    fn a_cut_archive_and_a_compressed_one_are_refused() {
        let mut file = tempfile::NamedTempFile::new().expect("a file");
        file.write_all(&[0x1f, 0x8b, 8, 0]).expect("written");
        let error = Archive::open(file.path(), &()).expect_err("gzip");
        assert!(error.to_string().contains("compressed"), "{error}");
        let mut tar = tar::Builder::new(Vec::new());
        add(&mut tar, "a", &[7; 2000]);
        let bytes = tar.into_inner().expect("a tar");
        let cut = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(cut.path(), &bytes[..1000]).expect("written");
        assert!(Archive::open(cut.path(), &()).is_err());
    }
}
