//! From the members of a tar to what they mean in a layer.
//!
//! [`TarEntries`] reads members and decodes what a layer puts into them: paths and alternate
//! streams, whiteouts, links, times, attributes, security, extended attributes, reparse points.
//! It is the lower half of [`TarLayerReader`](super::TarLayerReader), for those who want the parts
//! and their places in the tar rather than one backup stream.
//!
//! Sources: image-spec `layer.md`; go-winio `backuptar/tar.go` (`FileInfoFromHeader`,
//! `WriteBackupStreamFromTarFile`); hcsshim `pkg/ociwclayer/import.go`. Where these err, our
//! behaviour and its reason stand in `docs/differences.md`.

use std::collections::HashMap;
use std::io::BufRead;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use ntmeta::{
    BackupStreamReader, ExtendedAttribute, FileAttributes, FileBasicInfo, ReparsePoint,
    SecurityDescriptor, StreamId, ea, wide,
};

use super::header::type_flag;
use super::members::{ArchiveEnd, Member, MemberReader};
use super::pax::key;
use super::sparse::{SparseMap, ranges_on_windows};
use super::times::Times;
use super::unusual::Unusual;
use crate::error::{TarError, TarProblem};
use crate::foreign::Watch;
use crate::hub::LinkEntry;
use crate::layout;
use crate::path::{LayerPath, StreamName, split_stream};

/// A meaningful unit of a layer tar.
#[derive(Debug, Clone)]
pub struct TarEntry {
    /// Where its first header block starts in the tar, in bytes.
    pub offset: u64,
    /// Where its content starts in the tar, in bytes.
    pub content_offset: u64,
    /// The length of its content, in bytes, holes included.
    pub size: u64,
    /// Which parts of the content are stored, when GNU tar left holes out.
    pub stored: Option<SparseMap>,
    /// The first of its times that Windows cannot store, by its key in the tar. It was moved to the
    /// nearest FILETIME where it has none.
    pub unstorable_time: Option<&'static str>,
    /// What it is.
    pub kind: TarEntryKind,
}

/// What an entry of a layer tar is.
#[derive(Debug, Clone)]
pub enum TarEntryKind {
    /// A file, directory or reparse point; the content is its unnamed data.
    File(Box<FileMember>),
    /// An alternate stream of the file before it; the content is the stream's.
    Stream(StreamMember),
    /// One more name for a file.
    Link(LinkEntry),
    /// A path of the parents that is gone.
    Whiteout(LayerPath),
    /// A directory whose content in the parents is gone.
    Opaque(LayerPath),
}

/// A file, directory or reparse point.
#[derive(Debug, Clone)]
pub struct FileMember {
    /// Where it lies.
    pub path: LayerPath,
    /// Times and attributes.
    pub basic_info: FileBasicInfo,
    /// Whether it has an unnamed data stream, which may be empty.
    pub has_data: bool,
    /// The self-relative security descriptor, as it stands in the tar.
    pub security: Option<Vec<u8>>,
    /// Extended attributes, in the order of the tar.
    pub ea: Vec<ExtendedAttribute>,
    /// The reparse point's buffer.
    pub reparse: Option<Vec<u8>>,
    /// Records of a backup stream for what has no other place in a tar.
    pub other_streams: Vec<u8>,
    /// The allocated ranges of the unnamed data, when it is sparse on Windows.
    pub sparse: Option<SparseMap>,
}

/// An alternate stream.
#[derive(Debug, Clone)]
pub struct StreamMember {
    /// Its name.
    pub name: StreamName,
    /// Its allocated ranges, when it is sparse on Windows.
    pub sparse: Option<SparseMap>,
}

impl FileMember {
    /// Returns whether it is a directory, as its attributes say.
    pub fn is_directory(&self) -> bool {
        self.basic_info
            .attributes
            .contains(FileAttributes::DIRECTORY)
    }
}

