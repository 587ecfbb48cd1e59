//! Layouts and archives that lie.

use serde_json::json;
use wclayer::image::ImageError;

use crate::build::{Layout, archive, config, docker};
use crate::common::Layers;
use crate::{at, layer, open, refused};

/// A layout with one image of one layer, spoiled by `change`, in a folder.
fn spoiled(change: impl FnOnce(&mut Layout)) -> (Layers, String) {
    let folder = Layers::new();
    let base = layer("base");
    let mut layout = Layout::default();
    let manifest = layout.image(&[&base], "10.0.20348.1");
    layout.list(manifest, None);
    change(&mut layout);
    layout.write(&folder.path("layout"));
    let text = at("oci", &folder.path("layout"));
    (folder, text)
}

#[test]
fn a_document_that_is_not_its_digest_is_refused() {
    let (_folder, text) = spoiled(|layout| {
        let (_, config) = layout.files.first_mut().expect("the configuration");
        // As long as before.
        let at = config
            .windows(5)
            .position(|window| window == b"amd64")
            .expect("there");
        config[at..at + 5].copy_from_slice(b"arm64");
    });
    assert!(matches!(refused(&text), ImageError::Digest { .. }));
}

#[test]
fn a_blob_of_another_size_is_refused() {
    let (_folder, text) = spoiled(|layout| layout.files[1].1.push(0));
    let error = refused(&text);
    assert!(matches!(error, ImageError::Size { found, expected, .. } if found == expected + 1));
}

#[test]
fn a_huge_document_is_not_read() {
    let (_folder, text) = spoiled(|layout| {
        let huge = layout.blob("manifest.v1+json", &vec![b' '; 5 << 20]);
        layout.index = vec![huge];
    });
    assert!(matches!(refused(&text), ImageError::TooLarge { .. }));
}

#[test]
fn indexes_in_one_another_come_to_an_end() {
    let (_folder, text) = spoiled(|layout| {
        let mut top = layout.index[0].clone();
        for _ in 0..20 {
            top = layout.json("index.v1+json", &json!({ "manifests": [top] }));
        }
        layout.index = vec![top];
    });
    assert!(matches!(refused(&text), ImageError::TooDeep { .. }));
}

#[test]
fn layers_and_configuration_have_to_agree() {
    let (_folder, text) = spoiled(|layout| {
        let base = layer("base");
        let config = layout.json("config.v1+json", &config(&[&base, &base], "10.0.1.1"));
        let blob = layout.blob("layer.v1.tar", &base);
        let manifest = json!({ "config": config, "layers": [blob] });
        layout.index = vec![layout.json("manifest.v1+json", &manifest)];
    });
    assert!(matches!(
        refused(&text),
        ImageError::LayerCount {
            layers: 1,
            diff_ids: 2,
            ..
        }
    ));
}

#[test]
fn a_digest_cannot_be_a_path() {
    for digest in [
        "sha256:../../../../etc/passwd",
        "../x:00",
        "sha512:00",
        "sha256:",
    ] {
        let (_folder, text) = spoiled(|layout| layout.index[0]["digest"] = digest.into());
        assert!(
            matches!(refused(&text), ImageError::Malformed { .. }),
            "{digest}"
        );
    }
}

#[test]
fn a_layer_that_is_elsewhere_is_named_when_it_is_read() {
    let (_folder, text) = spoiled(|layout| {
        let base = layer("base");
        let config = layout.json("config.v1+json", &config(&[&base], "10.0.1.1"));
        let mut blob = layout.blob("layer.nondistributable.v1.tar", b"elsewhere");
        layout.files.pop();
        let manifest = |blob| json!({ "config": config.clone(), "layers": [blob] });
        blob["urls"] = json!(["https://example.com/layer"]);
        let manifest = manifest(blob);
        layout.index = vec![layout.json("manifest.v1+json", &manifest)];
    });
    let image = open(&text).expect("it can be looked at");
    assert!(matches!(
        image.layers[0].blob(),
        Err(ImageError::Foreign { .. })
    ));
}

#[test]
fn what_is_missing_is_named() {
    let (folder, text) = spoiled(|layout| layout.files.truncate(1));
    assert!(matches!(refused(&text), ImageError::Missing { .. }));
    std::fs::remove_file(folder.path("layout/index.json")).expect("there");
    assert!(
        matches!(refused(&text), ImageError::Missing { missing, .. } if missing == "index.json")
    );
    let error = refused(&at("oci", &folder.path("nothing")));
    assert!(matches!(error, ImageError::Missing { missing, .. } if missing == "oci-layout"));
}

#[test]
fn a_docker_archive_leads_nowhere_else() {
    let folder = Layers::new();
    let base = layer("base");
    for name in ["../../etc/passwd", "/etc/passwd", "", "0.json/../../x"] {
        let mut files = docker(&[(&["app:v1"], &[&base])]);
        let list = files.last_mut().expect("the list");
        let mut json: serde_json::Value = serde_json::from_slice(&list.1).expect("JSON");
        json[0]["Layers"][0] = name.into();
        list.1 = json.to_string().into_bytes();
        archive(&folder.path("saved.tar"), &files);
        let error = refused(&at("docker-archive", &folder.path("saved.tar")));
        assert!(
            matches!(error, ImageError::Missing { .. }),
            "{name}: {error}"
        );
    }
}

#[cfg(unix)]
#[test]
fn links_in_a_layout_are_not_followed() {
    use std::os::unix::fs::symlink;

    let (folder, text) = spoiled(|_| {});
    let real = folder.path("layout/blobs/sha256");
    let aside = folder.path("aside");
    std::fs::rename(&real, &aside).expect("moved");
    symlink(&aside, &real).expect("a link");
    assert!(matches!(refused(&text), ImageError::Member { .. }));
    std::fs::remove_file(&real).expect("removed");
    std::fs::rename(&aside, &real).expect("back");
    assert!(open(&text).is_ok());
    let index = folder.path("layout/index.json");
    std::fs::rename(&index, folder.path("index")).expect("moved");
    symlink(folder.path("index"), &index).expect("a link");
    assert!(matches!(refused(&text), ImageError::Member { .. }));
}
