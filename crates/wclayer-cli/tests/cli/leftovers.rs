//! Leftovers of killed commands, `gc`, and layers with a damaged descriptor.

use std::fs;

use serde_json::Value;

use crate::support::{Workplace, members, sample, small_tar, wait_until};

fn fates(json: &Value) -> Vec<(&str, &str)> {
    let list = json["leftovers"].as_array().expect("a list");
    let text = |value: &'_ Value| value.as_str().expect("a text").to_owned();
    let fates = list.iter().map(|it| {
        let (kind, fate) = (it["kind"].as_str(), it["fate"].as_str());
        assert!(text(&it["path"]).starts_with('/') || cfg!(windows));
        (kind.expect("a text"), fate.expect("a text"))
    });
    fates.collect()
}

#[test]
fn gc_removes_and_lists_leftovers() {
    let work = Workplace::new();
    work.import_base("layers/base");
    work.create_folder("layers/.app.wclayer-a1b2c3");
    work.write("layers/.app.wclayer-a1b2c3/layer.tar", b"12345");
    work.write("layers/.wclayer-export-a1b2c3", b"123");
    work.write("layers/.wclayer-export-notes", b"somebody's");
    let dry = work.run(&["gc", "--dry-run", "layers"]).succeeds();
    assert!(dry.text().contains("would remove"), "{}", dry.text());
    assert_eq!(work.list("layers").len(), 4);
    let json = work.run(&["gc", "--json", "layers"]).succeeds().json();
    assert_eq!(members(&json), ["dryRun", "leftovers", "path", "size"]);
    assert_eq!(fates(&json), [("output", "removed"), ("layer", "removed")]);
    assert_eq!(json["size"], 8);
    assert_eq!(work.list("layers"), [".wclayer-export-notes", "base"]);
    let again = work.run(&["gc", "layers"]).succeeds();
    assert_eq!(again.text(), "Nothing to remove in `layers`\n");
    work.run(&["gc", "nowhere"])
        .fails("`nowhere` does not exist");
}

#[test]
fn gc_keeps_the_files_of_a_running_command() {
    let work = Workplace::new();
    let mut child = work.start(&["import", "--format", "portable", "layer"]);
    wait_until("the import is under way", || {
        let names = work.list(".");
        names.iter().any(|name| name.starts_with(".layer.wclayer-"))
    });
    let json = work.run(&["gc", "--json", "."]).succeeds().json();
    assert_eq!(fates(&json), [("layer", "in_use")]);
    assert_eq!(json["size"], 0);
    child.kill().expect("it can be killed");
    child.wait().expect("it ended");
    let json = work.run(&["gc", "--json", "."]).succeeds().json();
    assert_eq!(fates(&json), [("layer", "removed")]);
    assert_eq!(work.list("."), [""; 0]);
}

#[test]
fn gc_restores_a_layer_that_was_being_replaced() {
    let work = Workplace::new();
    work.import_base("base");
    work.create_folder(".base.wclayer-a1b2c3");
    fs::rename(
        work.path("base"),
        work.path(".base.wclayer-a1b2c3/replaced"),
    )
    .expect("ours");
    let json = work.run(&["gc", "--json", "."]).succeeds().json();
    assert_eq!(fates(&json), [("layer", "restored")]);
    work.run(&["export", "-o", "out.tar", "base"]).succeeds();
}

#[test]
fn a_second_removal_finishes_the_first() {
    let work = Workplace::new();
    work.create_folder(".base.wclayer-a1b2c3/layer");
    work.write(".base.wclayer-a1b2c3/layer/layer.tar", b"12345");
    work.write(".base.lock", b"");
    let json = work.run(&["remove", "--json", "base"]).succeeds().json();
    assert_eq!((&json["size"], &json["wasRest"]), (&5.into(), &true.into()));
    assert_eq!(work.list("."), [""; 0]);
    // Nothing is left to restore, and a lock file alone holds nothing.
    work.write(".base.lock", b"");
    work.run(&["remove", "base"]).fails("`base` does not exist");
    assert_eq!(work.list("."), [""; 0]);
}

#[test]
fn an_export_removes_the_leftovers_of_a_killed_one() {
    let work = Workplace::new();
    work.write("in.tar", &small_tar(&[7; 100_000]));
    work.run(&["import", "--format", "portable", "-i", "in.tar", "layer"])
        .succeeds();
    for command in [
        &["export", "-o", "out/x.tar", "layer"][..],
        &["squash", "-o", "out/x.tar", "layer"],
    ] {
        work.create_folder("out");
        work.write("out/.wclayer-export-a1b2c3", b"half");
        work.run(command).succeeds();
        // Also when replacing a file, whose old content briefly has the hidden name.
        work.run(command).succeeds();
        assert_eq!(work.list("out"), ["x.tar"]);
    }
}

#[cfg(unix)]
#[test]
fn a_view_of_a_tar_leaves_no_names_in_the_temporary_folder() {
    let work = Workplace::new();
    work.create_folder("tmp");
    work.create_folder("tmp/wclayer-view-a1b2c3");
    work.write("tmp/wclayer-view-a1b2c3/index.sqlite", b"left");
    let base = sample("base.tar.gz");
    for arguments in [
        &["squash", "-o", "out.tar", &base][..],
        &["ls", "-R", &base],
        &["validate", &base],
    ] {
        let mut command = work.command(arguments);
        command.env("TMPDIR", work.path("tmp"));
        let output = command.output().expect("the program starts");
        assert!(output.status.success(), "{arguments:?}");
        assert_eq!(work.list("tmp"), [""; 0], "{arguments:?}");
    }
}

#[test]
fn a_layer_with_a_damaged_descriptor_can_be_replaced_and_removed() {
    let work = Workplace::new();
    let base = sample("base.tar.gz");
    let import = ["import", "--format", "portable", "-i", &base, "base"];
    work.run(&import).succeeds();
    for damaged in [&b""[..], b"{", b"{\"format\": 1}", b"\xff\xff", b"[]"] {
        work.write("base/layer.json", damaged);
        work.run(&["info", "base"])
            .fails("`wclayer repair` rebuilds this file");
        work.run(&import).fails("Use --force to replace it");
        work.run(&[&["import", "--force"][..], &import[1..]].concat())
            .succeeds();
        work.run(&["info", "base"]).succeeds();
    }
    work.write("base/layer.json", b"{");
    work.run(&["remove", "base"]).succeeds();
    assert_eq!(work.list("."), [""; 0]);

    work.create_folder("stranger");
    work.write("stranger/layer.json", b"{");
    work.write("stranger/notes.txt", b"precious");
    let again = [&["import", "--force"][..], &import[1..5], &["stranger"]].concat();
    work.run(&again).fails("already exists");
    work.run(&["remove", "stranger"])
        .fails("a folder whose `layer.json` was not written by wclayer");
    assert_eq!(work.list("stranger"), ["layer.json", "notes.txt"]);
}
