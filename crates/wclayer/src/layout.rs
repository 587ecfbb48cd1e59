//! Every name that has a meaning in a layer.
//!
//! Sources: image-spec `layer.md` (whiteouts), hcsshim `internal/wclayer/legacy.go` and
//! `pkg/ociwclayer` (directories and the boot files), go-winio `backuptar/tar.go` (PAX keys, which
//! live in [`crate::tar`]).

/// The directory of the volume's files.
pub const FILES: &str = "Files";
/// The directory of registry hives (a base layer) or hive deltas (a layer above one).
pub const HIVES: &str = "Hives";
/// The directory of the utility VM.
pub const UTILITY_VM: &str = "UtilityVM";
/// The prefix of the base name of a whiteout entry; the rest names what is removed.
pub const WHITEOUT_PREFIX: &[u8] = b".wh.";
/// The base name of an opaque whiteout: everything the parents have in its directory is gone.
pub const OPAQUE_WHITEOUT: &[u8] = b".wh..wh..opq";
/// The file in a layer folder that lists the parents' folders, nearest first.
pub const LAYER_CHAIN: &str = "layerchain.json";
