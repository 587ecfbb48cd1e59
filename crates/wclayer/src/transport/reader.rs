//! [`TransportReader`]: a transport folder as a source of the hub.
//!
//! Directories are read name by name, in the order of their bytes. Below `Files`, a file gives its
//! attributes and its backup stream; what is outside is read as it lies on the disk, its creation
//! and access times being the time of its last write. `Hives` has the times of
//! `Hives/System_Delta`, since those of the directory are chance, and so has `Files` where no
//! `Files.$wcidirs$` tells its own. Further names of a file become links. The removals of a
//! directory follow it; those whose directory is not in the folder come last, so that none is
//! dropped.
//!
//! As the reference does, `Files/$Recycle.Bin` is left out, and a folder without `tombstones.txt`
//! is refused: without it, nobody can tell a layer that removes nothing from half a copy.
//!
//! Beyond the reference: what `Files.$wcidirs$` says of `Files` is used where it exists, a file
//! whose attributes say that it is a directory is refused, and so are links of the disk itself.
//!
//! Source: hcsshim `internal/wclayer/legacy.go`, `legacyLayerReader`; `pkg/ociwclayer/export.go`
//! for links.

use std::cell::OnceCell;
use std::collections::{HashMap, HashSet, VecDeque};
use std::io;
use std::vec;

use ntmeta::backup_stream::{BackupStreamReader, StreamAttributes, StreamId};
use ntmeta::{FileAttributes, FileBasicInfo};

use super::error::{EntryProblem, TransportError};
use super::tombstones;
use crate::error::{Error, Result, entry_error};
use crate::hcs::HcsError;
use crate::hub::{Entry, FileEntry, LayerReader, LinkEntry, LinkTracker};
use crate::layout;
use crate::path::LayerPath;
use crate::volume::{Access, File, Listed, Root, Scope};

/// The longest `tombstones.txt` that is read, in bytes.
const MAX_TOMBSTONES: u64 = 64 << 20;

/// Reads the entries of a transport folder.
pub struct TransportReader<R: Root> {
    root: R,
    /// The removals of each directory, in the order of the file.
    removals: HashMap<LayerPath, Vec<LayerPath>>,
    /// All removals, once somebody asks for one of them.
    removed: OnceCell<HashSet<LayerPath>>,
    /// The directories with removals, in the order of the file.
    removal_order: VecDeque<LayerPath>,
    /// The directories that are being read, each with the names that are still to come.
    open: Vec<(Option<LayerPath>, vec::IntoIter<Listed>)>,
    /// What comes before the next name.
    next: VecDeque<Entry>,
    links: LinkTracker,
    hive_times: Option<FileBasicInfo>,
    utility_vm: Scope,
    /// The entry that has a backup stream, and where that comes from.
    current: Option<(LayerPath, Stream<R::File>)>,
}

/// Where the current backup stream comes from.
enum Stream<F> {
    /// It is the data of the file.
    Data(F),
    /// It is that of the file.
    Backup(F, Scope),
}

impl<R: Root> TransportReader<R> {
    /// Starts to read a folder. Security descriptors outside `Files` are not read, as in the
    /// reference: they are those of the folder's disk.
    ///
    /// # Errors
    ///
    /// [`TransportError`] when it is no transport folder; [`Error::Io`].
    pub fn new(root: R) -> Result<Self> {
        let tombstones = read_tombstones(&root)?;
        let mut removals: HashMap<_, Vec<_>> = HashMap::new();
        let mut removal_order = VecDeque::new();
        for path in tombstones {
            let directory = path.parent().unwrap_or_else(|| path.clone());
            let of_directory = removals.entry(directory.clone()).or_default();
            if of_directory.is_empty() {
                removal_order.push_back(directory);
            }
            of_directory.push(path);
        }
        let hive = layout::path(&format!("{}/System_Delta", layout::HIVES));
        let hive_times = root.look(&hive);
        let hive_times = hive_times.map_err(entry_error("open", root.path(), &hive))?;
        let names = list(&root, None)?;
        Ok(Self {
            root,
            removals,
            removed: OnceCell::new(),
            removal_order,
            open: vec![(None, names.into_iter())],
            next: VecDeque::new(),
            links: LinkTracker::new(),
            hive_times: hive_times.map(|stat| stat.basic_info),
            utility_vm: Scope::WithoutSecurity,
            current: None,
        })
    }