/// Reads the entries of a layer tar.
pub struct TarEntries<R> {
    members: MemberReader<R>,
    /// The member that the current entry was made of.
    member: Option<Member>,
    /// The file whose streams may follow, or what stands there instead.
    previous: Previous,
    unusual: Unusual,
    /// Looks out for an image archive, as long as nothing of a layer was seen.
    archive: Watch,
}

enum Previous {
    Nothing,
    File(LayerPath),
    Link(LayerPath),
    Removal(LayerPath),
}

/// Go's `base64.StdEncoding`: padding is required, stray bits in the last character are not an
/// error (and CR and LF are skipped, which [`decode_base64`] does).
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::RequireCanonical),
);

impl<R: BufRead> TarEntries<R> {
    /// Starts at the first byte of an uncompressed tar.
    pub fn new(input: R) -> Self {
        Self::of(MemberReader::new(input))
    }

    /// Starts where a reader of members stands.
    pub fn of(members: MemberReader<R>) -> Self {
        Self {
            members,
            member: None,
            previous: Previous::Nothing,
            unusual: Unusual::default(),
            archive: Watch::default(),
        }
    }

    /// Moves to the next entry, skipping what is left of the current content; `None` at the end.
    ///
    /// # Errors
    ///
    /// [`TarError`] with the entry and its byte offset.
    pub fn next_entry(&mut self) -> Result<Option<TarEntry>, TarError> {
        let entry = self.read_entry();
        if entry.is_err() {
            // A stream behind what could not be read has no file.
            self.previous = Previous::Nothing;
        }
        entry
    }

    /// Returns the member behind the last entry, also when that was refused: then the next call of
    /// [`next_entry`](Self::next_entry) goes on behind it. `None` when no member could be read, and
    /// so none of those that follow.
    pub fn member(&self) -> Option<&Member> {
        self.member.as_ref()
    }

    /// Lends the next bytes of the current entry's content; an empty slice at its end.
    ///
    /// # Errors
    ///
    /// [`TarError`] when the input fails or ends too early.
    pub fn fill_content(&mut self) -> Result<&[u8], TarError> {
        self.members.fill_content()
    }

    /// Marks `count` lent bytes as read.
    pub fn consume_content(&mut self, count: usize) {
        if self.archive.is_keeping()
            && let Ok(bytes) = self.members.fill_content()
        {
            self.archive.keep(&bytes[..count.min(bytes.len())]);
        }
        self.members.consume_content(count);
    }

    /// Goes over the hole of the current entry's content that begins here, and returns its length;
    /// 0 where there is none.
    pub fn skip_hole(&mut self) -> u64 {
        self.members.skip_hole()
    }

    /// Returns how the tar ended, once it did.
    pub fn end(&self) -> Option<ArchiveEnd> {
        self.members.end()
    }

    /// Returns what is unusual about the entries so far, though legal: a sentence each.
    pub fn warnings(&self) -> Vec<String> {
        self.unusual.warnings(self.end())
    }

    /// Returns how many bytes of the tar have been read.
    pub fn offset(&self) -> u64 {
        self.members.offset()
    }

    /// Gives the input back; what follows the end of the archive is still unread.
    pub fn into_inner(self) -> R {
        self.members.into_inner()
    }

    fn read_entry(&mut self) -> Result<Option<TarEntry>, TarError> {
        self.member = None;
        while self.archive.is_keeping() {
            let count = self.fill_content()?.len();
            if count == 0 {
                break;
            }
            self.consume_content(count);
        }
        let Some(member) = self.members.next_member()? else {
            return match self.archive.found() {
                Some(found) => Err(TarError::new(b"", 0, TarProblem::ImageArchive(found))),
                None => Ok(None),
            };
        };
        self.watch(&member);
        let entry = match self.classify(&member) {
            Ok((kind, unstorable_time)) => {
                if let Some(key) = unstorable_time {
                    self.unusual.note_time(key, &member.name);
                }
                Ok(Some(TarEntry {
                    offset: member.offset,
                    content_offset: member.content_offset,
                    size: member.size,
                    stored: member.sparse.clone(),
                    unstorable_time,
                    kind,
                }))
            }
            Err(problem) => Err(TarError::new(&member.name, member.offset, problem)),
        };
        self.member = Some(member);
        entry
    }

