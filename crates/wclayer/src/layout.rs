//! Every name with a meaning in a layer.
//!
//! Sources: image-spec `layer.md` (whiteouts), hcsshim `internal/wclayer/legacy.go` and
//! `pkg/ociwclayer` (directories and the boot files), go-winio `backuptar/tar.go` (PAX keys, which
//! live in [`crate::tar`]).

use crate::error::{Error, Result};
use crate::path::LayerPath;

/// The directory with the files of the volume.
pub const FILES: &str = "Files";
/// The directory of registry hives (a base layer) or hive deltas (a layer above one).
pub const HIVES: &str = "Hives";
/// The directory of the utility VM.
pub const UTILITY_VM: &str = "UtilityVM";
/// The prefix of the base name of a whiteout; the rest is the name that is removed.
pub const WHITEOUT_PREFIX: &[u8] = b".wh.";
/// The base name of an opaque whiteout, which removes everything that the parents have in its
/// directory.
pub const OPAQUE_WHITEOUT: &[u8] = b".wh..wh..opq";
/// The file in a layer folder that lists the parents' folders, nearest first.
pub const LAYER_CHAIN: &str = "layerchain.json";
/// The disk of a scratch layer.
pub const SCRATCH_DISK: &str = "sandbox.vhdx";
/// A directory in `Files` whose content belongs to nobody.
pub const RECYCLE_BIN: &str = "Files/$Recycle.Bin";
/// The directory of the utility VM's files, a path of two components.
pub const UTILITY_VM_FILES: &str = "UtilityVM/Files";
/// The suffix of a file in a transport folder that contains the attributes and the backup stream of a
/// directory.
pub const DIRECTORY_SUFFIX: &str = ".$wcidirs$";
/// The file of a transport folder that lists the removals of the layer.
pub const TOMBSTONES: &str = "tombstones.txt";
/// The hive deltas in `Hives` of a layer with parents.
pub const HIVE_DELTAS: [&str; 5] = [
    "DefaultUser_Delta",
    "Sam_Delta",
    "Security_Delta",
    "Software_Delta",
    "System_Delta",
];
/// The whole hives of a base layer, in the order of the deltas that change them.
pub const BASE_HIVES: [&str; 5] = [
    "Files/Windows/System32/config/DEFAULT",
    "Files/Windows/System32/config/SAM",
    "Files/Windows/System32/config/SECURITY",
    "Files/Windows/System32/config/SOFTWARE",
    "Files/Windows/System32/config/SYSTEM",
];
/// The further names of the same hives in `Hives` of a base layer, as ProcessBaseImage creates them,
/// in the same order.
pub const BASE_HIVE_LINKS: [&str; 5] = [
    "DefaultUser_Base",
    "Sam_Base",
    "Security_Base",
    "Software_Base",
    "System_Base",
];
/// The largest number of further names of a file on NTFS, and so of hard links to one another.
pub const MAX_FURTHER_NAMES: u32 = 1023;
/// The files of the utility VM that Windows changes during an import, each with the file in the layer
/// folder that keeps the original.
pub const BOOT_FILES: [(&str, &str); 4] = [
    ("UtilityVM/Files/EFI/Microsoft/Boot/BCD", "bcd.bak"),
    ("UtilityVM/Files/EFI/Microsoft/Boot/BCD.LOG", "bcd.log.bak"),
    (
        "UtilityVM/Files/EFI/Microsoft/Boot/BCD.LOG1",
        "bcd.log1.bak",
    ),
    (
        "UtilityVM/Files/EFI/Microsoft/Boot/BCD.LOG2",
        "bcd.log2.bak",
    ),
];

/// Returns whether a path is a well-known one.
pub(crate) fn is(path: &LayerPath, name: &str) -> bool {
    path.as_bytes().eq_ignore_ascii_case(name.as_bytes())
}

/// Returns whether a path is below a well-known one.
pub(crate) fn is_below(path: &LayerPath, directory: &str) -> bool {
    let (path, directory) = (path.as_bytes(), directory.as_bytes());
    path.len() > directory.len()
        && path[directory.len()] == b'/'
        && path[..directory.len()].eq_ignore_ascii_case(directory)
}

/// Returns whether a path is a well-known one or below it.
pub(crate) fn is_in(path: &LayerPath, top: &str) -> bool {
    is(path, top) || is_below(path, top)
}

/// Returns whether a hard link may lead from one path to the other: each is below `Files` or below
/// `UtilityVM/Files`, in any combination. Base images share files between the two trees.
///
/// Source: hcsshim `internal/wclayer/legacy.go`, `AddLink`.
pub(crate) fn is_link_allowed(path: &LayerPath, target: &LayerPath) -> bool {
    let has_place = |path| {
        [FILES, UTILITY_VM_FILES]
            .iter()
            .any(|top| is_below(path, top))
    };
    has_place(path) && has_place(target)
}

/// Returns whether a file of this name describes a directory of a transport folder.
pub(crate) fn describes_directory(name: &[u8]) -> bool {
    let suffix = DIRECTORY_SUFFIX.as_bytes();
    name.len() >= suffix.len() && name[name.len() - suffix.len()..].eq_ignore_ascii_case(suffix)
}

/// Returns the path of the file that describes a directory of a transport folder.
pub(crate) fn directory_file(directory: &LayerPath) -> Result<LayerPath> {
    let name = [directory.as_bytes(), DIRECTORY_SUFFIX.as_bytes()].concat();
    LayerPath::parse(&name).map_err(|source| Error::Path {
        path: directory.to_string(),
        source,
    })
}

/// Returns the path of a well-known name.
pub(crate) fn path(name: &str) -> LayerPath {
    LayerPath::parse(name.as_bytes()).expect("a name of this module is a path")
}
