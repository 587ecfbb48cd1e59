//! Images in layouts and archives, through the public API: found, chosen, and refused.

#[path = "../common/mod.rs"]
mod common;

mod build;
mod hostile;
mod views;

use std::io::Read as _;
use std::path::Path;

use build::{Layout, archive, docker};
use common::{Layers, plain, tar};
use wclayer::image::{self, Image, ImageError, ImageReference, OpenImage};
use wclayer::{Digest, Error};

fn open(text: &str) -> Result<Image, Error> {
    open_for(text, None)
}

fn open_for(text: &str, platform: Option<&str>) -> Result<Image, Error> {
    let reference = ImageReference::parse(text)
        .expect("a transport")
        .expect(text);
    let mut wanted = OpenImage::default();
    wanted.platform = platform.map(|platform| platform.parse().expect(platform));
    image::open(&reference, &wanted, &())
}

fn refused(text: &str) -> ImageError {
    match open(text) {
        Err(Error::Image(error)) => error,
        Err(error) => panic!("{text}: {error}"),
        Ok(_) => panic!("{text} was opened"),
    }
}

fn layer(name: &str) -> Vec<u8> {
    tar(|tar| tar.file(&format!("Files/{name}"), &plain(), name.as_bytes())).into_inner()
}

/// What the layers of an image hold, lowest first.
fn contents(image: &Image) -> Vec<Vec<u8>> {
    let read = |layer: &wclayer::image::ImageLayer| {
        let mut bytes = Vec::new();
        let blob = layer.blob().expect("it is in the image");
        blob.reader().read_to_end(&mut bytes).expect("readable");
        assert_eq!(blob.len(), bytes.len() as u64);
        assert_eq!(Digest::of(&bytes).to_string(), layer.diff_id.to_string());
        bytes
    };
    image.layers.iter().map(read).collect()
}

fn at(transport: &str, path: &Path) -> String {
    format!("{transport}:{}", path.display())
}

#[test]
fn a_layout_and_its_archive_hold_the_same_image() {
    let folder = Layers::new();
    let (base, app) = (layer("base"), layer("app"));
    let mut layout = Layout::default();
    let manifest = layout.image(&[&base, &app], "10.0.20348.1");
    layout.list(manifest, Some("v1"));
    layout.write(&folder.path("layout"));
    archive(&folder.path("layout.tar"), &layout.all());
    for text in [
        at("oci", &folder.path("layout")),
        at("oci", &folder.path("layout")) + ":v1",
        at("oci", &folder.path("layout")) + ":@0",
        at("oci-archive", &folder.path("layout.tar")),
        at("oci-archive", &folder.path("layout.tar")) + ":v1",
    ] {
        let image = open(&text).expect(&text);
        assert_eq!(contents(&image), [base.clone(), app.clone()], "{text}");
        assert_eq!(image.layers[1].created_by.as_deref(), Some("layer 1"));
        assert_eq!(
            image.config.config.cmd.as_deref(),
            Some(&["cmd".to_owned()][..])
        );
        assert!(image.manifest_digest.is_some());
    }
    let error = refused(&(at("oci", &folder.path("layout")) + ":v2"));
    assert!(matches!(error, ImageError::NoSuchImage { names, .. } if names == ["v1"]));
}

#[test]
fn a_docker_archive_is_found_by_its_tags() {
    let folder = Layers::new();
    let (base, app) = (layer("base"), layer("app"));
    let path = folder.path("saved.tar");
    let images: [(&[&str], &[&[u8]]); 2] = [
        (&["app:latest", "a.b/app:v2"], &[&base, &app]),
        (&["base:v1"], &[&base]),
    ];
    archive(&path, &docker(&images));
    let one = at("docker-archive", &path);
    for name in [
        "app",
        "app:latest",
        "docker.io/library/app",
        "a.b/app:v2",
        "@0",
    ] {
        let image = open(&format!("{one}:{name}")).expect(name);
        assert_eq!(contents(&image).len(), 2, "{name}");
        assert_eq!(image.manifest_digest, None);
    }
    assert_eq!(
        contents(&open(&format!("{one}:base:v1")).expect("there")),
        [base]
    );
    let error = refused(&one);
    assert!(
        matches!(&error, ImageError::SeveralImages { names, .. } if names == &["app:latest", "base:v1"]),
        "{error}"
    );
    assert!(matches!(
        refused(&format!("{one}:nothing")),
        ImageError::NoSuchImage { .. }
    ));
    assert!(matches!(
        refused(&format!("{one}:@2")),
        ImageError::NoSuchImage { .. }
    ));
}

