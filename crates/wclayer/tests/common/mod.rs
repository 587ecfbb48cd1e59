//! Small in-memory layers, and a folder to import them to.

#![allow(dead_code, unreachable_pub)] // each test file uses a part of it

use std::collections::BTreeMap;
use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::sync::mpsc::RecvTimeoutError;

use layergen::{Meta, TarBuilder, pax_record};
use tempfile::TempDir;
use wclayer::portable::{self, ImportOptions, PortableLayer};
use wclayer::{Error, LayerPath, ParentChain};

pub const DIRECTORY: u32 = 0x10;
pub const ARCHIVE: u32 = 0x20;
pub const REPARSE: u32 = 0x400;

pub fn plain() -> Meta {
    Meta::with_attributes(ARCHIVE)
}

pub fn directory() -> Meta {
    Meta::with_attributes(DIRECTORY)
}

/// Builds a layer tar that starts with `Files`.
pub fn tar(build: impl FnOnce(&mut TarBuilder<Vec<u8>>) -> std::io::Result<()>) -> Cursor<Vec<u8>> {
    let mut tar = TarBuilder::new(Vec::new());
    tar.directory("Files", &directory()).expect("memory");
    build(&mut tar).expect("memory");
    Cursor::new(tar.finish().expect("memory"))
}

/// Writes a layer tar that starts with `Files`; returns its path.
pub fn write(
    folder: &TempDir,
    name: &str,
    build: impl FnOnce(&mut TarBuilder<Vec<u8>>) -> std::io::Result<()>,
) -> PathBuf {
    let path = folder.path().join(name);
    std::fs::write(&path, tar(build).get_ref()).expect("written");
    path
}

/// Parses a path in a layer.
pub fn path(text: &str) -> LayerPath {
    text.parse().expect(text)
}

/// A folder for layers, deleted at the end of the test.
pub struct Layers(TempDir);

impl Layers {
    pub fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary folder"))
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn import(
        &self,
        name: &str,
        tar: Cursor<Vec<u8>>,
        parents: &[&str],
    ) -> Result<PortableLayer, Error> {
        let parents = ParentChain::from_nearest_first(parents.iter().map(|name| self.path(name)));
        let options = ImportOptions::default().parents(parents);
        portable::import(tar, self.path(name), &options, &())
    }

    /// The names of everything in the folder, including hidden files.
    pub fn names(&self) -> Vec<String> {
        names_in(self.0.path())
    }
}

pub fn names_in(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).expect("a readable folder");
    let mut names: Vec<_> = entries
        .map(|entry| {
            entry
                .expect("a readable entry")
                .file_name()
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    names.sort();
    names
}

/// The innermost error, which is the root cause.
pub fn root_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

/// All messages of an error, outermost first.
pub fn chain(error: &dyn std::error::Error) -> Vec<String> {
    let mut messages = vec![error.to_string()];
    let mut cause = error;
    while let Some(source) = cause.source() {
        messages.push(source.to_string());
        cause = source;
    }
    messages
}

/// Corrects the checksum of the 512-byte block around `at`, if the block is a header.
pub fn mend_checksum(tar: &mut [u8], at: usize) {
    let start = at / 512 * 512;
    let block = &mut tar[start..start + 512];
    if &block[257..262] == b"ustar" {
        block[148..156].fill(b' ');
        let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
        block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    }
}

/// Builds a 512-byte header, lets `change` modify it, and corrects the checksum.
pub fn header_block(
    name: &[u8],
    type_flag: u8,
    size: u64,
    change: impl FnOnce(&mut [u8]),
) -> Vec<u8> {
    let mut block = layergen::Header {
        name,
        typeflag: type_flag,
        size,
        ..layergen::Header::default()
    }
    .to_block()
    .to_vec();
    change(&mut block);
    mend_checksum(&mut block, 0);
    block
}

/// Pads the last block.
pub fn padded(mut content: Vec<u8>) -> Vec<u8> {
    content.resize(content.len().next_multiple_of(512), 0);
    content
}

/// Everything in a folder, at any depth: kind, content, permissions and modification time of each
/// path. Links are not followed.
pub fn snapshot(folder: &Path) -> BTreeMap<PathBuf, String> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for name in names_in(&folder) {
            let path = folder.join(name);
            let metadata = std::fs::symlink_metadata(&path).expect("listed");
            let what = if metadata.is_symlink() {
                format!(
                    "-> {}",
                    std::fs::read_link(&path).expect("a link").display()
                )
            } else if metadata.is_dir() {
                folders.push(path.clone());
                "folder".to_owned()
            } else if metadata.is_file() {
                let content = std::fs::read(&path).expect("readable");
                let written = metadata.modified().expect("known");
                let digest = wclayer::Digest::of(&content);
                format!("{} bytes, {digest}, {written:?}", content.len())
            } else {
                format!("{:?}", metadata.file_type())
            };
            #[cfg(unix)]
            let what = {
                use std::os::unix::fs::MetadataExt;
                let (mode, links) = (metadata.mode(), metadata.nlink());
                let links = if metadata.is_dir() { 0 } else { links };
                format!("{what}, mode {mode:o}, {links} links")
            };
            found.insert(path, what);
        }
    }
    found
}

