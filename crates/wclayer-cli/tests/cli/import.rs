//! `import`: its result, its messages, and the paths that it never replaces.

use std::io::Write;

use crate::support::{
    APP_DIFF_ID, BASE_DIFF_ID, Run, Workplace, members, sample, small_tar, wait_until,
};

const LAYER_FILES: [&str; 4] = ["index.sqlite", "layer.json", "layer.tar", "layerchain.json"];

#[test]
fn the_sample_is_imported_with_a_summary() {
    let work = Workplace::new();
    let run = work
        .run(&["import", "-i", &sample("base.tar.gz"), "layers/base"])
        .succeeds();
    assert!(
        run.text().starts_with("Imported `layers/base`\n"),
        "{}",
        run.text()
    );
    for part in [
        BASE_DIFF_ID,
        "28.61 KiB",
        "none (a base layer)",
        "reparse points   4",
    ] {
        assert!(run.text().contains(part), "`{part}`: {}", run.text());
    }
    assert_eq!(run.stderr, "");
    assert_eq!(work.list("layers"), ["base"]);
    assert_eq!(work.list("layers/base"), LAYER_FILES);
}

#[test]
fn json_is_one_object_of_the_documented_shape() {
    let work = Workplace::new();
    work.import_base("base");
    let arguments = [
        "import",
        "--json",
        "-l",
        "base",
        "-i",
        &sample("app.tar.gz"),
        "app",
    ];
    let run = work.run(&arguments).succeeds();
    let json = run.json();
    assert_eq!(
        members(&json),
        [
            "contentSize",
            "diffId",
            "elapsedSeconds",
            "entryCounts",
            "format",
            "parents",
            "path",
            "source",
            "tarSize",
            "version",
            "warnings"
        ]
    );
    assert_eq!(json["diffId"], APP_DIFF_ID);
    assert_eq!(
        json["source"]["mediaType"],
        "application/vnd.oci.image.layer.v1.tar+gzip"
    );
    assert_eq!(
        (
            &json["entryCounts"]["removals"],
            &json["entryCounts"]["opaque"]
        ),
        (&2.into(), &1.into())
    );
    assert_eq!(json["parents"].as_array().map(Vec::len), Some(1));
    assert!(
        json["parents"][0]
            .as_str()
            .is_some_and(|parent| parent.ends_with("base")),
        "{json}"
    );
    assert!(json["elapsedSeconds"].is_f64(), "{json}");
    assert_eq!(json["warnings"], serde_json::json!([]));
}

#[test]
fn stdin_is_read_by_default() {
    let work = Workplace::new();
    let tar = std::fs::read(sample("base.tar.gz")).expect("the sample");
    let run = work
        .run_with_input(&["import", "--json", "base"], &tar)
        .succeeds();
    assert_eq!(run.json()["diffId"], BASE_DIFF_ID);
}

#[test]
fn an_expected_diff_id_is_checked() {
    let work = Workplace::new();
    work.create_folder("layers");
    let base = sample("base.tar.gz");
    let wrong = [
        "import",
        "--json",
        "--diff-id",
        APP_DIFF_ID,
        "-i",
        &base,
        "layers/base",
    ];
    let run = work.run(&wrong).fails("the DiffID is");
    assert_eq!(run.json()["error"]["kind"], "invalid_layer");
    assert_eq!(work.list("layers"), [""; 0]);
    work.run(&[
        "import",
        "--diff-id",
        BASE_DIFF_ID,
        "-i",
        &base,
        "layers/base",
    ])
    .succeeds();
}

#[test]
fn an_existing_layer_is_replaced_only_by_force() {
    let work = Workplace::new();
    work.import_base("base");
    work.write("small.tar", &small_tar(b"x"));
    let run = work
        .run(&["import", "--json", "-i", "small.tar", "base"])
        .fails("already exists");
    assert_eq!(run.json()["error"]["kind"], "exists");
    assert!(run.stderr.contains("Hint: Use --force"), "{}", run.stderr);
    assert_eq!(
        work.run(&["info", "--json", "base"]).json()["diffId"],
        BASE_DIFF_ID
    );

    let run = work
        .run(&["import", "--json", "--force", "-i", "small.tar", "base"])
        .succeeds();
    assert_eq!(
        work.run(&["info", "--json", "base"]).json()["diffId"],
        run.json()["diffId"]
    );
    assert_ne!(run.json()["diffId"], BASE_DIFF_ID);
    assert_eq!(work.list("."), ["base", "small.tar"]);
}

#[test]
fn a_failed_replacement_leaves_the_old_layer() {
    let work = Workplace::new();
    work.import_base("base");
    work.write("half.tar", &small_tar(&[1; 5000])[..3000]);
    work.run(&["import", "--force", "-i", "half.tar", "base"])
        .fails("cannot import");
    assert_eq!(
        work.run(&["info", "--json", "base"]).json()["diffId"],
        BASE_DIFF_ID
    );
    assert_eq!(work.list("."), ["base", "half.tar"]);
}