    /// Looks out for an image archive.
    fn watch(&mut self, member: &Member) {
        self.unusual.note_name(&member.name);
        if self.unusual.is_layer() {
            self.archive.stop();
        } else if matches!(member.type_flag, type_flag::REGULAR | type_flag::CONTIGUOUS) {
            self.archive.start(&member.name, member.size);
        }
    }

    /// Finds out what a member is, and which of its times Windows cannot store.
    fn classify(
        &mut self,
        member: &Member,
    ) -> Result<(TarEntryKind, Option<&'static str>), TarProblem> {
        // As in the reference, only `/` separates the base name that makes a whiteout.
        let slash = member
            .name
            .iter()
            .rposition(|byte| *byte == b'/')
            .map_or(0, |at| at + 1);
        let (directory, base) = member.name.split_at(slash);
        let mut unstorable = None;
        let kind = if base == layout::OPAQUE_WHITEOUT {
            TarEntryKind::Opaque(LayerPath::parse(directory).map_err(TarProblem::Path)?)
        } else if let Some(removed) = base.strip_prefix(layout::WHITEOUT_PREFIX) {
            whiteout(directory, removed)?
        } else if directory.split(|byte| *byte == b'/').any(is_whiteout_name) {
            return Err(TarProblem::Whiteout);
        } else if member.type_flag == type_flag::LINK {
            let times = Times::of(member)?;
            unstorable = times.unstorable;
            TarEntryKind::Link(link(&times, member)?)
        } else {
            match split_stream(&member.name).map_err(TarProblem::Path)? {
                (path, None) => {
                    let times = Times::of(member)?;
                    unstorable = times.unstorable;
                    TarEntryKind::File(Box::new(file(path, &times, member)?))
                }
                (path, Some(name)) => self.stream(&path, name, member)?,
            }
        };
        match &kind {
            TarEntryKind::File(file) => self.previous = Previous::File(file.path.clone()),
            TarEntryKind::Stream(_) => {}
            TarEntryKind::Link(link) => self.previous = Previous::Link(link.path.clone()),
            TarEntryKind::Whiteout(path) | TarEntryKind::Opaque(path) => {
                self.previous = Previous::Removal(path.clone());
            }
        }
        Ok((kind, unstorable))
    }

    fn stream(
        &self,
        file: &LayerPath,
        name: StreamName,
        member: &Member,
    ) -> Result<TarEntryKind, TarProblem> {
        check_regular(member.type_flag)?;
        match &self.previous {
            Previous::File(previous) if previous == file => {}
            other => {
                let previous = match other {
                    Previous::Nothing => "nothing".to_owned(),
                    Previous::File(path) => format!("`{path}`"),
                    Previous::Link(path) => format!("the hard link `{path}`"),
                    Previous::Removal(path) => format!("the whiteout of `{path}`"),
                };
                return Err(TarProblem::StrayStream {
                    file: file.to_string(),
                    previous,
                });
            }
        }
        let sparse = member.pax.get(key::VENDOR_SPARSE);
        let sparse = sparse
            .map(|text| SparseMap::from_record(text, member.size))
            .transpose()?;
        let sparse = ranges_on_windows(sparse, member.sparse.as_ref());
        Ok(TarEntryKind::Stream(StreamMember { name, sparse }))
    }
}

/// A directory name like a whiteout: the reference would make something odd of it.
fn is_whiteout_name(component: &[u8]) -> bool {
    component.starts_with(layout::WHITEOUT_PREFIX)
}

