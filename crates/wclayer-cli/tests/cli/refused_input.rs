//! Input that is not a complete layer: refused with a reason, and nothing is left behind.

use crate::support::{Workplace, sample, small_tar};

/// Imports `bytes` from a file and from stdin; both must fail and leave the folder empty.
#[track_caller]
fn refused(bytes: &[u8], part: &str) {
    let work = Workplace::new();
    work.create_folder("layers");
    work.write("input", bytes);
    let run = work
        .run(&["import", "--json", "-i", "input", "layers/new"])
        .fails(part);
    assert_eq!(
        run.json()["error"]["kind"],
        "invalid_layer",
        "{}",
        run.stderr
    );
    assert_eq!(work.list("layers"), [""; 0], "{part}");
    work.run_with_input(&["import", "layers/new"], bytes)
        .fails(part);
    assert_eq!(work.list("layers"), [""; 0], "{part}");
    // A second attempt succeeds.
    work.import_base("layers/new");
    assert_eq!(work.list("layers"), ["new"]);
}

fn sample_bytes() -> Vec<u8> {
    std::fs::read(sample("base.tar.gz")).expect("the sample")
}

fn damaged(mut bytes: Vec<u8>) -> Vec<u8> {
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0xFF;
    bytes
}

/// Returns the base layer of the sample with another compression.
fn recompressed(method: &str) -> Vec<u8> {
    let work = Workplace::new();
    work.import_base("base");
    work.run(&["export", "--compress", method, "-o", "out", "base"])
        .succeeds();
    work.read("out")
}

#[test]
fn truncated_gzip() {
    let whole = sample_bytes();
    for len in [20, whole.len() / 2, whole.len() - 1] {
        refused(&whole[..len], "cannot import layer");
    }
}

#[test]
fn damaged_gzip() {
    refused(&damaged(sample_bytes()), "cannot import layer");
    refused(
        &[&sample_bytes()[..], b"more"].concat(),
        "cannot import layer",
    );
}

#[test]
fn truncated_zstd() {
    let whole = recompressed("zstd");
    for len in [20, whole.len() / 2, whole.len() - 1] {
        refused(&whole[..len], "cannot import layer");
    }
}

#[test]
fn damaged_zstd() {
    refused(&damaged(recompressed("zstd")), "cannot import layer");
}

#[test]
fn truncated_tar() {
    let whole = recompressed("none");
    for len in [300, 512 + 100, whole.len() / 2] {
        refused(&whole[..len], "cannot import layer");
    }
    let small = small_tar(&[1; 5000]);
    refused(&small[..small.len() - 1024 - 3000], "Files/a.txt");
}

#[test]
fn nothing_and_nonsense() {
    refused(b"", "cannot import layer");
    refused(&[b'x'; 4096], "cannot import layer");
}

#[test]
fn a_missing_input_file() {
    let work = Workplace::new();
    let run = work.run(&["import", "--json", "-i", "nowhere.tar", "layer"]);
    let run = run.fails("`nowhere.tar` does not exist");
    assert_eq!(run.json()["error"]["kind"], "not_found");
    assert_eq!(work.list("."), [""; 0]);
}
