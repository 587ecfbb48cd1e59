//! A machine with layers, and queries for tests.

use std::collections::BTreeMap;
use std::io::Cursor;
use std::path::Path;

use fakewindows::{FakeVolume, FakeWindows, Snapshot};
use layergen::{Meta, TarBuilder};
use ntmeta::backup_stream::BackupStreamReader;
use ntmeta::{FileBasicInfo, StreamId};
use wclayer::hcs::{self, Contents, Function, HResult, HostCompute, ImportOptions, ImportSummary};
use wclayer::tar::{TarLayerReader, TarLayerWriter};
use wclayer::{Entry, Error, LayerReader, ParentChain};

pub(crate) const BASE: &str = "/c/layers/base";
pub(crate) const APP: &str = "/c/layers/app";

/// "A device attached to the system is not functioning": an error that occurs nowhere else.
pub(crate) const FAILURE: HResult = HResult::from_win32(31);

/// A machine.
pub(crate) struct Machine {
    pub(crate) windows: FakeWindows,
    pub(crate) host: HostCompute<FakeVolume>,
}

impl Machine {
    /// Creates a machine whose DLL has every call.
    pub(crate) fn new() -> Self {
        Self::with(FakeWindows::new())
    }

    /// Creates a machine whose DLL has no entry-by-entry import and export.
    pub(crate) fn without_filter() -> Self {
        let windows = FakeWindows::new();
        Self::with(
            windows
                .without(Function::ImportLayerBegin)
                .without(Function::ExportLayerBegin),
        )
    }

    pub(crate) fn with(windows: FakeWindows) -> Self {
        let host = windows.host_compute();
        windows.folder("/c/layers");
        Self { windows, host }
    }

    /// Creates another machine in the current state of this one.
    pub(crate) fn twin(&self) -> Self {
        let windows = self.windows.twin();
        let host = windows.host_compute();
        Self { windows, host }
    }

    /// Imports a tar, whose `Contents` are unknown as for a stream.
    pub(crate) fn import(
        &self,
        tar: &[u8],
        layer: &str,
        parents: &[&str],
    ) -> Result<ImportSummary, Error> {
        self.import_contents(tar, layer, parents, Contents::Anything)
    }

    pub(crate) fn import_contents(
        &self,
        tar: &[u8],
        layer: &str,
        parents: &[&str],
        contents: Contents,
    ) -> Result<ImportSummary, Error> {
        let options = ImportOptions::default()
            .parents(chain(parents))
            .contents(contents);
        let mut source = TarLayerReader::new(Cursor::new(tar));
        hcs::import(&self.host, &mut source, layer.as_ref(), &options, &())
    }

    /// Exports a layer to a tar.
    pub(crate) fn export(&self, layer: &str, parents: &[&str]) -> Result<Vec<u8>, Error> {
        let writer = TarLayerWriter::new(Vec::new());
        hcs::export(&self.host, layer.as_ref(), &chain(parents), writer, &())
    }

    /// Checks that nothing is still open, in progress, enabled, active or temporary.
    pub(crate) fn assert_nothing_left(&self, when: &str) {
        let windows = &self.windows;
        assert_eq!(windows.open_handles(), [""; 0], "open handles {when}");
        assert_eq!(windows.contexts(), [""; 0], "contexts {when}");
        assert_eq!(windows.enabled_privileges(), [], "privileges {when}");
        assert_eq!(windows.locks().len(), 0, "locks {when}");
        assert_eq!(
            windows.temporary_folders(),
            [""; 0].map(Into::<std::path::PathBuf>::into),
            "{when}"
        );
        assert_eq!(
            windows.traversals(),
            0,
            "a reparse point was followed {when}"
        );
    }

    /// Returns everything on the disk.
    pub(crate) fn disk(&self) -> Snapshot {
        let mut disk = self.windows.snapshot("/");
        // Folders that anybody may create or whose times change.
        for folder in ["", "temp", "c", "c/layers"] {
            disk.remove(folder);
        }
        disk
    }
}