#[test]
fn an_index_is_asked_for_the_platform() {
    let folder = Layers::new();
    let base = layer("base");
    let mut layout = Layout::default();
    let versions = ["10.0.17763.5329", "10.0.20348.2227", "10.0.20348.9"];
    let manifests: Vec<_> = versions
        .iter()
        .map(|version| {
            let mut manifest = layout.image(&[&base], version);
            manifest["platform"] = serde_json::json!({
                "os": "windows", "architecture": "amd64", "os.version": version,
            });
            manifest
        })
        .collect();
    let index = serde_json::json!({ "schemaVersion": 2, "manifests": manifests });
    let index = layout.json("index.v1+json", &index);
    layout.list(index, Some("all"));
    layout.write(&folder.path("nested"));
    // The same, without an index of its own.
    let mut flat = Layout {
        files: layout.files.clone(),
        index: Vec::new(),
    };
    manifests
        .iter()
        .for_each(|manifest| flat.list(manifest.clone(), None));
    flat.write(&folder.path("flat"));
    for name in ["nested", "flat"] {
        let text = at("oci", &folder.path(name));
        let version = |platform| {
            let image = open_for(&text, platform).expect("there");
            let others = image.other_platforms.len();
            (image.config.platform.os_version.expect("a version"), others)
        };
        let amd64 = Some("windows/amd64");
        assert_eq!(version(amd64), (versions[1].to_owned(), 2), "the newest");
        let old = Some("windows/amd64:10.0.17763");
        assert_eq!(version(old), (versions[0].to_owned(), 0));
        let error = open_for(&text, Some("linux/amd64")).expect_err("not there");
        assert!(
            error.to_string().contains("linux/amd64") || name == "flat",
            "{error}"
        );
    }
}

#[test]
fn an_image_for_another_platform_is_not_taken_for_the_one_asked_for() {
    let folder = Layers::new();
    let base = layer("base");
    let mut layout = Layout::default();
    let manifest = layout.image(&[&base], "10.0.20348.1");
    layout.list(manifest, None);
    layout.write(&folder.path("layout"));
    let text = at("oci", &folder.path("layout"));
    assert!(open(&text).is_ok());
    assert!(open_for(&text, Some("windows/amd64:10.0.20348")).is_ok());
    for platform in ["linux/amd64", "windows/arm64", "windows/amd64:10.0.26100"] {
        let error = open_for(&text, Some(platform)).expect_err(platform);
        assert!(
            matches!(error, Error::Image(ImageError::NoSuchPlatform { .. })),
            "{error}"
        );
    }
}

#[test]
fn a_path_is_recognised_by_what_it_holds() {
    let folder = Layers::new();
    let base = layer("base");
    let mut layout = Layout::default();
    let manifest = layout.image(&[&base], "10.0.20348.1");
    layout.list(manifest, None);
    layout.write(&folder.path("layout"));
    archive(&folder.path("oci.tar"), &layout.all());
    archive(
        &folder.path("saved.tar"),
        &docker(&[(&["app:v1"], &[&base])]),
    );
    // What docker saves today is both.
    let mut both = layout.all();
    both.extend(docker(&[(&["app:v1"], &[&base])]));
    archive(&folder.path("both.tar"), &both);
    std::fs::write(folder.path("layer.tar"), &base).expect("written");
    std::fs::create_dir(folder.path("empty")).expect("made");
    let kind = |name: &str| {
        let found = image::recognise(&folder.path(name), &()).expect(name);
        found.map(|found| {
            found
                .to_string()
                .split(':')
                .next()
                .unwrap_or_default()
                .to_owned()
        })
    };
    assert_eq!(kind("layout").as_deref(), Some("oci"));
    assert_eq!(kind("oci.tar").as_deref(), Some("oci-archive"));
    assert_eq!(kind("saved.tar").as_deref(), Some("docker-archive"));
    assert_eq!(kind("both.tar").as_deref(), Some("oci-archive"));
    assert_eq!(kind("layer.tar"), None);
    assert_eq!(kind("empty"), None);
}
