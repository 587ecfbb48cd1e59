//! `verify` and `repair`, and the messages about missing parents.

use std::fs;
use std::time::Instant;

use crate::support::{BASE_DIFF_ID, Run, Workplace, members, sample, small_tar};

#[track_caller]
fn failed(run: Run) -> Run {
    assert_eq!(run.code, Some(1), "{}", run.stderr);
    run
}

#[test]
fn an_intact_layer_is_reported_as_intact() {
    let work = Workplace::new();
    work.import_base("base");
    let run = work.run(&["verify", "base"]).succeeds();
    assert!(
        run.text().starts_with("Layer `base` is intact\n"),
        "{}",
        run.text()
    );
    assert!(run.text().contains(BASE_DIFF_ID));
    let json = work.run(&["verify", "--json", "base"]).succeeds().json();
    assert_eq!(members(&json), ["checks", "diffId", "path", "sound"]);
    assert_eq!(json["sound"], true);
    assert_eq!(members(&json["checks"][0]), ["against", "part", "problems"]);
    work.create_folder("other");
    work.run(&["verify", "other"])
        .fails("is not a layer: it is an empty folder");
}

#[test]
fn damage_is_listed_and_repaired() {
    let work = Workplace::new();
    work.import_base("base");
    let whole = work.run(&["ls", "-R", "--json", "base"]).succeeds().json();
    let mut index = work.read("base/index.sqlite");
    index.pop();
    work.write("base/index.sqlite", &index);
    let run = work.run(&["ls", "base"]).fails("index.sqlite` is damaged");
    assert!(run.stderr.contains("wclayer repair"), "{}", run.stderr);
    let json = failed(work.run(&["verify", "--json", "base"])).json();
    assert_eq!(json["sound"], false);
    assert_eq!(json["checks"][2]["part"], "index.sqlite");
    assert_ne!(json["checks"][2]["problems"][0], "");
    let json = work.run(&["repair", "--json", "base"]).succeeds().json();
    assert_eq!(
        (&json["verified"], &json["diffId"]),
        (&true.into(), &BASE_DIFF_ID.into())
    );
    assert!(work.run(&["ls", "-R", "--json", "base"]).succeeds().json() == whole);
    work.run(&["verify", "base"]).succeeds();
    assert_eq!(work.list("."), ["base"]);
}

#[test]
fn without_a_descriptor_the_digest_is_printed_or_compared() {
    let work = Workplace::new();
    work.import_base("base");
    work.write("base/layer.json", b"{");
    let wrong = BASE_DIFF_ID.replace("b81e", "0000");
    work.run(&["repair", "--diff-id", &wrong, "base"])
        .fails("DiffID");
    let run = work.run(&["repair", "base"]).succeeds();
    assert!(run.stderr.contains(BASE_DIFF_ID), "{}", run.stderr);
    work.write("base/layer.json", b"");
    let run = work
        .run(&["repair", "--diff-id", BASE_DIFF_ID, "base"])
        .succeeds();
    assert_eq!(run.stderr, "");
}

#[test]
fn missing_and_wrong_parents_are_named_with_their_child() {
    let work = Workplace::new();
    work.import_base("store/base");
    let app = sample("app.tar.gz");
    work.run(&["import", "-l", "store/base", "-i", &app, "store/app"])
        .succeeds();
    fs::rename(work.path("store"), work.path("moved")).expect("movable");
    work.run(&["ls", "moved/app"]).succeeds();
    fs::rename(work.path("moved/base"), work.path("base")).expect("movable");
    for command in ["ls", "verify"] {
        let run = failed(work.run(&[command, "moved/app"]));
        let said = format!("{}{}", run.text(), run.stderr);
        assert!(
            said.contains("base` of `moved/app` cannot be opened"),
            "{said}"
        );
    }
    let run = failed(work.run(&["ls", "moved/app"]));
    assert!(run.stderr.contains("with -l"), "{}", run.stderr);
    for command in ["ls", "verify", "export"] {
        let arguments = match command {
            "export" => vec!["export", "-o", "out.tar", "-l", "base", "moved/app"],
            _ => vec![command, "-l", "base", "moved/app"],
        };
        work.run(&arguments).succeeds();
    }
    work.run(&["import", "-i", &app, "-l", "base", "moved/other"])
        .succeeds();
    work.run(&["ls", "-l", "moved/other", "moved/app"])
        .fails("the parents of `moved/app`");
    // Replacing and removing the layer names the layers that need it.
    fs::rename(work.path("base"), work.path("moved/base")).expect("movable");
    let force = |input: &str| {
        work.run(&["import", "--force", "-i", input, "moved/base"])
            .succeeds()
            .stderr
    };
    work.write("small.tar", &small_tar(b"x"));
    assert!(force("small.tar").contains("app`"));
    assert!(!force("small.tar").contains("app`"));
    let run = work.run(&["remove", "moved/base"]).succeeds();
    assert!(run.stderr.contains("app`"), "{}", run.stderr);
    let run = work.run(&["remove", "moved/app"]).succeeds();
    assert_eq!(run.stderr, "");
}

#[test]
fn a_killed_repair_leaves_the_old_layer_or_the_new_one() {
    const KILLS: u32 = 6;
    let work = Workplace::new();
    work.write("in.tar", &small_tar(&[7; 4 << 20]));
    work.run(&["import", "-i", "in.tar", "layers/x"]).succeeds();
    let whole = work.read("layers/x/index.sqlite");
    let damaged = &whole[..whole.len() - 1];
    let started = Instant::now();
    work.run(&["repair", "layers/x"]).succeeds();
    let taken = started.elapsed();
    for kill in 0..KILLS {
        work.write("layers/x/index.sqlite", damaged);
        let mut child = work.start(&["repair", "layers/x"]);
        std::thread::sleep(taken * (2 * kill + 1) / (2 * KILLS));
        child.kill().expect("it can be killed");
        let was_done = child.wait().expect("it ended").success();
        let found = work.read("layers/x/index.sqlite");
        assert!(
            found == whole || (found == damaged && !was_done),
            "kill {kill}"
        );
        work.run(&["repair", "layers/x"]).succeeds();
        work.run(&["verify", "layers/x"]).succeeds();
        assert_eq!(work.list("layers"), ["x"], "kill {kill}");
    }
}
