//! An image as a chain: the same view as its layers as tars, verified as they pass.

use std::io::Read as _;
use std::path::Path;

use serde_json::{Value, json};
use wclayer::compression::Encoder;
use wclayer::image::ImageError;
use wclayer::source::{self, Access, Chain, ImageChoice, LayerRef, OpenOptions, Passed};
use wclayer::view::View;
use wclayer::{DiffId, Error, ParentChain};

use crate::at;
use crate::build::{Layout, archive, docker};
use crate::common::{Layers, directory, path, plain, tar};

fn base() -> Vec<u8> {
    let layer = tar(|tar| {
        tar.directory("Files", &directory())?;
        tar.file("Files/a", &plain(), b"base a")?;
        tar.file("Files/b", &plain(), b"base b")
    });
    layer.into_inner()
}

fn app() -> Vec<u8> {
    let layer = tar(|tar| {
        tar.directory("Files", &directory())?;
        tar.file("Files/a", &plain(), b"app a")?;
        tar.whiteout("Files/b")
    });
    layer.into_inner()
}

fn top() -> Vec<u8> {
    let layer = tar(|tar| {
        tar.directory("Files", &directory())?;
        tar.file("Files/c", &plain(), b"top c")
    });
    layer.into_inner()
}

fn compressed(bytes: &[u8], method: &str) -> Vec<u8> {
    let method = method.parse().expect("a method");
    let mut encoder = Encoder::new(Vec::new(), method).expect("an encoder");
    std::io::Write::write_all(&mut encoder, bytes).expect("memory");
    encoder.finish().expect("memory")
}

/// A layout with one image, whose layers are stored as `methods` say.
fn layout(layers: &[&[u8]], methods: &[&str]) -> Layout {
    let mut layout = Layout::default();
    let config = layout.json(
        "config.v1+json",
        &crate::build::config(layers, "10.0.20348.1"),
    );
    let stored = layers.iter().zip(methods.iter().cycle());
    let layers: Vec<_> = stored
        .map(|(layer, method)| match *method {
            "none" => layout.blob("layer.v1.tar", layer),
            method => {
                let kind = format!("layer.v1.tar+{method}");
                layout.blob(&kind, &compressed(layer, method))
            }
        })
        .collect();
    list(&mut layout, &config, &layers);
    layout
}

fn list(layout: &mut Layout, config: &Value, layers: &[Value]) {
    let manifest = json!({ "schemaVersion": 2, "config": config, "layers": layers });
    let manifest = layout.json("manifest.v1+json", &manifest);
    layout.list(manifest, Some("v1"));
}

/// Returns everything that is seen: each path with its content.
fn seen(view: &View) -> Vec<(String, Option<String>)> {
    let nodes = view.walk(None).map(|node| node.expect("readable"));
    let described = nodes.map(|node| {
        let content = view.content(&node, None).ok().map(|content| {
            let mut text = String::new();
            content
                .reader()
                .read_to_string(&mut text)
                .expect("readable");
            text
        });
        (node.path.to_string(), content)
    });
    described.collect()
}

fn view(reference: &str, access: Access, choice: ImageChoice) -> Result<View, Error> {
    let options = OpenOptions::default().access(access).image(choice);
    source::open(reference, &options, &())
}

fn only(choice: &str) -> ImageChoice {
    ImageChoice::default().only(Some(choice.parse().expect(choice)))
}

fn image_error(error: &Error) -> &ImageError {
    match error {
        Error::Layer { source, .. } => image_error(source),
        Error::Image(error) => error,
        error => panic!("{error}"),
    }
}

/// Writes the same image in every form, and returns how each is named.
fn forms(folder: &Layers, layers: &[&[u8]]) -> Vec<String> {
    let mut names = Vec::new();
    for (number, methods) in [&["none"][..], &["gzip"], &["zstd"], &["gzip", "none"]]
        .into_iter()
        .enumerate()
    {
        let layout = layout(layers, methods);
        let in_folder = folder.path(&format!("layout{number}"));
        layout.write(&in_folder);
        let file = folder.path(&format!("oci{number}.tar"));
        archive(&file, &layout.all());
        names.push(at("oci", &in_folder) + ":v1");
        names.push(in_folder.display().to_string());
        names.push(at("oci-archive", &file));
        names.push(file.display().to_string());
    }
    let file = folder.path("saved.tar");
    archive(&file, &docker(&[(&["app:v1"], layers)]));
    names.push(at("docker-archive", &file) + ":app:v1");
    names.push(file.display().to_string());
    names
}

