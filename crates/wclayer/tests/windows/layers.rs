//! Whole layers through the service: the writers and readers on real files, against the stand-in
//! `vmcompute.dll` of `testing/vmcompute`.
//!
//! The tests run only if `WCLAYER_STANDIN_LOG` is set, which means that the stand-in is installed
//! (`testing/wine/run.sh` does both); the service of a real Windows is not touched.
//!
//! Wine has no reparse points and no alternate data streams, and a base layer consists of real
//! files: entries of the sample that need them are omitted.

use std::fs;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use ntmeta::{FileAttributes, FileBasicInfo};
use wclayer::compression::Decoder;
use wclayer::hcs::{
    Contents, Function, HcsLayerReader, HostCompute, ImportOptions, ReaderKind, export, import,
};
use wclayer::tar::{TarLayerReader, TarLayerWriter};
use wclayer::volume::{Root, Volume};
use wclayer::windows::{Api, NtVolume, host_compute};
use wclayer::{Entry, LayerReader, ParentChain};

use crate::{Folder, Result, name};

type Host = HostCompute<NtVolume>;

/// Returns the stand-in, if it is installed.
fn stand_in() -> Result<Option<Host>> {
    if std::env::var_os("WCLAYER_STANDIN_LOG").is_none() {
        println!("not covered: no stand-in is installed");
        return Ok(None);
    }
    Ok(Some(host_compute(Api::Vmcompute)?))
}

/// A layer tar of the sample, without some of its entries.
struct Sample {
    tar: TarLayerReader<BufReader<Decoder<BufReader<fs::File>>>>,
    keeps: fn(&Entry) -> bool,
}

impl Sample {
    fn open(file: &str, keeps: fn(&Entry) -> bool) -> Result<Self> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../../examples/sample")
            .join(file);
        let blob = BufReader::new(fs::File::open(path)?);
        Ok(Self {
            tar: TarLayerReader::new(BufReader::new(Decoder::new(blob)?)),
            keeps,
        })
    }
}

impl LayerReader for Sample {
    fn next_entry(&mut self) -> wclayer::Result<Option<Entry>> {
        loop {
            match self.tar.next_entry()? {
                Some(entry) if !(self.keeps)(&entry) => {}
                result => return Ok(result),
            }
        }
    }

    fn read_stream(&mut self, buffer: &mut [u8]) -> wclayer::Result<usize> {
        self.tar.read_stream(buffer)
    }
}

fn everything(_: &Entry) -> bool {
    true
}

/// The entries that plain files can hold, on a disk without reparse points and alternate streams.
fn plain(entry: &Entry) -> bool {
    const OTHERS: [&str; 6] = [
        "Files/Program Files/Sample/current.txt",
        "Files/Program Files/Sample/setup.exe",
        "Files/Program Files/Sample/system.ini",
        "Files/Users/All Users",
        "Files/Users/Default User",
        "Files/Users/Public/Downloads",
    ];
    !OTHERS.contains(&entry.path().to_string().as_str())
}

/// The entries that the filter writer supports.
fn no_links(entry: &Entry) -> bool {
    matches!(entry, Entry::File(_) | Entry::Removal(_))
}

/// An entry in comparable form.
#[derive(Debug, PartialEq)]
struct Seen {
    path: String,
    what: What,
    stream: Vec<u8>,
}

#[derive(Debug, PartialEq)]
enum What {
    File(FileBasicInfo),
    Link(String),
    Removal,
    Opaque,
}

fn entries(reader: &mut dyn LayerReader) -> Result<Vec<Seen>> {
    let mut seen = Vec::new();
    while let Some(entry) = reader.next_entry()? {
        let mut stream = Vec::new();
        let mut buffer = vec![0; 65_536];
        loop {
            match reader.read_stream(&mut buffer)? {
                0 => break,
                count => stream.extend_from_slice(&buffer[..count]),
            }
        }
        seen.push(Seen {
            path: entry.path().to_string(),
            what: match entry {
                Entry::File(file) => What::File(file.basic_info),
                Entry::Link(link) => What::Link(link.target.to_string()),
                Entry::Removal(_) => What::Removal,
                Entry::Opaque(_) => What::Opaque,
            },
            stream,
        });
    }
    Ok(seen)
}

fn exported(host: &Host, layer: &Path, parents: &ParentChain) -> Result<Vec<Seen>> {
    let mut tar = Vec::new();
    export(host, layer, parents, TarLayerWriter::new(&mut tar), &())?;
    entries(&mut TarLayerReader::new(&tar[..]))
}

/// The name of an entry and the end of its data, which are the same on every disk.
fn names(entries: &[Seen]) -> Vec<&str> {
    let mut names: Vec<_> = entries.iter().map(|entry| entry.path.as_str()).collect();
    names.sort_unstable();
    names
}

fn import_base(host: &Host, folder: &Folder) -> Result<PathBuf> {
    let layer = folder.path.join("base");
    let mut source = Sample::open("base.tar.gz", plain)?;
    let options = ImportOptions::default()
        .parents(ParentChain::none())
        .contents(Contents::Anything);
    import(host, &mut source, &layer, &options, &())?;
    Ok(layer)
}

