//! `extract` on the sample.

use layergen::{Meta, TarBuilder};

use crate::support::{Run, Workplace, members, sample};

fn run(work: &Workplace, more: &[&str]) -> Run {
    let (base, app) = (sample("base.tar.gz"), sample("app.tar.gz"));
    work.run(&[&["extract", "-l", &base, &app], more].concat())
}

#[test]
fn files_of_the_chain_are_extracted_and_losses_are_listed() {
    let work = Workplace::new();
    let extracted = run(&work, &["-C", "out", "--json"]).succeeds().json();
    assert_eq!(
        members(&extracted),
        [
            "bytes",
            "copiedLinks",
            "directories",
            "directory",
            "elapsedSeconds",
            "failed",
            "files",
            "links",
            "lost",
            "notMade",
            "path",
            "removals",
            "renamed",
            "replaced",
            "symlinks"
        ]
    );
    assert_eq!(extracted["removals"], 0);
    assert!(extracted["lost"]["securityDescriptors"]["count"].as_u64() > Some(0));
    let cat = |path: &str| {
        let (base, app) = (sample("base.tar.gz"), sample("app.tar.gz"));
        work.run(&["cat", "-l", &base, &app, path])
            .succeeds()
            .text()
            .to_owned()
    };
    let file = "Files/Users/Public/desktop.ini";
    let content = work.read(&format!("out/{file}"));
    assert_eq!(String::from_utf8_lossy(&content), cat(file));
    assert!(
        !work
            .path("out/Files/Program Files/Sample/notes-1.txt")
            .exists()
    );
}

#[test]
fn only_named_entries_are_extracted_and_a_missing_one_is_an_error() {
    let work = Workplace::new();
    let text = run(&work, &[r"files\program files\app", "-C", "out"]).succeeds();
    assert!(text.text().contains("lost: "), "{}", text.text());
    assert!(work.path("out/Files/Program Files/App/app.exe").exists());
    assert!(!work.path("out/Files/Users").exists());
    run(&work, &["Files/nothing", "-C", "none"]).fails("there is no `Files/nothing`");
    assert!(!work.path("none").exists());
    run(&work, &[]).was_wrong_usage();
}

/// Writes `layer.tar` with a file that is renamed, a file after it, and links to a file of the layer,
/// to another volume and to nothing.
fn with_links() -> Workplace {
    let work = Workplace::new();
    let mut tar = TarBuilder::new(Vec::new());
    let meta = Meta::with_attributes(0x20);
    let folder = Meta::with_attributes(0x10);
    tar.directory("Files", &folder).expect("memory");
    tar.file("Files/a%41", &meta, b"x").expect("memory");
    tar.file("Files/b", &meta, b"x").expect("memory");
    tar.symlink("Files/in", r"\\?\C:\b", &meta).expect("memory");
    tar.symlink("Files/out", r"D:\x", &meta).expect("memory");
    tar.hard_link("Files/hard", "Files/nothing", &meta)
        .expect("memory");
    work.write("layer.tar", &tar.finish().expect("memory"));
    work
}

#[test]
fn a_link_that_cannot_be_made_ends_with_exit_code_1_after_all_else() {
    let work = with_links();
    let missing = "cannot extract 1 of the entries";
    let failed = work
        .run(&["extract", "layer.tar", "-C", "out"])
        .fails(missing);
    assert!(
        failed
            .text()
            .contains("its target Files/nothing does not exist")
    );
    let quiet = work.run(&["-q", "extract", "layer.tar", "-C", "quiet"]);
    assert_eq!(quiet.fails(missing).text(), "");
    let json = work.run(&["extract", "layer.tar", "-C", "json", "--json"]);
    let object = json.json();
    assert_eq!(json.code, Some(1));
    assert_eq!(
        (&object["failed"], &object["symlinks"]),
        (&1.into(), &1.into())
    );
    assert_eq!(work.read("json/Files/b"), b"x");
    // A link to a target outside the layer is not a failure.
    for path in ["Files/in", "Files/out"] {
        work.run(&["extract", "layer.tar", path, "-C", "some"])
            .succeeds();
    }
}

#[test]
fn a_failure_lists_the_entries_extracted_so_far() {
    let work = with_links();
    work.create_folder("out/Files/b");
    let failed = work.run(&["extract", "layer.tar", "-C", "out"]);
    let failed = failed.fails("cannot extract");
    assert!(
        failed.text().contains("Files/a%41 as a%2541"),
        "{}",
        failed.text()
    );
    assert!(failed.text().contains("lost: "), "{}", failed.text());
    assert!(failed.stderr.contains("Hint: A directory is in the way"));
    let json = work.run(&["extract", "layer.tar", "-C", "out", "--json"]);
    assert_eq!(members(&json.json()), ["error"]);
}
