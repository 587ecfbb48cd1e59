//! Small layers, made in memory, and a folder to import them to.

#![allow(dead_code, unreachable_pub)] // each test file uses some of it

use std::io::Cursor;
use std::path::{Path, PathBuf};

use layergen::{Meta, TarBuilder};
use tempfile::TempDir;
use wclayer::portable::{self, ImportOptions, PortableLayer};
use wclayer::{Error, ParentChain};

pub const DIRECTORY: u32 = 0x10;
pub const ARCHIVE: u32 = 0x20;
pub const REPARSE: u32 = 0x400;

pub fn plain() -> Meta {
    Meta::with_attributes(ARCHIVE)
}

pub fn directory() -> Meta {
    Meta::with_attributes(DIRECTORY)
}

/// Makes a layer tar that starts with `Files`.
pub fn tar(build: impl FnOnce(&mut TarBuilder<Vec<u8>>) -> std::io::Result<()>) -> Cursor<Vec<u8>> {
    let mut tar = TarBuilder::new(Vec::new());
    tar.directory("Files", &directory()).expect("memory");
    build(&mut tar).expect("memory");
    Cursor::new(tar.finish().expect("memory"))
}

/// A folder for layers that goes away with the test.
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
        let options = ImportOptions {
            parents,
            ..ImportOptions::default()
        };
        portable::import(tar, self.path(name), &options, &())
    }

    /// The names of everything in the folder, hidden files included.
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

/// The innermost error: what really went wrong.
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
