//! Keeps the metadata of an entry on the host: times, and with `xattrs` everything else.
//!
//! | ntfs-3g | ntfs3 | elsewhere | value |
//! |---|---|---|---|
//! | `system.ntfs_acl` | `system.ntfs_security` | `user.ntfs_acl` | the self-relative security descriptor |
//! | `system.ntfs_attrib_be` | the same | `user.ntfs_attrib_be` | the attributes, 32 bits, big-endian |
//! | `system.ntfs_times_be` | as elsewhere | `user.ntfs_times_be` | creation, last write, last access and change: 64 bits each, big-endian, 100 ns since 1601; ntfs-3g leaves out the last |
//! | `system.ntfs_reparse_data` | as elsewhere | `user.ntfs_reparse_data` | the `REPARSE_DATA_BUFFER` |
//! | `system.ntfs_ea` | as elsewhere | `user.ntfs_ea` | the `FILE_FULL_EA_INFORMATION` list; for ntfs-3g the last entry, too, tells its length |
//! | `user.NAME` | as elsewhere | `user.DosStream.NAME:$DATA` | an alternate stream, elsewhere with a zero byte behind it |
//!
//! ntfs-3g is recognised as a FUSE file system with `system.ntfs_attrib_be` on a directory. A value
//! that it refuses is lost, because a `user.` name would be an alternate stream there. A value that
//! ntfs3 refuses under its own name is tried under the name for other systems; to ntfs3, other
//! names that start with `system.` are ordinary extended attributes.
//!
//! Sources: ntfs-3g, "Extended Attributes" (names and values; the order of the times is that of
//! `ntfs_inode_get_times`) and observed with ntfs-3g 2022.10.3 (change time, lengths in the EA
//! list, nothing can be set after an unknown reparse point); Linux `fs/ntfs3/xattr.c`; Samba,
//! `vfs_streams_xattr(8)` (prefix and `:$DATA`) and that module's source, which removes the last
//! byte on reading.

use std::io;
use std::time::{Duration, SystemTime};

use cap_std::fs::Dir;
use ntmeta::{FileAttributes, FileBasicInfo, FileTime};

use super::report::{Extracted, Loss};
use super::stream::{Metadata, Value};
use crate::path::LayerPath;

/// Attributes that follow from the kind of entry, or mean nothing.
const PLAIN: FileAttributes = FileAttributes::DIRECTORY
    .union(FileAttributes::NORMAL)
    .union(FileAttributes::ARCHIVE)
    .union(FileAttributes::SPARSE_FILE)
    .union(FileAttributes::REPARSE_POINT);

/// Keeps all metadata that the host can hold.
#[derive(Debug, Clone, Copy)]
pub(super) struct Keeper {
    xattrs: Option<Names>,
}

/// The system whose names extended attributes get.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(
    not(any(target_os = "linux", target_os = "android")),
    expect(dead_code, reason = "only Linux has these drivers")
)]
enum Names {
    Ntfs3g,
    Ntfs3,
    User,
}

impl Keeper {
    pub(super) fn new(dir: &Dir, xattrs: bool) -> Self {
        Self {
            xattrs: xattrs.then(|| names_on(dir)),
        }
    }

    /// Returns whether extended attributes are wanted.
    pub(super) fn wants_xattrs(self) -> bool {
        self.xattrs.is_some()
    }

    /// Keeps the metadata of a file or directory, except its reparse data, and counts the losses.
    /// Links cannot have metadata; pass `None` for them. Returns whether the times are kept.
    pub(super) fn keep(
        self,
        object: Option<&std::fs::File>,
        path: &LayerPath,
        info: &FileBasicInfo,
        metadata: &Metadata,
        report: &mut Extracted,
    ) -> bool {
        let object = object.zip(self.xattrs).map(Object::of);
        self.keep_streams(object, path, metadata, report);
        keep_attributes(object, path, info, report);
        let has_times = keep_times(object, path, info, report);
        let value = (Loss::SecurityDescriptors, "ntfs_acl", &metadata.security);
        keep_value(object, path, value, report);
        has_times
    }

