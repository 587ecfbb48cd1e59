//! Images: read by the commands that read layers, described by `info`, and refused clearly elsewhere.

use std::fs;

use serde_json::{Value, json};
use wclayer::Digest;

use crate::golden;
use crate::schema;
use crate::support::{APP_DIFF_ID, BASE_DIFF_ID, Workplace, sample};

/// Writes a blob of the layout `image`, and returns its descriptor.
fn blob(work: &Workplace, media_type: &str, bytes: &[u8]) -> Value {
    let digest = Digest::of(bytes).to_string();
    let name = digest.replace(':', "/");
    work.create_folder("image/blobs/sha256");
    work.write(&format!("image/blobs/{name}"), bytes);
    let media_type = format!("application/vnd.oci.image.{media_type}");
    json!({ "mediaType": media_type, "digest": digest, "size": bytes.len() })
}

/// Writes an image of the sample's layers for a version of Windows, and returns its descriptor.
fn image(work: &Workplace, version: &str) -> Value {
    let config = json!({
        "architecture": "amd64", "os": "windows", "os.version": version,
        "created": "2024-01-02T03:04:05Z",
        "config": { "Entrypoint": ["cmd", "/c"], "Env": ["A=b"], "WorkingDir": "C:\\app" },
        "rootfs": { "type": "layers", "diff_ids": [BASE_DIFF_ID, APP_DIFF_ID] },
        "history": [{ "created_by": "base" }, { "created_by": "COPY app" }],
    });
    let config = blob(work, "config.v1+json", config.to_string().as_bytes());
    let layers = ["base.tar.gz", "app.tar.gz"].map(|name| {
        let bytes = fs::read(sample(name)).expect(name);
        blob(work, "layer.v1.tar+gzip", &bytes)
    });
    let manifest = json!({ "schemaVersion": 2, "config": config, "layers": layers });
    let mut image = blob(work, "manifest.v1+json", manifest.to_string().as_bytes());
    image["annotations"] = json!({ "org.opencontainers.image.ref.name": "v1" });
    image["platform"] = json!({ "os": "windows", "architecture": "amd64", "os.version": version });
    image
}