#[test]
fn an_image_looks_like_its_layers_as_tars() {
    let folder = Layers::new();
    let layers = [base(), app(), top()];
    let tars = ["base.tar", "app.tar", "top.tar"].map(|name| folder.path(name));
    for (tar, layer) in tars.iter().zip(&layers) {
        std::fs::write(tar, layer).expect("written");
    }
    let parents: ParentChain<LayerRef> = ParentChain::from_nearest_first([&tars[1], &tars[0]]);
    let options = OpenOptions::default().parents(parents);
    let expected = seen(&source::open(&tars[2], &options, &()).expect("a chain"));
    assert_eq!(expected.len(), 3, "{expected:?}");
    let lower = OpenOptions::default().parents(ParentChain::from_nearest_first([&tars[0]]));
    let lower = seen(&source::open(&tars[1], &lower, &()).expect("a chain"));
    let borrowed = layers.each_ref().map(Vec::as_slice);
    let middle = DiffId::of(&layers[1]).to_string();
    for name in forms(&folder, &borrowed) {
        for access in [Access::Listing, Access::Content, Access::UpperContent] {
            let all = view(&name, access, ImageChoice::default()).expect(&name);
            assert_eq!(seen(&all), expected, "{name}");
            for choice in ["1", &middle] {
                let below = view(&name, access, only(choice)).expect(&name);
                assert_eq!(seen(&below), lower, "{name}");
            }
        }
    }
}

#[test]
fn one_file_is_found_in_compressed_layers_as_they_pass() {
    let folder = Layers::new();
    let layers = [base(), app(), top()];
    let borrowed = layers.each_ref().map(Vec::as_slice);
    layout(&borrowed, &["gzip"]).write(&folder.path("layout"));
    let name = at("oci", &folder.path("layout"));
    let chain = Chain::resolve(&name, &ParentChain::none(), false).expect("an image");
    assert_eq!(chain.layers()[1].label(), format!("{name}, layer 1"));
    let found = source::content_in_passing(chain.layers(), &path("Files/a"), None, &());
    let Passed::Content { content, layer: 1 } = found.expect("readable") else {
        panic!("it is in layer 1");
    };
    let mut text = String::new();
    content
        .reader()
        .read_to_string(&mut text)
        .expect("readable");
    assert_eq!(text, "app a");
}

/// Replaces the bytes of a blob, whose name stays.
fn damage(layout: &mut Layout, blob: &[u8], with: Vec<u8>) {
    let file = layout.files.iter_mut().find(|(_, bytes)| bytes == blob);
    file.expect("the blob").1 = with;
}

#[test]
fn a_compressed_layer_that_is_not_its_digest_is_refused() {
    let folder = Layers::new();
    let (base, app) = (base(), app());
    let mut layout = layout(&[&base, &app], &["gzip"]);
    let blob = compressed(&base, "gzip");
    let mut damaged = blob.clone();
    // The time in the header of gzip: the decompressed tar stays the same.
    damaged[4] ^= 1;
    damage(&mut layout, &blob, damaged);
    layout.write(&folder.path("layout"));
    let image = at_layout(&folder.path("layout"));
    for access in [Access::Listing, Access::Content] {
        let error = view(&image, access, ImageChoice::default()).err();
        let error = error.expect("damaged");
        let ImageError::Digest { label, .. } = image_error(&error) else {
            panic!("{error}");
        };
        assert_eq!(*label, format!("{image}, layer 1"));
    }
    // The layer above is intact.
    let alone = OpenOptions::default().this_layer(true);
    source::open(&image, &alone, &()).expect("intact");
}

fn at_layout(place: &Path) -> String {
    at("oci", place)
}

#[test]
fn a_wrong_diff_id_is_refused_where_all_bytes_pass() {
    let folder = Layers::new();
    let (base, app) = (base(), app());
    for method in ["gzip", "zstd", "none"] {
        let mut layout = Layout::default();
        let config = crate::build::config(&[&app, &app], "10.0.20348.1");
        let config = layout.json("config.v1+json", &config);
        let blob = match method {
            "none" => base.clone(),
            method => compressed(&base, method),
        };
        let lower = layout.blob("layer.v1.tar", &blob);
        let upper = layout.blob("layer.v1.tar", &app);
        list(&mut layout, &config, &[lower, upper]);
        layout.write(&folder.path(method));
        let image = at_layout(&folder.path(method));
        let opened = view(&image, Access::Listing, ImageChoice::default());
        if method == "none" {
            // Only headers are read.
            opened.expect("not hashed");
            continue;
        }
        let error = opened.err().expect("another DiffID");
        let ImageError::DiffId { label, found, .. } = image_error(&error) else {
            panic!("{error}");
        };
        assert_eq!(*label, format!("{image}, layer 1"));
        assert_eq!(*found, DiffId::of(&base));
        let chain = Chain::resolve_choosing(&image, &ParentChain::none(), false, &only("1"));
        let chain = chain.expect("an image");
        let found = source::content_in_passing(chain.layers(), &path("Files/a"), None, &());
        let error = found.err().expect("another DiffID");
        assert!(
            matches!(image_error(&error), ImageError::DiffId { .. }),
            "{error}"
        );
    }
}

