//! A builder of image layouts and archives, written from the specification alone.
//!
//! Sources: OCI image-spec; Docker Image Specification v1.2.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use wclayer::Digest;

pub(crate) const OCI: &str = "application/vnd.oci.image.";
pub(crate) const NAME: &str = "org.opencontainers.image.ref.name";

/// The files of a layout, before they are written down.
#[derive(Default)]
pub(crate) struct Layout {
    pub(crate) files: Vec<(String, Vec<u8>)>,
    pub(crate) index: Vec<Value>,
}

pub(crate) fn config(layers: &[&[u8]], os_version: &str) -> Value {
    let diff_ids: Vec<_> = layers.iter().map(|layer| Digest::of(layer)).collect();
    let history: Vec<_> = (0..layers.len())
        .map(|number| json!({ "created_by": format!("layer {number}") }))
        .collect();
    json!({
        "architecture": "amd64", "os": "windows", "os.version": os_version,
        "config": { "Cmd": ["cmd"] },
        "rootfs": { "type": "layers", "diff_ids": diff_ids },
        "history": history,
    })
}

impl Layout {
    /// Adds a blob; returns its descriptor.
    pub(crate) fn blob(&mut self, kind: &str, bytes: &[u8]) -> Value {
        let digest = Digest::of(bytes).to_string();
        let hex = digest.strip_prefix("sha256:").expect("ours");
        self.files
            .push((format!("blobs/sha256/{hex}"), bytes.to_vec()));
        json!({ "mediaType": format!("{OCI}{kind}"), "digest": digest, "size": bytes.len() })
    }

    pub(crate) fn json(&mut self, kind: &str, document: &Value) -> Value {
        self.blob(kind, document.to_string().as_bytes())
    }

    /// Adds an image of uncompressed layers; returns the descriptor of its manifest.
    pub(crate) fn image(&mut self, layers: &[&[u8]], os_version: &str) -> Value {
        let config = config(layers, os_version);
        let config = self.json("config.v1+json", &config);
        let layers: Vec<_> = layers
            .iter()
            .map(|layer| self.blob("layer.v1.tar", layer))
            .collect();
        let manifest = json!({ "schemaVersion": 2, "config": config, "layers": layers });
        self.json("manifest.v1+json", &manifest)
    }

    /// Lists an image under a name.
    pub(crate) fn list(&mut self, mut descriptor: Value, name: Option<&str>) {
        if let Some(name) = name {
            descriptor["annotations"] = json!({ NAME: name });
        }
        self.index.push(descriptor);
    }

    /// Returns every file, the two at the top among them.
    pub(crate) fn all(&self) -> Vec<(String, Vec<u8>)> {
        let index = json!({ "schemaVersion": 2, "manifests": self.index });
        let layout = json!({ "imageLayoutVersion": "1.0.0" });
        let mut files = vec![
            ("oci-layout".to_owned(), layout.to_string().into_bytes()),
            ("index.json".to_owned(), index.to_string().into_bytes()),
        ];
        files.extend(self.files.iter().cloned());
        files
    }

    pub(crate) fn write(&self, folder: &Path) {
        for (name, bytes) in self.all() {
            let path = folder.join(name);
            fs::create_dir_all(path.parent().expect("below the folder")).expect("made");
            fs::write(path, bytes).expect("written");
        }
    }
}

/// Writes a tar with these files.
pub(crate) fn archive(path: &Path, files: &[(String, Vec<u8>)]) {
    let mut archive = tar::Builder::new(fs::File::create(path).expect("made"));
    for (name, bytes) in files {
        let mut header = tar::Header::new_ustar();
        header.set_size(bytes.len() as u64);
        archive
            .append_data(&mut header, name, &bytes[..])
            .expect("added");
    }
    archive.finish().expect("written");
}

/// The files of what `docker save` wrote before it wrote layouts too.
pub(crate) fn docker(images: &[(&[&str], &[&[u8]])]) -> Vec<(String, Vec<u8>)> {
    let mut files = Vec::new();
    let mut list = Vec::new();
    for (number, (tags, layers)) in images.iter().enumerate() {
        let config = config(layers, "10.0.20348.1").to_string();
        let name = format!("{number}.json");
        let names: Vec<_> = (0..layers.len())
            .map(|at| format!("{number}-{at}/layer.tar"))
            .collect();
        list.push(json!({ "Config": name, "RepoTags": tags, "Layers": names }));
        files.push((name, config.into_bytes()));
        let layers = layers.iter().map(|layer| layer.to_vec());
        files.extend(names.into_iter().zip(layers));
    }
    files.push((
        "manifest.json".to_owned(),
        Value::from(list).to_string().into_bytes(),
    ));
    files
}
