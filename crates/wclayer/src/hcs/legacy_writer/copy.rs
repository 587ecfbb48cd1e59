//! Copies single files with all their metadata from one layer to another.

use std::io;

use ntmeta::{FileAttributes, FileBasicInfo};

use super::parents::list;
use crate::error::{Result, entry_error};
use crate::hcs::directory_times::DirectoryTimes;
use crate::layout;
use crate::path::LayerPath;
use crate::volume::{Access, File, Kind, Root, Scope};

/// The size of the pieces in which content is copied, in bytes.
const PIECE: usize = 256 * 1024;

/// Clones a directory from one layer to another: directories, reparse points and the boot files,
/// which Windows changes, are copied; every other file becomes a hard link.
///
/// The content of a utility VM hardly changes from layer to layer, and Windows Server 2016 does not
/// support a utility VM that is composed of several layers.
pub(super) fn clone_tree<R: Root>(from: &R, to: &R, top: &LayerPath) -> Result<()> {
    let boot_files = layout::BOOT_FILES.map(|(name, _)| layout::path(name));
    let mut times = DirectoryTimes::default();
    let mut directories = vec![top.clone()];
    while let Some(directory) = directories.pop() {
        times.note(&directory, &copy(from, to, &directory, Kind::Directory)?);
        for (path, listed) in list(from, &directory)? {
            let is_directory = listed.attributes.contains(FileAttributes::DIRECTORY);
            if listed.is_plain_directory() {
                directories.push(path);
            } else if is_directory {
                times.note(&path, &copy(from, to, &path, Kind::Directory)?);
            } else if listed.attributes.contains(FileAttributes::REPARSE_POINT)
                || boot_files.contains(&path)
            {
                copy(from, to, &path, Kind::File)?;
            } else {
                link_or_copy(from, to, &path)?;
            }
        }
    }
    times.reapply(to)
}

/// Creates a hard link to a file in another layer, or copies a file that cannot have more names.
fn link_or_copy<R: Root>(from: &R, to: &R, path: &LayerPath) -> Result<()> {
    match to.link(from, path, path) {
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::TooManyLinks | io::ErrorKind::CrossesDevices
            ) =>
        {
            copy(from, to, path, Kind::File).map(|_| ())
        }
        linked => linked.map_err(entry_error("link", to.path(), path)),
    }
}

/// Copies one object with its metadata, but not the content of a directory, and returns its times.
fn copy<R: Root>(from: &R, to: &R, path: &LayerPath, kind: Kind) -> Result<FileBasicInfo> {
    let read = |error| entry_error("read", from.path(), path)(error);
    let write = |error| entry_error("write", to.path(), path)(error);
    let mut source = from.open(Some(path), Access::Read).map_err(read)?;
    let info = source.stat().map_err(read)?.basic_info;
    let mut copy = to.create(path, kind).map_err(write)?;
    copy.set_basic_info(&info).map_err(write)?;
    let mut piece = vec![0; PIECE];
    loop {
        let length = source.backup_read(&mut piece, Scope::WithSecurity);
        match length.map_err(read)? {
            0 => break,
            length => copy
                .backup_write(&piece[..length], Scope::WithSecurity)
                .map_err(write)?,
        }
    }
    copy.close().map_err(write)?;
    Ok(info)
}
