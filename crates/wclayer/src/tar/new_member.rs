//! The headers of members that are written: which records say what, and their exact bytes.
//!
//! Source: go-winio `backuptar/tar.go` (`BasicInfoHeader`, `SecurityDescriptorFromTarHeader` and
//! their neighbours), Go `archive/tar/writer.go` (`writePAXHeader`, `splitUSTARPath`).

use std::io::Write;

use ntmeta::{FileAttributes, FileBasicInfo, FileTime, ReparsePoint, ea};

use super::entries::{encode_base64, with_backslashes};
use super::header::{self, MAX_OCTAL, NewHeader, type_flag};
use super::metadata::Metadata;
use super::output::Output;
use super::pax::{MAX_EXTENDED_HEADER, NewRecords, key};
use crate::error::Result;
use crate::error::{TarError, TarProblem};
use crate::hub::{FileEntry, LinkEntry};

const MODE_DIRECTORY: u32 = 0o040_000;
const MODE_REGULAR: u32 = 0o100_000;
const MODE_SYMLINK: u32 = 0o120_000;
const MODE_HARD_LINK: u32 = 0o644;
/// The longest name a header holds, and the longest directory part before it.
const MAX_NAME: usize = 100;
const MAX_PREFIX: usize = 155;

/// A member that is about to be written.
pub(super) struct NewMember {
    name: Vec<u8>,
    link_name: Vec<u8>,
    mode: u32,
    type_flag: u8,
    size: u64,
    /// `None` for the bare entries that have no times.
    times: Option<FileBasicInfo>,
    records: NewRecords,
    /// The map in front of the content, when holes are left out.
    map: Vec<u8>,
}

/// How the holes of a stream are told.
pub(super) enum Holes {
    /// It is not sparse.
    None,
    /// They are written as zeros; our record has the ranges between them.
    AsZeros {
        /// The record's value.
        record: String,
    },
    /// They are left out, as GNU tar does it.
    LeftOut {
        /// The map that stands in front of the rest.
        content: Vec<u8>,
        /// How many bytes are left.
        stored: u64,
    },
}

impl NewMember {
    /// A file, directory or reparse point with `size` bytes of unnamed data.
    pub(super) fn file(
        entry: &FileEntry,
        size: u64,
        metadata: &Metadata,
        holes: Holes,
    ) -> Result<Self, TarProblem> {
        let mut member = Self {
            name: entry.path.as_bytes().to_vec(),
            link_name: Vec::new(),
            mode: mode(&entry.basic_info, metadata),
            type_flag: type_flag::REGULAR,
            size,
            times: Some(entry.basic_info),
            records: NewRecords::default(),
            map: Vec::new(),
        };
        member.add_basic_info(&entry.basic_info);
        if entry
            .basic_info
            .attributes
            .contains(FileAttributes::DIRECTORY)
        {
            member.type_flag = type_flag::DIRECTORY;
            if member.size > 0 {
                return Err(TarProblem::Streams {
                    what: "a directory has an unnamed data stream",
                });
            }
        }
        if let Some(security) = &metadata.security {
            member
                .records
                .set(key::RAW_SECURITY, encode_base64(security));
        }
        member.add_extended_attributes(&metadata.ea)?;
        if let Some(buffer) = &metadata.reparse {
            member.add_reparse(buffer)?;
        }
        if !metadata.other_streams.is_empty() {
            member
                .records
                .set(key::VENDOR_STREAMS, encode_base64(&metadata.other_streams));
        }
        member.add_holes(holes);
        Ok(member)
    }

    /// An alternate stream of a file.
    pub(super) fn stream(
        file: &FileEntry,
        stream: &[u8],
        size: u64,
        metadata: &Metadata,
        holes: Holes,
    ) -> Self {
        let mut member = Self {
            name: [file.path.as_bytes(), b":", stream].concat(),
            link_name: Vec::new(),
            mode: mode(&file.basic_info, metadata),
            type_flag: type_flag::REGULAR,
            size,
            times: Some(file.basic_info),
            records: NewRecords::default(),
            map: Vec::new(),
        };
        member.add_holes(holes);
        member
    }

    /// One more name for a file.
    pub(super) fn link(link: &LinkEntry) -> Self {
        let mut member = Self {
            name: link.path.as_bytes().to_vec(),
            link_name: link.target.as_bytes().to_vec(),
            mode: MODE_HARD_LINK,
            type_flag: type_flag::LINK,
            size: 0,
            times: link.basic_info,
            records: NewRecords::default(),
            map: Vec::new(),
        };
        if let Some(info) = &link.basic_info {
            member.add_basic_info(info);
        }
        member
    }

