//! Symbolic links and junctions that wait until everything else exists.

use ntmeta::{FileBasicInfo, ReparsePoint, ReparseTag, wide};

use super::report::{Reason, Why};
use super::stream::Metadata;
use crate::hub::FileEntry;
use crate::path::LayerPath;
use crate::view::{self, Target};

/// The longest text of a link, in bytes: Linux `limits.h` (`PATH_MAX`, with the final zero byte),
/// and elsewhere the limit of a reparse point of Windows.
const MAX_TEXT: usize = if cfg!(windows) { 16 * 1024 } else { 4095 };
/// How much of the text of a link that is not created is reported, in characters.
const SHOWN_TEXT: usize = 1000;

/// A symbolic link or junction to create.
#[derive(Debug, Clone)]
pub(super) struct PendingSymlink {
    pub(super) path: LayerPath,
    pub(super) basic_info: FileBasicInfo,
    /// The length of its reparse data, in bytes.
    pub(super) size: u64,
    /// Its text in WTF-8; if it cannot be created, the text to report, and the reason.
    pub(super) text: Result<Box<[u8]>, (String, Why)>,
}

impl PendingSymlink {
    /// Returns the link of an entry that is a symbolic link or a junction.
    pub(super) fn of(entry: &FileEntry, metadata: &Metadata) -> Option<Self> {
        let bytes = metadata.reparse.as_ref()?.bytes.as_ref()?;
        let tag = ReparseTag(u32::from_le_bytes(*bytes.first_chunk()?));
        if !matches!(tag, ReparseTag::SYMLINK | ReparseTag::MOUNT_POINT) {
            return None;
        }
        Some(Self {
            path: entry.path.clone(),
            basic_info: entry.basic_info,
            size: bytes.len() as u64,
            text: text_of(&entry.path, bytes),
        })
    }

    /// Returns its text for the report.
    pub(super) fn shown(&self) -> String {
        match &self.text {
            Ok(text) => shown(text),
            Err((text, _)) => text.clone(),
        }
    }
}

/// Shortens long texts: a layer may have many of them.
fn text_of(path: &LayerPath, reparse: &[u8]) -> Result<Box<[u8]>, (String, Why)> {
    let text = ReparsePoint::decode(reparse).ok();
    let Some(text) = text.and_then(|point| point.target()) else {
        return Err((String::new(), Reason::Damaged.into()));
    };
    if text.len() <= MAX_TEXT {
        return Ok(text.into());
    }
    let why = match view::target_of_text(path, &text) {
        Target::Inside(_) => Why {
            reason: Reason::Refused,
            cause: Some(format!("the target has more than {MAX_TEXT} bytes")),
        },
        _ => Reason::LeadsOutside.into(),
    };
    Err((shown(&text), why))
}

fn shown(text: &[u8]) -> String {
    let text = wide::display(text);
    match text.char_indices().nth(SHOWN_TEXT) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.into_owned(),
    }
}