    /// Keeps reparse data. This has to come last: afterwards, ntfs-3g refuses everything.
    pub(super) fn keep_reparse(
        self,
        object: Option<&std::fs::File>,
        path: &LayerPath,
        reparse: &Option<Value>,
        report: &mut Extracted,
    ) {
        let object = object.zip(self.xattrs).map(Object::of);
        let value = (Loss::ReparseData, "ntfs_reparse_data", reparse);
        keep_value(object, path, value, report);
    }

    fn keep_streams(
        self,
        object: Option<Object<'_>>,
        path: &LayerPath,
        metadata: &Metadata,
        report: &mut Extracted,
    ) {
        let value = (Loss::ExtendedAttributes, "ntfs_ea", &metadata.ea);
        keep_value(object, path, value, report);
        for (name, value) in &metadata.streams {
            if !object.is_some_and(|object| object.set_stream(name, value)) {
                report.lost(Loss::AlternateStreams, value.size, || named(path, name));
            }
        }
        for (loss, (count, bytes)) in [
            (Loss::AlternateStreams, metadata.more_streams),
            (Loss::OtherStreams, metadata.others),
        ] {
            for number in 0..count {
                // Only the total of the bytes is known.
                report.lost(loss, if number == 0 { bytes } else { 0 }, || {
                    path.to_string()
                });
            }
        }
    }
}

fn keep_value(
    object: Option<Object<'_>>,
    path: &LayerPath,
    (loss, name, value): (Loss, &str, &Option<Value>),
    report: &mut Extracted,
) {
    let Some(value) = value else { return };
    let kept = object.zip(value.bytes.as_deref());
    if !kept.is_some_and(|(object, bytes)| object.set(name, bytes)) {
        report.lost(loss, value.size, || path.to_string());
    }
}

fn keep_attributes(
    object: Option<Object<'_>>,
    path: &LayerPath,
    info: &FileBasicInfo,
    report: &mut Extracted,
) {
    let wanted = info.attributes;
    let bits = wanted.bits().to_be_bytes();
    let mut lost = wanted.difference(PLAIN | shown_otherwise(wanted));
    if let Some(object) = object
        && object.set("ntfs_attrib_be", &bits)
    {
        // An NTFS driver accepts some attributes and silently ignores the others.
        let has = object.attributes().unwrap_or(wanted);
        lost = wanted.difference(PLAIN | has);
    }
    if !lost.is_empty() {
        report.lost(Loss::Attributes, 4, || path.to_string());
    }
}

/// Returns whether the times of creation, last write and last access are kept.
fn keep_times(
    object: Option<Object<'_>>,
    path: &LayerPath,
    info: &FileBasicInfo,
    report: &mut Extracted,
) -> bool {
    let times = [
        info.creation_time,
        info.last_write_time,
        info.last_access_time,
        info.change_time,
    ];
    let times = times.map(|time| time.ticks().to_be_bytes()).concat();
    let kept = object.filter(|object| object.set("ntfs_times_be", &times));
    match kept {
        None => report.lost(Loss::Times, 16, || path.to_string()),
        Some(object) if object.names == Names::Ntfs3g => {
            if info.change_time != FileTime::default() {
                report.lost(Loss::Times, 8, || path.to_string());
            }
        }
        Some(_) => {}
    }
    kept.is_some()
}

/// A file or directory to set extended attributes on.
#[derive(Clone, Copy)]
struct Object<'a> {
    file: &'a std::fs::File,
    names: Names,
}

