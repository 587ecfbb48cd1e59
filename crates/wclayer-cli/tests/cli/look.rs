//! `ls`, `tree`, `stat` and `cat` on the sample: the same text for every format of the layers.

use std::io::Write as _;

use layergen::{Meta, TarBuilder};
use wclayer::compression::Encoder;

use crate::support::{Workplace, members, sample};

const NOTES: &str = "Files/Program Files/Sample/notes-2.txt";
const NOTES_STREAM: &str = "Files/Program Files/Sample/notes-2.txt:x";
const LINKED: &str = "Files/Program Files/App/runtime.dll";

/// The two layers of the sample in every readable format: the arguments that name each.
fn forms(work: &Workplace) -> Vec<Vec<String>> {
    work.import_base("base");
    work.import_app("base", "app");
    let (base_tar, app_tar) = (sample("base.tar.gz"), sample("app.tar.gz"));
    for (name, compress) in [("tar", "none"), ("zst", "zstd")] {
        for layer in ["base", "app"] {
            let file = format!("{layer}.{name}");
            work.run(&["export", "--compress", compress, "-o", &file, layer])
                .succeeds();
        }
    }
    work.run(&[
        "import",
        "--format",
        "transport",
        "-i",
        &base_tar,
        "base-folder",
    ])
    .succeeds();
    let owned = |arguments: &[&str]| arguments.iter().map(|text| (*text).to_owned()).collect();
    vec![
        owned(&["app"]),
        owned(&["app.tar", "-l", "base.tar"]),
        owned(&["app.zst", "-l", "base.zst"]),
        owned(&[&app_tar, "-l", "base"]),
        owned(&["app.tar", "-l", "base-folder"]),
    ]
}

/// Runs a command on every format, checks that the output is the same, and returns it.
fn same_of_all(work: &Workplace, forms: &[Vec<String>], before: &[&str], after: &[&str]) -> String {
    let mut all = forms.iter().map(|form| {
        let form = form.iter().map(String::as_str);
        let arguments: Vec<&str> = before
            .iter()
            .copied()
            .chain(form)
            .chain(after.iter().copied())
            .collect();
        work.run(&arguments).succeeds().text().to_owned()
    });
    let first = all.next().expect("a form");
    for other in all {
        assert_eq!(other, first);
    }
    first
}

#[test]
fn a_listing_is_the_same_for_all_formats() {
    let work = Workplace::new();
    let forms = forms(&work);
    let listing = same_of_all(
        &work,
        &forms,
        &["ls", "--long"],
        &["Files/Program Files/Sample"],
    );
    assert_eq!(
        listing,
        "\
l---a-   1       0 B  2024-05-08 22:15:04  current.txt -> notes-2.txt
----a-   1      42 B  2024-05-08 04:55:23  notes-2.txt
----a-   0      35 B  2024-05-08 18:02:14  settings.ini
----a-   1  5.86 KiB  2024-05-08 12:55:43  setup.exe
l---a-   1       0 B  2024-05-08 10:30:09  system.ini -> C:\\Windows\\System32\\sample.ini
"
    );
    let tree = same_of_all(&work, &forms, &["tree", "--depth", "2"], &["Files"]);
    assert_eq!(
        tree,
        "\
Files
├── Program Files/
│   ├── App/
│   └── Sample/
├── ProgramData/
│   └── State/
├── Users/
│   ├── All Users -> C:\\ProgramData
│   ├── Default/
│   ├── Default User -> C:\\Users\\Default
│   └── Public/
└── Windows/
    ├── System32/
    └── WinSxS/
"
    );
    let cat = same_of_all(&work, &forms, &["cat"], &[NOTES]);
    assert_eq!(cat, "Second notes.\r\nThe app layer keeps them.\r\n");
    let followed = [r"files\program files\SAMPLE\current.txt", "--follow"];
    assert_eq!(same_of_all(&work, &forms, &["cat"], &followed), cat);
}

