//! `validate`: its text and JSON, and the errors below a failed import.

use layergen::{Meta, TarBuilder};
use serde_json::json;

use crate::support::{Workplace, members, sample};

/// Builds a layer with an error, a warning and a name that would clear the screen.
fn bad() -> Vec<u8> {
    let mut tar = TarBuilder::new(Vec::new());
    let plain = Meta {
        sddl: Some("O:SYG:SYD:(A;;FA;;;WD)".to_owned()),
        ..Meta::with_attributes(0x20)
    };
    tar.directory("Files", &Meta::with_attributes(0x10))
        .expect("memory");
    tar.directory("Hives", &Meta::with_attributes(0x10))
        .expect("memory");
    tar.file("Files/nul", &plain, b"").expect("memory");
    tar.file("Files/Com1.txt", &plain, b"").expect("memory");
    tar.file("Files/../\u{1b}[2J", &plain, b"").expect("memory");
    tar.finish().expect("memory")
}

const SHOWN: &str = r#"error path-parent
  A name contains `..`.
  What happens: The import fails, because the name could lead out of the layer.
  Fix: Write the name without `..`.
    0x1800  Files/../\u{1b}[2J  the name is not a path of a layer: the path contains a `..` component

error path-character
  A name contains a character that NTFS does not allow: `"*<>?|` or a control character.
  What happens: The import to Windows fails: 0x7b (0xc0000033).
  Fix: Rename the file.
    0x1800  Files/../\u{1b}[2J  `\u{1b}[2J`

warning path-reserved-name (2 times)
  A name is that of a device: `NUL`, `CON`, `COM1`, …, with or without an extension.
  What happens: The file is imported, but most programs in the container open the device instead.
  Fix: Rename the file.
     0xc00  Files/nul       `nul`
    0x1200  Files/Com1.txt  `Com1.txt`

`bad.tar`: 2 errors, 2 warnings, 0 notes in 5 entries, on top of 1 layer
"#;

#[test]
fn text_has_findings_by_rule_and_a_summary() {
    let work = Workplace::new();
    work.write("bad.tar", &bad());
    let run = work.run(&["validate", "-l", &sample("base.tar.gz"), "bad.tar"]);
    assert_eq!((run.code, &run.stderr[..]), (Some(1), ""));
    assert_eq!(run.text(), SHOWN);
}

#[test]
fn json_is_one_object_of_the_documented_shape() {
    let work = Workplace::new();
    work.write("bad.tar", &bad());
    let run = work.run(&[
        "validate",
        "--json",
        "-l",
        &sample("base.tar.gz"),
        "bad.tar",
    ]);
    assert_eq!(run.code, Some(1));
    let json = run.json();
    assert_eq!(
        members(&json),
        [
            "complete",
            "entryCount",
            "errorCount",
            "noteCount",
            "parentCount",
            "path",
            "rules",
            "warningCount"
        ]
    );
    for (member, value) in [
        ("errorCount", 2),
        ("warningCount", 2),
        ("noteCount", 0),
        ("entryCount", 5),
    ] {
        assert_eq!(json[member], value, "{member}");
    }
    let rule = &json["rules"][0];
    assert_eq!(
        members(rule),
        [
            "count", "effect", "findings", "fix", "id", "severity", "title"
        ]
    );
    let last = json["rules"]
        .as_array()
        .expect("rules")
        .last()
        .expect("one");
    assert_eq!(
        (&last["id"], &last["count"]),
        (&json!("path-reserved-name"), &json!(2))
    );
    assert_eq!(last["findings"][0]["entry"], "Files/nul");
    assert_eq!(members(&last["findings"][0]), ["detail", "entry", "offset"]);
}

#[test]
fn warnings_count_when_they_are_denied() {
    let work = Workplace::new();
    let (base, app) = (sample("base.tar.gz"), sample("app.tar.gz"));
    let chain = ["validate", "-l", &base, &app];
    let run = work.run(&chain).succeeds();
    assert!(
        run.text().starts_with("warning whiteout-opaque\n"),
        "{}",
        run.text()
    );
    let denied = [&chain[..], &["--deny", "warnings"]].concat();
    assert_eq!(work.run(&denied).code, Some(1));
    let run = work
        .run(&["validate", "--deny", "warnings", &base])
        .succeeds();
    assert!(
        run.text().ends_with(", as a base layer\n"),
        "{}",
        run.text()
    );
}

#[test]
fn all_shows_findings_that_are_otherwise_counted() {
    let work = Workplace::new();
    let mut tar = TarBuilder::new(Vec::new());
    for number in 0..14 {
        let name = format!("other{number}");
        tar.file(&name, &Meta::default(), b"").expect("memory");
    }
    work.write("odd.tar", &tar.finish().expect("memory"));
    let run = work.run(&["validate", "odd.tar"]);
    assert!(
        run.text()
            .contains("    and 4 more: use --all to show them\n"),
        "{}",
        run.text()
    );
    assert!(!run.text().contains("other12"));
    let run = work.run(&["validate", "--all", "odd.tar"]);
    assert!(run.text().contains("other12") && !run.text().contains("more:"));
}

#[test]
fn rules_are_explained() {
    let work = Workplace::new();
    let run = work
        .run(&["validate", "--explain", "hive-empty"])
        .succeeds();
    assert!(
        run.text()
            .starts_with("warning hive-empty\n  A registry hive has no content.\n")
    );
    assert!(run.text().contains("0x3f1"));
    let all = work
        .run(&["validate", "--explain", "all", "--json"])
        .succeeds()
        .json();
    assert!(
        all["rules"]
            .as_array()
            .is_some_and(|rules| rules.len() > 50)
    );
    let run = work
        .run(&["validate", "--explain", "no-such-rule"])
        .was_wrong_usage();
    assert!(run.stderr.contains("parent-missing"), "{}", run.stderr);
    work.run(&["validate"]).was_wrong_usage();
}

#[test]
fn a_failed_import_of_a_file_shows_all_errors() {
    let work = Workplace::new();
    work.write("bad.tar", &bad());
    let run = work
        .run(&["import", "-i", "bad.tar", "layer"])
        .fails("`wclayer validate` finds 7 errors:\n  path-parent: `Files/../");
    assert!(!run.stderr.contains('\u{1b}'), "{}", run.stderr);
    // A pipe cannot be read again.
    let run = work
        .run_with_input(&["import", "layer"], &bad())
        .fails("..");
    assert!(!run.stderr.contains("validate"), "{}", run.stderr);
}

#[test]
fn a_failed_check_differs_from_one_that_found_errors() {
    let work = Workplace::new();
    let (base, app) = (sample("base.tar.gz"), sample("app.tar.gz"));
    for more in [&[][..], &["--json"], &["-q"]] {
        let code = |arguments: &[&str]| {
            let arguments = [&["validate"], more, arguments].concat();
            work.run(&arguments).code
        };
        assert_eq!(code(&[&base]), Some(0), "{more:?}");
        // Without its parents, the layer has nothing to remove.
        assert_eq!(code(&[&app]), Some(1), "{more:?}");
        assert_eq!(code(&["nowhere"]), Some(2), "{more:?}");
        assert_eq!(code(&["-l", "nowhere", &app]), Some(2), "{more:?}");
        assert_eq!(code(&["--no-such-option", &app]), Some(2), "{more:?}");
    }
    let json = work.run(&["validate", "--json", "nowhere"]);
    let json = json.fails_with(2, "nowhere").json();
    assert_eq!(json["error"]["kind"], "not_found");
}
