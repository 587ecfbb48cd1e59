//! Reads a layer entry by entry from the service (`ExportLayerBegin`, `…Next`, `…Read`, `…End`).
//!
//! The service reports the differences from the parents: files with their backup streams, and
//! removed paths. It does not report hard links: every name comes as a separate file. Therefore
//! [`LegacyReader`](super::LegacyReader) is preferred if it is available.
//!
//! Source: the exports of `vmcompute.dll` as declared in hcsshim `internal/wclayer`, and hcsshim's
//! filter reader up to version 0.8.

use crate::error::{Error, Result};
use crate::hub::{Entry, FileEntry, LayerReader};
use crate::path::LayerPath;

use super::service::{Exported, FilterExport};

/// Reads the entries of a layer with parents. The export ends after the last entry or on drop.
pub struct FilterReader<'a> {
    /// `None` after the export has ended.
    export: Option<Box<dyn FilterExport + 'a>>,
    /// Whether the current entry has a backup stream.
    has_stream: bool,
}

impl<'a> FilterReader<'a> {
    /// Creates a reader from an export that has begun.
    pub fn new(export: Box<dyn FilterExport + 'a>) -> Self {
        Self {
            export: Some(export),
            has_stream: false,
        }
    }

    /// Ends the export if it has not ended yet.
    ///
    /// # Errors
    ///
    /// Returns the error of the service.
    pub fn close(mut self) -> Result<()> {
        self.end()
    }

    fn end(&mut self) -> Result<()> {
        self.has_stream = false;
        match self.export.take() {
            Some(export) => Ok(export.end()?),
            None => Ok(()),
        }
    }
}

impl LayerReader for FilterReader<'_> {
    fn next_entry(&mut self) -> Result<Option<Entry>> {
        let Some(export) = &mut self.export else {
            return Ok(None);
        };
        let Some(exported) = export.next()? else {
            self.end()?;
            return Ok(None);
        };
        self.has_stream = !exported.deleted;
        entry(&exported).map(Some)
    }

    fn read_stream(&mut self, buffer: &mut [u8]) -> Result<usize> {
        match &mut self.export {
            Some(export) if self.has_stream => Ok(export.read(buffer)?),
            _ => Ok(0),
        }
    }
}

/// Converts an entry of the service.
fn entry(exported: &Exported) -> Result<Entry> {
    let name = match exported.name.split_first() {
        Some((first, rest)) if *first == u16::from(b'\\') => rest,
        _ => &exported.name,
    };
    let path = LayerPath::from_utf16(name).map_err(|source| Error::Path {
        path: String::from_utf16_lossy(&exported.name),
        source,
    })?;
    if exported.deleted {
        return Ok(Entry::Removal(path));
    }
    Ok(Entry::File(FileEntry {
        path,
        basic_info: exported.basic_info,
        size: exported.size,
        metadata_first: false,
    }))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use ntmeta::FileBasicInfo;

    use super::*;
    use crate::error::ServiceError;

    /// Returns two entries, the second one deleted; counts how often the export is ended.
    struct Service<'a> {
        left: Vec<Exported>,
        ended: &'a AtomicUsize,
    }

    impl FilterExport for Service<'_> {
        fn next(&mut self) -> Result<Option<Exported>, ServiceError> {
            Ok(self.left.pop())
        }

        fn read(&mut self, buffer: &mut [u8]) -> Result<usize, ServiceError> {
            buffer[0] = 7;
            Ok(1)
        }

        fn end(self: Box<Self>) -> Result<(), ServiceError> {
            Ok(())
        }
    }

    impl Drop for Service<'_> {
        fn drop(&mut self) {
            self.ended.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn service<'a>(names: &[(&str, bool)], ended: &'a AtomicUsize) -> FilterReader<'a> {
        let exported = |&(name, deleted): &(&str, bool)| Exported {
            name: name.encode_utf16().collect(),
            basic_info: FileBasicInfo::default(),
            size: 3,
            deleted,
        };
        FilterReader::new(Box::new(Service {
            left: names.iter().rev().map(exported).collect(),
            ended,
        }))
    }

    #[test]
    fn names_lose_their_backslash_and_removals_have_no_stream() {
        let ended = AtomicUsize::new(0);
        let mut reader = service(&[(r"\Files\a", false), (r"\Files\b", true)], &ended);
        let mut buffer = [0; 4];
        let first = reader.next_entry().expect("an entry").expect("an entry");
        assert_eq!(first.path().to_string(), "Files/a");
        assert!(matches!(&first, Entry::File(file) if file.size == 3));
        assert_eq!(reader.read_stream(&mut buffer).expect("bytes"), 1);
        let second = reader.next_entry().expect("an entry").expect("an entry");
        assert!(matches!(&second, Entry::Removal(path) if path.to_string() == "Files/b"));
        assert_eq!(reader.read_stream(&mut buffer).expect("the end"), 0);
        assert_eq!(ended.load(Ordering::Relaxed), 0);
        assert_eq!(reader.next_entry().expect("the end"), None);
        assert_eq!(ended.load(Ordering::Relaxed), 1);
        assert_eq!(reader.next_entry().expect("still the end"), None);
        reader.close().expect("it has ended");
        assert_eq!(ended.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn a_name_that_leads_out_of_the_layer_is_refused_and_the_export_ended() {
        for name in [r"\..\x", r"\\Files\a", r"\C:\x", r"\", "", r"\Files\a:b"] {
            let ended = AtomicUsize::new(0);
            let mut reader = service(&[(name, false)], &ended);
            assert!(
                matches!(reader.next_entry(), Err(Error::Path { .. })),
                "{name}"
            );
            drop(reader);
            assert_eq!(ended.load(Ordering::Relaxed), 1, "{name}");
        }
    }
}