#[test]
fn a_layer_alone_shows_what_it_removes() {
    let work = Workplace::new();
    let app = sample("app.tar.gz");
    let listing = work.run(&["ls", "--this-layer", "-R", &app, "Files/ProgramData"]);
    assert_eq!(
        listing.succeeds().text(),
        "Cache (removed)\nState/ (opaque)\n\nFiles/ProgramData/State:\nthird.json\n"
    );
    let json = work.run(&["ls", "--this-layer", "--json", &app, "Files/ProgramData"]);
    let json = json.succeeds().json();
    let entries = json["entries"].as_array().expect("entries");
    assert_eq!(entries.len(), 2);
    assert_eq!(entries[0]["kind"], "removal");
    assert_eq!(entries[0]["path"], "Files/ProgramData/Cache");
    assert_eq!(entries[1]["removed"], "contents");
}

#[test]
fn stat_shows_times_rights_streams_and_all_names() {
    let work = Workplace::new();
    let (base, app) = (sample("base.tar.gz"), sample("app.tar.gz"));
    let run = work.run(&["stat", &app, "-l", &base, LINKED]).succeeds();
    for line in [
        "  kind          file",
        "  created       2024-05-08T20:39:43.9055701Z",
        "  attributes    ARCHIVE (0x20)",
        "  hard link to  Files/Windows/System32/sample.dll",
        "  owner         NT SERVICE\\TrustedInstaller",
        "  DACL          allow BUILTIN\\Users: read and execute",
        "  stream        data: 68.36 KiB (70000 bytes), \
         sha256:5c4ab0abf4b250db3719051ae2ee5e67ff74880fb0dd9eb205370b8d4224d864",
        "  name          Files/Program Files/App/runtime.dll",
        "  name          Files/Windows/System32/sample.dll",
    ] {
        assert!(
            run.text().lines().any(|found| found == line),
            "{line}\n{}",
            run.text()
        );
    }
    let json = work.run(&["stat", "--json", &app, "-l", &base, "Files/Users/All Users"]);
    let json = json.succeeds().json();
    assert_eq!(json["reparseTarget"], "C:\\ProgramData");
    assert_eq!(json["layer"], 1);
    assert_eq!(json["security"]["dacl"][0], "deny Everyone: list directory");
}

#[test]
fn streams_are_printed_by_name() {
    let work = Workplace::new();
    let base = sample("base.tar.gz");
    let setup = "Files/Program Files/Sample/setup.exe";
    let json = work
        .run(&["stat", "--json", &base, setup])
        .succeeds()
        .json();
    let streams = json["streams"].as_array().expect("streams");
    let name = streams[1]["name"].as_str().expect("an alternate stream");
    let size = streams[1]["size"].as_u64().expect("a size");
    let path = format!("{setup}:{name}");
    let cat = work.run(&["cat", &base, &path]).succeeds();
    assert_eq!(cat.stdout.len() as u64, size);
    work.run(&["cat", &base, &format!("{setup}:none")])
        .fails("has no alternate data stream `none`");
}

#[test]
fn missing_paths_are_reported_and_links_outside_are_not_followed() {
    let work = Workplace::new();
    let base = sample("base.tar.gz");
    work.run(&["ls", &base, "Files/none"])
        .fails("there is no `Files/none`");
    work.run(&["cat", &base, "Files/Windows"])
        .fails("`Files/Windows` is a directory");
    let link = ["cat", &base, "Files/Users/All Users"];
    work.run(&link)
        .fails(r"`Files/Users/All Users` is a link to `C:\ProgramData`")
        .fails("--follow");
    work.run(&["ls", &base, "../x"]).was_wrong_usage();
    for (path, why) in [
        (r"D:\x", "a layer has no drive `D:`, only `C:`"),
        (NOTES_STREAM, "`cat FILE:STREAM` prints one"),
        (".", "the root of a layer is not an entry"),
    ] {
        let run = work.run(&["stat", &base, path]).was_wrong_usage();
        assert!(run.stderr.contains(why), "{path}: {}", run.stderr);
    }
    work.write("text", b"no layer");
    work.run(&["ls", "text"]).fails("cannot read layer");
    work.create_folder("empty");
    work.run(&["ls", "empty"])
        .fails("is not a layer: it is an empty folder");
}

