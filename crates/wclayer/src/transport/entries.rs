//! [`Entries`]: reads single entries of a transport folder, in any order.
//!
//! Below `Files`, a file contains its attributes and its backup stream. Everything else is read as
//! it is on the disk, with the last write time as its creation and access times. `Hives` takes its
//! times from `Hives/System_Delta`, because those of the directory are arbitrary; so does `Files`
//! if there is no `Files.$wcidirs$`. [`TransportReader`](super::TransportReader) and the transport
//! layer of a chain both use this module.
//!
//! Source: hcsshim `internal/wclayer/legacy.go`, `legacyLayerReader`.

use std::io::{self, Read};
use std::path::Path;

use ntmeta::{FileAttributes, FileBasicInfo};

use super::tombstones;
use crate::error::{EntryProblem, TransportError};
use crate::error::{Error, Result, entry_error};
use crate::layout;
use crate::path::LayerPath;
use crate::volume::{Access, File, Listed, Root, Scope, Stat};

/// The largest `tombstones.txt` that is read, in bytes.
const MAX_TOMBSTONES: u64 = 64 << 20;

/// An opened transport folder.
pub(super) struct Entries<R: Root> {
    root: R,
    hive_times: Option<FileBasicInfo>,
    utility_vm: Scope,
}

/// An entry whose backup stream has not been read yet.
pub(super) struct OpenEntry<F> {
    /// The times and attributes of the entry.
    pub(super) info: FileBasicInfo,
    /// The metadata on the disk of the file that contains it.
    pub(super) stat: Stat,
    /// The backup stream of the entry.
    pub(super) stream: EntryStream<F>,
}

/// The source of a backup stream.
pub(super) enum EntryStream<F> {
    /// The data of the file is the backup stream.
    Data(F),
    /// The backup stream of the file itself.
    Backup(F, Scope),
}

impl<F: File> EntryStream<F> {
    /// Skips bytes that are known to exist.
    pub(super) fn skip(&mut self, count: u64) -> io::Result<()> {
        match self {
            Self::Data(file) => file.skip(count),
            Self::Backup(..) => io::copy(&mut self.take(count), &mut io::sink()).map(|_| ()),
        }
    }
}

impl<F: File> Read for EntryStream<F> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Data(file) => file.read(buffer),
            Self::Backup(file, scope) => file.backup_read(buffer, *scope),
        }
    }
}

impl<R: Root> Entries<R> {
    /// Opens a folder and reads its removals. Security descriptors outside `Files` are not read
    /// unless [`set_utility_vm`](Self::set_utility_vm) enables them.
    pub(super) fn open(root: R) -> Result<(Self, Vec<LayerPath>)> {
        let removals = read_tombstones(&root)?;
        let hive = layout::path(&format!("{}/System_Delta", layout::HIVES));
        let hive_times = root.look(&hive);
        let hive_times = hive_times.map_err(entry_error("open", root.path(), &hive))?;
        let entries = Self {
            root,
            hive_times: hive_times.map(|stat| stat.basic_info),
            utility_vm: Scope::WithoutSecurity,
        };
        Ok((entries, removals))
    }

    /// Sets whether the security descriptors of the utility VM are read.
    pub(super) fn set_utility_vm(&mut self, scope: Scope) {
        self.utility_vm = scope;
    }

    pub(super) fn root(&self) -> &R {
        &self.root
    }

    /// Lists the names in a directory; `None` is the folder itself.
    pub(super) fn list(&self, directory: Option<&LayerPath>) -> Result<Vec<Listed>> {
        self.root.list(directory).map_err(|source| {
            let within = directory.map_or_else(String::new, ToString::to_string);
            Error::Io {
                action: "list",
                path: self.root.path().join(within),
                source,
            }
        })
    }

    /// Returns the path of a listed name; `None` if it is not an entry.
    pub(super) fn entry_path(
        &self,
        directory: Option<&LayerPath>,
        listed: &Listed,
    ) -> Result<Option<LayerPath>> {
        let path = listed.path_in(directory)?;
        let describes = layout::describes_directory(&listed.name);
        if describes && listed.is_plain_directory() {
            return Err(EntryProblem::Reserved.of(&path));
        }
        let is_own = directory.is_none()
            && (layout::is(&path, layout::TOMBSTONES) || layout::is(&path, layout::LAYER_CHAIN));
        let is_recycle_bin = layout::is(&path, layout::RECYCLE_BIN) && listed.is_plain_directory();
        Ok((!describes && !is_own && !is_recycle_bin).then_some(path))
    }

