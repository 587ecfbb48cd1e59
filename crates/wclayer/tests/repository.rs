//! Files of the repository that are made of others.

use std::fs;
use std::path::{Path, PathBuf};

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

#[test]
fn the_document_of_the_rules_is_what_their_table_says() {
    let written = fs::read_to_string(repository().join("docs/rules.md")).expect("the document");
    assert!(
        written.replace("\r\n", "\n") == wclayer::rules::rules_document(),
        "docs/rules.md does not match the table: run `cargo xtask rules`"
    );
}

/// The package has a copy, so that its examples run wherever it is.
#[test]
fn the_sample_of_the_package_is_the_one_of_the_repository() {
    for name in ["base.tar.gz", "app.tar.gz"] {
        let read = |folder: &str| fs::read(repository().join(folder).join(name)).expect(name);
        let (ours, original) = (
            read("crates/wclayer/examples/sample"),
            read("examples/sample"),
        );
        assert!(
            ours == original,
            "copy examples/sample/{name} to crates/wclayer"
        );
    }
}
