//! The output of `--json` matches `docs/json.schema.json` exactly.

mod check;

use std::collections::BTreeMap;

use serde_json::Value;

use self::check::{definition, problems, schema};
use crate::support::{Run, Workplace, sample};

/// Objects that are maps: their members are names of kinds.
const MAPS: [&str; 3] = ["diffStat", "entryCounts", "lost"];

/// Checks the output of a run against the definition of its command.
#[track_caller]
pub(crate) fn holds(run: &Run, command: &str) -> Value {
    let json = run.json();
    let failed = json.get("error").is_some() && json.as_object().is_some_and(|all| all.len() == 1);
    let name = if failed { "failure" } else { command };
    let problems = problems(definition(name), &json);
    assert!(problems.is_empty(), "{command}: {problems:#?}\n{json:#}");
    let text = run.text();
    assert!(!text.contains("/../"), "{command}: {text}");
    json
}

/// Makes a base layer and a layer on top of it: portable, as tars and as transport folders.
fn work() -> Workplace {
    let work = Workplace::new();
    work.import_base("base");
    work.import_app("base", "app");
    work
}

#[test]
fn layers_match_the_schema() {
    let work = work();
    work.create_folder("folder");
    let (base, app) = (sample("base.tar.gz"), sample("app.tar.gz"));
    for arguments in [
        &["import", "-i", &base, "folder/../base2"][..],
        &["import", "-l", "folder/../base", "-i", &app, "app2"],
        &["import", "--format", "transport", "-i", &base, "folder/t"],
        &["import", "--force", "-i", "nowhere", "app2"],
        &["info", "folder/../app"],
        &["info", "folder/../folder/t"],
        &["info", &base],
        &["info", "nowhere"],
        &[
            "export",
            "folder/../app",
            "-z",
            "-o",
            "folder/../app.tar.gz",
        ],
        &["export", "folder/t", "-o", "t.tar"],
        &["export", "nowhere", "-o", "x"],
        &["squash", "app", "-o", "all.tar"],
        &["squash", "app", "--keep-base", "-o", "upper.tar"],
        &["verify", "app"],
        &["repair", "app"],
        &["gc", "."],
        &["remove", "folder/../app2"],
        &["remove", "--force", "app2"],
        &["remove", "folder"],
    ] {
        let run = work.run(&[arguments, &["--json"]].concat());
        holds(&run, arguments[0]);
    }
    let json = holds(&work.run(&["info", "--json", "folder/../app"]), "info");
    assert_eq!(json["path"], work.path("app").to_str().expect("UTF-8"));
    for arguments in [
        &["create", "-l", "app", "x"][..],
        &["mount", "x"],
        &["unmount", "x"],
        &["makebaselayer", "x"],
    ] {
        let run = work.run(&[arguments, &["--json"]].concat());
        holds(&run, arguments[0]);
    }
}

#[test]
fn entries_match_the_schema() {
    let work = work();
    let app = sample("app.tar.gz");
    for (command, chain, more) in [
        ("ls", "app", &["-R"][..]),
        ("ls", "app", &["--this-layer", "-R"]),
        ("ls", &app, &["-R"]),
        ("ls", "app", &["Files/none"]),
        ("tree", "app", &["--depth", "3"]),
        ("find", "app", &["--type", "l"]),
        ("du", "app", &[]),
        ("du", "app", &["--by-layer", "--depth", "2"]),
        ("validate", "app", &[]),
        ("validate", &app, &["--all"]),
        ("validate", "nowhere", &[]),
        ("validate", "--explain", &["all"]),
        ("diff", "app", &["app"]),
        ("diff", "base", &["app"]),
        ("diff", "base", &["--stat", "app"]),
        ("diff", "app", &[&app]),
        ("diff", "app", &["nowhere"]),
        ("extract", "app", &["-C", "out"]),
        ("extract", "app", &["Files/none", "-C", "out"]),
    ] {
        let run = work.run(&[&[command, "--json", chain], more].concat());
        holds(&run, command);
    }
    let listed = work.run(&["ls", "--json", "-R", "app"]).json();
    for entry in listed["entries"].as_array().expect("a list") {
        let path = entry["path"].as_str().expect("a path");
        holds(&work.run(&["stat", "--json", "app", path]), "stat");
    }
    for path in ["Files/ProgramData/Cache", "Files/ProgramData/State"] {
        let run = work.run(&["stat", "--json", "--this-layer", "app", path]);
        holds(&run, "stat");
    }
    // Damage ends the list with an error.
    let tar = work.read("base/layer.tar");
    work.write("base/layer.tar", &tar[..30_000]);
    holds(&work.run(&["find", "--json", "--stream", "base"]), "find");
}

#[test]
fn missing_values_differ_from_empty_ones() {
    let work = work();
    let app = sample("app.tar.gz");
    let entry = |layer: &str, path: &str| {
        let run = work.run(&["ls", "--json", "--this-layer", layer, path]);
        run.succeeds().json()["entries"][0].clone()
    };
    let link = entry("base", "Files/Program Files/Sample/current.txt");
    assert!(link["reparseTarget"].is_string(), "{link}");
    assert!(link.get("removed").is_none(), "{link}");
    let removal = entry("app", "Files/ProgramData/Cache");
    assert_eq!(removal["removed"], "path");
    assert_eq!(removal["size"], Value::Null);
    // Its target is in the base layer.
    let missing = entry(&app, "Files/Program Files/App/runtime.dll");
    assert_eq!(missing["targetMissing"], true);
    assert_eq!(missing["size"], Value::Null);
    assert_eq!(missing["link"], "Files/Windows/System32/sample.dll");
    let kinds = |path: &str| {
        let run = work.run(&["extract", "--json", "app", path, "-C", "out"]);
        let json = run.succeeds().json();
        let kinds = json["lost"].as_object().expect("an object").keys().cloned();
        kinds.collect::<Vec<_>>()
    };
    assert_eq!(kinds("Files"), kinds("Hives"));
}

#[test]
fn a_name_has_one_type() {
    let mut types: BTreeMap<String, String> = BTreeMap::new();
    let definitions = schema()["$defs"].as_object().expect("definitions");
    for (name, definition) in definitions {
        if !MAPS.contains(&name.as_str()) {
            check::for_each_member(definition, &mut |member, schema| {
                let kind = check::type_of(schema);
                let known = types.entry(member.to_owned()).or_insert(kind.clone());
                assert_eq!(*known, kind, "`{member}` in `{name}`");
            });
        }
    }
}

#[test]
fn every_command_with_json_has_a_definition() {
    let work = Workplace::new();
    let help = work.run(&["-h"]).succeeds();
    let lines = help.text().lines();
    let commands = lines.filter_map(|line| line.strip_prefix("  ")?.split(' ').next());
    let mut found = 0;
    for command in commands.filter(|word| word.starts_with(|it: char| it.is_ascii_lowercase())) {
        let help = work.run(&["help", command]);
        if help.text().contains("--json") {
            definition(command);
            found += 1;
        }
    }
    assert!(found >= 17, "{found}");
}
