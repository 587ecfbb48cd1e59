//! Cancellation is an error of its own: it is neither lost in another error nor put in its place.

use std::io::{Cursor, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use wclayer::compression::{Compression, Encoder};
use wclayer::index::summarise;
use wclayer::portable::{self, ImportOptions};
use wclayer::tar::BlobReader;
use wclayer::{Error, ErrorKind, LayerReader as _, Progress};

mod common;

use common::tar;

/// Is cancelled when told to, or with the first entry.
#[derive(Default)]
struct Cancel {
    is_cancelled: AtomicBool,
    with_entry: bool,
}

impl Cancel {
    fn cancel(&self) {
        self.is_cancelled.store(true, Ordering::Relaxed);
    }
}

impl Progress for Cancel {
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
