//! `info`: describes a layer without reading its contents.

use crate::support::{BASE_DIFF_ID, Workplace, members};

#[test]
fn json_is_one_object_of_the_documented_shape() {
    let work = Workplace::new();
    work.import_base("base");
    let json = work.run(&["info", "--json", "base"]).succeeds().json();
    assert_eq!(
        members(&json),
        [
            "contentSize",
            "diffId",
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
    assert_eq!(members(&json["source"]), ["digest", "mediaType", "size"]);
    assert_eq!(
        members(&json["entryCounts"]),
        [
            "directories",
            "files",
            "links",
            "opaque",
            "removals",
            "reparsePoints",
            "streams"
        ]
    );
    assert_eq!(json["format"], "wclayer.portable");
    assert_eq!(json["diffId"], BASE_DIFF_ID);
    assert_eq!(json["tarSize"], work.read("base/layer.tar").len());
    assert_eq!(json["parents"], serde_json::json!([]));
}

#[test]
fn text_has_aligned_rows() {
    let work = Workplace::new();
    work.import_base("base");
    work.import_app("base", "app");
    let run = work.run(&["info", "app"]).succeeds();
    let text = run.text();
    assert!(text.starts_with("Layer `app`\n"), "{text}");
    assert!(
        text.lines().any(|line| line.trim().ends_with("base")),
        "{text}"
    );
    let column = |label: &str| {
        let line = text
            .lines()
            .find(|line| line.trim_start().starts_with(label))
            .expect(label);
        line.len()
            - line
                .trim_end()
                .rsplit("  ")
                .next()
                .expect("a value")
                .trim_start()
                .len()
    };
    assert_eq!(column("DiffID"), column("tar size"));
    assert_eq!(run.stderr, "");
}

#[test]
fn a_path_that_is_not_a_layer_is_an_error_in_text_and_json() {
    let work = Workplace::new();
    work.create_folder("folder");
    let run = work
        .run(&["info", "--json", "folder"])
        .fails("is not a layer");
    assert!(run.stderr.contains("Hint: "), "{}", run.stderr);
    let json = run.json();
    assert_eq!(members(&json), ["error"]);
    assert_eq!(
        members(&json["error"]),
        ["causes", "hint", "kind", "message"]
    );
    assert_eq!(json["error"]["kind"], "not_found");
    assert_eq!(json["error"]["causes"], serde_json::json!([]));
}

#[test]
fn colour_is_for_terminals_unless_requested() {
    let work = Workplace::new();
    work.import_base("base");
    let escapes = |arguments: &[&str]| work.run(arguments).stdout.contains(&0x1B);
    assert!(!escapes(&["info", "base"]));
    assert!(escapes(&["info", "--color", "always", "base"]));
    assert!(!escapes(&["info", "--color=never", "base"]));
    let failed = work.run(&["--color", "always", "info", "nowhere"]);
    assert!(failed.stderr.starts_with("\x1B["), "{}", failed.stderr);
}

#[test]
fn a_windows_layer_is_recognised_on_every_system() {
    let work = Workplace::new();
    work.create_folder("base/Files");
    work.create_folder("base/UtilityVM/Files");
    work.write("base/layerchain.json", b"null");
    work.create_folder("bare/Files");
    work.create_folder("bare/Hives");
    work.create_folder("no-layer/Files");
    work.run(&["info", "no-layer"]).fails("is not a layer");
    work.create_folder("scratch");
    work.write("scratch/sandbox.vhdx", b"disk");
    work.create_folder("half");
    work.write(".half.wclayer-importing", b"");
    let info = |path: &str| work.run(&["info", "--json", path]).succeeds().json();
    let base = info("base");
    assert_eq!(
        members(&base),
        ["complete", "format", "kind", "parents", "path", "utilityVm"]
    );
    assert_eq!(base["format"], "windows");
    assert_eq!(base["kind"], "base");
    assert_eq!(base["complete"], true);
    assert_eq!(base["utilityVm"], true);
    assert_eq!(base["parents"], serde_json::json!([]));
    let bare = info("bare");
    assert_eq!(bare["kind"], "unknown");
    assert_eq!(bare["parents"], serde_json::json!(null));
    assert_eq!(info("scratch")["kind"], "scratch");
    assert_eq!(info("half")["complete"], false);
    let run = work.run(&["info", "half"]).succeeds();
    assert!(
        run.text().contains("import or removal was interrupted"),
        "{}",
        run.text()
    );

    let parent = serde_json::json!([work.path("base")]);
    work.write("bare/layerchain.json", parent.to_string().as_bytes());
    assert_eq!(info("bare")["kind"], "layer");
    assert_eq!(info("bare")["parents"], parent);
    work.write("bare/tombstones.txt", b"");
    work.run(&["info", "bare"]).fails("is not a layer");
}