#[test]
fn a_hard_link_into_an_unnamed_parent_is_reported() {
    let work = Workplace::new();
    let app = sample("app.tar.gz");
    let target = "Files/Windows/System32/sample.dll";
    work.run(&["cat", &app, LINKED])
        .fails(&format!(
            "is a hard link to `{target}`, which no layer of the chain contains"
        ))
        .fails("Name the parent layers with -l");
    let listing = work.run(&["ls", "--long", &app, "Files/Program Files/App"]);
    let listing = listing.succeeds();
    let line = listing
        .text()
        .lines()
        .find(|line| line.contains("runtime.dll"));
    let line = line.expect("the link");
    assert!(
        line.contains("  ?  ") && line.ends_with("runtime.dll (target missing)"),
        "{line}"
    );
    let stat = work.run(&["stat", &app, LINKED]).succeeds();
    let row = format!("  hard link to  {target} (no layer contains it: ");
    assert!(stat.text().contains(&row), "{}", stat.text());
    let json = work
        .run(&["stat", "--json", &app, LINKED])
        .succeeds()
        .json();
    assert_eq!(json["targetMissing"], true);
}

#[test]
fn a_missing_path_is_explained() {
    let work = Workplace::new();
    work.import_base("base");
    work.import_app("base", "app");
    for (path, why) in [
        (
            "Files/ProgramData/Cache",
            "`Files/ProgramData/Cache` is removed by layer 0 (`",
        ),
        (
            "Files/ProgramData/Cache/x",
            "`Files/ProgramData/Cache` is removed by layer 0 (`",
        ),
        (
            "Files/ProgramData/State/first.json",
            "`Files/ProgramData/State` is emptied by layer 0 (`",
        ),
        (
            "Files/Users/All Users/State",
            "`Files/Users/All Users` is a link to `C:\\ProgramData`; `ls`",
        ),
        (
            "files/windows/nothing/x",
            "Hint: `Files/Windows` exists, but has no such entry.",
        ),
        (
            "Files/Windows/System32/sample.dll/x",
            "`Files/Windows/System32/sample.dll` is a file.",
        ),
        (
            "Windows/System32",
            "Paths start with `Files`, `Hives` or `UtilityVM`. The layer has `Files/Windows/System32`.",
        ),
        (
            "Nothing",
            "Hint: Paths start with `Files`, `Hives` or `UtilityVM`.\n",
        ),
        ("utilityvm/x", "Hint: The layer has no `UtilityVM`."),
    ] {
        let message = format!("there is no `{path}`");
        work.run(&["cat", "app", path]).fails(&message).fails(why);
        let run = work.run(&["stat", "app", path]).fails(&message).fails(why);
        assert_eq!(run.text(), "");
    }
    let run = work.run(&["ls", "app", "Files/Users/All Users/none", "--follow"]);
    run.fails("there is no `Files/ProgramData/none`")
        .fails("Hint: A symbolic link or junction leads there. `Files/ProgramData` exists");
}

#[cfg(unix)]
#[test]
fn input_that_can_be_read_only_once_is_refused() {
    let work = Workplace::new();
    let base = sample("base.tar.gz");
    let fifo = std::process::Command::new("mkfifo")
        .arg(work.path("pipe"))
        .status();
    assert!(fifo.expect("mkfifo").success());
    for arguments in [
        &["ls", "-"][..],
        &["cat", "-", "Files/x"],
        &["ls", &base, "-l", "-"],
        &["diff", "-", &base],
        &["ls", "pipe"],
        &["cat", "pipe", "Files/x"],
        &["ls", &base, "-l", "pipe"],
    ] {
        let code = if arguments[0] == "diff" { 2 } else { 1 };
        work.run(arguments)
            .fails_with(code, "read more than once: save the tar to a file first.");
    }
}

#[cfg(unix)]
#[test]
fn a_reader_that_stops_early_is_not_a_failure() {
    let work = Workplace::new();
    let base = sample("base.tar.gz");
    let mut listing = work.command(&["ls", "-R", &base]);
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let status = listing.stdout(writer).status().expect("wclayer");
    assert!(status.success(), "{status}");
}

