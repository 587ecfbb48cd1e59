//! Every command with every kind of thing that can be named as a layer: it works, or the command
//! says what it found.

// The tests of Windows layers need a machine without the Host Compute Service.
#![cfg_attr(windows, allow(dead_code))]

use std::fs;

use crate::support::{Run, Workplace, sample};

/// What happens.
#[derive(Debug, Clone, Copy)]
enum Expected {
    Works,
    /// Fails, with this in the message.
    Says(&'static str),
}

use Expected::{Says, Works};

/// The kinds of layers, in the order of the table's columns.
const LAYERS: [&str; 4] = ["portable", "transport", "base.tar.gz", "windows"];

/// Kinds of what is not a usable layer, with the answer of every command.
const OTHERS: [(&str, &str); 6] = [
    ("damaged", "layer.json` is malformed"),
    ("empty", "`empty` is not a layer: it is an empty folder"),
    (
        "folder",
        "`folder` is not a layer: it is an ordinary folder",
    ),
    (
        "stranger",
        "`stranger` is not a layer: it is a folder whose `layer.json` was not written by wclayer",
    ),
    ("nosuch", "`nosuch` does not exist"),
    ("nosuch/deeper", "`nosuch/deeper` does not exist"),
];

const IN_PLACE: Expected = Says("`windows` is a Windows base layer, which cannot be read in place");
const NOT_TAR: &str = "not a layer tar";
const NOT_PORTABLE: &str = "not a portable layer";
const NEEDS_SERVICE: Expected = Says("Windows with the Host Compute Service");

/// A command line, with `{}` for the layer, and what happens for each of [`LAYERS`].
type Row = (&'static str, [Expected; 4]);

/// All that read a layer wherever it is.
const VIEWS: [&str; 13] = [
    "ls {}",
    "tree {}",
    "stat {} Files",
    "cat {} Files/Windows/System32/sample.dll",
    "find {}",
    "du {}",
    "diff {} base.tar.gz",
    "diff base.tar.gz {}",
    "squash {} -o out",
    "extract {} -C out",
    "validate {}",
    "ls app.tar.gz -l {}",
    "import --format transport -i app.tar.gz out -l {}",
];

const ROWS: [Row; 5] = [
    ("info {}", [Works; 4]),
    ("export -o out {}", [Works, Works, Works, NEEDS_SERVICE]),
    (
        "verify {}",
        [
            Works,
            Says(NOT_PORTABLE),
            Says(NOT_PORTABLE),
            Says(NOT_PORTABLE),
        ],
    ),
    (
        "import --format portable -i app.tar.gz out -l {}",
        [
            Works,
            Says(NOT_PORTABLE),
            Says(NOT_PORTABLE),
            Says(NOT_PORTABLE),
        ],
    ),
    (
        "import --format portable out -i {}",
        [Says(NOT_TAR), Says(NOT_TAR), Works, Says(NOT_TAR)],
    ),
];

/// One of each kind.
fn workplace() -> Workplace {
    let work = Workplace::new();
    for name in ["base.tar.gz", "app.tar.gz"] {
        fs::copy(sample(name), work.path(name)).expect("copied");
    }
    work.import_base("portable");
    work.import_base("damaged");
    work.write("damaged/layer.json", b"{");
    let transport = ["import", "--format", "transport", "-i", "base.tar.gz"];
    work.run(&[&transport[..], &["transport"]].concat())
        .succeeds();
    work.create_folder("windows/Files");
    work.write("windows/layerchain.json", b"null");
    work.create_folder("empty");
    work.create_folder("folder/sub");
    work.create_folder("stranger");
    work.write("stranger/layer.json", br#"{"format": "another"}"#);
    work
}

fn run(work: &Workplace, line: &str, layer: &str) -> Run {
    let line = line.replace("{}", layer);
    let run = work.run(&line.split(' ').collect::<Vec<_>>());
    let out = work.path("out");
    let _ = fs::remove_file(&out).or_else(|_| fs::remove_dir_all(&out));
    run
}

#[track_caller]
fn check(work: &Workplace, line: &str, layer: &str, expected: Expected) {
    let run = run(work, line, layer);
    let failure = match line.starts_with("diff") || line.starts_with("validate") {
        true => 2,
        false => 1,
    };
    match expected {
        Works => drop(run.succeeds()),
        Says(text) => {
            let run = run.fails_with(failure, text);
            // Only a path that does not exist needs no advice.
            let is_advised = run.stderr.contains("\nHint: ");
            let is_missing = text.ends_with("does not exist") || text.contains("leads nowhere");
            assert!(is_advised || is_missing, "{line}: {}", run.stderr);
        }
    }
}

#[cfg(not(windows))]
#[test]
fn every_command_takes_every_kind_that_it_can_make_sense_of() {
    let work = workplace();
    let views = VIEWS.map(|line| (line, [Works, Works, Works, IN_PLACE]));
    for (line, expected) in views.into_iter().chain(ROWS) {
        for (layer, expected) in LAYERS.into_iter().zip(expected) {
            check(&work, line, layer, expected);
        }
    }
}

#[test]
fn every_command_says_the_same_of_what_is_not_a_layer() {
    let work = workplace();
    let lines = VIEWS.into_iter().chain(ROWS.map(|(line, _)| line));
    for line in lines.chain(["repair {}", "remove {}"]) {
        for (name, text) in OTHERS {
            let expected = match (line, name) {
                // These are for damaged layers, or for their ruins.
                ("repair {}" | "verify {}" | "remove {}", "damaged") => continue,
                ("repair {}" | "verify {}", "folder" | "stranger") => Says(NOT_PORTABLE),
                // A file is expected; that the layer is damaged does not matter.
                ("import --format portable out -i {}", "damaged") => Says(NOT_TAR),
                _ => Says(text),
            };
            if line.starts_with("verify") && name == "stranger" {
                // It has a descriptor: that it is damaged is an answer.
                continue;
            }
            check(&work, line, name, expected);
        }
    }
    assert_eq!(work.list("stranger"), ["layer.json"]);
}

#[test]
fn a_folder_to_clean_up_that_does_not_exist_is_missing_too() {
    let work = Workplace::new();
    check(&work, "gc {}", "nosuch", Says("`nosuch` does not exist"));
}

#[cfg(not(windows))]
#[test]
fn what_is_removed_is_a_folder_of_a_layer() {
    let work = workplace();
    for (layer, expected) in [
        ("portable", Works),
        ("damaged", Works),
        ("transport", Works),
        (
            "base.tar.gz",
            Says("`base.tar.gz` is a gzip file, not the folder of a layer"),
        ),
        ("windows", NEEDS_SERVICE),
    ] {
        check(&work, "remove {}", layer, expected);
    }
    assert_eq!(
        work.list("."),
        [
            "app.tar.gz",
            "base.tar.gz",
            "empty",
            "folder",
            "stranger",
            "windows"
        ]
    );
}

#[test]
fn a_parent_without_a_diff_id_cannot_be_compared() {
    let work = workplace();
    work.import_app("portable", "app");
    for command in ["ls", "validate"] {
        for (parent, text) in [
            ("transport", "only portable layers store their DiffID"),
            ("base.tar.gz", "only portable layers store their DiffID"),
            ("app", "the parents of `app` are"),
        ] {
            let line = format!("{command} app -l {{}}");
            check(&work, &line, parent, Says(text));
        }
        check(&work, &format!("{command} app -l {{}}"), "portable", Works);
    }
}

/// The files of a layer are those of the layer whatever kind it is.
#[test]
fn an_exported_tar_keeps_every_bit() {
    let work = workplace();
    for method in ["gzip:1", "zstd", "none"] {
        let export = ["export", "--json", "--compress", method, "-o", "tar"];
        let json = work.run(&[&export[..], &["base.tar.gz"]].concat());
        let json = json.succeeds().json();
        assert_eq!(json["diffId"], crate::support::BASE_DIFF_ID, "{method}");
        let info = work.run(&["info", "--json", "tar"]).succeeds().json();
        assert_eq!(info["diffId"], json["diffId"], "{method}");
        assert_eq!(info["source"]["digest"], json["digest"], "{method}");
    }
    work.write("text", b"no layer");
    work.run(&["export", "-o", "new", "text"])
        .fails("cannot export layer `text`");
    assert!(!work.path("new").exists());
}

#[cfg(unix)]
#[test]
fn links_are_read_and_not_removed() {
    let work = workplace();
    for layer in ["portable", "transport", "base.tar.gz", "windows"] {
        std::os::unix::fs::symlink(layer, work.path("link")).expect("a link");
        check(&work, "info {}", "link", Works);
        if layer != "windows" {
            check(&work, "ls {}", "link", Works);
            check(&work, "export {} -o out", "link", Works);
        }
        check(
            &work,
            "remove {}",
            "link",
            Says("`link` is a symbolic link"),
        );
        fs::remove_file(work.path("link")).expect("it is there");
        assert!(work.path(layer).exists());
    }
    std::os::unix::fs::symlink("nosuch", work.path("link")).expect("a link");
    let broken = Says("`link` is not a layer: it is a symbolic link that leads nowhere");
    check(&work, "ls {}", "link", broken);
    check(&work, "info {}", "link", broken);
}
