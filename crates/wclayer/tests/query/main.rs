//! Questions to a view that go beyond a path and a directory: which entries pass tests, how much
//! content there is, why nothing is at a path.

#[path = "../common/mod.rs"]
mod common;
mod find;
mod missing;
mod usage;

use std::fs;
use std::path::PathBuf;

use layergen::TarBuilder;
use tempfile::TempDir;
use wclayer::source::{self, OpenOptions};
use wclayer::view::View;
use wclayer::{LayerPath, ParentChain, Progress};

type Tar = TarBuilder<Vec<u8>>;

/// Writes a layer tar.
fn write(
    folder: &TempDir,
    name: &str,
    build: impl FnOnce(&mut Tar) -> std::io::Result<()>,
) -> PathBuf {
    let path = folder.path().join(name);
    fs::write(&path, common::tar(build).get_ref()).expect("written");
    path
}

/// Opens layers, nearest first.
fn open(layers: &[PathBuf]) -> View {
    let options = OpenOptions {
        parents: ParentChain::from_nearest_first(&layers[1..]),
        ..OpenOptions::default()
    };
    source::open(&layers[0], &options, &()).expect("a view")
}

fn path(text: &str) -> LayerPath {
    text.parse().expect(text)
}

/// Progress of an operation that is to stop.
struct Cancelled;

impl Progress for Cancelled {
    fn is_cancelled(&self) -> bool {
        true
    }
}
