//! [`Counting`]: a writer that counts the entries it passes on.

use ntmeta::FileAttributes;
use ntmeta::backup_stream::{BackupStreamDecoder, StreamEvent, StreamId};

use super::HcsError;
use crate::error::Result;
use crate::hub::EntryCounts;
use crate::hub::{FileEntry, LayerWriter, LinkEntry};
use crate::path::LayerPath;

/// The entries and bytes counted so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counted {
    pub(super) entries: EntryCounts,
    pub(super) content_size: u64,
}

/// Counts entries and passes them to another writer.
pub(super) struct Counting<W> {
    writer: W,
    counted: Counted,
    current: Option<Current>,
}

/// The file whose backup stream is being written.
struct Current {
    path: LayerPath,
    is_directory: bool,
    is_reparse_point: bool,
    decoder: BackupStreamDecoder,
}

impl<W> Counting<W> {
    pub(super) fn new(writer: W) -> Self {
        Self {
            writer,
            counted: Counted::default(),
            current: None,
        }
    }

    /// Counts the current file once its stream is complete.
    fn end_entry(&mut self) {
        let entries = &mut self.counted.entries;
        match self.current.take() {
            None => {}
            Some(current) if current.is_reparse_point => entries.reparse_points += 1,
            Some(current) if current.is_directory => entries.directories += 1,
            Some(_) => entries.files += 1,
        }
    }

    fn add_content(&mut self, bytes: u64) {
        self.counted.content_size = self.counted.content_size.saturating_add(bytes);
    }

    fn look_at(&mut self, mut bytes: &[u8]) -> Result<()> {
        let Some(mut current) = self.current.take() else {
            return Ok(());
        };
        loop {
            let event = current.decoder.decode(&mut bytes);
            match event.map_err(|error| HcsError::Stream {
                entry: current.path.clone(),
                source: error.into(),
            })? {
                None => break,
                Some(StreamEvent::Body(_)) => {}
                Some(StreamEvent::Header(header)) => match header.id {
                    StreamId::REPARSE_DATA => current.is_reparse_point = true,
                    StreamId::ALTERNATE_DATA => {
                        self.counted.entries.streams += 1;
                        self.add_content(header.size);
                    }
                    _ => {}
                },
            }
        }
        self.current = Some(current);
        Ok(())
    }
}

impl<W: LayerWriter> LayerWriter for Counting<W> {
    type Output = (W::Output, Counted);

    fn add(&mut self, file: &FileEntry) -> Result<()> {
        self.end_entry();
        self.add_content(file.size);
        let attributes = file.basic_info.attributes;
        self.current = Some(Current {
            path: file.path.clone(),
            is_directory: attributes.contains(FileAttributes::DIRECTORY),
            is_reparse_point: attributes.contains(FileAttributes::REPARSE_POINT),
            decoder: BackupStreamDecoder::new(),
        });
        self.writer.add(file)
    }

    fn write(&mut self, backup_stream: &[u8]) -> Result<()> {
        self.look_at(backup_stream)?;
        self.writer.write(backup_stream)
    }

    fn add_link(&mut self, link: &LinkEntry) -> Result<()> {
        self.end_entry();
        self.counted.entries.links += 1;
        self.writer.add_link(link)
    }

    fn remove(&mut self, path: &LayerPath) -> Result<()> {
        self.end_entry();
        self.counted.entries.removals += 1;
        self.writer.remove(path)
    }

    fn remove_contents(&mut self, directory: &LayerPath) -> Result<()> {
        self.end_entry();
        self.counted.entries.opaque += 1;
        self.writer.remove_contents(directory)
    }

    fn finish(mut self) -> Result<Self::Output> {
        self.end_entry();
        Ok((self.writer.finish()?, self.counted))
    }
}

#[cfg(test)]
mod tests {
    use ntmeta::FileBasicInfo;
    use ntmeta::backup_stream::StreamHeader;

    use super::*;
    use crate::tar::TarLayerWriter;

    fn file(name: &str, attributes: u32, size: u64) -> FileEntry {
        FileEntry {
            path: name.parse().expect(name),
            basic_info: FileBasicInfo {
                attributes: FileAttributes::from_bits_retain(attributes),
                ..FileBasicInfo::default()
            },
            size,
            metadata_first: true,
        }
    }

    #[test]
    fn entries_are_counted_by_kind_and_streams_with_their_file() {
        let mut counting = Counting::new(TarLayerWriter::new(Vec::new()));
        let mut stream = Vec::new();
        StreamHeader::new(StreamId::DATA, 3).encode(&mut stream);
        stream.extend_from_slice(b"abc");
        let name: Vec<u16> = "s".encode_utf16().collect();
        StreamHeader::alternate_data(&name, 2).encode(&mut stream);
        stream.extend_from_slice(b"de");
        let path = |name: &str| name.parse::<LayerPath>().expect(name);

        counting.add(&file("Files", 0x10, 0)).expect("Files");
        counting.add(&file("Files/a", 0x20, 3)).expect("Files/a");
        for piece in stream.chunks(7) {
            counting.write(piece).expect("Files/a");
        }
        let link = LinkEntry {
            path: path("Files/l"),
            target: path("Files/a"),
            basic_info: None,
        };
        counting.add_link(&link).expect("Files/l");
        counting.remove(&path("Files/gone")).expect("Files/gone");
        let (_, counted) = counting.finish().expect("complete");
        let entries = EntryCounts {
            directories: 1,
            files: 1,
            links: 1,
            removals: 1,
            streams: 1,
            ..EntryCounts::default()
        };
        assert_eq!((counted.entries, counted.content_size), (entries, 5));
    }
}
