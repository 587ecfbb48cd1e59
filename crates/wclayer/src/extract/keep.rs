//! What the host keeps of an entry beside its content: times, and with `xattrs` all else.
//!
//! | on an NTFS mount | elsewhere | value |
//! |---|---|---|
//! | `system.ntfs_acl` | `user.ntfs_acl` | the self-relative security descriptor |
//! | `system.ntfs_attrib_be` | `user.ntfs_attrib_be` | the attributes, 32 bits, big-endian |
//! | `system.ntfs_times_be` | `user.ntfs_times_be` | creation, last write, last access and change: 64 bits each, big-endian, 100 ns since 1601 |
//! | `system.ntfs_reparse_data` | `user.ntfs_reparse_data` | the `REPARSE_DATA_BUFFER` |
//! | `system.ntfs_ea` | `user.ntfs_ea` | the `FILE_FULL_EA_INFORMATION` list |
//! | `user.DosStream.NAME:$DATA` | the same | an alternate stream, and a zero byte behind it |
//!
//! An NTFS mount is the kernel's ntfs3 and what FUSE mounts (ntfs-3g); what is refused there under
//! its first name is tried under the second.
//!
//! Sources: ntfs-3g, "Extended Attributes" (names and values; the order of the times is that of
//! `ntfs_inode_get_times`); Samba, `vfs_streams_xattr(8)` (prefix and `:$DATA`) and that module's
//! own reading, which takes the last byte off.

use std::io;

use cap_std::fs::Dir;
use ntmeta::{FileAttributes, FileBasicInfo, FileTime};

use super::report::{Extracted, Loss};
use super::stream::{Metadata, Value};
use crate::path::LayerPath;

/// Attributes that say what an entry is, or nothing.
const PLAIN: FileAttributes = FileAttributes::DIRECTORY
    .union(FileAttributes::NORMAL)
    .union(FileAttributes::ARCHIVE)
    .union(FileAttributes::SPARSE_FILE)
    .union(FileAttributes::REPARSE_POINT);

/// Keeps what can be kept.
#[derive(Debug, Clone, Copy)]
pub(super) struct Keeper {
    xattrs: bool,
    is_ntfs: bool,
}

impl Keeper {
    pub(super) fn new(dir: &Dir, xattrs: bool) -> Self {
        Self {
            xattrs,
            is_ntfs: xattrs && is_ntfs(dir),
        }
    }

    /// Returns whether extended attributes are wanted.
    pub(super) fn wants_xattrs(self) -> bool {
        self.xattrs
    }

    /// Keeps the metadata of a file or directory, and counts what is lost. `None` is for links,
    /// which cannot have any.
    pub(super) fn keep(
        self,
        object: Option<&std::fs::File>,
        path: &LayerPath,
        info: &FileBasicInfo,
        metadata: &Metadata,
        report: &mut Extracted,
    ) {
        let object = object.filter(|_| self.xattrs);
        let mut try_value = |loss, name: &str, value: &Option<Value>| {
            let Some(value) = value else { return };
            let bytes = value.bytes.as_deref();
            let kept = object.zip(bytes);
            if !kept.is_some_and(|(object, bytes)| self.set_ntfs(object, name, bytes)) {
                report.lost(loss, value.size, || path.to_string());
            }
        };
        try_value(Loss::SecurityDescriptors, "ntfs_acl", &metadata.security);
        try_value(Loss::ExtendedAttributes, "ntfs_ea", &metadata.ea);
        if object.is_some() {
            try_value(Loss::ReparseData, "ntfs_reparse_data", &metadata.reparse);
        }
        for (name, value) in &metadata.streams {
            if !object.is_some_and(|object| set_stream(object, name, value)) {
                report.lost(Loss::AlternateStreams, value.size, || named(path, name));
            }
        }
        for (loss, (count, bytes)) in [
            (Loss::AlternateStreams, metadata.more_streams),
            (Loss::OtherStreams, metadata.others),
        ] {
            for number in 0..count {
                // The bytes are known of all together.
                report.lost(loss, if number == 0 { bytes } else { 0 }, || {
                    path.to_string()
                });
            }
        }
        let attributes = info.attributes.bits().to_be_bytes();
        let lost = info
            .attributes
            .difference(PLAIN | shown_otherwise(info.attributes));
        if !object.is_some_and(|object| self.set_ntfs(object, "ntfs_attrib_be", &attributes))
            && !lost.is_empty()
        {
            report.lost(Loss::Attributes, 4, || path.to_string());
        }
        let times = [
            info.creation_time,
            info.last_write_time,
            info.last_access_time,
            info.change_time,
        ];
        let times = times.map(|time| time.ticks().to_be_bytes()).concat();
        if !object.is_some_and(|object| self.set_ntfs(object, "ntfs_times_be", &times)) {
            report.lost(Loss::Times, 16, || path.to_string());
        }
    }

    fn set_ntfs(self, object: &std::fs::File, name: &str, value: &[u8]) -> bool {
        (self.is_ntfs && set(object, &format!("system.{name}"), value))
            || set(object, &format!("user.{name}"), value)
    }
}

/// Returns the read-only attribute of a file, which becomes its permissions.
fn shown_otherwise(attributes: FileAttributes) -> FileAttributes {
    match cfg!(unix) && !attributes.contains(FileAttributes::DIRECTORY) {
        true => FileAttributes::READONLY,
        false => FileAttributes::empty(),
    }
}

fn named(path: &LayerPath, stream: &[u8]) -> String {
    format!("{path}:{}", ntmeta::wide::display(stream))
}

fn set_stream(object: &std::fs::File, name: &[u8], value: &Value) -> bool {
    let (Ok(name), Some(bytes)) = (std::str::from_utf8(name), &value.bytes) else {
        return false;
    };
    let mut terminated = Vec::with_capacity(bytes.len() + 1);
    terminated.extend_from_slice(bytes);
    terminated.push(0);
    set(object, &format!("user.DosStream.{name}:$DATA"), &terminated)
}

/// Takes the write permission of a file away.
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

/// Returns a time for the host; `None` when it has none, or the layer does not tell it.
pub(super) fn host_time(time: FileTime) -> Option<std::time::SystemTime> {
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
fn is_ntfs(dir: &Dir) -> bool {
    /// `NTFS_SB_MAGIC`, ntfs3's, `FUSE_SUPER_MAGIC`.
    const MAGIC: [u32; 3] = [0x5346_544E, 0x7366_746E, 0x6573_5546];
    // The field has another type on every processor; the numbers have 32 bits.
    rustix::fs::fstatfs(dir).is_ok_and(|disk| MAGIC.contains(&(disk.f_type as u32)))
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn is_ntfs(_: &Dir) -> bool {
    false
}
