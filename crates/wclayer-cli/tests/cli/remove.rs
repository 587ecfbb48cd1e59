//! `remove`: deletes portable layers and nothing else.

use crate::support::{Workplace, members};

#[test]
fn a_layer_is_removed_completely() {
    let work = Workplace::new();
    work.import_base("layers/base");
    let run = work.run(&["remove", "layers/base"]).succeeds();
    assert!(
        run.text().starts_with("Removed `layers/base`\n"),
        "{}",
        run.text()
    );
    assert_eq!(work.list("layers"), [""; 0]);
    work.run(&["remove", "layers/base"])
        .fails("`layers/base` does not exist");
}

#[test]
fn json_is_one_object_of_the_documented_shape() {
    let work = Workplace::new();
    work.import_base("base");
    let size: usize = work
        .list("base")
        .iter()
        .map(|name| work.read(&format!("base/{name}")).len())
        .sum();
    let json = work.run(&["remove", "--json", "base"]).succeeds().json();
    assert_eq!(members(&json), ["path", "size", "wasRest"]);
    assert_eq!(json["wasRest"], false);
    assert_eq!(json["size"], size);
}

#[test]
fn other_folders_and_files_are_refused() {
    let work = Workplace::new();
    work.create_folder("folder");
    work.write("folder/file", b"precious");
    work.create_folder("stranger");
    work.write(
        "stranger/layer.json",
        b"{\"format\": \"of another program\"}",
    );
    work.create_folder("broken");
    work.write("broken/layer.json", b"{");
    work.write("file", b"precious");
    for (path, why) in [
        ("folder", "is not a layer: it is an ordinary folder"),
        ("stranger", "`layer.json` was not written by wclayer"),
        ("broken", "`layer.json` was not written by wclayer"),
        ("file", "is a file, not the folder of a layer"),
        ("nowhere", "`nowhere` does not exist"),
        (".", "is not a layer: it is an ordinary folder"),
        ("/", "is not a layer: it is an ordinary folder"),
    ] {
        let run = work.run(&["remove", "--json", path]).fails(why);
        assert!(run.json()["error"]["kind"].is_string(), "{path}");
    }
    assert_eq!(work.list("."), ["broken", "file", "folder", "stranger"]);
    assert_eq!(work.list("folder"), ["file"]);
    assert_eq!(work.list("stranger"), ["layer.json"]);
}

#[test]
fn a_damaged_layer_can_be_removed() {
    let work = Workplace::new();
    work.import_base("base");
    std::fs::remove_file(work.path("base/layer.tar")).expect("it was there");
    std::fs::remove_file(work.path("base/layerchain.json")).expect("it was there");
    work.run(&["remove", "base"]).succeeds();
    assert_eq!(work.list("."), [""; 0]);
}

#[test]
fn the_leftovers_of_a_killed_removal_are_removed_by_the_next() {
    let work = Workplace::new();
    work.import_base("base");
    work.create_folder(".base.wclayer-x1y2z3/layer");
    work.write(".base.wclayer-x1y2z3/layer/layer.tar", b"rest");
    work.run(&["remove", "base"]).succeeds();
    assert_eq!(work.list("."), [""; 0]);
}

#[cfg(unix)]
#[test]
fn links_are_not_followed() {
    use std::os::unix::fs::symlink;
    let work = Workplace::new();
    work.import_base("base");
    work.create_folder("precious");
    work.write("precious/file", b"precious");
    symlink("base", work.path("link")).expect("a link");
    work.run(&["remove", "link"]).fails("is a symbolic link");
    assert_eq!(work.list("base").len(), 4);

    symlink("../precious", work.path("base/link")).expect("a link");
    work.run(&["remove", "base"]).succeeds();
    assert_eq!(work.list("precious"), ["file"]);
    assert_eq!(work.list("."), ["link", "precious"]);
}

#[cfg(not(windows))]
#[test]
fn removing_a_windows_layer_requires_windows() {
    let work = Workplace::new();
    work.create_folder("base/Files");
    work.write("base/layerchain.json", b"null");
    work.create_folder("no-layer/Files");
    work.run(&["remove", "--force", "no-layer"])
        .fails("is not a layer");
    work.create_folder("scratch");
    work.write("scratch/sandbox.vhdx", b"disk");
    for path in ["base", "scratch"] {
        work.run(&["remove", "--force", path])
            .fails("`remove` requires Windows with the Host Compute Service");
    }
    assert_eq!(work.list("."), ["base", "no-layer", "scratch"]);
    assert_eq!(work.list("scratch"), ["sandbox.vhdx"]);
}

#[test]
fn nothing_can_be_removed_by_force() {
    let work = Workplace::new();
    for path in ["nothing", "no/folder/nothing"] {
        let run = work.run(&["remove", "--force", path]).succeeds();
        assert_eq!(run.text(), format!("Nothing to remove at `{path}`\n"));
        let json = work.run(&["remove", "--force", "--json", path]).succeeds();
        assert_eq!(json.json()["size"], 0);
        work.run(&["remove", path])
            .fails(&format!("`{path}` does not exist"));
    }
    work.write("file", b"");
    work.run(&["remove", "--force", "file"]).fails("file");
    // Windows reports a file within a path as a missing path.
    if cfg!(unix) {
        work.run(&["remove", "--force", "file/x"]).fails("file");
    }
}
