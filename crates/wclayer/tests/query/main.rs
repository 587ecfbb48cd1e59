//! Questions to a view that go beyond a path and a directory: which entries pass tests, how much
//! content there is, why nothing is at a path.

#[path = "../common/mod.rs"]
mod common;
mod find;
mod missing;
mod usage;

use std::path::PathBuf;

use wclayer::source::{self, OpenOptions};
use wclayer::view::View;
use wclayer::{ParentChain, Progress};

use common::{path, write};

/// Opens layers, nearest first.
fn open(layers: &[PathBuf]) -> View {
    let options = OpenOptions {
        parents: ParentChain::from_nearest_first(&layers[1..]),
        ..OpenOptions::default()
    };
    source::open(&layers[0], &options, &()).expect("a view")
}

/// Progress of an operation that is to stop.
struct Cancelled;

impl Progress for Cancelled {
    fn is_cancelled(&self) -> bool {
        true
    }
}