pub(crate) fn chain(parents: &[&str]) -> ParentChain {
    ParentChain::from_nearest_first(parents.iter().copied())
}

/// Builds a tar.
pub(crate) fn tar(build: impl FnOnce(&mut TarBuilder<Vec<u8>>) -> std::io::Result<()>) -> Vec<u8> {
    let mut tar = TarBuilder::new(Vec::new());
    build(&mut tar).expect("memory");
    tar.finish().expect("memory")
}

/// Metadata with four different times, the first at `seconds` after a fixed day.
pub(crate) fn meta(attributes: u32, seconds: u64) -> Meta {
    let time = layergen::UNIX_EPOCH + (1_500_000_000 + seconds) * 10_000_000;
    Meta {
        creation_time: Some(time),
        access_time: Some(time + 1_234_567),
        write_time: Some(time + 20_000_001),
        change_time: Some(time + 30_000_002),
        ..Meta::with_attributes(attributes)
    }
}

pub(crate) fn directory(seconds: u64) -> Meta {
    meta(0x10, seconds)
}

pub(crate) fn file(seconds: u64) -> Meta {
    meta(0x20, seconds)
}

/// The streams of a backup stream: ID, name, attributes and body, sorted.
pub(crate) type Parts = Vec<(u32, Vec<u16>, Option<i64>, Vec<u8>)>;

/// An entry without the parts that have several spellings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Meaning {
    File(FileBasicInfo, Parts),
    Link(String),
    Removal,
    Opaque,
}

impl Meaning {
    /// Returns the data of a file.
    pub(crate) fn data(&self) -> Option<&[u8]> {
        match self {
            Self::File(_, parts) => {
                let data = parts.iter().find(|(id, ..)| *id == StreamId::DATA.0);
                data.map(|(_, _, _, body)| &body[..])
            }
            _ => None,
        }
    }
}

/// The suffix of the path that marks a directory as opaque.
pub(crate) const OPAQUE: &str = "/.opaque";

/// Reads a tar and returns the content of each path; an opaque directory has an additional path.
pub(crate) fn meanings(tar: &[u8]) -> BTreeMap<String, Meaning> {
    let mut reader = TarLayerReader::new(Cursor::new(tar));
    let mut meanings = BTreeMap::new();
    while let Some(entry) = reader.next_entry().expect("a layer tar") {
        let mut stream = Vec::new();
        let mut piece = [0; 1000];
        loop {
            match reader.read_stream(&mut piece).expect("a layer tar") {
                0 => break,
                length => stream.extend_from_slice(&piece[..length]),
            }
        }
        let mut path = entry.path().to_string();
        if matches!(entry, Entry::Opaque(_)) {
            // The directory has an entry of its own.
            path.push_str(OPAQUE);
        }
        let meaning = match entry {
            Entry::File(file) => Meaning::File(file.basic_info, parts(&stream)),
            Entry::Link(link) => Meaning::Link(link.target.to_string()),
            Entry::Removal(_) => Meaning::Removal,
            Entry::Opaque(_) => Meaning::Opaque,
        };
        assert_eq!(
            meanings.insert(path.clone(), meaning),
            None,
            "{path} occurs twice"
        );
    }
    meanings
}

fn parts(stream: &[u8]) -> Parts {
    let mut reader = BackupStreamReader::new(stream);
    let mut parts = Parts::new();
    while let Some(header) = reader.next_header().expect("a backup stream") {
        let mut body = Vec::new();
        std::io::Read::read_to_end(&mut reader, &mut body).expect("a backup stream");
        parts.push((header.id.0, header.name, header.sparse_offset, body));
    }
    parts.sort();
    parts
}

/// All messages of an error, from the outermost to the root cause.
pub(crate) fn messages(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// Returns everything below a folder of a machine, by path.
pub(crate) fn below(windows: &FakeWindows, folder: impl AsRef<Path>) -> Vec<String> {
    windows
        .snapshot(folder)
        .into_keys()
        .filter(|path| !path.is_empty())
        .collect()
}