/// Runs an operation that must not block forever in a thread, so that a hang becomes a failure. The
/// limit does not measure speed: no test depends on the clock for that.
#[track_caller]
pub fn ends<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    const LIMIT: std::time::Duration = std::time::Duration::from_secs(15 * 60);
    let (sender, receiver) = std::sync::mpsc::channel();
    let thread = std::thread::spawn(move || sender.send(work()));
    match receiver.recv_timeout(LIMIT) {
        Ok(result) => result,
        Err(RecvTimeoutError::Timeout) => panic!("it hangs"),
        Err(RecvTimeoutError::Disconnected) => match thread.join() {
            Err(panic) => std::panic::resume_unwind(panic),
            Ok(_) => unreachable!("the result was sent"),
        },
    }
}

/// Makes the hashes of a layer match again, as an attacker would.
pub fn reseal(layer: &Path) {
    let index = std::fs::read(layer.join("index.sqlite")).expect("there");
    let text = std::fs::read(layer.join("layer.json")).expect("there");
    let mut json: serde_json::Value = serde_json::from_slice(&text).expect("JSON");
    json["index"]["size"] = index.len().into();
    json["index"]["xxh3"] =
        format!("{:032x}", twox_hash::xxhash3_128::Hasher::oneshot(&index)).into();
    let chain = std::fs::read(layer.join("layerchain.json")).expect("there");
    json["layerChain"] = wclayer::Digest::of(&chain).to_string().into();
    json.as_object_mut()
        .expect("an object")
        .remove("documentDigest");
    let mut text = serde_json::to_vec_pretty(&json).expect("JSON");
    text.truncate(text.len() - 2);
    text.extend(b",\n  \"documentDigest\": \"");
    let digest = wclayer::Digest::of(&text);
    text.extend(format!("{digest}\"\n}}\n").into_bytes());
    std::fs::write(layer.join("layer.json"), text).expect("writable");
}

/// Makes a member as GNU tar writes it in format 1.0: parts at their offsets, holes between them.
pub fn gnu_sparse(name: &str, size: u64, parts: &[(u64, &[u8])]) -> Vec<u8> {
    let mut map = format!("{}\n", parts.len());
    for (offset, bytes) in parts {
        map += &format!("{offset}\n{}\n", bytes.len());
    }
    let mut content = padded(map.into_bytes());
    for (_, bytes) in parts {
        content.extend_from_slice(bytes);
    }
    let records = [
        pax_record("GNU.sparse.major", b"1"),
        pax_record("GNU.sparse.minor", b"0"),
        pax_record("GNU.sparse.name", name.as_bytes()),
        pax_record("GNU.sparse.realsize", size.to_string().as_bytes()),
    ]
    .concat();
    let mut member = header_block(b"x", b'x', records.len() as u64, |_| {});
    member.extend(padded(records));
    member.extend(header_block(
        name.as_bytes(),
        b'0',
        content.len() as u64,
        |_| {},
    ));
    member.extend(padded(content));
    member
}