fn whiteout(directory: &[u8], removed: &[u8]) -> Result<TarEntryKind, TarProblem> {
    // Checked by itself as well: of `.wh..\` the directory alone would be left.
    LayerPath::parse(removed).map_err(|_| TarProblem::Whiteout)?;
    let path = [directory, removed].concat();
    Ok(TarEntryKind::Whiteout(
        LayerPath::parse(&path).map_err(TarProblem::Path)?,
    ))
}

fn link(times: &Times, member: &Member) -> Result<LinkEntry, TarProblem> {
    Ok(LinkEntry {
        path: LayerPath::parse(&member.name).map_err(TarProblem::Path)?,
        target: LayerPath::parse(&member.link_name).map_err(|source| TarProblem::LinkTarget {
            target: wide::display(&member.link_name).into_owned(),
            source,
        })?,
        basic_info: Some(basic_info(times, member)?),
    })
}

fn file(path: LayerPath, times: &Times, member: &Member) -> Result<FileMember, TarProblem> {
    let is_symlink = member.type_flag == type_flag::SYMLINK;
    let is_directory = member.type_flag == type_flag::DIRECTORY;
    if !is_symlink && !is_directory {
        check_regular(member.type_flag)?;
    }
    let sparse = member.pax.get(key::VENDOR_SPARSE);
    let sparse = sparse
        .map(|text| SparseMap::from_record(text, member.size))
        .transpose()?;
    Ok(FileMember {
        path,
        basic_info: basic_info(times, member)?,
        has_data: !is_symlink && !is_directory,
        security: security(member)?,
        ea: extended_attributes(member)?,
        reparse: reparse(member, is_symlink)?,
        other_streams: other_streams(member)?,
        sparse: ranges_on_windows(sparse, member.sparse.as_ref()),
    })
}

fn check_regular(type_flag: u8) -> Result<(), TarProblem> {
    match type_flag {
        type_flag::REGULAR | type_flag::CONTIGUOUS => Ok(()),
        type_flag => Err(TarProblem::Type { type_flag }),
    }
}

fn basic_info(times: &Times, member: &Member) -> Result<FileBasicInfo, TarProblem> {
    Ok(FileBasicInfo {
        creation_time: times.created,
        last_access_time: times.accessed,
        last_write_time: times.written,
        change_time: times.changed,
        attributes: attributes(member)?,
    })
}

fn attributes(member: &Member) -> Result<FileAttributes, TarProblem> {
    match member.pax.get(key::FILE_ATTRIBUTES) {
        Some(text) => FileAttributes::parse_decimal(&String::from_utf8_lossy(text))
            .map_err(TarProblem::Attributes),
        None if member.type_flag == type_flag::DIRECTORY => Ok(FileAttributes::DIRECTORY),
        None => Ok(FileAttributes::empty()),
    }
}

/// The raw descriptor wins, also when it is empty; the text form is of older writers.
fn security(member: &Member) -> Result<Option<Vec<u8>>, TarProblem> {
    let bytes = if let Some(text) = member.pax.get(key::RAW_SECURITY) {
        decode_base64(key::RAW_SECURITY, text)?
    } else if let Some(text) = member.pax.get_filled(key::SDDL) {
        let descriptor = SecurityDescriptor::from_sddl(&String::from_utf8_lossy(text))
            .map_err(TarProblem::Sddl)?;
        descriptor.to_bytes().map_err(|_| TarProblem::Streams {
            what: "the security descriptor of `MSWINDOWS.sd` is too large",
        })?
    } else {
        return Ok(None);
    };
    Ok(Some(bytes).filter(|bytes| !bytes.is_empty()))
}

fn extended_attributes(member: &Member) -> Result<Vec<ExtendedAttribute>, TarProblem> {
    let mut attributes = Attributes::default();
    for (key, value) in member.pax.iter() {
        let Some(name) = key.strip_prefix(key::EA_PREFIX) else {
            continue;
        };
        attributes.put(ExtendedAttribute {
            flags: 0,
            name: name.to_vec(),
            value: decode_base64(key, value)?,
        });
    }
    if let Some(value) = member.pax.get(key::VENDOR_EA) {
        let bytes = decode_base64(key::VENDOR_EA, value)?;
        let special = ea::decode_list(&bytes).map_err(TarProblem::Ea)?;
        special.into_iter().for_each(|one| attributes.put(one));
    }
    // A record can say what a list cannot hold.
    ea::encode_list(&attributes.list).map_err(TarProblem::Ea)?;
    Ok(attributes.list)
}

