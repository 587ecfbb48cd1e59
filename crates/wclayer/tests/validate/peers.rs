//! Layers written by other tools, on top of a base layer where they require one.

use std::path::{Path, PathBuf};

use wclayer::rules::Severity;
use wclayer::source::{self, OpenOptions};
use wclayer::validate::{Report, validate_tar};

use crate::{Start, broken, parents};

fn path(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testing/vectors/data");
    folder.join(format!("real_layers/{name}.tar.gz"))
}

fn layer(name: &str, start: Start) -> Report {
    let tar = std::fs::File::open(path(name));
    let parents = parents(start);
    let view = parents.as_ref().map(|(view, ..)| view);
    validate_tar(tar.expect(name), view, 10, &()).expect(name)
}

#[test]
fn an_imgutil_layer_has_no_errors_and_justified_warnings() {
    let report = layer("imgutil_files", Start::Above);
    assert_eq!(report.count(Severity::Error), 0, "{report:#?}");
    assert_eq!(
        broken(&report),
        [
            "reparse-attribute-missing",
            "security-missing",
            "security-no-dacl"
        ]
        .into()
    );
}

/// The hives of the base layer are empty: a warning, since Windows up to 2022 accepts them.
#[test]
fn two_imgutil_layers_have_no_errors_and_justified_warnings() {
    let base = layer("imgutil_base", Start::Base);
    assert_eq!(
        broken(&base),
        ["hive-empty", "security-missing", "tar-no-end"].into()
    );
    assert_eq!(base.count(Severity::Error), 0);
    let view = source::open(path("imgutil_base"), &OpenOptions::default(), &());
    let tar = std::fs::File::open(path("imgutil_files")).expect("a vector");
    let view = view.expect("a view");
    let upper = validate_tar(tar, Some(&view), 10, &()).expect("a report");
    assert_eq!(
        broken(&upper),
        [
            "reparse-attribute-missing",
            "security-missing",
            "security-no-dacl"
        ]
        .into()
    );
    assert_eq!(upper.count(Severity::Error), 0);
}

#[test]
fn buildkit_links_lead_nowhere() {
    let report = layer("buildkit_diff", Start::Above);
    assert_eq!(
        broken(&report),
        [
            "reparse-attribute-missing",
            "security-missing",
            "symlink-files-prefix",
            "whiteout-of-nothing"
        ]
        .into()
    );
}

#[test]
fn crane_omits_directories() {
    let report = layer("crane_files", Start::Above);
    assert_eq!(
        broken(&report),
        [
            "parent-missing",
            "reparse-attribute-missing",
            "security-no-dacl"
        ]
        .into()
    );
}
