//! Image archives, as written by `docker save`, `podman save` and `skopeo`: tars that contain layers but
//! are not layers themselves.
//!
//! Importing one as a layer results in an image without files (moby/moby#34921, #47235). As long as no
//! entry is in a directory of layers, the documents that list layers are kept; at the end of the tar, they
//! show which members are the layers.
//!
//! Sources: Docker Image Specification v1.2, "Combined Image JSON + Filesystem Changeset Format";
//! image-spec `image-layout.md`.

use std::collections::HashMap;
use std::fmt;

use serde::Deserialize;

/// The maximum size of a document that is kept, and of all of them, in bytes.
const MAX_DOCUMENT: u64 = 64 << 10;
const MAX_DOCUMENTS: usize = 1 << 20;
/// The maximum number of layers that are listed.
const MAX_LISTED: usize = 16;

/// The content of an image archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageArchive {
    /// The names of its layers in the archive: lowest first, if the order is known, and not all of them if
    /// there are very many.
    pub layers: Vec<String>,
    /// The total number of layers.
    pub count: usize,
}

impl fmt::Display for ImageArchive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an image archive, not a layer")?;
        for (at, layer) in self.layers.iter().enumerate() {
            let before = if at == 0 { ": its layers are " } else { ", " };
            write!(f, "{before}`{layer}`")?;
        }
        match self.count - self.layers.len() {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}

/// Detects an image archive by its members.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    documents: HashMap<String, Vec<u8>>,
    /// The total size of all documents in bytes.
    held: usize,
    /// The document that is being read.
    passing: Option<String>,
    /// Files with the name of a layer.
    by_name: Vec<String>,
    by_name_count: usize,
    has_manifest: bool,
    has_layout: bool,
    has_blobs: bool,
}

impl Watch {
    /// Records a regular member.
    pub(crate) fn start(&mut self, name: &[u8], size: u64) {
        self.passing = None;
        let name = String::from_utf8_lossy(name);
        let name = name.strip_prefix("./").unwrap_or(&name);
        self.has_manifest |= name == "manifest.json";
        self.has_layout |= matches!(name, "oci-layout" | "index.json");
        self.has_blobs |= name.starts_with("blobs/");
        let is_top = !name.contains('/');
        if name.ends_with("/layer.tar") || (is_top && name.ends_with(".tar")) {
            self.by_name_count += 1;
            if self.by_name.len() < MAX_LISTED {
                self.by_name.push(name.to_owned());
            }
        }
        let is_document =
            matches!(name, "manifest.json" | "index.json") || name.starts_with("blobs/");
        if is_document && size <= MAX_DOCUMENT && self.held < MAX_DOCUMENTS {
            self.passing = Some(name.to_owned());
            self.documents.insert(name.to_owned(), Vec::new());
        }
    }

    /// Returns whether to keep the content of the current member.
    pub(crate) fn is_keeping(&self) -> bool {
        self.passing.is_some()
    }

    /// Keeps content of the current member. A blob that is not JSON is dropped at its first byte.
    pub(crate) fn keep(&mut self, bytes: &[u8]) {
        let Some(name) = &self.passing else { return };
        let Some(document) = self.documents.get_mut(name) else {
            return;
        };
        let is_json = document
            .first()
            .or(bytes.first())
            .is_none_or(|first| matches!(first, b'{' | b'[' | b' ' | b'\n'));
        if is_json {
            document.extend_from_slice(bytes);
            self.held += bytes.len();
        } else {
            self.documents.remove(name);
            self.passing = None;
        }
    }

    /// Stops the detection: this is a layer.
    pub(crate) fn stop(&mut self) {
        *self = Self::default();
    }

    /// Returns the image archive, at the end of a tar without any entry of a layer, if it is one.
    pub(crate) fn found(&self) -> Option<ImageArchive> {
        let listed = self.listed();
        let is_one = (self.has_manifest && (!listed.is_empty() || self.by_name_count > 0))
            || (self.has_layout && self.has_blobs);
        if !is_one {
            return None;
        }
        let (mut layers, count) = match listed.len() {
            0 => (self.by_name.clone(), self.by_name_count),
            count => (listed, count),
        };
        layers.truncate(MAX_LISTED);
        Some(ImageArchive { layers, count })
    }

