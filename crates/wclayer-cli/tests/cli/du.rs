//! `du` on the sample, and on small layers that hide entries of one another.

use layergen::{Meta, TarBuilder};
use serde_json::Value;

use crate::support::{Run, Workplace, sample};

fn run(work: &Workplace, command: &str, more: &[&str]) -> Run {
    let (base, app) = (sample("base.tar.gz"), sample("app.tar.gz"));
    work.run(&[&[command, "-l", &base, &app], more].concat())
}

#[test]
fn du_counts_visible_and_hidden_content() {
    let work = Workplace::new();
    let usage = run(&work, "du", &["--by-layer", "--json"])
        .succeeds()
        .json();
    let hidden = &usage["hidden"];
    assert_eq!(
        (&hidden["files"], &hidden["size"]),
        (&6.into(), &2647.into())
    );
    assert_eq!(
        hidden["largest"][0]["path"],
        "Files/ProgramData/Cache/deep/block.bin"
    );
    let sum: u64 = usage["layers"]
        .as_array()
        .expect("layers")
        .iter()
        .map(|layer| layer["size"].as_u64().expect("a size"))
        .sum();
    let seen = usage["size"].as_u64().expect("a size");
    assert_eq!(sum, seen + 2647);
    let shown = run(&work, "du", &["files/programdata/state"]).succeeds();
    assert!(
        shown.text().ends_with("total, 1 file\n"),
        "{}",
        shown.text()
    );
}

type Tar = TarBuilder<Vec<u8>>;

fn tar(build: impl FnOnce(&mut Tar) -> std::io::Result<()>) -> Vec<u8> {
    let mut tar = TarBuilder::new(Vec::new());
    tar.directory("Files", &directory()).expect("memory");
    build(&mut tar).expect("memory");
    tar.finish().expect("memory")
}

fn directory() -> Meta {
    Meta::with_attributes(0x10)
}

fn plain() -> Meta {
    Meta::with_attributes(0x20)
}

/// Writes a base layer with a directory that has a stream, and a layer that removes it.
fn with_removed_directory() -> Workplace {
    let work = Workplace::new();
    let base = tar(|tar| {
        tar.directory("Files/d", &directory())?;
        tar.stream("Files/d", "s", &plain(), b"1234567")?;
        tar.file("Files/d/a", &plain(), b"12345")?;
        tar.hard_link("Files/d/b", "Files/d/a", &plain())?;
        tar.file("Files/kept", &plain(), b"1")
    });
    let app = tar(|tar| {
        tar.hard_link("Files/link", "Files/kept", &plain())?;
        tar.whiteout("Files/d")
    });
    work.write("base.tar", &base);
    work.write("app.tar", &app);
    work
}

fn sizes(json: &Value, names: [&str; 2]) -> [u64; 2] {
    names.map(|name| json[name].as_u64().expect(name))
}

#[test]
fn streams_of_directories_are_content() {
    let work = with_removed_directory();
    let all = work.run(&["du", "--json", "--depth", "2", "base.tar"]);
    let all = all.succeeds().json();
    assert_eq!(sizes(&all, ["size", "files"]), [13, 2]);
    let below = &all["byDirectory"][1];
    assert_eq!(below["path"], "Files/d");
    assert_eq!(sizes(below, ["size", "files"]), [12, 1]);
    let one = work.run(&["du", "--json", "base.tar", "Files/d"]);
    assert_eq!(sizes(&one.json(), ["size", "files"]), [12, 1]);
}

#[test]
fn a_hidden_path_can_be_counted() {
    let work = with_removed_directory();
    let chain = ["du", "--json", "--by-layer", "-l", "base.tar", "app.tar"];
    let all = work.run(&chain).succeeds().json();
    assert_eq!(sizes(&all["hidden"], ["size", "files"]), [12, 1]);
    let largest = all["hidden"]["largest"].as_array().expect("a list");
    let paths: Vec<_> = largest.iter().map(|file| &file["path"]).collect();
    assert_eq!(paths, ["Files/d", "Files/d/a"]);
    let layers = &all["layers"];
    assert_eq!(sizes(&layers[0], ["size", "files"]), [0, 0]);
    assert_eq!(sizes(&layers[1], ["size", "hiddenSize"]), [13, 12]);
    let place = layers[1]["place"].as_str().expect("a place");
    assert!(std::path::Path::new(place).is_absolute(), "{place}");

    let path = work.run(&[&chain[..], &["files/D"]].concat()).succeeds();
    let path = path.json();
    assert_eq!(sizes(&path, ["size", "files"]), [0, 0]);
    assert_eq!(sizes(&path["hidden"], ["size", "files"]), [12, 1]);
    work.run(&["du", "-l", "base.tar", "app.tar", "Files/d"])
        .fails("there is no `Files/d`");
    work.run(&[&chain[..], &["Files/nothing"]].concat())
        .fails("there is no `Files/nothing`");
}

#[cfg(target_os = "linux")]
#[test]
fn paths_of_layers_may_be_invalid_text() {
    use std::os::unix::ffi::OsStrExt;
    let work = with_removed_directory();
    let name = std::ffi::OsStr::from_bytes(b"\xff.tar");
    std::fs::rename(work.path("base.tar"), work.path("").join(name)).expect("a file");
    let mut command = work.command(&["du", "--json", "--by-layer"]);
    let output = command.arg(name).output().expect("the program starts");
    let json: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let place = json["layers"][0]["place"].as_str().expect("a place");
    assert!(place.ends_with("/\u{fffd}.tar"), "{place}");
}
