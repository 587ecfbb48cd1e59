//! Names that could control a terminal, and names that are not valid text, in all commands that print
//! names.

use layergen::{Meta, TarBuilder};

use crate::support::{Workplace, sample};

const CONTROL: &str = "Files/a\x1b[2Jb";
const SURROGATE: &[u8] = b"Files/s\xed\xa0\x80z";
/// The same names as they are printed, and accepted.
const SHOWN: [&str; 2] = [r"Files/a\u{1b}[2Jb", r"Files/s\u{d800}z"];

/// Writes `layer.tar` with a file of each name, with the contents `0` and `1`.
fn layer() -> Workplace {
    let work = Workplace::new();
    let mut tar = TarBuilder::new(Vec::new());
    let meta = Meta::with_attributes(0x20);
    tar.directory("Files", &Meta::with_attributes(0x10))
        .expect("memory");
    tar.file(CONTROL, &meta, b"0").expect("memory");
    tar.stream(CONTROL, "s\x07", &meta, b"stream")
        .expect("memory");
    let named = Meta {
        records: vec![("path".to_owned(), SURROGATE.to_vec())],
        ..meta
    };
    tar.file("Files/z", &named, b"1").expect("memory");
    work.write("layer.tar", &tar.finish().expect("memory"));
    work
}

#[test]
fn output_does_not_control_the_terminal() {
    let work = layer();
    work.write("empty.tar", &[0; 1024]);
    for command in [
        &["ls", "layer.tar", "Files"][..],
        &["ls", "--long", "-R", "layer.tar"],
        &["tree", "layer.tar"],
        &["find", "layer.tar"],
        &["diff", "empty.tar", "layer.tar"],
        &["stat", "layer.tar", SHOWN[0]],
        &["stat", "layer.tar", SHOWN[1]],
        &["du", "layer.tar", SHOWN[0]],
    ] {
        let run = work.run(command);
        let text = run.text();
        let is_safe = |unit: char| unit == '\n' || !unit.is_control();
        assert!(!text.is_empty() && text.chars().all(is_safe), "{text:?}");
        let is_error_safe = run.stderr.chars().all(is_safe);
        assert!(is_error_safe, "{:?}", run.stderr);
    }
    let listing = work.run(&["ls", "layer.tar", "Files"]).succeeds();
    assert_eq!(listing.text(), "a\\u{1b}[2Jb\ns\\u{d800}z\n");
}

#[test]
fn messages_do_not_control_the_terminal() {
    let work = Workplace::new();
    let mut tar = TarBuilder::new(Vec::new());
    let name = "Files/\x1b]0;title\x07\x1b[2J\nx\u{202e}";
    let shown = r"Files/\u{1b}]0;title\u{7}\u{1b}[2J\u{a}x\u{202e}";
    let meta = Meta {
        records: vec![("MSWINDOWS.fileattr".to_owned(), b"\x1b[31m".to_vec())],
        ..Meta::with_attributes(0x20)
    };
    tar.file(name, &meta, b"").expect("memory");
    work.write("bad.tar", &tar.finish().expect("memory"));
    work.create_folder("folder");
    for command in [
        &["ls", "bad.tar"][..],
        &["stat", "bad.tar", "Files"],
        &["import", "-i", "bad.tar", "layer"],
        &["ls", "-vv", "folder", "-l", "\x1b[2J"],
    ] {
        // With colour, no escape sequence is stripped before the test sees it.
        let run = work.run(&[&["--color", "always"], command].concat());
        assert_eq!(run.code, Some(1), "{}", run.stderr);
        if command.contains(&"bad.tar") {
            assert!(run.stderr.contains(shown), "{}", run.stderr);
        }
        let text = ["\x1b[0m", "\x1b[1m", "\x1b[31m", "\x1b[36m"]
            .iter()
            .fold(run.stderr, |text, colour| text.replace(colour, ""));
        let is_safe = |unit: char| unit == '\n' || !unit.is_control();
        assert!(text.chars().all(is_safe), "{command:?}: {text:?}");
    }
}

