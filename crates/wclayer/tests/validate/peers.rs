//! Layers that other tools wrote, on top of a base layer where they are meant to be.

use std::path::Path;

use wclayer::validate::{Report, Severity, validate_tar};

use crate::{Start, broken, parents};

fn layer(name: &str, start: Start) -> Report {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testing/vectors/data");
    let tar = std::fs::File::open(folder.join(format!("real_layers/{name}.tar.gz")));
    let parents = parents(start);
    let view = parents.as_ref().map(|(view, ..)| view);
    validate_tar(tar.expect(name), view, 10, &()).expect(name)
}

#[test]
fn a_layer_of_imgutil_has_no_errors_and_deserves_its_warnings() {
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

#[test]
fn an_empty_base_layer_of_imgutil_fails_where_hives_are_looked_at() {
    let report = layer("imgutil_base", Start::Base);
    assert_eq!(
        broken(&report),
        ["hive-empty", "security-missing", "tar-no-end"].into()
    );
    assert_eq!(report.count(Severity::Error), 5);
}

#[test]
fn buildkit_s_links_lead_nowhere() {
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
fn crane_leaves_directories_out() {
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