    /// An entry that is nothing but its name.
    pub(super) fn whiteout(name: &[u8]) -> Self {
        Self {
            name: name.to_vec(),
            link_name: Vec::new(),
            mode: 0,
            type_flag: type_flag::REGULAR,
            size: 0,
            times: None,
            records: NewRecords::default(),
            map: Vec::new(),
        }
    }

    fn add_basic_info(&mut self, info: &FileBasicInfo) {
        self.records.set(key::CREATED, info.creation_time.to_pax());
        self.records
            .set(key::FILE_ATTRIBUTES, info.attributes.bits().to_string());
    }

    /// Comes last: holes that are left out change the member's name and size.
    ///
    /// Source: GNU tar manual, "Storing Sparse Files", PAX format, version 1.0.
    fn add_holes(&mut self, holes: Holes) {
        match holes {
            Holes::None => {}
            Holes::AsZeros { record } => self.records.set(key::VENDOR_SPARSE, record),
            Holes::LeftOut { content, stored } => {
                let name = in_directory(&self.name, b"GNUSparseFile.0/");
                let name = std::mem::replace(&mut self.name, shortened(&name));
                self.records.set(key::GNU_SPARSE_MAJOR, "1");
                self.records.set(key::GNU_SPARSE_MINOR, "0");
                self.records.set(key::GNU_SPARSE_NAME, name);
                self.records
                    .set(key::GNU_SPARSE_SIZE, self.size.to_string());
                self.size = content.len() as u64 + stored;
                self.map = content;
            }
        }
    }

    /// Attributes with flags, and those whose name no record key can hold, go into ours.
    fn add_extended_attributes(&mut self, list: &[u8]) -> Result<(), TarProblem> {
        if list.is_empty() {
            return Ok(());
        }
        let mut special = Vec::new();
        for attribute in ea::decode_list(list).map_err(TarProblem::Ea)? {
            let in_key = !attribute.name.iter().any(|byte| matches!(byte, b'=' | 0));
            if in_key {
                let key = [key::EA_PREFIX, &attribute.name].concat();
                self.records.set(&key, encode_base64(&attribute.value));
            }
            if !in_key || attribute.flags != 0 {
                special.push(attribute);
            }
        }
        if !special.is_empty() {
            let list = ea::encode_list(&special).map_err(TarProblem::Ea)?;
            self.records.set(key::VENDOR_EA, encode_base64(&list));
        }
        Ok(())
    }

    /// Links become symlink entries; what a link's target does not say, and every other reparse
    /// point, goes into our record.
    fn add_reparse(&mut self, buffer: &[u8]) -> Result<(), TarProblem> {
        let point = ReparsePoint::decode(buffer).map_err(TarProblem::Reparse)?;
        let is_mount_point = matches!(point, ReparsePoint::MountPoint(_));
        let mut exact = false;
        // Readers expect no content behind a symlink entry.
        if let Some(target) = point.target().filter(|_| self.size == 0) {
            self.type_flag = type_flag::SYMLINK;
            // As the reference: the separators stay those of Windows.
            self.link_name = target;
            if is_mount_point {
                self.records.set(key::MOUNT_POINT, "1");
            }
            let read_back = with_backslashes(&self.link_name);
            exact = ReparsePoint::from_target(&read_back, is_mount_point)
                .and_then(|point| point.encode())
                .is_ok_and(|bytes| bytes == buffer);
        }
        if !exact {
            self.records.set(key::VENDOR_REPARSE, encode_base64(buffer));
        }
        Ok(())
    }

    /// Adds the records for what the header's own fields cannot hold, and returns the field for
    /// the modification time in seconds.
    fn complete_records(&mut self) -> u64 {
        if !self.link_name.is_ascii() || self.link_name.len() > MAX_NAME {
            self.records.set(key::LINK_PATH, self.link_name.clone());
        }
        if self.size > MAX_OCTAL {
            self.records.set(key::SIZE, self.size.to_string());
        }
        let Some(times) = &self.times else { return 0 };
        self.records
            .set(key::ACCESSED, times.last_access_time.to_pax());
        self.records.set(key::CHANGED, times.change_time.to_pax());
        let (field, is_exact) = modified_field(times.last_write_time);
        if !is_exact {
            self.records
                .set(key::MODIFIED, times.last_write_time.to_pax());
        }
        field
    }

