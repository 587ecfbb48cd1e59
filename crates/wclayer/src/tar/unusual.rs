//! Unusual but legal properties of a layer tar, reported once for all entries.

use ntmeta::wide;

use super::members::ArchiveEnd;
use crate::layout;

/// Returns whether a name, in any letter case, is in one of the three directories of a layer.
fn is_in_layer(name: &[u8]) -> bool {
    let top = name
        .split(|byte| matches!(byte, b'/' | b'\\'))
        .find(|component| !matches!(*component, b"" | b"."));
    let top = top.unwrap_or_default();
    let top = top.strip_prefix(layout::WHITEOUT_PREFIX).unwrap_or(top);
    [layout::FILES, layout::HIVES, layout::UTILITY_VM]
        .iter()
        .any(|known| top.eq_ignore_ascii_case(known.as_bytes()))
}

/// The findings so far.
#[derive(Debug, Default)]
pub(super) struct Unusual {
    /// The number of entries with a time that Windows cannot store; the key and the name of the first.
    unstorable: u64,
    first_unstorable: Option<(&'static str, String)>,
    /// Whether there are entries, and whether one of them is in a directory of layers.
    any: bool,
    is_layer: bool,
}

impl Unusual {
    /// Records the name of a member.
    pub(super) fn note_name(&mut self, name: &[u8]) {
        self.any = true;
        self.is_layer = self.is_layer || is_in_layer(name);
    }

    /// Records a member with a time that Windows cannot store, and the key of the time.
    pub(super) fn note_time(&mut self, key: &'static str, name: &[u8]) {
        self.unstorable += 1;
        self.first_unstorable
            .get_or_insert_with(|| (key, wide::display(name).into_owned()));
    }

    /// Returns whether an entry was in `Files`, `Hives` or `UtilityVM`.
    pub(super) fn is_layer(&self) -> bool {
        self.is_layer
    }

    /// Returns all findings, after the tar has ended in the way of `end`.
    pub(super) fn warnings(&self, end: Option<ArchiveEnd>) -> Vec<String> {
        let mut warnings = Vec::new();
        if end == Some(ArchiveEnd::MissingEndBlocks) {
            warnings.push("the tar has no end blocks".to_owned());
        }
        if let Some((key, name)) = &self.first_unstorable {
            let count = self.unstorable;
            let entries = if count == 1 {
                "entry has"
            } else {
                "entries have"
            };
            warnings.push(format!(
                "{count} {entries} a time before 1601 or after 30828, which Windows cannot store: \
                 it gets the nearest that it can. The first is `{key}` of `{name}`"
            ));
        }
        if self.any && !self.is_layer && end.is_some() {
            warnings.push(
                "no entry is in Files, Hives or UtilityVM, and a container sees no other: was the \
                 layer made for Linux?"
                    .to_owned(),
            );
        }
        warnings
    }
}