#[test]
fn printed_names_are_accepted() {
    let work = layer();
    for (number, path) in SHOWN.into_iter().enumerate() {
        let found = work.run(&["find", "layer.tar", path]).succeeds();
        assert_eq!(found.text().trim_end(), path);
        let cat = work.run(&["cat", "layer.tar", path]).succeeds();
        assert_eq!(cat.text(), number.to_string());
        let title = work.run(&["stat", "layer.tar", path]).succeeds();
        assert_eq!(title.text().lines().next(), Some(path));
    }
    let stream = format!("{}:s\\u{{7}}", SHOWN[0]);
    let cat = work.run(&["cat", "layer.tar", &stream]).succeeds();
    assert_eq!(cat.text(), "stream");
    work.run(&["stat", "layer.tar", r"Files/s\u{d801}z"])
        .fails(r"there is no `Files/s\u{d801}z`");
}

#[test]
fn json_keeps_valid_text_and_escapes_the_rest() {
    let work = layer();
    let json = work.run(&["ls", "--json", "layer.tar", "Files"]).succeeds();
    let json = json.json();
    assert_eq!(json["entries"][0]["path"], CONTROL);
    assert_eq!(json["entries"][1]["path"], SHOWN[1]);
}

#[cfg(unix)]
#[test]
fn the_output_of_find_null_is_accepted() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let work = layer();
    let found = work
        .run(&["find", "--null", "--type", "f", "layer.tar"])
        .succeeds();
    let mut contents = Vec::new();
    for path in found
        .stdout
        .split(|byte| *byte == 0)
        .filter(|path| !path.is_empty())
    {
        let mut cat = work.command(&["cat", "layer.tar"]);
        let output = cat.arg(OsStr::from_bytes(path)).output().expect("wclayer");
        assert!(output.status.success(), "{output:?}");
        contents.extend(output.stdout);
    }
    assert_eq!(contents, b"01");
}

#[test]
fn listings_are_in_colour_on_demand() {
    let work = layer();
    let run = |more: &[&str]| {
        let arguments = [&["--color", "always"][..], more].concat();
        work.run(&arguments).succeeds().text().to_owned()
    };
    let listing = run(&["ls", "layer.tar"]);
    assert_eq!(listing, "\x1b[1m\x1b[34mFiles\x1b[0m/\n");
    let tree = run(&["tree", "layer.tar", "--depth", "1"]);
    assert_eq!(tree, ".\n└── \x1b[1m\x1b[34mFiles\x1b[0m/\n");
    let (base, app) = (sample("base.tar.gz"), sample("app.tar.gz"));
    let removed = run(&["ls", "--this-layer", &app, "Files/ProgramData"]);
    assert!(
        removed.starts_with("\x1b[31mCache\x1b[0m (removed)\n"),
        "{removed:?}"
    );
    let users = run(&["ls", &base, "Files/Users"]);
    let link = "\x1b[2m\x1b[36mAll Users\x1b[0m -> C:\\ProgramData\n";
    assert!(users.starts_with(link), "{users:?}");
    let hidden = run(&["ls", &base, "Files/Users/Public"]);
    assert!(hidden.contains("\x1b[2mdesktop.ini\x1b[0m\n"), "{hidden:?}");
    assert!(!run(&["ls", "--json", "layer.tar"]).contains('\x1b'));
    let mut without = work.command(&["ls", "layer.tar"]);
    without.env("CLICOLOR_FORCE", "1").env("NO_COLOR", "1");
    let output = without.output().expect("wclayer");
    assert_eq!(output.stdout, b"Files/\n");
}

#[test]
fn every_command_spells_paths_as_the_layers_do() {
    let work = Workplace::new();
    let mut tar = TarBuilder::new(Vec::new());
    let meta = Meta::with_attributes(0x20);
    // Without entries for the directories.
    tar.file("Files/Dir/Sub/X", &meta, b"").expect("memory");
    work.write("layer.tar", &tar.finish().expect("memory"));
    let text = |arguments: &[&str]| work.run(arguments).succeeds().text().to_owned();
    let asked = "FILES/dir/SUB/x";
    assert_eq!(text(&["find", "layer.tar", asked]), "Files/Dir/Sub/X\n");
    assert!(text(&["stat", "layer.tar", asked]).starts_with("Files/Dir/Sub/X\n"));
    assert!(text(&["stat", "layer.tar", "files/DIR"]).starts_with("Files/Dir\n"));
    assert!(text(&["tree", "layer.tar", "files/DIR/sub"]).starts_with("Files/Dir/Sub\n"));
    let listing = text(&["ls", "-R", "layer.tar", "files/DIR"]);
    assert_eq!(listing, "Sub/\n\nFiles/Dir/Sub:\nX\n");
}
