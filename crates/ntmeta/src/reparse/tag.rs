//! Reparse tags: the 32-bit numbers that identify the driver behind a reparse point.

use std::fmt;

/// The tag of a reparse point; values without a name are kept.
///
/// ```
/// use ntmeta::ReparseTag;
///
/// assert_eq!(ReparseTag::SYMLINK.to_string(), "SYMLINK");
/// assert!(ReparseTag::SYMLINK.is_microsoft() && ReparseTag::SYMLINK.is_name_surrogate());
/// assert_eq!(ReparseTag(0x1234).to_string(), "0x00001234");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct ReparseTag(pub u32);

macro_rules! reparse_tags {
    ($($(#[$doc:meta])* $name:ident = $value:literal,)*) => {
        impl ReparseTag {
            $($(#[$doc])* pub const $name: Self = Self($value);)*

            /// Returns the name from `winnt.h` or [MS-FSCC], without `IO_REPARSE_TAG_`.
            pub const fn name(self) -> Option<&'static str> {
                match self.0 {
                    $($value => Some(stringify!($name)),)*
                    _ => None,
                }
            }
        }
    };
}

reparse_tags! {
    /// Mount points and junctions, which refer to another directory by an absolute path.
    MOUNT_POINT = 0xA000_0003,
    /// Symbolic links.
    SYMLINK = 0xA000_000C,
    /// Windows overlay filter: compressed system files, files in a WIM.
    WOF = 0x8000_0017,
    /// Windows container isolation: a placeholder for a file of a parent layer.
    WCI = 0x8000_0018,
    /// Windows container isolation, with the directory bit.
    WCI_1 = 0x9000_1018,
    /// Windows container isolation: a deleted file of a parent layer.
    WCI_TOMBSTONE = 0xA000_001F,
    /// Windows container isolation: a link.
    WCI_LINK = 0xA000_0027,
    /// Windows container isolation: a link.
    WCI_LINK_1 = 0xA000_1027,
    /// Composite image file system: the data is not in this layer.
    DATALESS_CIM = 0xA000_0028,
    /// Windows Subsystem for Linux: a symbolic link, with its target in UTF-8.
    LX_SYMLINK = 0xA000_001D,
    /// Windows Subsystem for Linux: a named pipe.
    LX_FIFO = 0x8000_0024,
    /// Windows Subsystem for Linux: a character device.
    LX_CHR = 0x8000_0025,
    /// Windows Subsystem for Linux: a block device.
    LX_BLK = 0x8000_0026,
    /// A Unix domain socket.
    AF_UNIX = 0x8000_0023,
    /// An execution alias of a packaged application.
    APPEXECLINK = 0x8000_001B,
    /// Named pipe symbolic links of server silos.
    GLOBAL_REPARSE = 0xA000_0019,
    /// Data deduplication.
    DEDUP = 0x8000_0013,
    /// Single instance storage.
    SIS = 0x8000_0007,
    /// A file in a mounted WIM image.
    WIM = 0x8000_0008,
    /// Cluster shared volumes.
    CSV = 0x8000_0009,
    /// Distributed file system.
    DFS = 0x8000_000A,
    /// Distributed file system, namespace filter.
    DFSR = 0x8000_0012,
    /// Network file system.
    NFS = 0x8000_0014,
    /// Files that exist only on the network, Windows 8.1.
    FILE_PLACEHOLDER = 0x8000_0015,
    /// Dynamic file system filter.
    DFM = 0x8000_0016,
    /// Hierarchical storage management, obsolete.
    HSM = 0xC000_0004,
    /// Hierarchical storage management, obsolete.
    HSM2 = 0x8000_0006,
    /// Drive extender of Windows Home Server.
    DRIVE_EXTENDER = 0x8000_0005,
    /// Filter manager test harness.
    FILTER_MANAGER = 0x8000_000B,
    /// Cache of Internet Information Services.
    IIS_CACHE = 0xA000_0010,
    /// Streams of packaged applications.
    APPXSTRM = 0xC000_0014,
    /// Projected file system.
    PROJFS = 0x9000_001C,
    /// Projected file system: a deleted file.
    PROJFS_TOMBSTONE = 0xA000_0022,
    /// Azure File Sync.
    STORAGE_SYNC = 0x8000_001E,
    /// Azure File Sync: a folder.
    STORAGE_SYNC_FOLDER = 0x9000_0027,
    /// All filters ignore this tag.
    UNHANDLED = 0x8000_0020,
    /// OneDrive before the cloud files driver.
    ONEDRIVE = 0x8000_0021,
    /// Cloud files driver.
    CLOUD = 0x9000_001A,
    /// Cloud files driver, state 1.
    CLOUD_1 = 0x9000_101A,
    /// Cloud files driver, state 2.
    CLOUD_2 = 0x9000_201A,
    /// Cloud files driver, state 3.
    CLOUD_3 = 0x9000_301A,
    /// Cloud files driver, state 4.
    CLOUD_4 = 0x9000_401A,
    /// Cloud files driver, state 5.
    CLOUD_5 = 0x9000_501A,
    /// Cloud files driver, state 6.
    CLOUD_6 = 0x9000_601A,
    /// Cloud files driver, state 7.
    CLOUD_7 = 0x9000_701A,
    /// Cloud files driver, state 8.
    CLOUD_8 = 0x9000_801A,
    /// Cloud files driver, state 9.
    CLOUD_9 = 0x9000_901A,
    /// Cloud files driver, state 10.
    CLOUD_A = 0x9000_A01A,
    /// Cloud files driver, state 11.
    CLOUD_B = 0x9000_B01A,
    /// Cloud files driver, state 12.
    CLOUD_C = 0x9000_C01A,
    /// Cloud files driver, state 13.
    CLOUD_D = 0x9000_D01A,
    /// Cloud files driver, state 14.
    CLOUD_E = 0x9000_E01A,
    /// Cloud files driver, state 15.
    CLOUD_F = 0x9000_F01A,
}

impl ReparseTag {
    /// Returns whether the tag belongs to Microsoft (bit 31); all other tags come with a GUID.
    pub const fn is_microsoft(self) -> bool {
        self.0 & 0x8000_0000 != 0
    }

    /// Returns whether the file stands for another named entity, like a symbolic link (bit 29).
    pub const fn is_name_surrogate(self) -> bool {
        self.0 & 0x2000_0000 != 0
    }

    /// Returns whether a directory with this tag may have children (bit 28).
    pub const fn is_directory(self) -> bool {
        self.0 & 0x1000_0000 != 0
    }
}

/// Writes the name, or the number in hexadecimal.
impl fmt::Display for ReparseTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "{:#010x}", self.0),
        }
    }
}

impl fmt::Debug for ReparseTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ReparseTag({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_high_bits_classify_a_tag() {
        let bits = |tag: ReparseTag| {
            [
                tag.is_microsoft(),
                tag.is_name_surrogate(),
                tag.is_directory(),
            ]
        };
        assert_eq!(bits(ReparseTag::SYMLINK), [true, true, false]);
        assert_eq!(bits(ReparseTag::WOF), [true, false, false]);
        assert_eq!(bits(ReparseTag::WCI_1), [true, false, true]);
        assert_eq!(bits(ReparseTag(0x123)), [false, false, false]);
    }

    #[test]
    fn display_is_the_name_or_the_number() {
        assert_eq!(ReparseTag::WCI_TOMBSTONE.to_string(), "WCI_TOMBSTONE");
        assert_eq!(ReparseTag(0x123).to_string(), "0x00000123");
    }
}
