//! The exact output of the commands that read layers, for the sample and for selected vectors: a file
//! in `tests/golden/LAYER/` for each command. The text dumps test everything that is read.
//!
//! With `WCLAYER_GOLDEN=write` in the environment, the tests write the files instead of comparing
//! them: read `git diff` before you commit.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use crate::support::Workplace;

/// A layer, and the commands to run on it.
struct Case {
    /// The folder of its golden texts.
    name: &'static str,
    /// The tar, followed by those of its parents, as paths in the repository.
    tars: &'static [&'static str],
    alone: bool,
    /// The commands; `stat` runs once for each path.
    commands: &'static [&'static str],
}

const BASE: &str = "examples/sample/base.tar.gz";
const APP: &str = "examples/sample/app.tar.gz";
const LOOK: &[&str] = &["ls -R --long", "tree", "stat"];
const ALL: &[&str] = &[
    "ls -R --long",
    "tree",
    "stat",
    "find",
    "du --by-layer",
    "validate",
];

const fn case(name: &'static str, tars: &'static [&'static str]) -> Case {
    Case {
        name,
        tars,
        alone: false,
        commands: LOOK,
    }
}

/// A layer with removals, which are visible only without its parents.
const fn alone(name: &'static str, tars: &'static [&'static str]) -> Case {
    Case {
        alone: true,
        ..case(name, tars)
    }
}

/// Runs a command on the tars of a layer, copied to the workplace as `0.tar`, `1.tar`, …
fn run(work: &Workplace, case: &Case, command: &str, path: Option<&str>) -> String {
    let mut arguments: Vec<String> = command.split(' ').map(str::to_owned).collect();
    for parent in 1..case.tars.len() {
        arguments.extend(["-l".to_owned(), format!("{parent}.tar")]);
    }
    if case.alone && command != "validate" {
        arguments.push("--this-layer".to_owned());
    }
    arguments.push("0.tar".to_owned());
    arguments.extend(path.map(str::to_owned));
    told(work, &arguments)
}

/// Returns a command line and its output.
fn told(work: &Workplace, arguments: &[String]) -> String {
    let borrowed: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let run = work.run(&borrowed);
    let mut text = format!("$ wclayer {}\n{}", arguments.join(" "), run.text());
    if !run.stderr.is_empty() {
        let _ = write!(text, "stderr:\n{}", run.stderr);
    }
    if run.code != Some(0) {
        let _ = writeln!(text, "exit code: {:?}", run.code);
    }
    text
}

/// Returns the output of a command; for `stat`, of every path.
fn dump(work: &Workplace, case: &Case, command: &str) -> String {
    if command != "stat" {
        return run(work, case, command, None);
    }
    let paths = run(work, case, "find", None);
    assert!(!paths.contains("exit code"), "{paths}");
    // Warnings follow the results.
    let stats = paths.lines().skip(1).take_while(|line| *line != "stderr:");
    let stats = stats.map(|path| run(work, case, command, Some(path)));
    stats.collect::<Vec<_>>().join("\n")
}

fn place(work: &Workplace, case: &Case) {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    for (number, tar) in case.tars.iter().enumerate() {
        let tar = fs::read(repository.join(tar)).expect(tar);
        work.write(&format!("{number}.tar"), &tar);
    }
}

fn check(case: &Case) {
    let work = Workplace::new();
    place(&work, case);
    for command in case.commands {
        let (name, _) = command.split_once(' ').unwrap_or((command, ""));
        compare(case.name, name, &dump(&work, case, command));
    }
}

/// Compares a text with the golden one, or writes it.
pub(crate) fn compare(layer: &str, command: &str, text: &str) {
    let folder: PathBuf = [env!("CARGO_MANIFEST_DIR"), "tests", "golden", layer]
        .iter()
        .collect();
    let file = folder.join(format!("{command}.txt"));
    if std::env::var_os("WCLAYER_GOLDEN").is_some_and(|value| value == "write") {
        fs::create_dir_all(&folder).expect("a folder");
        fs::write(&file, text).expect("a file");
        return;
    }
    // A checkout may have different line ends.
    let kept = fs::read_to_string(&file).unwrap_or_default();
    let kept = kept.replace("\r\n", "\n");
    let differs = kept
        .lines()
        .zip(text.lines())
        .find(|(kept, now)| kept != now);
    assert!(
        kept == text,
        "{layer}/{command}.txt has other text; first {differs:?}. Run the tests with \
         WCLAYER_GOLDEN=write, and read what `git diff` shows. Now it is:\n{text}"
    );
}

#[test]
fn the_sample() {
    let sample = |name, tars, alone| Case {
        name,
        tars,
        alone,
        commands: ALL,
    };
    check(&sample("sample-base", &[BASE], false));
    check(&sample("sample-chain", &[APP, BASE], false));
    check(&sample("sample-app", &[APP], true));
    let work = Workplace::new();
    place(&work, &case("sample-chain", &[APP, BASE]));
    let arguments = ["diff", "--right-layer", "1.tar", "1.tar", "0.tar"].map(str::to_owned);
    compare("sample-chain", "diff", &told(&work, &arguments));
}

#[test]
fn selected_vectors() {
    for case in VECTORS {
        check(case);
    }
}

const VECTORS: &[Case] = &[
    case(
        "attributes",
        &["testing/vectors/data/import/attributes.tar"],
    ),
    // One of its times is out of the range of Windows.
    Case {
        commands: &["ls -R --long"],
        ..case("times", &["testing/vectors/data/import/times.tar"])
    },
    case("streams", &["testing/vectors/data/import/streams.tar"]),
    case(
        "hard-links",
        &["testing/vectors/data/import/hard_links.tar"],
    ),
    case("symlinks", &["testing/vectors/data/import/symlinks.tar"]),
    case(
        "mount-points",
        &["testing/vectors/data/import/mount_points.tar"],
    ),
    case("ea-kinds", &["testing/vectors/data/import/ea_kinds.tar"]),
    case(
        "full-metadata",
        &["testing/vectors/data/import/full_metadata.tar"],
    ),
    case(
        "sparse",
        &["testing/vectors/data/import/gnu_sparse_pax.tar"],
    ),
    alone("whiteouts", &["testing/vectors/data/import/whiteouts.tar"]),
    alone(
        "opaque",
        &["testing/vectors/data/import/whiteout_opaque.tar"],
    ),
    alone(
        "utility-vm",
        &["testing/vectors/data/import/utility_vm.tar"],
    ),
    alone(
        "buildkit",
        &["testing/vectors/data/real_layers/buildkit_diff.tar.gz"],
    ),
    case(
        "imgutil-base",
        &["testing/vectors/data/real_layers/imgutil_base.tar.gz"],
    ),
    case(
        "crane",
        &["testing/vectors/data/real_layers/crane_files.tar.gz"],
    ),
];