    /// Writes the member's headers: the extended one where there are records, then its own.
    pub(super) fn write_headers<W: Write>(mut self, output: &mut Output<W>) -> Result<()> {
        let modified = self.complete_records();
        let mut prefix = &[][..];
        let mut name = &self.name[..];
        if !name.is_ascii() || name.len() > MAX_NAME {
            // Without other records the plain ustar form is enough for most long names.
            match split_ustar(name).filter(|_| self.records.is_empty()) {
                Some(split) => (prefix, name) = split,
                None => self.records.set(key::PATH, self.name.clone()),
            }
        }
        if !self.records.is_empty() {
            self.write_extended(output)?;
        }
        output.write(&header::encode(&NewHeader {
            name: &ascii(name),
            prefix,
            mode: self.mode,
            size: self.size,
            modified,
            type_flag: self.type_flag,
            link_name: &ascii(&self.link_name),
            device_fields: true,
        }))?;
        output.write(&self.map)
    }

    fn write_extended<W: Write>(&self, output: &mut Output<W>) -> Result<()> {
        let records = self.records.encode();
        let size = records.len() as u64;
        if size > MAX_EXTENDED_HEADER {
            let limit = MAX_EXTENDED_HEADER;
            let problem = TarProblem::ExtendedHeaderTooLarge { size, limit };
            return Err(TarError::new(&self.name, output.offset(), problem).into());
        }
        let name = shortened(&in_directory(&self.name, b"PaxHeaders.0/"));
        output.write(&header::encode(&NewHeader {
            name: &name,
            size,
            type_flag: type_flag::PAX_LOCAL,
            ..NewHeader::default()
        }))?;
        output.write(&records)?;
        output.pad(size)
    }
}

/// Puts a directory between those of a name and its last component: `DIR/PaxHeaders.0/BASE`.
fn in_directory(name: &[u8], directory: &[u8]) -> Vec<u8> {
    let base = name
        .iter()
        .rposition(|byte| *byte == b'/')
        .map_or(0, |at| at + 1);
    [&name[..base], directory, &name[base..]].concat()
}

/// Cuts a name that nothing depends on to what a header holds.
fn shortened(name: &[u8]) -> Vec<u8> {
    let mut name = ascii(name);
    name.truncate(MAX_NAME);
    let kept = name.iter().rposition(|byte| *byte != b'/');
    name.truncate(kept.map_or(0, |at| at + 1));
    name
}

/// Splits a long name at the last `/` that leaves both parts short enough for ustar.
fn split_ustar(name: &[u8]) -> Option<(&[u8], &[u8])> {
    if !name.is_ascii() {
        return None;
    }
    let window = &name[..name.len().min(MAX_PREFIX + 1)];
    let slash = window.iter().rposition(|byte| *byte == b'/')?;
    let (prefix, base) = (&name[..slash], &name[slash + 1..]);
    (!prefix.is_empty() && (1..=MAX_NAME).contains(&base.len())).then_some((prefix, base))
}

/// Drops what is not ASCII: what an old reader sees of a name that PAX carries in full.
fn ascii(text: &[u8]) -> Vec<u8> {
    text.iter()
        .copied()
        .filter(|byte| byte.is_ascii() && *byte != 0)
        .collect()
}

/// Returns the header field of a time, and whether it says all.
fn modified_field(time: FileTime) -> (u64, bool) {
    let (seconds, nanoseconds) = time.to_unix();
    match u64::try_from(seconds) {
        Ok(seconds) if seconds <= MAX_OCTAL => (seconds, nanoseconds == 0),
        _ => (0, false),
    }
}

/// The kind bits of a mode, put together as the reference does: a file without a data stream has
/// none.
fn mode(info: &FileBasicInfo, metadata: &Metadata) -> u32 {
    let is_directory = info.attributes.contains(FileAttributes::DIRECTORY);
    [
        (is_directory, MODE_DIRECTORY),
        (metadata.has_data, MODE_REGULAR),
        (is_link(metadata), MODE_SYMLINK),
    ]
    .into_iter()
    .filter_map(|(holds, bits)| holds.then_some(bits))
    .fold(0, |mode, bits| mode | bits)
}

fn is_link(metadata: &Metadata) -> bool {
    let point = metadata
        .reparse
        .as_ref()
        .and_then(|buffer| ReparsePoint::decode(buffer).ok());
    point.is_some_and(|point| point.target().is_some())
}
