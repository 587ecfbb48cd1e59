//! `find`, `diff` and `squash` on the sample.

use crate::support::{Run, Workplace, members, sample, started};

fn run(work: &Workplace, command: &str, more: &[&str]) -> Run {
    let (base, app) = (sample("base.tar.gz"), sample("app.tar.gz"));
    work.run(&[&[command, "-l", &base, &app], more].concat())
}

#[test]
fn find_prints_entries_that_pass_all_tests() {
    let work = Workplace::new();
    let found = |more: &[&str]| run(&work, "find", more).succeeds().text().to_owned();
    assert_eq!(
        found(&["--this-layer", "--type", "w"]),
        "Files/Program Files/Sample/notes-1.txt\nFiles/ProgramData/Cache\nFiles/ProgramData/State\n"
    );
    assert_eq!(
        found(&[
            "files\\program files",
            "--name",
            "APP*.EXE",
            "--from-layer",
            "0"
        ]),
        "Files/Program Files/App/app-copy.exe\nFiles/Program Files/App/app.exe\n"
    );
    assert_eq!(
        found(&["-0", "--attr", "hidden", "--type", "f"]),
        "Files/Users/Public/desktop.ini\0"
    );
    let streams = run(
        &work,
        "find",
        &["--stream", "--owner", "s-1-5-18", "--json"],
    )
    .succeeds()
    .json();
    for entry in streams["entries"].as_array().expect("a list") {
        assert_eq!(
            members(entry),
            [
                "attributes",
                "kind",
                "lastWriteTime",
                "layer",
                "link",
                "path",
                "reparsePoint",
                "reparseTarget",
                "size",
                "targetMissing"
            ]
        );
    }
    assert_eq!(found(&["--newer", "2200-01-01"]), "");
    run(&work, "find", &["Files/nothing"]).fails("there is no `Files/nothing`");
}

#[test]
fn find_refuses_impossible_tests() {
    let work = Workplace::new();
    for (option, value, hint) in [
        ("--size", "1x", "such as `10M`"),
        ("--newer", "2024-13-01", "such as `2024-05-01`"),
        ("--newer", "2024-05", "such as `2024-05-01`"),
        ("--owner", "S-1-5-", "such as `S-1-5-32-544`"),
        ("--owner", "", "such as `S-1-5-32-544`"),
        ("--owner", "nobody", "such as `S-1-5-32-544`"),
        ("--newer", "400000 days ago", "begin in 1601"),
        ("--attr", "foo", "no_scrub_data"),
        ("--name", "[a", "`[` without `]`"),
    ] {
        let refused = run(&work, "find", &[option, value]).was_wrong_usage();
        assert!(refused.stderr.contains(hint), "{}", refused.stderr);
        assert!(!refused.stderr.contains("0xdf"), "{}", refused.stderr);
    }
    run(&work, "find", &["--from-layer", "7"]).fails("the chain has layers 0 to 1");
    run(&work, "find", &["--from-layer", "elsewhere"])
        .fails("`elsewhere` is not a layer of the chain");
}

#[test]
fn find_accepts_printed_times() {
    let work = Workplace::new();
    let file = "Files/Users/Public/desktop.ini";
    let json = run(&work, "stat", &["--json", file]).succeeds().json();
    let time = json["lastWriteTime"].as_str().expect("a time");
    let found = |newer: &str| {
        let found = run(&work, "find", &[file, "--newer", newer]).succeeds();
        !found.stdout.is_empty()
    };
    assert!(!found(time) && !found(file));
    let (seconds, _) = time.split_once('.').expect("a fraction");
    let earlier = seconds.replace('T', " ");
    assert_eq!(found(&earlier), !time.ends_with(".0000000Z"));
    assert!(found("2001-01-01") && found("2001-01-01T10:00+02:00"));
    assert!(found("1800 weeks ago"));
    assert!(!found("yesterday") && !found("2 Days ago") && !found("today"));
    for other in ["tomorrow", "last week", "2d"] {
        run(&work, "find", &["--newer", other]).fails("`2 days ago` (or weeks,");
    }
}

#[test]
fn diff_lists_differences_and_exits_with_1() {
    let work = Workplace::new();
    let (base, app) = (sample("base.tar.gz"), sample("app.tar.gz"));
    let same = work.run(&["diff", &base, &base]).succeeds();
    assert_eq!(same.text(), "no differences\n");
    let different = work.run(&["diff", "--right-layer", &base, &base, &app]);
    assert_eq!((different.code, different.stderr.as_str()), (Some(1), ""));
    let text = different.text();
    for line in [
        "+ Files/Program Files/App/\n",
        "- Files/ProgramData/Cache/deep/block.bin\n",
        "* Files/Program Files/Sample/settings.ini\n    content: 21 bytes sha256:",
        "11 added, 7 removed, 2 changed\n  content: 1\n  links: 1\n",
    ] {
        assert!(text.contains(line), "{line}: {text}");
    }
    let arguments = ["diff", "--json", "--right-layer", &base, &base, &app];
    let json = work.run(&arguments).json();
    assert_eq!(members(&json), ["changes", "left", "right", "stat"]);
    assert_eq!(json["changes"].as_array().map(Vec::len), Some(20));
    let ignoring = [&arguments[..], &["--ignore", "links,content"]].concat();
    assert_eq!(work.run(&ignoring).json()["stat"]["changed"], 0);
    work.run(&["diff", &base, "nowhere"])
        .fails_with(2, "nowhere");
}