#[test]
fn only_layers_are_ever_replaced() {
    let work = Workplace::new();
    work.write("small.tar", &small_tar(b"x"));
    work.write("file", b"precious");
    work.create_folder("folder");
    work.write("folder/file", b"precious");
    work.create_folder("stranger");
    work.write(
        "stranger/layer.json",
        b"{\"format\": \"of another program\"}",
    );
    for path in ["file", "folder", "stranger"] {
        work.run(&["import", "--force", "-i", "small.tar", path])
            .fails("already exists");
    }
    assert_eq!(work.read("file"), b"precious");
    assert_eq!(work.list("folder"), ["file"]);
    assert_eq!(work.list("stranger"), ["layer.json"]);
    assert_eq!(work.list("."), ["file", "folder", "small.tar", "stranger"]);
}

#[test]
fn an_empty_folder_is_used() {
    let work = Workplace::new();
    work.create_folder("base");
    work.import_base("base");
    assert_eq!(work.list("base"), LAYER_FILES);
}

#[test]
fn missing_and_wrong_parents_are_refused() {
    let work = Workplace::new();
    work.import_base("base");
    work.import_app("base", "app");
    work.create_folder("folder");
    let app = sample("app.tar.gz");
    let import = |parents: &[&str]| {
        let options = parents.iter().flat_map(|parent| ["-l", parent]);
        let mut arguments = vec!["import", "-i", &app];
        arguments.extend(options);
        arguments.push("new");
        work.run(&arguments)
    };
    import(&[]).fails("a layer without parents has nothing to remove");
    import(&["nowhere"]).fails("`nowhere` does not exist");
    import(&["folder"]).fails("is not a layer: it is an empty folder");
    import(&["base", "app"]).fails("the parents of `base` are");
    import(&["app", "app"]).fails("the parents of `app` are");
    assert_eq!(work.list("."), ["app", "base", "folder"]);
}

#[test]
fn the_nearest_parent_brings_its_own_parents() {
    let work = Workplace::new();
    work.import_base("base");
    work.import_app("base", "app");
    work.write("small.tar", &small_tar(b"x"));
    for (path, parents) in [
        ("a", &["-l", "app"][..]),
        ("b", &["-l", "app", "-l", "base"]),
    ] {
        let arguments = [&["import", "--json", "-i", "small.tar"], parents, &[path]].concat();
        let json = work.run(&arguments).succeeds().json();
        let names: Vec<&str> = json["parents"]
            .as_array()
            .expect("a list")
            .iter()
            .filter_map(|parent| parent.as_str()?.rsplit(['/', '\\']).next())
            .collect();
        assert_eq!(names, ["app", "base"], "{path}");
    }
}

#[test]
fn of_two_imports_to_one_path_one_wins() {
    let work = Workplace::new();
    let tar = small_tar(&[7; 10_000]);
    work.write("small.tar", &tar);
    let mut first = work.start(&["import", "layer"]);
    let mut stdin = first.stdin.take().expect("piped");
    stdin
        .write_all(&tar[..4096])
        .expect("the first import reads");
    wait_until("the first import is under way", || work.list(".").len() > 1);

    let second = work.run(&["import", "--json", "-i", "small.tar", "layer"]);
    let second = second.fails("another process is importing to");
    assert_eq!(second.json()["error"]["kind"], "busy");

    stdin
        .write_all(&tar[4096..])
        .expect("the first import reads");
    drop(stdin);
    Run::new(
        first.wait_with_output().expect("it ends"),
        &["first import"],
    )
    .succeeds();
    assert_eq!(work.list("."), ["layer", "small.tar"]);
    work.run(&["export", "-o", "out.tar", "layer"]).succeeds();
    assert_eq!(work.read("out.tar"), tar);
}

#[test]
fn warnings_go_to_stderr() {
    let work = Workplace::new();
    let tar = small_tar(b"x");
    work.write("open.tar", &tar[..tar.len() - 1024]);
    let run = work.run(&["import", "-i", "open.tar", "layer"]).succeeds();
    let (first, second) = run.stderr.split_once('\n').expect("two lines");
    assert_eq!(first, "Warning: the tar has no end blocks");
    assert!(
        second.starts_with(
            "Warning: Windows will fail to import this layer, or containers will fail to start: "
        ) && second.contains("at least 5 errors (base-hive-missing); run `wclayer validate "),
        "{second}"
    );
    let run = work.run(&["info", "--json", "layer"]).succeeds();
    assert_eq!(run.json()["warnings"][0], "the tar has no end blocks");
    let run = work
        .run(&["import", "-q", "--force", "-i", "open.tar", "layer"])
        .succeeds();
    assert_eq!((run.text(), run.stderr.as_str()), ("", ""));
}

#[test]
fn verbose_prints_the_steps_on_stderr() {
    let work = Workplace::new();
    work.import_base("base");
    let arguments = [
        "import",
        "--json",
        "-v",
        "-l",
        "base",
        "-i",
        &sample("app.tar.gz"),
        "app",
    ];
    let run = work.run(&arguments).succeeds();
    for part in [
        "reading ",
        "on top of ",
        "recognised application/vnd.oci",
        "stored as ",
        "took ",
    ] {
        assert!(
            run.stderr.lines().any(|line| line.starts_with(part)),
            "{part}: {}",
            run.stderr
        );
    }
    assert_eq!(run.json()["diffId"], APP_DIFF_ID);
}