#[test]
fn a_failure_during_a_listing_is_in_its_object() {
    let work = Workplace::new();
    let base = sample("base.tar.gz");
    work.run(&["import", "--format", "transport", "-i", &base, "base"])
        .succeeds();
    // Too short for the attributes, so that listing its directory fails.
    work.write("base/Files/Windows/System32/sample.dll", b"short");
    for command in ["ls -R --json base", "tree --json base", "find --json base"] {
        let arguments: Vec<&str> = command.split(' ').collect();
        let run = work.run(&arguments).fails("sample.dll");
        let json = run.json();
        assert_eq!(members(&json), ["entries", "error"], "{command}");
        let first = &json["entries"][0];
        assert_eq!(first["path"], "Files", "{command}");
        assert_eq!(
            members(&json["error"]),
            ["causes", "hint", "kind", "message"]
        );
        assert_eq!(json["error"]["kind"], "invalid_layer", "{command}");
    }
    // If nothing was found yet, the output is only the error.
    let json = work.run(&["ls", "--json", "base", "Files/none"]).fails("");
    assert_eq!(members(&json.json()), ["error"]);
}

#[test]
fn paths_of_the_container_are_accepted() {
    let work = Workplace::new();
    let base = sample("base.tar.gz");
    let run = |arguments: &[&str]| work.run(arguments).succeeds().text().to_owned();
    let top = run(&["ls", &base]);
    for path in ["/", ".", r"\"] {
        assert_eq!(run(&["ls", &base, path]), top);
    }
    assert_eq!(run(&["tree", &base, "/"]), run(&["tree", &base]));
    assert_eq!(run(&["find", &base, "/"]), run(&["find", &base]));
    assert_eq!(run(&["du", &base, "/"]), run(&["du", &base]));
    let users = run(&["ls", &base, "Files/Users"]);
    for path in [r"C:\Users", "c:/users/", "/Files/Users", r"\Files\Users"] {
        assert_eq!(run(&["ls", &base, path]), users, "{path}");
    }
    let notes = run(&["cat", &base, NOTES]);
    let path = r"C:\Program Files\Sample\notes-2.txt::$DATA";
    assert_eq!(run(&["cat", &base, path]), notes);
}

#[test]
fn the_error_of_a_truncated_file_names_its_layer() {
    let work = Workplace::new();
    let app = std::fs::read(sample("app.tar.gz")).expect("the sample");
    work.write("cut.tar.gz", &app[..app.len() / 2]);
    let run = work.run(&["cat", "cut.tar.gz", "Files/Program Files/App/app.exe"]);
    let run = run.fails("incomplete deflate stream");
    assert!(
        run.stderr
            .starts_with("Error: cannot read layer `cut.tar.gz`\n"),
        "{}",
        run.stderr
    );
    assert!(run.stderr.contains("Hint: "), "{}", run.stderr);
}

/// The last entry of a path counts, whether the tar is compressed or not.
#[test]
fn of_several_entries_of_a_path_cat_prints_the_last() {
    let work = Workplace::new();
    let (file, directory) = (Meta::with_attributes(0x20), Meta::with_attributes(0x10));
    let mut tar = TarBuilder::new(Vec::new());
    tar.directory("Files", &directory)
        .and_then(|()| tar.file("Files/a", &file, b"first, and longer"))
        .and_then(|()| tar.stream("Files/a", "s", &file, b"first stream"))
        .and_then(|()| tar.file("Files/b", &file, b"b"))
        .and_then(|()| tar.file("Files/A", &file, b"last"))
        .and_then(|()| tar.stream("Files/A", "S", &file, b"last stream"))
        .expect("memory");
    let tar = tar.finish().expect("memory");
    work.write("dup.tar", &tar);
    for name in ["gzip", "zstd"] {
        let encoding = name.parse().expect("known");
        let mut encoder = Encoder::new(Vec::new(), encoding).expect("memory");
        encoder.write_all(&tar).expect("memory");
        let compressed = encoder.finish().expect("memory");
        work.write(&format!("dup.{name}"), &compressed);
    }
    for layer in ["dup.tar", "dup.gzip", "dup.zstd"] {
        for (path, expected) in [("Files/a", "last"), ("Files/a:s", "last stream")] {
            let cat = work.run(&["cat", layer, path]).succeeds();
            assert_eq!(cat.text(), expected, "{layer} {path}");
        }
    }
}
