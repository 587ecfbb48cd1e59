//! Cancellation is an error of its own: it is neither lost in another error nor put in its place.

use std::fs;
use std::io::{Cursor, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use wclayer::compression::{Compression, Encoder};
use wclayer::index::summarise;
use wclayer::portable::{self, ImportOptions};
use wclayer::source;
use wclayer::tar::BlobReader;
use wclayer::{Error, ErrorKind, LayerReader as _, Progress};

mod common;

use common::{plain, tar};

/// Is cancelled by [`cancel`](Cancel::cancel), by the first entry, or by the first bytes.
#[derive(Default)]
struct Cancel {
    is_cancelled: AtomicBool,
    with_entry: bool,
    with_bytes: bool,
}

impl Cancel {
    fn cancel(&self) {
        self.is_cancelled.store(true, Ordering::Relaxed);
    }
}

impl Progress for Cancel {
    fn advance(&self, _bytes: u64) {
        if self.with_bytes {
            self.cancel();
        }
    }

    fn entry(&self) {
        if self.with_entry {
            self.cancel();
        }
    }

    fn is_cancelled(&self) -> bool {
        self.is_cancelled.load(Ordering::Relaxed)
    }
}

/// A layer with one entry, `Files`.
fn one_directory() -> Vec<u8> {
    tar(|_| Ok(())).into_inner()
}

fn gzip(tar: &[u8]) -> Vec<u8> {
    let mut gzip = Encoder::new(Vec::new(), Compression::Gzip.into()).expect("an encoder");
    gzip.write_all(tar).expect("memory");
    gzip.finish().expect("memory")
}

#[test]
fn a_reader_that_stops_is_cancelled_and_nothing_else() {
    for blob in [one_directory(), gzip(&one_directory())] {
        let cancel = Cancel::default();
        cancel.cancel();
        let mut reader = BlobReader::new(Cursor::new(blob), None, &cancel).expect("started");
        let error = reader.next_entry().expect_err("cancelled");
        assert!(matches!(error, Error::Cancelled), "{error:?}");
    }
}

#[test]
fn a_file_that_is_looked_for_is_cancelled_in_the_middle_of_its_tar() {
    let mut rng = layergen::Rng::new(7);
    let noise: Vec<u8> = (0..8 << 20).map(|_| rng.next_u64() as u8).collect();
    let tar = tar(|tar| tar.file("Files/noise", &plain(), &noise)).into_inner();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let place = folder.path().join("layer.tar.gz");
    fs::write(&place, gzip(&tar)).expect("writable");
    let path = "Files/noise".parse().expect("a path");
    let cancel = Cancel {
        with_bytes: true,
        ..Cancel::default()
    };
    let found = source::content_in_passing(
        &[source::recognise(place).expect("a tar")],
        &path,
        None,
        &cancel,
    );
    assert!(matches!(found, Err(Error::Cancelled)));
}

/// The caller cancels once the damage is certain to be read next, without another question.
#[test]
fn damage_is_not_called_cancelled_because_the_caller_cancels_as_well() {
    let mut damaged = one_directory();
    damaged.truncate(damaged.len() - 1024);
    damaged.extend([1; 512]);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let cancel = || Cancel {
        with_entry: true,
        ..Cancel::default()
    };
    let read = |tar: &[u8]| {
        let tar = Cursor::new(tar.to_vec());
        let imported = folder.path().join("layer");
        let options = ImportOptions::default();
        [
            summarise(tar.clone(), &cancel()).expect_err("damaged"),
            portable::import(tar, imported, &options, &cancel()).expect_err("damaged"),
        ]
    };
    for blob in [damaged.clone(), gzip(&damaged)] {
        for error in read(&blob) {
            assert_eq!(error.kind(), ErrorKind::InvalidLayer, "{error:?}");
        }
    }
}