#[test]
fn a_truncated_blob_is_refused_by_its_size() {
    let folder = Layers::new();
    let base = base();
    let mut layout = layout(&[&base], &["gzip"]);
    let blob = compressed(&base, "gzip");
    damage(&mut layout, &blob, blob[..blob.len() - 1].to_vec());
    layout.write(&folder.path("layout"));
    let image = at_layout(&folder.path("layout"));
    let error = view(&image, Access::Listing, ImageChoice::default()).err();
    let error = error.expect("truncated");
    assert!(
        matches!(image_error(&error), ImageError::Size { .. }),
        "{error}"
    );
}

#[test]
fn a_foreign_layer_that_is_missing_hides_only_what_needs_it() {
    let folder = Layers::new();
    let (base, app) = (base(), app());
    let mut layout = Layout::default();
    let config = crate::build::config(&[&base, &app], "10.0.20348.1");
    let config = layout.json("config.v1+json", &config);
    let upper = layout.blob("layer.v1.tar+gzip", &compressed(&app, "gzip"));
    let mut lower = layout.blob("layer.nondistributable.v1.tar", &base);
    layout.files.retain(|(_, bytes)| *bytes != base);
    lower["urls"] = json!(["https://example.invalid/base"]);
    list(&mut layout, &config, &[lower, upper]);
    layout.write(&folder.path("layout"));
    let image = at_layout(&folder.path("layout"));
    let error = view(&image, Access::Listing, ImageChoice::default()).err();
    let error = error.expect("the base is missing");
    let ImageError::Foreign { urls, .. } = image_error(&error) else {
        panic!("{error}");
    };
    assert_eq!(urls, &["https://example.invalid/base"]);
    let alone = OpenOptions::default().this_layer(true);
    source::open(&image, &alone, &()).expect("the top is there");
    let chain = Chain::resolve(&image, &ParentChain::none(), false).expect("an image");
    let found = source::content_in_passing(chain.layers(), &path("Files/a"), None, &());
    assert!(matches!(found, Ok(Passed::Content { layer: 0, .. })));
}

#[test]
fn what_cannot_be_chosen_is_refused_with_what_there_is() {
    let folder = Layers::new();
    let (base, app) = (base(), app());
    layout(&[&base, &app], &["none"]).write(&folder.path("two"));
    layout(&[&base], &["none"]).write(&folder.path("one"));
    std::fs::write(folder.path("app.tar"), &app).expect("written");
    let (one, two) = (
        at_layout(&folder.path("one")),
        at_layout(&folder.path("two")),
    );
    let error = view(&two, Access::Listing, only("2")).err().expect("two");
    assert!(
        matches!(image_error(&error), ImageError::NoSuchLayer { layers, .. } if layers.len() == 2)
    );
    let plain = folder.path("app.tar").display().to_string();
    let error = view(&plain, Access::Listing, only("0"))
        .err()
        .expect("no image");
    assert!(matches!(
        image_error(&error),
        ImageError::NothingToChoose { .. }
    ));
    let on =
        |parent: &str| OpenOptions::default().parents(ParentChain::from_nearest_first([parent]));
    let error = source::open(&two, &on(&plain), &()).err().expect("parents");
    assert!(matches!(
        image_error(&error),
        ImageError::WithParents { .. }
    ));
    let error = source::open(&plain, &on(&two), &())
        .err()
        .expect("two layers");
    assert!(
        matches!(image_error(&error), ImageError::SeveralLayers { layers, .. } if layers[0].starts_with("0: "))
    );
    let chain = source::open(&plain, &on(&one), &()).expect("one layer");
    assert_eq!(
        seen(&chain),
        seen(&view(&two, Access::Listing, ImageChoice::default()).expect("two"))
    );
    let error = view(
        "docker://localhost/app",
        Access::Listing,
        ImageChoice::default(),
    )
    .err();
    let error = error.expect("no registry");
    assert!(matches!(image_error(&error), ImageError::NoRegistry { .. }));
    let error = view("oci:", Access::Listing, ImageChoice::default()).err();
    assert!(matches!(
        image_error(&error.expect("no path")),
        ImageError::Malformed { .. }
    ));
}

/// The first member decides that a tar is a layer, whatever follows it.
#[test]
fn a_layer_tar_is_not_searched_for_an_image() {
    let folder = Layers::new();
    let place = folder.path("layer.tar");
    let mut files = vec![("Files/a".to_owned(), b"a".to_vec())];
    files.extend(docker(&[(&["app:v1"], &[&base()])]));
    archive(&place, &files);
    let layer = source::recognise(&place).expect("readable");
    assert!(
        matches!(layer.kind(), source::Kind::Tar(_)),
        "{}",
        layer.kind()
    );
    files.remove(0);
    archive(&place, &files);
    let layer = source::recognise(&place).expect("readable");
    assert_eq!(layer.kind(), source::Kind::DockerArchive);
}
