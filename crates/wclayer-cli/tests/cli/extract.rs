//! `extract` on the sample.

use crate::support::{Run, Workplace, members, sample};

fn run(work: &Workplace, more: &[&str]) -> Run {
    let (base, app) = (sample("base.tar.gz"), sample("app.tar.gz"));
    work.run(&[&["extract", "-l", &base, &app], more].concat())
}

#[test]
fn files_of_the_chain_come_out_and_losses_are_told() {
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
            "files",
            "layer",
            "links",
            "lost",
            "notMade",
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
fn only_what_is_named_comes_and_what_is_missing_is_an_error() {
    let work = Workplace::new();
    let text = run(&work, &[r"files\program files\app", "-C", "out"]).succeeds();
    assert!(text.text().contains("lost: "), "{}", text.text());
    assert!(work.path("out/Files/Program Files/App/app.exe").exists());
    assert!(!work.path("out/Files/Users").exists());
    run(&work, &["Files/nothing", "-C", "none"]).fails("there is no `Files/nothing`");
    assert!(!work.path("none").exists());
    run(&work, &[]).was_wrong_usage();
}