    /// Reads security descriptors of the utility VM as well: right for a folder that
    /// [`TransportWriter`](super::TransportWriter) made.
    pub fn with_utility_vm_security(mut self) -> Self {
        self.utility_vm = Scope::WithSecurity;
        self
    }

    /// Opens what is at a path, whatever comes next; a file that has several names is no link here.
    pub(super) fn entry_at(&mut self, path: &LayerPath) -> Result<Option<Entry>> {
        self.current = None;
        self.links = LinkTracker::new();
        let found = match self.root.look(path) {
            // Something in the way is as good as nothing there.
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => None,
            found => found.map_err(entry_error("open", self.root.path(), path))?,
        };
        match found {
            None => Ok(None),
            Some(stat) => {
                let listed = Listed {
                    name: path.file_name().to_owned(),
                    attributes: stat.basic_info.attributes,
                };
                self.described(path, &listed).map(Some)
            }
        }
    }

    /// Lists what the folder has in a directory.
    pub(super) fn children(&self, directory: &LayerPath) -> Result<Vec<LayerPath>> {
        let names = list(&self.root, Some(directory))?.into_iter();
        names
            .filter(|listed| !layout::describes_directory(&listed.name))
            .map(|listed| listed.path_in(Some(directory)))
            .collect()
    }

    /// Returns whether the folder removes exactly this path.
    pub(super) fn removes(&self, path: &LayerPath) -> bool {
        let all = || self.removals.values().flatten().cloned().collect();
        self.removed.get_or_init(all).contains(path)
    }

    /// Returns the next name that is an entry.
    fn next_name(&mut self) -> Result<Option<(LayerPath, Listed)>> {
        while let Some((directory, names)) = self.open.last_mut() {
            let Some(listed) = names.next() else {
                self.open.pop();
                continue;
            };
            let found = listed.path_in(directory.as_ref())?;
            let describes = layout::describes_directory(&listed.name);
            if describes && listed.is_plain_directory() {
                return Err(EntryProblem::Reserved.of(&found));
            }
            let is_tombstones = directory.is_none() && layout::is(&found, layout::TOMBSTONES);
            let is_recycle_bin = layout::is(&found, layout::RECYCLE_BIN);
            if !(describes || is_tombstones || is_recycle_bin && listed.is_plain_directory()) {
                return Ok(Some((found, listed)));
            }
        }
        Ok(None)
    }

    fn entry(&mut self, path: &LayerPath, listed: &Listed) -> Result<Entry> {
        let entry = self.described(path, listed)?;
        if listed.attributes.contains(FileAttributes::DIRECTORY) {
            self.go_into(path, listed, &entry)?;
        }
        Ok(entry)
    }

    /// Starts the entry that describes what is at a path.
    fn described(&mut self, path: &LayerPath, listed: &Listed) -> Result<Entry> {
        let is_live = !layout::is_in(path, layout::FILES);
        let in_utility_vm = layout::is_below(path, layout::UTILITY_VM);
        if !in_utility_vm && listed.attributes.contains(FileAttributes::REPARSE_POINT) {
            return Err(EntryProblem::ReparsePoint.of(path));
        }
        if is_live {
            self.live(path)
        } else if listed.attributes.contains(FileAttributes::DIRECTORY) {
            self.directory(path)
        } else {
            self.file(path)
        }
    }