    /// Opens the entry at a path that was listed with these attributes.
    pub(super) fn entry(
        &self,
        path: &LayerPath,
        listed: FileAttributes,
    ) -> Result<OpenEntry<R::File>> {
        let in_utility_vm = layout::is_below(path, layout::UTILITY_VM);
        if !in_utility_vm && listed.contains(FileAttributes::REPARSE_POINT) {
            return Err(EntryProblem::ReparsePoint.of(path));
        }
        if !layout::is_in(path, layout::FILES) {
            self.live(path)
        } else if listed.contains(FileAttributes::DIRECTORY) {
            self.directory(path)
        } else {
            self.described(path, path, false)
        }
    }

    /// Opens a file or directory as it is on the disk.
    fn live(&self, path: &LayerPath) -> Result<OpenEntry<R::File>> {
        let (file, stat) = self.open_file(path)?;
        let mut info = stat.basic_info;
        if layout::is(path, layout::HIVES) || layout::is(path, layout::FILES) {
            info = FileBasicInfo {
                attributes: info.attributes,
                ..self.hive_times.unwrap_or(info)
            };
        }
        info.creation_time = info.last_write_time;
        info.last_access_time = info.last_write_time;
        let scope = match layout::is_in(path, layout::UTILITY_VM) {
            true => self.utility_vm,
            false => Scope::WithoutSecurity,
        };
        Ok(OpenEntry {
            info,
            stat,
            stream: EntryStream::Backup(file, scope),
        })
    }

    /// Opens `Files` or a directory below it.
    fn directory(&self, path: &LayerPath) -> Result<OpenEntry<R::File>> {
        let described_by = layout::directory_file(path)?;
        let described = self.root.look(&described_by);
        let described = described.map_err(entry_error("open", self.root.path(), &described_by))?;
        match described {
            Some(_) => self.described(path, &described_by, true),
            None if layout::is(path, layout::FILES) => self.live(path),
            None => Err(EntryProblem::NoDirectoryFile.of(path)),
        }
    }

    /// Opens an entry through the file that contains its attributes and its backup stream.
    fn described(
        &self,
        path: &LayerPath,
        described_by: &LayerPath,
        is_directory: bool,
    ) -> Result<OpenEntry<R::File>> {
        let (mut file, stat) = self.open_file(described_by)?;
        let attributes = read_attributes(&mut file, self.root.path(), described_by)?;
        if attributes.contains(FileAttributes::DIRECTORY) != is_directory {
            let wrong = if is_directory { described_by } else { path };
            return Err(EntryProblem::Kind.of(wrong));
        }
        Ok(OpenEntry {
            info: FileBasicInfo {
                attributes,
                ..stat.basic_info
            },
            stat,
            stream: EntryStream::Data(file),
        })
    }

    fn open_file(&self, path: &LayerPath) -> Result<(R::File, Stat)> {
        let file = self.root.open(Some(path), Access::Read);
        let file = file.map_err(entry_error("open", self.root.path(), path))?;
        let stat = file.stat();
        let stat = stat.map_err(entry_error("open", self.root.path(), path))?;
        Ok((file, stat))
    }
}

fn read_tombstones<R: Root>(root: &R) -> Result<Vec<LayerPath>> {
    let not_a_folder = |missing| TransportError::NotATransportFolder {
        path: root.path().to_owned(),
        missing,
    };
    let name = layout::path(layout::TOMBSTONES);
    let mut file = match root.open(Some(&name), Access::Read) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(not_a_folder(layout::TOMBSTONES).into());
        }
        opened => opened.map_err(entry_error("open", root.path(), &name))?,
    };
    let files = layout::path(layout::FILES);
    let found = root.look(&files);
    if found
        .map_err(entry_error("open", root.path(), &files))?
        .is_none()
    {
        return Err(not_a_folder(layout::FILES).into());
    }
    let mut text = Vec::new();
    io::Read::read_to_end(
        &mut io::Read::take(Reading(&mut file), MAX_TOMBSTONES + 1),
        &mut text,
    )
    .map_err(entry_error("read", root.path(), &name))?;
    if text.len() as u64 > MAX_TOMBSTONES {
        let too_long = io::Error::new(io::ErrorKind::InvalidData, "too long");
        return Err(entry_error("read", root.path(), &name)(too_long));
    }
    tombstones::parse(&text)
}

pub(super) fn read_attributes<F: File>(
    file: &mut F,
    folder: &Path,
    path: &LayerPath,
) -> Result<FileAttributes> {
    let mut word = [0; 4];
    match io::Read::read_exact(&mut Reading(file), &mut word) {
        Ok(()) => Ok(FileAttributes::from_bits_retain(u32::from_le_bytes(word))),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            Err(EntryProblem::Short.of(path))
        }
        Err(error) => Err(entry_error("read", folder, path)(error)),
    }
}

/// The data of a file as a `Read`.
struct Reading<'a, F>(&'a mut F);

impl<F: File> io::Read for Reading<'_, F> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}