#[test]
fn a_base_layer_is_exported_with_its_files() -> Result {
    let Some(host) = stand_in()? else {
        return Ok(());
    };
    let folder = Folder::new()?;
    let layer = import_base(&host, &folder)?;
    assert!(
        layer.join("blank-base.vhdx").exists(),
        "ProcessBaseImage ran"
    );
    let out = exported(&host, &layer, &ParentChain::none())?;
    let expected = entries(&mut Sample::open("base.tar.gz", plain)?)?;
    let expected: Vec<_> = expected
        .into_iter()
        .filter(|entry| entry.path.starts_with("Files"))
        .collect();
    assert_eq!(names(&out), names(&expected));
    for entry in &expected {
        let found = out.iter().find(|one| one.path == entry.path);
        let found = found.ok_or_else(|| entry.path.clone())?;
        let (What::File(before), What::File(after)) = (&entry.what, &found.what) else {
            continue;
        };
        let time = before.last_write_time;
        assert_eq!(after.last_write_time, time, "{}", entry.path);
        // The data is last in both; not every disk keeps descriptors.
        let data = &entry.stream[entry.stream.len().saturating_sub(16)..];
        let is_file = !before.attributes.contains(FileAttributes::DIRECTORY);
        assert!(!is_file || found.stream.ends_with(data), "{}", entry.path);
    }
    Ok(())
}

#[test]
fn a_layer_with_links_is_written_through_a_transport_folder() -> Result {
    let Some(host) = stand_in()? else {
        return Ok(());
    };
    let folder = Folder::new()?;
    let base = import_base(&host, &folder)?;
    let layer = folder.path.join("app");
    let options = ImportOptions::default()
        .parents(ParentChain::from_nearest_first([&base]))
        .contents(Contents::Anything);
    let mut source = Sample::open("app.tar.gz", everything)?;
    import(&host, &mut source, &layer, &options, &())?;
    let root = host.volume.open_root(&folder.path, &folder.privileges)?;
    let id = |path: &str| -> Result<_> { Ok(root.look(&name(path))?.ok_or(path.to_owned())?.id) };
    let app = "app/Files/Program Files/App";
    assert_eq!(
        id(&format!("{app}/app.exe"))?,
        id(&format!("{app}/app-copy.exe"))?
    );
    assert_eq!(
        id(&format!("{app}/runtime.dll"))?,
        id("base/Files/Windows/System32/sample.dll")?
    );
    for (gone, stays) in [
        (
            "Program Files/Sample/notes-1.txt",
            "Program Files/Sample/notes-2.txt",
        ),
        ("ProgramData/Cache", "ProgramData/State/third.json"),
        (
            "ProgramData/State/first.json",
            "Windows/System32/sample.exe",
        ),
    ] {
        assert_eq!(
            root.look(&name(&format!("app/Files/{gone}")))?,
            None,
            "{gone}"
        );
        assert!(root.look(&name(&format!("app/Files/{stays}")))?.is_some());
    }
    // Removing and linking changed these directories; their times are the layer's again.
    for entry in entries(&mut Sample::open("app.tar.gz", everything)?)? {
        let What::File(info) = entry.what else {
            continue;
        };
        if info.attributes.contains(FileAttributes::DIRECTORY) && entry.path.starts_with("Files") {
            let stat = root.look(&name(&format!("app/{}", entry.path)))?;
            let time = stat.map(|stat| stat.basic_info.last_write_time);
            assert_eq!(time, Some(info.last_write_time), "{}", entry.path);
        }
    }
    Ok(())
}

#[test]
fn a_layer_of_files_and_removals_survives_a_round_trip() -> Result {
    let Some(host) = stand_in()? else {
        return Ok(());
    };
    let folder = Folder::new()?;
    let base = import_base(&host, &folder)?;
    let layer = folder.path.join("app");
    let parents = ParentChain::from_nearest_first([&base]);
    let options = ImportOptions::default()
        .parents(parents.clone())
        .contents(Contents::FilesAndRemovals);
    let mut source = Sample::open("app.tar.gz", no_links)?;
    import(&host, &mut source, &layer, &options, &())?;
    let out = exported(&host, &layer, &parents)?;
    let expected = entries(&mut Sample::open("app.tar.gz", no_links)?)?;
    assert_eq!(names(&out), names(&expected));
    if host.service.has(Function::ImportLayerBegin) {
        // The filter keeps all four times too.
        let kind = ReaderKind::Filter;
        let mut reader = HcsLayerReader::open(kind, &host, &layer, &parents, &folder.privileges)?;
        assert_eq!(entries(&mut reader)?, expected);
        reader.close()?;
    }
    // A transport folder keeps times in its files: under Wine, not all of them.
    for (before, after) in expected.iter().zip(&out) {
        assert_eq!(before.path, after.path);
        if before.path.starts_with("Files") {
            assert!(before.stream == after.stream, "{}", before.path);
        }
    }
    Ok(())
}