    /// Starts a directory's names and puts its removals before them.
    fn go_into(&mut self, path: &LayerPath, listed: &Listed, entry: &Entry) -> Result<()> {
        if listed.is_plain_directory() {
            let names = list(&self.root, Some(path))?;
            let becomes_reparse_point = match entry {
                Entry::File(file) => file
                    .basic_info
                    .attributes
                    .contains(FileAttributes::REPARSE_POINT),
                _ => false,
            };
            if becomes_reparse_point && !names.is_empty() {
                return Err(EntryProblem::NotEmpty.of(path));
            }
            self.open.push((Some(path.clone()), names.into_iter()));
        }
        if let Some(removals) = self.removals.remove(path) {
            self.next.extend(removals.into_iter().map(Entry::Removal));
        }
        Ok(())
    }

    /// Starts what lies on the disk as it is.
    fn live(&mut self, path: &LayerPath) -> Result<Entry> {
        let (file, stat) = self.open(path)?;
        let mut info = stat.basic_info;
        if layout::is(path, layout::HIVES) {
            info = self.with_hive_times(info);
        }
        info.creation_time = info.last_write_time;
        info.last_access_time = info.last_write_time;
        if let Some(link) = self.link(path, &info, &stat) {
            return Ok(link);
        }
        let scope = match layout::is_in(path, layout::UTILITY_VM) {
            true => self.utility_vm,
            false => Scope::WithoutSecurity,
        };
        self.current = Some((path.clone(), Stream::Backup(file, scope)));
        Ok(Entry::File(FileEntry {
            path: path.clone(),
            basic_info: info,
            size: stat.size,
            metadata_first: false,
        }))
    }

    /// Starts a directory of `Files`, or that directory itself.
    fn directory(&mut self, path: &LayerPath) -> Result<Entry> {
        let is_files = layout::is(path, layout::FILES);
        let described_by = layout::directory_file(path)?;
        let described = self.root.look(&described_by);
        let described = described.map_err(entry_error("open", self.root.path(), &described_by))?;
        if described.is_none() && !is_files {
            return Err(EntryProblem::NoDirectoryFile.of(path));
        }
        if described.is_none() {
            let entry = self.live(path)?;
            return Ok(match entry {
                Entry::File(file) => Entry::File(FileEntry {
                    basic_info: self.files_info(file.basic_info),
                    ..file
                }),
                other => other,
            });
        }
        let (mut file, stat) = self.open(&described_by)?;
        let attributes = read_attributes(&mut file, self.root.path(), &described_by)?;
        if !attributes.contains(FileAttributes::DIRECTORY) {
            return Err(EntryProblem::Kind.of(&described_by));
        }
        let info = FileBasicInfo {
            attributes,
            ..stat.basic_info
        };
        self.current = Some((path.clone(), Stream::Data(file)));
        Ok(Entry::File(FileEntry {
            path: path.clone(),
            basic_info: info,
            size: 0,
            metadata_first: false,
        }))
    }

    /// Starts a file of `Files`.
    fn file(&mut self, path: &LayerPath) -> Result<Entry> {
        let (mut file, stat) = self.open(path)?;
        let attributes = read_attributes(&mut file, self.root.path(), path)?;
        if attributes.contains(FileAttributes::DIRECTORY) {
            return Err(EntryProblem::Kind.of(path));
        }
        let info = FileBasicInfo {
            attributes,
            ..stat.basic_info
        };
        if let Some(link) = self.link(path, &info, &stat) {
            return Ok(link);
        }
        let (size, metadata_first) = data_size(&mut file, stat.size, path)?;
        // From the start once more: a file cannot be wound back.
        let (mut file, _) = self.open(path)?;
        read_attributes(&mut file, self.root.path(), path)?;
        self.current = Some((path.clone(), Stream::Data(file)));
        Ok(Entry::File(FileEntry {
            path: path.clone(),
            basic_info: info,
            size,
            metadata_first,
        }))
    }