fn workplace(versions: &[&str]) -> Workplace {
    let work = Workplace::new();
    let images: Vec<Value> = versions
        .iter()
        .map(|version| image(&work, version))
        .collect();
    let index = json!({ "schemaVersion": 2, "manifests": images });
    work.write("image/index.json", index.to_string().as_bytes());
    work.write("image/oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#);
    for name in ["base.tar.gz", "app.tar.gz"] {
        work.write(name, &fs::read(sample(name)).expect(name));
    }
    work
}

const VERSION: &str = "10.0.20348.1";
const DLL: &str = "Files/Windows/System32/sample.dll";

#[test]
fn an_image_reads_as_its_layers_do() {
    let work = workplace(&[VERSION]);
    let output = |line: &str| {
        let run = work.run(&line.split(' ').collect::<Vec<_>>()).succeeds();
        assert_eq!(run.stderr, "", "{line}");
        run.stdout
    };
    for (command, rest) in [
        ("ls -R --long", ""),
        ("tree", ""),
        ("find", ""),
        ("du", ""),
        ("cat", " Files/Windows/System32/sample.dll"),
    ] {
        let tars = output(&format!("{command} -l base.tar.gz app.tar.gz{rest}"));
        for name in ["image", "oci:image", "oci:image:v1"] {
            assert_eq!(
                output(&format!("{command} {name}{rest}")),
                tars,
                "{command} {name}"
            );
        }
        let base = output(&format!("{command} base.tar.gz{rest}"));
        for only in ["1", BASE_DIFF_ID] {
            let one = output(&format!("{command} --only {only} oci:image{rest}"));
            assert_eq!(one, base, "{command} --only {only}");
        }
    }
    work.run(&["squash", "-o", "all.tar", "oci:image"])
        .succeeds();
    work.run(&["diff", "oci:image", "all.tar"]).succeeds();
    work.run(&["extract", "oci:image", DLL, "-C", "out"])
        .succeeds();
    let json = work
        .run(&["stat", "--json", "oci:image", DLL])
        .succeeds()
        .json();
    assert_eq!(json["place"], "oci:image, layer 1");
}

#[test]
fn info_shows_the_image_without_reading_a_layer() {
    let work = workplace(&[VERSION]);
    let run = work.run(&["info", "oci:image:v1"]).succeeds();
    assert_eq!(run.stderr, "");
    golden::compare("image", "info", run.text());
    let json = schema::holds(&work.run(&["info", "--json", "image"]).succeeds(), "info");
    assert_eq!(json["image"], "image");
    assert_eq!(json["platform"], "windows/amd64:10.0.20348.1");
    assert_eq!(json["layers"][0]["diffId"], APP_DIFF_ID);
    assert_eq!(json["layers"][0]["number"], 0);
    assert_eq!(json["layers"][1]["createdBy"], "base");
    let size = |name: &str| work.read(name).len();
    assert_eq!(json["size"], size("base.tar.gz") + size("app.tar.gz"));
}

#[test]
fn the_platform_that_was_chosen_is_reported() {
    let work = workplace(&["10.0.17763.1", VERSION]);
    for command in [
        &["ls", "oci:image"][..],
        &["info", "image"],
        &["cat", "image", DLL],
    ] {
        let run = work.run(command).succeeds();
        let words = "chose windows/amd64:10.0.20348.1 of";
        assert!(run.stderr.contains(words), "{command:?}: {}", run.stderr);
        assert!(
            run.stderr.contains("windows/amd64:10.0.17763.1"),
            "{}",
            run.stderr
        );
    }
    let old = ["--platform", "windows/amd64:10.0.17763"];
    let run = work.run(&[&["info", "--json", "image"][..], &old].concat());
    let run = run.succeeds();
    assert_eq!(run.json()["platform"], "windows/amd64:10.0.17763.1");
    assert_eq!(run.stderr, "");
    work.run(&["ls", "image", "--platform", "windows"])
        .was_wrong_usage();
    work.run(&["ls", "image", "--only", "top"])
        .was_wrong_usage();
}

#[test]
fn what_cannot_be_read_is_refused_with_advice() {
    let work = workplace(&[VERSION]);
    for (line, message, advice) in [
        ("ls oci:image:v2", "no image `v2`", "`v1`"),
        ("ls oci:image --only 2", "no layer 2", "COPY app"),
        ("ls oci:image -l base.tar.gz", "takes no parents", "--only"),
        (
            "ls app.tar.gz -l oci:image",
            "one layer is needed",
            "COPY app",
        ),
        ("ls app.tar.gz --only 0", "is not an image", "Omit --only"),
        (
            "info app.tar.gz --platform windows/amd64",
            "is not an image",
            "Omit",
        ),
        ("ls docker://localhost/app", "is in a registry", "skopeo"),
        ("ls oci:", "the image reference `oci:` is malformed", ""),
        (
            "ls oci:nowhere",
            "`nowhere` is not an OCI image layout",
            "docker save",
        ),
        (
            "ls docker-archive:app.tar.gz",
            "is compressed",
            "Decompress",
        ),
        (
            "validate oci:image",
            "is not a layer: it is an OCI image layout",
            "takes one layer",
        ),
        (
            "export oci:image -o x.tar",
            "is not a layer: it is",
            "takes one layer",
        ),
        (
            "import -i oci:image x",
            "is not a layer: it is",
            "takes one layer",
        ),
        (
            "remove --force oci:image",
            "is not a layer: it is",
            "takes one layer",
        ),
    ] {
        let arguments: Vec<&str> = line.split(' ').collect();
        let code = if arguments[0] == "validate" { 2 } else { 1 };
        let run = work.run(&arguments).fails_with(code, message);
        assert!(run.stderr.contains(advice), "{line}: {}", run.stderr);
    }
    assert_eq!(work.list("."), ["app.tar.gz", "base.tar.gz", "image"]);
}

#[test]
fn a_damaged_layer_is_named_with_its_image() {
    let work = workplace(&[VERSION]);
    let blob = Digest::of(&work.read("base.tar.gz"))
        .to_string()
        .replace(':', "/");
    let mut bytes = work.read("base.tar.gz");
    // The time in the header of gzip, which decoders ignore.
    bytes[4] ^= 1;
    work.write(&format!("image/blobs/{blob}"), &bytes);
    let run = work.run(&["ls", "oci:image"]).fails("`oci:image, layer 1`");
    assert!(
        run.stderr.contains("is damaged: its digest is"),
        "{}",
        run.stderr
    );
}
