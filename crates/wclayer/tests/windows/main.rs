//! The disks of a real Windows, or of Wine: the guarantees of the traits in `wclayer::volume`.
//!
//! Wine has no reparse points, no alternate data streams, no `BackupRead` and `BackupWrite` and no
//! descriptors of its own: there, the tests run our fallback, and tests of missing features end
//! early and report it.

#![cfg(windows)]

mod files;
mod layers;
mod machine;

use std::io;
use std::path::PathBuf;

use ntmeta::FileTime;
use wclayer::LayerPath;
use wclayer::volume::{Privilege, Privileges, Volume};
use wclayer::windows::{NtRoot, NtVolume};

type Result<T = (), E = Box<dyn std::error::Error>> = std::result::Result<T, E>;

/// A folder of its own, deleted with everything in it.
struct Folder {
    root: NtRoot,
    path: PathBuf,
    privileges: Privileges,
}

impl Folder {
    fn new() -> Result<Self> {
        let volume = NtVolume::new();
        let privileges = volume.enable(&[Privilege::Backup, Privilege::Restore])?;
        let path = volume.temporary_folder(None)?;
        Ok(Self {
            root: volume.open_root(&path, &privileges)?,
            path,
            privileges,
        })
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // A failed test may leave something behind that cannot be deleted.
        let _ = wclayer::volume::delete_contents(&self.root, None);
        let _ = NtVolume::new().delete(&self.path);
    }
}

fn name(text: &str) -> LayerPath {
    text.parse().expect(text)
}

/// A time in the year 2024, `seconds` after its start.
fn time(seconds: i64) -> FileTime {
    FileTime::from_unix(1_704_067_200 + seconds, 123_456_700).expect("in range")
}

fn kind<T>(result: io::Result<T>) -> Option<io::ErrorKind> {
    result.err().map(|error| error.kind())
}