impl<'a> Object<'a> {
    fn of((file, names): (&'a std::fs::File, Names)) -> Self {
        Self { file, names }
    }

    /// Sets a value under the first name that the system accepts.
    fn set(self, name: &str, value: &[u8]) -> bool {
        let (own, elsewhere) = match (self.names, name) {
            (Names::Ntfs3g, "ntfs_ea") => {
                let value = with_last_length(value);
                return value.is_some_and(|value| set(self.file, "system.ntfs_ea", &value));
            }
            (Names::Ntfs3g, name) => return set(self.file, &format!("system.{name}"), value),
            (Names::Ntfs3, "ntfs_acl") => (Some("system.ntfs_security"), name),
            (Names::Ntfs3, "ntfs_attrib_be") => (Some("system.ntfs_attrib_be"), name),
            (_, name) => (None, name),
        };
        own.is_some_and(|own| set(self.file, own, value))
            || set(self.file, &format!("user.{elsewhere}"), value)
    }

    fn set_stream(self, name: &[u8], value: &Value) -> bool {
        let (Ok(name), Some(bytes)) = (std::str::from_utf8(name), &value.bytes) else {
            return false;
        };
        if self.names == Names::Ntfs3g {
            return set(self.file, &format!("user.{name}"), bytes);
        }
        let terminated = [&bytes[..], &[0]].concat();
        set(
            self.file,
            &format!("user.DosStream.{name}:$DATA"),
            &terminated,
        )
    }

    /// Returns the attributes that an NTFS driver has set.
    fn attributes(self) -> Option<FileAttributes> {
        (self.names != Names::User).then_some(())?;
        attributes_of(self.file)
    }
}

/// Returns an EA list with a length in every entry, including the last; `None` if it is malformed.
fn with_last_length(list: &[u8]) -> Option<Vec<u8>> {
    /// Next offset (32 bits), flags (8), length of the name (8) and of the value (16).
    const HEADER: usize = 8;
    let mut start = 0_usize;
    loop {
        let entry = list.get(start..)?;
        let next = u32::from_le_bytes(*entry.first_chunk()?);
        if next != 0 {
            start = start.checked_add(usize::try_from(next).ok()?)?;
            continue;
        }
        let name = usize::from(*entry.get(5)?);
        let value = u16::from_le_bytes(*entry.get(6..)?.first_chunk()?);
        let length = HEADER + name + 1 + usize::from(value);
        let padded = length.next_multiple_of(4);
        let mut list = [&list[..start], entry.get(..length)?].concat();
        list.resize(start + padded, 0);
        list[start..start + 4].copy_from_slice(&u32::try_from(padded).ok()?.to_le_bytes());
        return Some(list);
    }
}

/// Returns the read-only attribute of a file, which determines its permissions.
fn shown_otherwise(attributes: FileAttributes) -> FileAttributes {
    match cfg!(unix) && !attributes.contains(FileAttributes::DIRECTORY) {
        true => FileAttributes::READONLY,
        false => FileAttributes::empty(),
    }
}

fn named(path: &LayerPath, stream: &[u8]) -> String {
    format!("{path}:{}", ntmeta::wide::display(stream))
}

/// Removes the write permission of a file.
pub(super) fn make_read_only(file: &std::fs::File) -> io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = file.metadata()?.permissions().mode();
        file.set_permissions(std::fs::Permissions::from_mode(mode & !0o222))?;
    }
    #[cfg(not(unix))]
    let _ = file;
    Ok(())
}

/// Sets the times of last write and access of an open file; returns whether the host holds them.
pub(super) fn set_file_times(file: &std::fs::File, info: &FileBasicInfo) -> bool {
    let mut times = std::fs::FileTimes::new();
    if let Some(time) = host_time(info.last_write_time) {
        times = times.set_modified(time);
    }
    if let Some(time) = host_time(info.last_access_time) {
        times = times.set_accessed(time);
    }
    let all = || {
        let there = file.metadata().ok()?;
        there.modified().ok().zip(there.accessed().ok())
    };
    file.set_times(times).is_ok() && are_held(info, all)
}

