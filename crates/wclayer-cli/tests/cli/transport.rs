//! Transport folders: imported, described, exported and removed, on this system.

use std::fs;

#[cfg(unix)]
use layergen::{Meta, TarBuilder};

#[cfg(unix)]
use crate::kill::{Moment, kill_at};
use crate::support::{APP_DIFF_ID, Workplace, members, sample};

fn import(work: &Workplace, arguments: &[&str]) -> serde_json::Value {
    let all = [&["import", "--format", "transport", "--json"], arguments].concat();
    work.run(&all).succeeds().json()
}

#[test]
fn a_layer_goes_through_a_transport_folder() {
    let work = Workplace::new();
    let base = import(&work, &["-i", &sample("base.tar.gz"), "base"]);
    assert_eq!(base["format"], "transport");
    // The format defaults to that of the parent.
    let app = work
        .run(&[
            "import",
            "--json",
            "-l",
            "base",
            "-i",
            &sample("app.tar.gz"),
            "app",
        ])
        .succeeds()
        .json();
    assert_eq!(app["format"], "transport");
    assert_eq!(app["diffId"], APP_DIFF_ID);
    assert_eq!(app["parents"], serde_json::json!([work.path("base")]));
    let info = work.run(&["info", "--json", "app"]).succeeds().json();
    assert_eq!(
        members(&info),
        ["contentSize", "entryCounts", "format", "path"]
    );
    assert_eq!(
        (&info["entryCounts"], &info["contentSize"]),
        (&app["entryCounts"], &app["contentSize"])
    );
    assert!(
        work.run(&["info", "app"])
            .succeeds()
            .text()
            .contains("transport folder")
    );
    let out = work
        .run(&["export", "--json", "-z", "-o", "out.tar.gz", "app"])
        .succeeds()
        .json();
    assert_eq!(out["compression"], "gzip");
    // The export is a layer, and exporting it again gives the same tar.
    let diff_id = out["diffId"].as_str().expect("a digest");
    import(
        &work,
        &[
            "-l",
            "base",
            "--diff-id",
            diff_id,
            "-i",
            "out.tar.gz",
            "again",
        ],
    );
    let again = work
        .run(&["export", "--json", "-o", "again.tar", "again"])
        .succeeds()
        .json();
    assert_eq!(again["diffId"], diff_id);
    work.run(&[
        "import",
        "--format",
        "portable",
        "-i",
        &sample("base.tar.gz"),
        "portable",
    ])
    .succeeds();
    work.run(&[
        "import",
        "--format",
        "portable",
        "-l",
        "portable",
        "-i",
        "again.tar",
        "p-app",
    ])
    .succeeds();
    work.run(&["remove", "app"]).succeeds();
    assert!(!work.path("app").exists());
}

#[test]
fn hives_are_added_on_request_and_nowhere_else() {
    let work = Workplace::new();
    work.write("in.tar", &crate::support::small_tar(b"x"));
    import(&work, &["-i", "in.tar", "without"]);
    assert!(!work.path("without/Hives").exists());
    import(&work, &["--hives", "-i", "in.tar", "with"]);
    assert_eq!(work.list("with/Hives").len(), 5);
    work.run(&[
        "import", "--format", "portable", "--hives", "-i", "in.tar", "portable",
    ])
    .fails("--hives");
    assert!(!work.path("portable").exists());
}

#[test]
fn a_refused_import_leaves_nothing() {
    let work = Workplace::new();
    let app = sample("app.tar.gz");
    work.run(&["import", "--format", "transport", "-i", &app, "app"])
        .fails("a layer without parents has nothing to remove");
    let wrong = format!("sha256:{}", "0".repeat(64));
    let base = sample("base.tar.gz");
    work.run(&[
        "import",
        "--format",
        "transport",
        "--diff-id",
        &wrong,
        "-i",
        &base,
        "base",
    ])
    .fails("DiffID");
    work.create_folder("no-layer");
    work.run(&[
        "import",
        "--format",
        "transport",
        "-l",
        "no-layer",
        "-i",
        &app,
        "app",
    ])
    .fails("is not a layer: it is an empty folder");
    assert_eq!(work.list("."), ["no-layer"]);
    import(&work, &["-i", &base, "base"]);
    work.run(&["import", "--format", "transport", "-i", &base, "base"])
        .fails("already exists");
    import(&work, &["--force", "-i", &base, "base"]);
    fs::remove_file(work.path("base/Files.$wcidirs$")).expect("written");
    fs::write(work.path("base/Files/short"), "x").expect("a file");
    work.run(&["export", "-o", "out.tar", "base"])
        .fails("shorter");
    assert_eq!(work.list("."), ["base", "no-layer"]);
}

#[cfg(unix)]
#[test]
fn a_killed_import_leaves_a_complete_folder_or_none() {
    let work = Workplace::new();
    let mut tar = TarBuilder::new(Vec::new());
    tar.directory("Files", &Meta::with_attributes(0x10))
        .expect("memory");
    for number in 0..150 {
        let name = format!("Files/{number}.bin");
        tar.file(&name, &Meta::with_attributes(0x20), &[7; 2000])
            .expect("memory");
    }
    let tar = tar.finish().expect("memory");
    work.write("in.tar", &tar);
    work.create_folder("layers");
    let import = ["import", "--format", "transport", "layers/new"];
    let from_file = [&import[..3], &["-i", "in.tar", "layers/new"]].concat();
    work.run(&from_file).succeeds();
    let files = work.list("layers/new/Files").len();
    work.run(&["remove", "layers/new"]).succeeds();
    for moment in [
        Moment::Read(0),
        Moment::Read(4),
        Moment::Read(8),
        Moment::Made("Files/149.bin"),
        Moment::Made(""),
    ] {
        let was_done = kill_at(&work, &import, &tar, moment);
        if work.path("layers/new").exists() {
            assert_eq!(work.list("layers/new/Files").len(), files);
            work.run(&["remove", "layers/new"]).succeeds();
        } else {
            assert!(!was_done, "{moment:?}");
        }
        work.run(&from_file).succeeds();
        assert_eq!(work.list("layers"), ["new"], "{moment:?}");
        work.run(&["remove", "layers/new"]).succeeds();
    }
}
