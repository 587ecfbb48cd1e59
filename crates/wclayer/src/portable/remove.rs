//! [`remove`]: deletes a portable layer or a transport folder.
//!
//! The folder is renamed first, then what makes it a layer goes, then the rest: whenever this is
//! interrupted, there is a whole layer or none. What an interrupted removal left is deleted by the
//! next removal or import at the same path.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::DESCRIPTOR_FILE;
use super::descriptor::{self, LayerDescriptor};
use super::parents;
use crate::error::PortableError;
use crate::error::{Error, Result, io_error};
use crate::layout;
use crate::place::disk::{flush_folder, remove_tree, rename};
use crate::place::leftovers::{self, Fate, Leftover, size_of_files};
use crate::place::may_be_replaced;
use crate::place::{Place, parts};

/// What a removal did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Removed {
    /// How many bytes it freed.
    pub size: u64,
    /// Whether only the rest of an interrupted removal or import was left to be deleted.
    pub was_rest: bool,
}

/// Deletes the portable layer or the transport folder at a path, also one that is damaged or of a later version, or
/// the rest that an interrupted removal left there.
///
/// Layers on top of it cannot be used once it is gone; [`children_of`] finds those beside it. No
/// link is followed.
///
/// # Errors
///
/// [`Error::Layer`](crate::Error::Layer) around the reason: a folder that is no portable layer, or a link to one;
/// another process that is at work there; a folder that cannot be changed.
pub fn remove(path: impl AsRef<Path>) -> Result<Removed> {
    let path = path.as_ref();
    remove_layer(path).map_err(|error| match error {
        // Named as the caller did, not by the path that it leads to.
        Error::NotFound { .. } => Error::NotFound {
            name: path.display().to_string(),
        },
        error => error.of_layer("remove", path),
    })
}

fn remove_layer(given: &Path) -> Result<Removed> {
    let (path, _, _) = parts(given)?;
    let was_there = fs::symlink_metadata(&path).is_ok();
    if was_there || !leftovers::has_any(&path) {
        // Looked at first: what is no layer is not even locked.
        check_is_layer(given)?;
    }
    let place = Place::lock(given)?;
    let path = place.path();
    if !was_there
        && fs::symlink_metadata(path).is_err()
        && let Some(size) = finished(place.cleared())?
    {
        flush_folder(place.folder())?;
        return Ok(Removed {
            size,
            was_rest: true,
        });
    }
    check_is_layer(path)?;
    let size = size_of_files(path);
    move_away(&place, flush_folder)?;
    Ok(Removed {
        size,
        was_rest: false,
    })
}

/// Returns how many bytes of an interrupted removal or import have just been deleted; `None` when
/// nothing was left.
fn finished(cleared: &[Leftover]) -> Result<Option<u64>> {
    for leftover in cleared {
        if let Fate::Failed(Error::Io { source, .. }) = &leftover.fate {
            let source = io::Error::new(source.kind(), source.to_string());
            return Err(io_error("delete", &leftover.path)(source));
        }
    }
    let size = cleared.iter().map(|leftover| leftover.size).sum();
    Ok((!cleared.is_empty()).then_some(size))
}

/// Takes the layer from its place and deletes it.
fn move_away(place: &Place, flush_folder: impl Fn(&Path) -> Result<()>) -> Result<()> {
    let path = place.path();
    // A fresh empty folder has a name that nobody else has; the layer is renamed into it.
    let aside = place.sibling()?;
    let layer = aside.path().join("layer");
    rename(path, &layer).map_err(io_error("rename", path))?;
    flush_folder(place.folder()).inspect_err(|_| {
        // It is not known to be gone: it stays.
        if rename(&layer, path).is_ok() {
            let _ = flush_folder(place.folder());
        }
    })?;
    delete(&layer)?;
    aside
        .delete()
        .map_err(io_error("delete what is beside", path))
}

/// Deletes first what makes the folder a layer: without it, nothing takes the rest for one.
fn delete(layer: &Path) -> Result<()> {
    for name in [DESCRIPTOR_FILE, layout::TOMBSTONES] {
        let file = layer.join(name);
        match fs::remove_file(&file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(io_error("delete", &file)(error));
            }
            _ => {}
        }
    }
    remove_tree(layer).map_err(io_error("delete", layer))
}

fn check_is_layer(path: &Path) -> Result<()> {
    let not_a_layer = || match path.join(DESCRIPTOR_FILE).is_file() {
        true => PortableError::Stranger {
            path: path.to_owned(),
        },
        false => PortableError::NotALayer {
            path: path.to_owned(),
            missing: DESCRIPTOR_FILE,
        },
    };
    match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_dir() => {}
        Ok(metadata) if metadata.is_symlink() => {
            return Err(PortableError::Link {
                path: path.to_owned(),
            }
            .into());
        }
        Ok(_) => return Err(not_a_layer().into()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(descriptor::not_a_layer(path, DESCRIPTOR_FILE));
        }
        Err(error) => return Err(io_error("open", path)(error)),
    }
    if may_be_replaced(path) {
        Ok(())
    } else {
        Err(not_a_layer().into())
    }
}

/// Layers that have another one as a parent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Children {
    /// The first of them, by name.
    pub first: Vec<PathBuf>,
    /// How many there are.
    pub count: usize,
}

/// How many entries of a folder are looked at, and how many layers are named.
const MAX_SIBLINGS: usize = 10_000;
const MAX_CHILDREN: usize = 10;

/// Finds the portable layers in the folder of a layer that have this one as a parent. No link is
/// followed; of a very large folder, a part is looked at.
pub fn children_of(layer: impl AsRef<Path>) -> Children {
    let mut found = Children::default();
    let Ok(layer) = dunce::canonicalize(layer) else {
        return found;
    };
    let siblings = layer.parent().map(fs::read_dir).into_iter().flatten();
    for entry in siblings.flatten().take(MAX_SIBLINGS).flatten() {
        let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
        if !is_folder || entry.path() == layer || !has_parent(&entry.path(), &layer) {
            continue;
        }
        found.count += 1;
        found.first.push(entry.path());
    }
    found.first.sort();
    found.first.truncate(MAX_CHILDREN);
    found
}

fn has_parent(child: &Path, layer: &Path) -> bool {
    let parents = LayerDescriptor::read(child).and_then(|found| parents::stored(child, &found));
    let is_layer = |parent: &Path| {
        parent == layer || dunce::canonicalize(parent).is_ok_and(|parent| parent == layer)
    };
    parents.is_ok_and(|parents| parents.iter_nearest_first().any(is_layer))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_removal_that_cannot_be_flushed_leaves_the_layer() {
        let temporary = tempfile::tempdir().expect("a folder");
        let path = temporary.path().join("x");
        fs::create_dir(&path).expect("made");
        fs::write(path.join("layer.json"), "{}").expect("written");
        let place = Place::lock(&path).expect("locked");
        let fails = |folder: &Path| Err(io_error("flush", folder)(io::Error::other("injected")));
        move_away(&place, fails).expect_err("injected");
        assert!(path.join("layer.json").exists());
        drop(place);
        let names = fs::read_dir(temporary.path()).expect("a folder");
        assert_eq!(names.count(), 1);
    }
}