/// Returns whether a host that has just taken the times of last write and access holds them: file
/// systems round times that are too early or too late.
pub(super) fn are_held(
    info: &FileBasicInfo,
    there: impl FnOnce() -> Option<(SystemTime, SystemTime)>,
) -> bool {
    /// All file systems hold the times between 1980, where FAT starts, and 2038, where 32 bits end.
    const USUAL: std::ops::Range<u64> = 315_619_200..2_147_483_647;
    /// FAT has the coarsest clock.
    const NEAR: Duration = Duration::from_secs(2);
    let told = [info.last_write_time, info.last_access_time]
        .map(|time| (time != FileTime::default()).then(|| SystemTime::try_from(time).ok()));
    let is_usual = |time: &Option<Option<SystemTime>>| match time {
        None => true,
        Some(Some(time)) => time
            .duration_since(SystemTime::UNIX_EPOCH)
            .is_ok_and(|since| USUAL.contains(&since.as_secs())),
        Some(None) => false,
    };
    if told.iter().all(is_usual) {
        return true;
    }
    let Some((modified, accessed)) = there() else {
        return false;
    };
    let is_near = |(told, there): (Option<Option<SystemTime>>, SystemTime)| match told {
        None => true,
        Some(None) => false,
        Some(Some(time)) => match time.duration_since(there) {
            Ok(apart) => apart < NEAR,
            Err(apart) => apart.duration() < NEAR,
        },
    };
    told.into_iter().zip([modified, accessed]).all(is_near)
}

/// Returns a time for the host; `None` if the host cannot represent it or the layer does not have
/// it.
pub(super) fn host_time(time: FileTime) -> Option<SystemTime> {
    (time != FileTime::default()).then_some(())?;
    time.try_into().ok()
}

#[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
fn set(object: &std::fs::File, name: &str, value: &[u8]) -> bool {
    rustix::fs::fsetxattr(object, name, value, rustix::fs::XattrFlags::empty()).is_ok()
}

#[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
fn set(_: &std::fs::File, _: &str, _: &[u8]) -> bool {
    false
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn names_on(dir: &Dir) -> Names {
    /// `NTFS3`'s, then `FUSE_SUPER_MAGIC`.
    const NTFS3: u32 = 0x7366_746E;
    const FUSE: u32 = 0x6573_5546;
    // The type of the field depends on the processor; the numbers have 32 bits.
    let magic = rustix::fs::fstatfs(dir).map_or(0, |disk| disk.f_type as u32);
    // The handle only allows lookups of names.
    let answers = || {
        let dir = dir.open(".").ok()?.into_std();
        attributes_of(&dir)
    };
    match magic {
        NTFS3 => Names::Ntfs3,
        FUSE if answers().is_some() => Names::Ntfs3g,
        _ => Names::User,
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn names_on(_: &Dir) -> Names {
    Names::User
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn attributes_of(object: &std::fs::File) -> Option<FileAttributes> {
    let mut bits = [0; 4];
    let length = rustix::fs::fgetxattr(object, "system.ntfs_attrib_be", &mut bits[..]).ok()?;
    let bits = u32::from_be_bytes(bits);
    (length == 4).then(|| FileAttributes::from_bits_retain(bits))
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn attributes_of(_: &std::fs::File) -> Option<FileAttributes> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_extended_attribute_has_a_length_too() {
        let first = b"\x10\0\0\0\0\x03\x03\0FOO\0bar\0";
        let list = |last: &[u8]| [&first[..], last].concat();
        for (last, rewritten) in [
            (
                &b"\0\0\0\0\0\x01\x02\0B\0xy"[..],
                &b"\x0C\0\0\0\0\x01\x02\0B\0xy"[..],
            ),
            (b"\0\0\0\0\0\x01\x01\0B\0x", b"\x0C\0\0\0\0\x01\x01\0B\0x\0"),
            (
                b"\0\0\0\0\0\x01\x01\0B\0x\0\0\0",
                b"\x0C\0\0\0\0\x01\x01\0B\0x\0",
            ),
        ] {
            let rewritten = list(rewritten);
            assert_eq!(with_last_length(&list(last)).as_ref(), Some(&rewritten));
        }
        for damaged in [&b""[..], b"\0\0\0\0\0\x01\x09\0B\0x", b"\x10\0\0\0"] {
            assert_eq!(with_last_length(damaged), None);
        }
    }
}
