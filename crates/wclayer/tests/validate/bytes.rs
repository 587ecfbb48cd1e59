//! Rules on the tar as a file, broken by changes to its bytes.

use wclayer::rules::Rule;

use crate::{Start, broken, check, tar};

/// The rules that are tested here rather than in a row.
pub(crate) const RULES: [Rule; 7] = [
    Rule::TarEmpty,
    Rule::NotALayer,
    Rule::TarTruncated,
    Rule::TarDamaged,
    Rule::TarNoEnd,
    Rule::BlobTrailingData,
    Rule::TarTrailingData,
];

fn rules_of(bytes: &[u8]) -> Vec<&'static str> {
    broken(&check(Start::Base, bytes.to_vec()))
        .into_iter()
        .collect()
}

#[test]
fn damage_to_the_file_breaks_one_rule() {
    let whole = tar(Start::Base, |_| Ok(()));
    assert_eq!(rules_of(&whole), [""; 0]);
    assert_eq!(rules_of(b""), ["tar-empty"]);
    assert_eq!(rules_of(&whole[..700]), ["tar-truncated"]);
    assert_eq!(
        rules_of(&whole[..whole.len() - 1024 - 600]),
        ["tar-truncated"]
    );
    assert_eq!(rules_of(&whole[..whole.len() - 1024]), ["tar-no-end"]);
    assert_eq!(rules_of(&whole[..whole.len() - 512]), ["tar-no-end"]);
    assert_eq!(
        rules_of(&[&whole[..], b"more"].concat()),
        ["tar-trailing-data"]
    );
    // Tar pads its last record with zeros.
    assert_eq!(rules_of(&[&whole[..], &[0; 10_240]].concat()), [""; 0]);
    let mut damaged = whole.clone();
    damaged[2] ^= 1;
    assert_eq!(rules_of(&damaged), ["tar-damaged"]);
    assert_eq!(rules_of(b"\x1f\x8b\x08 no gzip"), ["tar-damaged"]);
}

#[test]
fn files_that_are_not_a_tar_are_identified() {
    let whole = tar(Start::Base, |_| Ok(()));
    for (bytes, name) in [
        (&b"\xFD7zXZ\0\0\x04"[..], "an xz file"),
        (b"{\"schemaVersion\": 2}", "the manifest of an image"),
        (&gzip(&gzip(&whole)), "compressed twice"),
        (&gzip(b"text"), "it is text"),
        (&[b'x'; 4096], "it is text"),
    ] {
        let report = check(Start::Base, bytes.to_vec());
        assert_eq!(broken(&report), ["not-a-layer"].into(), "{name}");
        let found = &report.rules[&Rule::NotALayer].first[0];
        assert!(found.detail.contains(name), "{name}: {found:?}");
    }
}

#[test]
fn an_image_archive_is_distinguished_from_a_layer() {
    fn archive(tar: &mut crate::Tar) -> std::io::Result<()> {
        tar.file("1a/layer.tar", &crate::file(), b"not read")?;
        let manifest = br#"[{"Layers":["1a/layer.tar"]}]"#;
        tar.file("manifest.json", &crate::file(), manifest)
    }
    let report = check(Start::Nothing, tar(Start::Nothing, archive));
    let found = &report.rules[&Rule::NotALayer].first[0];
    assert!(found.detail.contains("`1a/layer.tar`"), "{found:?}");
    // In a layer, the same files are ordinary files.
    let report = check(Start::Base, tar(Start::Base, archive));
    assert!(!broken(&report).contains("not-a-layer"));
}

#[test]
fn after_damage_only_entries_are_checked() {
    let mut bytes = tar(Start::Nothing, |tar| {
        tar.file("elsewhere", &crate::file(), b"")
    });
    bytes.truncate(bytes.len() - 1024 - 100);
    let report = check(Start::Nothing, bytes);
    assert!(!report.is_complete);
    assert_eq!(broken(&report), ["tar-truncated"].into());
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut encoder, bytes).expect("memory");
    encoder.finish().expect("memory")
}

#[test]
fn bytes_after_zstd_are_not_damage() {
    let whole = tar(Start::Base, |_| Ok(()));
    let whole = zstd::encode_all(&whole[..], 1).expect("memory");
    assert_eq!(rules_of(&[&whole[..], &[0; 512]].concat()), [""; 0]);
    for behind in [&b"more"[..], b"\0\0more"] {
        let report = check(Start::Base, [&whole[..], behind].concat());
        assert_eq!(broken(&report), ["blob-trailing-data"].into());
        assert!(report.is_complete);
    }
}

#[test]
fn entries_before_damaged_gzip_are_checked() {
    let whole = gzip(&tar(Start::Nothing, |tar| {
        tar.file("elsewhere", &crate::file(), b"")
    }));
    // The length at the end of the gzip member is cut off.
    let report = check(Start::Nothing, whole[..whole.len() - 4].to_vec());
    assert_eq!(broken(&report), ["tar-damaged", "top-level-name"].into());
    assert!(!report.is_complete);
    let found = &report.rules[&Rule::TarDamaged].first[0];
    assert!(
        found.detail.starts_with("after the end of the tar: "),
        "{found:?}"
    );
}

#[test]
fn bytes_after_gzip_are_not_damage() {
    let whole = gzip(&tar(Start::Base, |_| Ok(())));
    let report = check(Start::Base, [&whole[..], b"more"].concat());
    assert_eq!(broken(&report), ["blob-trailing-data"].into());
    assert!(report.is_complete);
    let zeros = [&whole[..], &[0; 99], b"more"].concat();
    assert_eq!(rules_of(&zeros), ["blob-trailing-data"]);
    assert_eq!(rules_of(&[&whole[..], &[0; 99]].concat()), [""; 0]);
    // A second member with content that is not a tar.
    assert_eq!(
        rules_of(&[&whole[..], &gzip(b"more")].concat()),
        ["tar-trailing-data"]
    );
}