#[test]
fn diff_exits_with_1_also_when_nobody_reads_on() {
    let work = Workplace::new();
    let (base, app) = (sample("base.tar.gz"), sample("app.tar.gz"));
    for more in [&[][..], &["--json"], &["--stat"]] {
        for (other, code) in [(&app, 1), (&base, 0)] {
            let arguments = [&["diff", &base, other], more].concat();
            let mut child = work.start(&arguments);
            drop(child.stdout.take());
            let ended = child.wait_with_output().expect("the program ends");
            let told = String::from_utf8_lossy(&ended.stderr).into_owned();
            assert_eq!((ended.status.code(), told.as_str()), (Some(code), ""));
        }
    }
}

#[test]
fn a_failure_of_diff_is_in_its_object() {
    let work = Workplace::new();
    let (base, app) = (sample("base.tar.gz"), sample("app.tar.gz"));
    work.run(&["import", "--format", "transport", "-i", &base, "base"])
        .succeeds();
    work.write("base/Files/Windows/System32/sample.dll", b"short");
    let json = work.run(&["diff", "--json", "base", &app]);
    let json = json.fails_with(2, "sample.dll").json();
    assert_eq!(members(&json), ["changes", "error", "left", "right"]);
    assert_eq!(json["error"]["kind"], "invalid_layer");
}

#[test]
fn diff_points_to_the_parents_of_one_side() {
    let work = Workplace::new();
    work.import_base("base");
    let (base, app) = (sample("base.tar.gz"), sample("app.tar.gz"));
    work.run(&["diff", "-l", &base, &app, "base"])
        .fails_with(2, "use --left-layer or --right-layer for parents of one");
}

#[test]
fn a_squashed_chain_looks_like_the_chain() {
    let work = Workplace::new();
    let (base, app) = (sample("base.tar.gz"), sample("app.tar.gz"));
    let json = run(&work, "squash", &["-o", "all.tar", "--json"])
        .succeeds()
        .json();
    let mut again = work.command(&["squash", "-l", &base, &app, "-o", "again.tar"]);
    again.arg("-q").env("TZ", "Asia/Tokyo");
    assert!(started(|| again.status()).success());
    assert!(work.read("all.tar") == work.read("again.tar"), "same bytes");
    work.run(&["diff", "--left-layer", &base, &app, "all.tar"])
        .succeeds();
    let imported = work
        .run(&["import", "--json", "-i", "all.tar", "all"])
        .succeeds()
        .json();
    assert_eq!(imported["diffId"], json["diffId"]);
}

#[test]
fn a_chain_squashed_without_its_base_fits_on_top_of_it() {
    let work = Workplace::new();
    work.import_base("base");
    let (base, app) = (sample("base.tar.gz"), sample("app.tar.gz"));
    run(
        &work,
        "squash",
        &["--keep-base", "-z", "-o", "upper.tar.gz"],
    )
    .succeeds();
    work.run(&["import", "-l", "base", "-i", "upper.tar.gz", "upper"])
        .succeeds();
    work.run(&["diff", "--left-layer", &base, &app, "upper"])
        .succeeds();
    work.run(&["squash", "--keep-base", "-o", "x.tar", "base"])
        .fails("no layer on top of its base");
    assert!(!work.path("x.tar").exists());
}

#[test]
fn an_error_of_squash_names_the_layer() {
    let work = Workplace::new();
    let base = sample("base.tar.gz");
    work.run(&["import", "--format", "portable", "-i", &base, "base"])
        .succeeds();
    let app = sample("app.tar.gz");
    work.write("app.tar.gz", &std::fs::read(&app).expect("the sample"));
    let mut tar = work.read("base/layer.tar");
    tar[30_000..].fill(0);
    work.write("base/layer.tar", &tar);
    work.run(&["squash", "-l", "base", "app.tar.gz", "-o", "x.tar"])
        .fails("cannot squash layer `app.tar.gz`")
        .fails("1: cannot read layer `base`");
    work.run(&["extract", "-l", "base", "app.tar.gz", "-C", "x"])
        .fails("cannot read layer `base`");
    assert_eq!(work.list("."), ["app.tar.gz", "base", "x"]);
}

#[test]
fn a_squashed_chain_does_not_overwrite_its_layers() {
    let work = Workplace::new();
    work.import_base("base");
    let app = std::fs::read(sample("app.tar.gz")).expect("the sample");
    work.write("app.tar.gz", &app);
    for output in ["app.tar.gz", "./app.tar.gz", "base/layer.tar"] {
        work.run(&["squash", "-l", "base", "app.tar.gz", "-o", output])
            .fails(&format!("the output `{output}` is part of the layer `"));
    }
    assert_eq!(work.read("app.tar.gz"), app);
    work.run(&["export", "-z", "base", "-o", "base/layer.tar"])
        .fails("the output `base/layer.tar` is part of the layer `base`");
    assert_eq!(work.run(&["export", "base"]).succeeds().stderr, "");
    assert_eq!(work.list("."), ["app.tar.gz", "base"]);
}