/// Extended attributes in their order, each name once.
#[derive(Default)]
struct Attributes {
    list: Vec<ExtendedAttribute>,
    /// Where in the list each name is: there may be tens of thousands.
    places: HashMap<Vec<u8>, usize>,
}

impl Attributes {
    /// Adds an attribute, or replaces the one of that name where it stands.
    fn put(&mut self, attribute: ExtendedAttribute) {
        match self.places.get(&attribute.name) {
            Some(&place) => self.list[place] = attribute,
            None => {
                self.places.insert(attribute.name.clone(), self.list.len());
                self.list.push(attribute);
            }
        }
    }
}

fn reparse(member: &Member, is_symlink: bool) -> Result<Option<Vec<u8>>, TarProblem> {
    if let Some(text) = member.pax.get(key::VENDOR_REPARSE) {
        let buffer = decode_base64(key::VENDOR_REPARSE, text)?;
        ReparsePoint::decode(&buffer).map_err(TarProblem::Reparse)?;
        return Ok(Some(buffer));
    }
    if !is_symlink {
        return Ok(None);
    }
    let is_mount_point = member.pax.get(key::MOUNT_POINT).is_some();
    let target = with_backslashes(&member.link_name);
    ReparsePoint::from_target(&target, is_mount_point)
        .and_then(|point| point.encode())
        .map(Some)
        .map_err(TarProblem::Reparse)
}

/// Checks that the vendor record holds whole streams of the kinds that it is for.
fn other_streams(member: &Member) -> Result<Vec<u8>, TarProblem> {
    let Some(text) = member.pax.get(key::VENDOR_STREAMS) else {
        return Ok(Vec::new());
    };
    let bytes = decode_base64(key::VENDOR_STREAMS, text)?;
    let mut reader = BackupStreamReader::new(&bytes[..]);
    while let Some(header) = reader.next_header().map_err(TarProblem::BackupStream)? {
        if !is_other_stream(header.id) {
            return Err(TarProblem::Streams {
                what: "`WCLAYER.streams` holds a stream that has its own place in a tar",
            });
        }
    }
    Ok(bytes)
}

/// Whether a stream has no place in a layer tar but the vendor record.
pub(super) fn is_other_stream(id: StreamId) -> bool {
    !matches!(
        id,
        StreamId::DATA
            | StreamId::EA_DATA
            | StreamId::SECURITY_DATA
            | StreamId::ALTERNATE_DATA
            | StreamId::REPARSE_DATA
            | StreamId::SPARSE_BLOCK
    )
}

fn decode_base64(key: &[u8], text: &[u8]) -> Result<Vec<u8>, TarProblem> {
    let decode = |text: &[u8]| BASE64.decode(text);
    let decoded = if text.iter().any(|byte| matches!(byte, b'\r' | b'\n')) {
        let kept: Vec<u8> = text
            .iter()
            .copied()
            .filter(|byte| !matches!(byte, b'\r' | b'\n'))
            .collect();
        decode(&kept)
    } else {
        decode(text)
    };
    decoded.map_err(|source| TarProblem::Base64 {
        key: wide::display(key).into_owned(),
        source: source.into(),
    })
}

/// Encodes as the reference does: standard alphabet, padded.
pub(super) fn encode_base64(bytes: &[u8]) -> String {
    BASE64.encode(bytes)
}

/// Returns a link's target as Windows means it: a tar may separate with `/`.
pub(super) fn with_backslashes(target: &[u8]) -> Vec<u8> {
    target
        .iter()
        .map(|byte| if *byte == b'/' { b'\\' } else { *byte })
        .collect()
}
