//! Files with large holes: `cat`, `stat` and `ls -R`.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::MetadataExt;
use std::process::Stdio;

use layergen::{Meta, TarBuilder};

use crate::support::Workplace;

/// Writes a layer with `Files/x` of size `size`, a hole except for `data` at 8192.
fn layer(work: &Workplace, name: &str, size: u64) {
    let mut tar = TarBuilder::new(Vec::new());
    let mut content = b"1\n8192\n4\n".to_vec();
    content.resize(512, 0);
    content.extend(b"data");
    let size = size.to_string();
    let records: [(&str, &[u8]); 4] = [
        ("GNU.sparse.major", b"1"),
        ("GNU.sparse.minor", b"0"),
        ("GNU.sparse.name", b"Files/x"),
        ("GNU.sparse.realsize", size.as_bytes()),
    ];
    tar.directory("Files", &Meta::with_attributes(0x10))
        .and_then(|()| tar.raw_entry("Files/y", b'0', &records, &content))
        .expect("memory");
    work.write(name, &tar.finish().expect("memory"));
}

#[test]
fn cat_to_a_file_leaves_holes_and_to_a_pipe_writes_zeros() {
    let work = Workplace::new();
    layer(&work, "long.tar", 60 << 30);
    layer(&work, "short.tar", 300_000);
    let cat = |layer: &str, sink: File| {
        let mut command = work.command(&["cat", layer, "Files/x"]);
        let status = command.stdout(Stdio::from(sink)).status();
        assert!(status.expect("it starts").success());
    };
    let create = |name: &str| File::create(work.path(name)).expect("a file");
    cat("long.tar", create("long"));
    let there = fs::metadata(work.path("long")).expect("there");
    assert_eq!(there.len(), 60 << 30);
    assert!(there.blocks() < 1000, "{} blocks", there.blocks());

    let mut whole = vec![0; 300_000];
    whole[8192..8196].copy_from_slice(b"data");
    cat("short.tar", create("short"));
    assert!(work.read("short") == whole);
    let append = OpenOptions::new().append(true).open(work.path("short"));
    cat("short.tar", append.expect("a file"));
    assert!(work.read("short") == [&whole[..], &whole].concat());
    // Existing bytes are overwritten.
    work.write("full", &[b'x'; 400_000]);
    let over = OpenOptions::new().write(true).open(work.path("full"));
    cat("short.tar", over.expect("a file"));
    let full = work.read("full");
    assert!(full[..300_000] == whole && full[300_000..] == [b'x'; 100_000]);
    let output = work.command(&["cat", "short.tar", "Files/x"]).output();
    assert!(output.expect("it starts").stdout == whole);
}

#[test]
fn stat_does_not_hash_huge_holes() {
    let work = Workplace::new();
    layer(&work, "long.tar", 60 << 30);
    layer(&work, "short.tar", 300_000);
    work.run(&["import", "-i", "long.tar", "long"]).succeeds();
    for layer in ["long.tar", "long"] {
        let stat = work
            .run(&["stat", "--json", layer, "Files/x"])
            .succeeds()
            .json();
        let stream = &stat["streams"][0];
        assert!(
            stream["sha256"].is_null() && stream["sparse"] == true,
            "{stream}"
        );
        let text = work.run(&["stat", layer, "Files/x"]).succeeds();
        assert!(text.text().contains("not hashed"), "{}", text.text());
    }
    let stat = work
        .run(&["stat", "--json", "short.tar", "Files/x"])
        .succeeds();
    assert!(stat.json()["streams"][0]["sha256"].is_string());
}

#[test]
fn headings_of_a_listing_are_full_paths() {
    let work = Workplace::new();
    let mut tar = TarBuilder::new(Vec::new());
    for name in [
        "Files",
        "Files/a",
        "Files/a/b\u{1b}",
        "Files/a/b\u{1b}/c",
        "Files/a/d",
        "Files/e",
    ] {
        tar.directory(name, &Meta::with_attributes(0x10))
            .expect("memory");
    }
    work.write("layer.tar", &tar.finish().expect("memory"));
    let headings = |arguments: &[&str]| -> Vec<String> {
        let run = work.run(arguments).succeeds();
        let lines = run.text().lines().filter_map(|line| line.strip_suffix(':'));
        lines.map(ToOwned::to_owned).collect()
    };
    let all = [
        "Files",
        "Files/a",
        "Files/a/b\\u{1b}",
        "Files/a/b\\u{1b}/c",
        "Files/a/d",
        "Files/e",
    ];
    assert_eq!(headings(&["ls", "-R", "layer.tar"]), all);
    assert_eq!(headings(&["ls", "-R", "layer.tar", "Files/a"]), all[2..5]);
}
