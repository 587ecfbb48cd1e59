//! Rules on registry hives.

use ntmeta::{HiveError, hive};

use super::Rule;
use crate::layout::{self, HIVES};
use crate::path::LayerPath;

/// The boot configuration of the utility VM, which is a hive as well.
pub(super) const BCD: &str = layout::BOOT_FILES[0].0;
/// Where the bins of a hive start, in bytes, and the bytes at the start of each bin.
const BINS: (usize, &[u8]) = (4096, b"hbin");
/// How much of a hive is checked, in bytes.
pub(super) const START: usize = BINS.0 + BINS.1.len();

/// The content of a hive.
pub(super) struct Hive<'a> {
    /// Its first [`START`] bytes, or fewer if it is shorter.
    pub(super) start: &'a [u8],
    /// Its length in bytes.
    pub(super) size: u64,
    /// Whether holes are left out of `start`, so that the offsets of its bytes are unknown.
    pub(super) is_packed: bool,
}

/// Returns whether a path is that of a registry hive.
pub(super) fn is_hive(path: &LayerPath) -> bool {
    let is_delta = || {
        let mut names = layout::HIVE_DELTAS.iter().chain(&layout::BASE_HIVE_LINKS);
        names.any(|name| layout::is(path, &format!("{HIVES}/{name}")))
    };
    layout::BASE_HIVES.iter().any(|hive| layout::is(path, hive))
        || layout::is(path, BCD)
        || (layout::is_below(path, HIVES) && is_delta())
}

/// Checks the name of an entry below `Hives`.
pub(super) fn is_name_known(path: &LayerPath, is_base: bool) -> bool {
    let is_one_of = |names: &[&str]| {
        let in_hives = |name: &&str| layout::is(path, &format!("{HIVES}/{name}"));
        names.iter().any(in_hives)
    };
    is_one_of(&layout::HIVE_DELTAS) || (is_base && is_one_of(&layout::BASE_HIVE_LINKS))
}

/// Returns the rule that a hive breaks, and how.
pub(super) fn check(content: &Hive<'_>) -> Option<(Rule, String)> {
    match hive::check(content.start, content.size) {
        Ok(()) if content.is_packed => None,
        Ok(())
            if content
                .start
                .get(BINS.0..)
                .is_some_and(|bins| bins == BINS.1) =>
        {
            None
        }
        Ok(()) => {
            let detail = format!("no `hbin` at byte {:#x}: its bins are damaged", BINS.0);
            Some((Rule::HiveMalformed, detail))
        }
        Err(_) if content.size == 0 => Some((Rule::HiveEmpty, String::new())),
        Err(error @ HiveError::Unfinished { .. }) => {
            Some((Rule::HiveUnfinished, error.to_string()))
        }
        Err(error) => Some((Rule::HiveMalformed, error.to_string())),
    }
}
