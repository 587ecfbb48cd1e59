//! Malicious layer authors and failing machines: all input is rejected with a reason or does no
//! harm, nothing outside is touched, and nothing is left behind.

#[path = "../common/mod.rs"]
mod common;

mod data;
mod extract;
mod folders;
mod names;
mod numbers;
mod places;
mod rules;

use std::collections::BTreeMap;
use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};

use layergen::TarBuilder;
use tempfile::TempDir;
use wclayer::portable::{self, ImportOptions, PortableLayer};
use wclayer::{Error, ErrorKind, LayerPath, ParentChain};

use common::{directory, plain, root_cause, snapshot, tar};

/// A folder for layers, beside files that must not change.
struct Ground {
    folder: TempDir,
    before: BTreeMap<PathBuf, String>,
}

impl Ground {
    /// Creates `layers/`, which contains a base layer, and `outside/`.
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let root = folder.path();
        fs::create_dir_all(root.join("outside/deep")).expect("free");
        fs::write(root.join("outside/canary"), "alive").expect("free");
        fs::write(root.join("canary"), "alive").expect("free");
        fs::create_dir(root.join("layers")).expect("free");
        let base = tar(|tar| {
            tar.directory("Files/dir", &directory())?;
            tar.directory("Files/dir/deep", &directory())?;
            tar.file("Files/dir/old", &plain(), b"old")?;
            tar.file("Files/target", &plain(), b"target")
        });
        portable::import(
            base,
            root.join("layers/base"),
            &ImportOptions::default(),
            &(),
        )
        .expect("a legal layer");
        let before = snapshot(root);
        Self { folder, before }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn import(&self, tar: Vec<u8>, on_base: bool) -> Result<PortableLayer, Error> {
        self.import_to("layers/new", tar, on_base, false)
    }

    fn import_to(
        &self,
        name: &str,
        tar: Vec<u8>,
        on_base: bool,
        replace: bool,
    ) -> Result<PortableLayer, Error> {
        let parents = on_base.then(|| self.path("layers/base"));
        let options = ImportOptions::default()
            .parents(ParentChain::from_nearest_first(parents))
            .replace(replace);
        portable::import(Cursor::new(tar), self.path(name), &options, &())
    }

    /// Records the current state as the one that must not change.
    fn accept_changes(&mut self) {
        self.before = snapshot(self.folder.path());
    }

    #[track_caller]
    fn assert_untouched(&self, what: &str) {
        assert_eq!(snapshot(self.folder.path()), self.before, "{what}");
    }

    /// Imports a tar twice; the resulting layer must be intact. Returns the paths in it, or the
    /// reason for the rejection. Leaves everything unchanged.
    #[track_caller]
    fn try_tar(&self, what: &str, tar: &[u8], on_base: bool) -> Result<Vec<LayerPath>, String> {
        let result = self.import(tar.to_vec(), on_base);
        let result = match result {
            Ok(layer) => {
                let paths = assert_sound(what, &layer, tar);
                portable::remove(layer.path()).expect(what);
                Ok(paths)
            }
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::InvalidLayer, "{what}: {error:?}");
                Err(root_cause(&error))
            }
        };
        self.assert_untouched(what);
        extract::harmless(self, what, tar);
        extract::harmless_in_view(self, what, tar);
        result
    }

    #[track_caller]
    fn refuses(&self, what: &str, tar: &[u8], on_base: bool) -> String {
        match self.try_tar(what, tar, on_base) {
            Err(reason) => reason,
            Ok(paths) => panic!("{what} was imported: {paths:?}"),
        }
    }

    #[track_caller]
    fn takes(&self, what: &str, tar: &[u8], on_base: bool) -> Vec<LayerPath> {
        self.try_tar(what, tar, on_base).expect(what)
    }
}

/// Checks that a layer returns its tar and that no path in it leads elsewhere.
#[track_caller]
fn assert_sound(what: &str, layer: &PortableLayer, tar: &[u8]) -> Vec<LayerPath> {
    let mut exported = Vec::new();
    layer
        .export(
            &mut exported,
            wclayer::compression::Compression::None.into(),
            &(),
        )
        .expect(what);
    assert!(exported == tar, "{what}: a different tar is exported");
    let mut reader = layer.reader().expect(what);
    let writer = wclayer::tar::TarLayerWriter::new(std::io::sink());
    // A name with `.wh.` further up is legal, but our tar writer cannot express it.
    if let Err(error) = wclayer::hub::copy(&mut reader, writer, &()) {
        assert!(root_cause(&error).contains("`.wh.`"), "{what}: {error:?}");
    }
    let mut paths = Vec::new();
    let index = layer.index().expect(what);
    index
        .for_each(|entry| {
            for path in [Some(&entry.path), entry.target.as_ref()]
                .into_iter()
                .flatten()
            {
                assert_clean(what, path);
            }
            paths.push(entry.path);
            Ok(())
        })
        .expect(what);
    paths
}

/// Checks that a path is relative and only leads down.
#[track_caller]
fn assert_clean(what: &str, path: &LayerPath) {
    for component in path.components() {
        let text = String::from_utf8_lossy(component);
        assert!(
            !matches!(&*text, "" | "." | "..") && !text.contains(['\\', ':', '\0']),
            "{what}: {path}"
        );
    }
    assert!(
        !Path::new(&path.to_string()).is_absolute(),
        "{what}: {path}"
    );
}

/// Builds a tar that starts with `Files` and continues with arbitrary bytes.
fn raw_tar(parts: &[&[u8]]) -> Vec<u8> {
    tar(|tar| parts.iter().try_for_each(|part| tar.raw_bytes(part))).into_inner()
}

/// Builds a tar that starts with `Files`.
fn built(build: impl FnOnce(&mut TarBuilder<Vec<u8>>) -> std::io::Result<()>) -> Vec<u8> {
    tar(build).into_inner()
}