    fn link(
        &mut self,
        path: &LayerPath,
        info: &FileBasicInfo,
        stat: &crate::volume::Stat,
    ) -> Option<Entry> {
        let target = self.links.first_name(path, info, stat.id, stat.links)?;
        Some(Entry::Link(LinkEntry {
            path: path.clone(),
            target,
            basic_info: Some(*info),
        }))
    }

    fn open(&self, path: &LayerPath) -> Result<(R::File, crate::volume::Stat)> {
        let file = self.root.open(Some(path), Access::Read);
        let file = file.map_err(entry_error("open", self.root.path(), path))?;
        let stat = file.stat();
        let stat = stat.map_err(entry_error("open", self.root.path(), path))?;
        Ok((file, stat))
    }

    fn files_info(&self, info: FileBasicInfo) -> FileBasicInfo {
        let info = self.with_hive_times(info);
        FileBasicInfo {
            creation_time: info.last_write_time,
            last_access_time: info.last_write_time,
            ..info
        }
    }

    fn with_hive_times(&self, info: FileBasicInfo) -> FileBasicInfo {
        let times = self.hive_times.unwrap_or(info);
        FileBasicInfo {
            attributes: info.attributes,
            ..times
        }
    }
}

impl<R: Root> LayerReader for TransportReader<R> {
    fn next_entry(&mut self) -> Result<Option<Entry>> {
        self.current = None;
        if let Some(entry) = self.next.pop_front() {
            return Ok(Some(entry));
        }
        if let Some((path, listed)) = self.next_name()? {
            return self.entry(&path, &listed).map(Some);
        }
        while let Some(directory) = self.removal_order.pop_front() {
            let removals = self.removals.remove(&directory).unwrap_or_default();
            self.next.extend(removals.into_iter().map(Entry::Removal));
        }
        Ok(self.next.pop_front())
    }

    fn read_stream(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let Some((path, stream)) = &mut self.current else {
            return Ok(0);
        };
        let read = match stream {
            Stream::Data(file) => file.read(buffer),
            Stream::Backup(file, scope) => file.backup_read(buffer, *scope),
        };
        read.map_err(entry_error("read", self.root.path(), path))
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

fn list<R: Root>(root: &R, directory: Option<&LayerPath>) -> Result<Vec<Listed>> {
    root.list(directory).map_err(|source| {
        let within = directory.map_or_else(String::new, ToString::to_string);
        Error::Io {
            action: "list",
            path: root.path().join(within),
            source,
        }
    })
}

fn read_attributes<F: File>(
    file: &mut F,
    folder: &std::path::Path,
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

/// Returns the length of the unnamed data in the backup stream of a file of `length` bytes, and
/// whether nothing comes after that data.
fn data_size<F: File>(file: &mut F, length: u64, path: &LayerPath) -> Result<(u64, bool)> {
    let mut streams = BackupStreamReader::new(io::BufReader::new(Reading(file)));
    let mut size = 0;
    let invalid = |error: ntmeta::BackupStreamError| HcsError::Stream {
        entry: path.clone(),
        source: error.into(),
    };
    while let Some(header) = streams.next_header().map_err(invalid)? {
        match header.id {
            StreamId::DATA if !header.attributes.contains(StreamAttributes::SPARSE) => {
                let end = streams.offset().saturating_add(header.size);
                return Ok((header.size, end.saturating_add(4) >= length));
            }
            StreamId::DATA => size = size.max(header.size),
            StreamId::SPARSE_BLOCK => {
                let start = u64::try_from(header.sparse_offset.unwrap_or(0)).unwrap_or(0);
                size = size.max(start.saturating_add(header.size));
            }
            _ => {}
        }
    }
    Ok((size, false))
}

/// A file's data as `Read`.
struct Reading<'a, F>(&'a mut F);

impl<F: File> io::Read for Reading<'_, F> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}