    /// Returns the layers that the documents list, each once.
    fn listed(&self) -> Vec<String> {
        let mut layers = Vec::new();
        if let Some(saved) = self.document::<Vec<Saved>>("manifest.json") {
            layers.extend(saved.into_iter().flat_map(|image| image.layers));
        }
        if layers.is_empty()
            && let Some(index) = self.document::<Document>("index.json")
        {
            // An index may list other indexes, up to a certain depth.
            let mut manifests = index.manifests;
            for _ in 0..3 {
                let documents: Vec<Document> = manifests
                    .iter()
                    .filter_map(|manifest| self.document(&manifest.file()?))
                    .collect();
                manifests = Vec::new();
                for document in documents {
                    let files = document.layers.iter().filter(|layer| layer.is_layer());
                    layers.extend(files.filter_map(Descriptor::file));
                    manifests.extend(document.manifests);
                }
            }
        }
        let mut seen = std::collections::HashSet::new();
        layers.retain(|layer| seen.insert(layer.clone()));
        layers
    }

    fn document<'a, T: Deserialize<'a>>(&'a self, name: &str) -> Option<T> {
        serde_json::from_slice(self.documents.get(name)?).ok()
    }
}

/// One image of `manifest.json`.
#[derive(Deserialize)]
struct Saved {
    #[serde(rename = "Layers", default)]
    layers: Vec<String>,
}

/// An index or a manifest.
#[derive(Deserialize)]
struct Document {
    #[serde(default)]
    manifests: Vec<Descriptor>,
    #[serde(default)]
    layers: Vec<Descriptor>,
}

#[derive(Deserialize)]
struct Descriptor {
    digest: String,
    #[serde(rename = "mediaType", default)]
    media_type: String,
}

impl Descriptor {
    /// Returns the path of the blob in an image layout.
    fn file(&self) -> Option<String> {
        let (algorithm, hash) = self.digest.split_once(':')?;
        Some(format!("blobs/{algorithm}/{hash}"))
    }

    /// Returns whether it is a layer, and not something else that a manifest may list, such as an
    /// attestation.
    fn is_layer(&self) -> bool {
        !self.media_type.contains("in-toto")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watch(members: &[(&str, &str)]) -> Option<ImageArchive> {
        let mut watch = Watch::default();
        for (name, content) in members {
            watch.start(name.as_bytes(), content.len() as u64);
            for piece in content.as_bytes().chunks(7) {
                watch.keep(piece);
            }
        }
        watch.found()
    }

    fn layers(members: &[(&str, &str)]) -> Vec<String> {
        watch(members).expect("an image archive").layers
    }

    #[test]
    fn every_form_of_an_image_archive_names_its_layers() {
        let saved =
            r#"[{"Config":"c.json","RepoTags":["a:1"],"Layers":["a/layer.tar","b/layer.tar"]}]"#;
        assert_eq!(
            layers(&[("b/layer.tar", "x"), ("manifest.json", saved)]),
            ["a/layer.tar", "b/layer.tar"]
        );
        // A manifest that cannot be parsed: the names decide.
        assert_eq!(
            layers(&[("manifest.json", "{"), ("./a/layer.tar", "x")]),
            ["a/layer.tar"]
        );
        let manifest = r#"{"layers":[{"digest":"sha256:aa","mediaType":"x.tar+gzip"},
            {"digest":"sha256:bb","mediaType":"application/vnd.in-toto+json"}]}"#;
        let index = r#"{"manifests":[{"digest":"sha256:mm"}]}"#;
        let outer = r#"{"manifests":[{"digest":"sha256:ii"},{"digest":"sha256:gone"}]}"#;
        for members in [
            &[
                ("blobs/sha256/aa", "\x1F\u{8}"),
                ("blobs/sha256/mm", manifest),
                ("index.json", index),
                ("oci-layout", "{}"),
            ][..],
            &[
                ("index.json", outer),
                ("blobs/sha256/mm", manifest),
                ("blobs/sha256/ii", index),
            ],
        ] {
            assert_eq!(layers(members), ["blobs/sha256/aa"]);
        }
    }

    #[test]
    fn other_tars_are_left_alone() {
        for members in [
            &[][..],
            &[("manifest.json", "[]")],
            &[("index.json", "{}"), ("app/x.js", "1")],
            &[("a/layer.tar", "x")],
        ] {
            assert_eq!(watch(members), None, "{members:?}");
        }
    }

    #[test]
    fn what_is_kept_and_listed_is_bounded() {
        let mut watch = Watch::default();
        let document = vec![b'{'; MAX_DOCUMENT as usize];
        for number in 0..100_000 {
            watch.start(format!("blobs/{number}").as_bytes(), MAX_DOCUMENT);
            watch.keep(&document);
            watch.start(format!("{number}.tar").as_bytes(), 1);
        }
        assert!(watch.held <= MAX_DOCUMENTS + document.len());
        watch.start(b"manifest.json", 1);
        let found = watch.found().expect("an image archive");
        assert_eq!((found.layers.len(), found.count), (MAX_LISTED, 100_000));
        assert!(found.to_string().ends_with("and 99984 more"));
    }
}
