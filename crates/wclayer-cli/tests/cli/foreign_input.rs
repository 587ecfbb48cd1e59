//! Inputs other than layer tars: the error names them, and the hint says what to do.

use std::io::Write;

use layergen::{Meta, TarBuilder};
use wclayer::compression::{Compression, Encoder};

use crate::support::{Workplace, sample, small_tar};

const ZSTD_MAGIC: &[u8] = b"\x28\xB5\x2F\xFD";

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = Encoder::new(Vec::new(), Compression::Gzip.into()).expect("memory");
    encoder.write_all(bytes).expect("memory");
    encoder.finish().expect("memory")
}

/// Builds a tar of files outside the directories of a layer.
fn archive(files: &[(&str, &str)]) -> Vec<u8> {
    let mut tar = TarBuilder::new(Vec::new());
    for (name, content) in files {
        tar.file(name, &Meta::default(), content.as_bytes())
            .expect("memory");
    }
    tar.finish().expect("memory")
}

/// Inputs, each with words of its error and of its hint.
fn inputs() -> Vec<(Vec<u8>, &'static str, &'static str)> {
    let tar = small_tar(b"content");
    let utf_16: Vec<u8> = "\u{FEFF}Files"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    let window_of_2_gib = [ZSTD_MAGIC, &[0, 21 << 3], &[0; 99]].concat();
    let docker_save = archive(&[
        ("1a/VERSION", "1.0"),
        ("1a/layer.tar", "a tar"),
        (
            "manifest.json",
            r#"[{"Config":"c","Layers":["1a/layer.tar"]}]"#,
        ),
    ]);
    let oci_layout = archive(&[
        ("oci-layout", r#"{"imageLayoutVersion":"1.0.0"}"#),
        ("index.json", r#"{"manifests":[{"digest":"sha256:2b"}]}"#),
        ("blobs/sha256/2b", r#"{"layers":[{"digest":"sha256:3c"}]}"#),
        ("blobs/sha256/3c", "a tar"),
    ]);
    vec![
        (b"\xFD7zXZ\0\0\x04".to_vec(), "an xz file", "decompress"),
        (b"BZh91AY".to_vec(), "a bzip2 file", "decompress"),
        (
            b"PK\x03\x04\x14".to_vec(),
            "a zip file",
            "inside this archive",
        ),
        (b"7z\xBC\xAF\x27\x1C".to_vec(), "a 7z archive", "archive"),
        (b"vhdxfile".to_vec(), "a VHDX disk", "not disks"),
        (
            gzip(&gzip(&tar)),
            "compressed twice",
            "Decompress the file once",
        ),
        (utf_16, "UTF-16", "PowerShell"),
        (
            br#"{"schemaVersion":2,"config":{}}"#.to_vec(),
            "the manifest of an image",
            "`layers`",
        ),
        (
            b"<!DOCTYPE html><title>Sign in</title>".to_vec(),
            "a web page",
            "server",
        ),
        (
            window_of_2_gib,
            "a window of 2147483648 bytes, which is more than the limit of 134217728",
            "without `--long`",
        ),
        (
            [gzip(&tar), b"more".to_vec()].concat(),
            "followed by something else",
            "Cut off the bytes after",
        ),
        (docker_save.clone(), "`1a/layer.tar`", "tar -xf"),
        (gzip(&docker_save), "`1a/layer.tar`", "one by one"),
        (
            oci_layout,
            "`blobs/sha256/3c`",
            "starting with the base layer",
        ),
    ]
}

#[test]
fn an_input_of_another_kind_is_named() {
    let work = Workplace::new();
    for (bytes, name, advice) in inputs() {
        work.write("input", &bytes);
        let run = work.run(&["import", "-i", "input", "layer"]).fails(name);
        let blames_damage = ["truncated", "download the file again"]
            .iter()
            .any(|words| run.stderr.contains(words));
        assert!(
            !blames_damage && run.stderr.contains(advice),
            "{}",
            run.stderr
        );
        assert_eq!(work.list("."), ["input"]);
    }
}

#[test]
fn every_command_that_reads_a_tar_names_it() {
    let work = Workplace::new();
    let manifest = [("manifest.json", "[]"), ("1a/layer.tar", "a tar")];
    for (input, name) in [
        (&b"\xFD7zXZ\0\0\x04"[..], "an xz file"),
        (&gzip(&archive(&manifest)), "an image archive"),
    ] {
        work.write("input", input);
        for command in [
            &["ls", "input"][..],
            &["cat", "input", "Files/a"],
            &["stat", "input", "Files/a"],
            &["tree", "input"],
            &["find", "input"],
            &["du", "input"],
            &["diff", "input", "input"],
            &["extract", "--directory", "to", "input", "Files"],
            &["squash", "-o", "out", "input"],
            &["import", "-i", "input", "layer"],
            &["import", "--format", "transport", "-i", "input", "layer"],
        ] {
            let code = if command[0] == "diff" { 2 } else { 1 };
            let run = work.run(command).fails_with(code, name);
            assert!(run.stderr.contains("Hint"), "{command:?}: {}", run.stderr);
        }
        let run = work.run(&["validate", "input"]);
        assert!(run.text().contains("not-a-layer"), "{}", run.text());
        assert!(run.text().contains(name), "{}", run.text());
    }
}

#[test]
fn a_folder_of_an_image_is_named() {
    let work = Workplace::new();
    work.create_folder("image");
    work.write("image/oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#);
    let run = work.run(&["ls", "image"]).fails("image");
    assert!(run.stderr.contains("OCI image layout"), "{}", run.stderr);
    work.create_folder("saved");
    work.write("saved/manifest.json", b"[]");
    let run = work.run(&["ls", "saved"]).fails("saved");
    assert!(
        run.stderr.contains("`manifest.json` lists"),
        "{}",
        run.stderr
    );
}

#[test]
fn zeros_after_compressed_data_are_padding() {
    let work = Workplace::new();
    work.write("plain", &small_tar(b"content"));
    work.run(&["import", "-i", "plain", "base"]).succeeds();
    work.run(&["export", "--compress", "zstd", "-o", "zst", "base"])
        .succeeds();
    let padded = [work.read("zst"), vec![0; 512]].concat();
    work.write("padded", &padded);
    work.run(&["import", "-i", "padded", "again"]).succeeds();
}

#[test]
fn a_layer_for_linux_is_imported_with_a_warning() {
    let work = Workplace::new();
    work.write("input", &archive(&[("etc/passwd", "root"), ("bin/sh", "")]));
    let run = work.run(&["import", "-i", "input", "layer"]).succeeds();
    assert!(run.stderr.contains("made for Linux"), "{}", run.stderr);
    let sample = sample("base.tar.gz");
    let run = work.run(&["import", "-i", &sample, "base"]).succeeds();
    assert_eq!(run.stderr, "");
}

#[test]
fn a_time_that_windows_cannot_store_is_reported() {
    let mut tar = TarBuilder::new(Vec::new());
    let meta = |time: &str| {
        let mut meta = Meta::with_attributes(0x20);
        meta.records.push(("mtime".to_owned(), time.into()));
        meta
    };
    for (name, time) in [
        ("Files/a", "-62135596800"),
        ("Files/b", "9223372036854775807"),
    ] {
        tar.file(name, &meta(time), b"x").expect("memory");
    }
    let tar = tar.finish().expect("memory");
    let work = Workplace::new();
    work.write("input", &tar);
    let run = work.run(&["import", "-i", "input", "layer"]).succeeds();
    assert!(
        run.stderr
            .contains("2 entries have a time before 1601 or after 30828"),
        "{}",
        run.stderr
    );
    work.run(&["export", "-o", "again", "layer"]).succeeds();
    assert!(work.read("again") == tar, "the tar is kept as it is");
    let shown = |path| {
        work.run(&["stat", "layer", path])
            .succeeds()
            .text()
            .to_owned()
    };
    assert!(shown("Files/a").contains("1601-01-01"));
    assert!(shown("Files/b").contains("30828-09-14"));
}
