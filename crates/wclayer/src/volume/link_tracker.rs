//! Detects hard links in a live file system by recording the first name of each file.
//!
//! Sources that read a volume see a file under several names. As in the reference, the first name
//! carries the file, and every later one becomes a link to it. Directories are never linked,
//! whatever their ids.
//!
//! Source: hcsshim `pkg/ociwclayer/export.go`.

use std::collections::HashMap;

use ntmeta::{FileAttributes, FileBasicInfo};

use crate::path::LayerPath;

/// The 128-bit id of a file on its volume (`FILE_ID_INFO`).
pub type FileId = [u8; 16];

/// Records the first name of every file that has several.
#[derive(Debug, Default)]
pub struct LinkTracker {
    first_names: HashMap<FileId, LayerPath>,
}

impl LinkTracker {
    /// Creates a tracker that has seen no files.
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns the name under which this file was seen first; `None` if this is its first name.
    ///
    /// `links` is the number of names that the file has on the volume; a file with one name is not
    /// recorded.
    pub fn first_name(
        &mut self,
        path: &LayerPath,
        basic_info: &FileBasicInfo,
        id: FileId,
        links: u32,
    ) -> Option<LayerPath> {
        if links < 2 || basic_info.attributes.contains(FileAttributes::DIRECTORY) {
            return None;
        }
        if let Some(first) = self.first_names.get(&id) {
            return Some(first.clone());
        }
        self.first_names.insert(id, path.clone());
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_name_wins_and_directories_are_never_linked() {
        let mut tracker = LinkTracker::new();
        let name = |text: &str| text.parse::<LayerPath>().expect(text);
        let file = FileBasicInfo::default();
        let directory = FileBasicInfo {
            attributes: FileAttributes::DIRECTORY,
            ..FileBasicInfo::default()
        };
        assert_eq!(tracker.first_name(&name("a"), &file, [1; 16], 2), None);
        assert_eq!(
            tracker.first_name(&name("b"), &file, [1; 16], 2),
            Some(name("a"))
        );
        assert_eq!(tracker.first_name(&name("c"), &file, [1; 16], 1), None);
        assert_eq!(tracker.first_name(&name("d"), &directory, [2; 16], 2), None);
        assert_eq!(tracker.first_name(&name("e"), &directory, [2; 16], 2), None);
    }
}
