//! The tars of `import/` and `real_layers/` again, as portable layers: imported on top of the
//! parent layer given in the vectors, and exported bit for bit; or rejected for a documented
//! reason.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::io::{Cursor, Read};
use std::path::{Path, PathBuf};

use ntmeta::{FileAttributes, FileBasicInfo};
use serde::Deserialize;
use vectors::{Check, files, same};
use wclayer::compression::{Compression, Decoder};
use wclayer::portable::{self, ImportOptions, PortableLayerWriter};
use wclayer::{Error, FileEntry, LayerPath, LayerWriter, ParentChain};

use crate::case::{Case, Outcome};
use crate::differences::Difference;
use crate::layer;

/// The content of the parent layer in all cases.
#[derive(Deserialize)]
struct Parent {
    legacy_writer_parent: Option<Vec<ParentFile>>,
}

#[derive(Deserialize)]
struct ParentFile {
    path: String,
    dir: bool,
}

/// Finds the tars, compressed or not.
pub(crate) fn cases(root: &Path) -> Check<Vec<Case>> {
    let mut cases = Vec::new();
    for folder in ["import", "real_layers"].map(|name| root.join(name)) {
        for path in tars(&folder)? {
            let name = path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            let json = folder.join(format!(
                "{}.json",
                name.split('.').next().unwrap_or_default()
            ));
            cases.push(Case::new(name, move || run(&path, &json)));
        }
    }
    Ok(cases)
}

fn tars(folder: &Path) -> Check<Vec<PathBuf>> {
    let Ok(items) = fs::read_dir(folder) else {
        return Ok(Vec::new());
    };
    let is_tar = |path: &PathBuf| {
        matches!(
            path.extension().and_then(OsStr::to_str),
            Some("tar" | "gz" | "zst")
        )
    };
    let mut paths: Vec<_> = items
        .filter_map(|item| item.ok().map(|item| item.path()))
        .filter(is_tar)
        .collect();
    paths.sort();
    Ok(paths)
}

fn run(tar: &Path, json: &Path) -> Check<Outcome> {
    let bytes = files::read(tar)?;
    let layers = tempfile::tempdir().map_err(|error| error.to_string())?;
    let parent = layers.path().join("parent");
    let known =
        files::load_optional::<Parent>(json)?.and_then(|parent| parent.legacy_writer_parent);
    make_parent(&parent, &known.unwrap_or_default()).map_err(|error| layer::describe(&error))?;
    let options = ImportOptions::default().parents(ParentChain::from_nearest_first([&parent]));
    let path = layers.path().join("layer");
    match portable::import(Cursor::new(bytes.clone()), &path, &options, &()) {
        Ok(layer) => {
            let mut exported = Vec::new();
            layer
                .export(&mut exported, Compression::None.into(), &())
                .map_err(|error| layer::describe(&error))?;
            let mut expected = Vec::new();
            let decoder =
                Decoder::new(&bytes[..]).and_then(|mut input| input.read_to_end(&mut expected));
            decoder.map_err(|error| error.to_string())?;
            if exported != expected {
                return Err("the exported tar differs from the imported one".to_owned());
            }
            Ok(Outcome::Matches)
        }
        Err(error) => {
            let left = fs::read_dir(layers.path())
                .map_err(|error| error.to_string())?
                .count();
            same(
                "the number of folders left, including the parent",
                &1,
                &left,
            )?;
            refused(&error, &bytes)
        }
    }
}

/// Accepts an error if the tar reader reports it too, or if a rule for layers is broken.
fn refused(error: &Error, tar: &[u8]) -> Check<Outcome> {
    let Error::Layer { source, .. } = error else {
        return Err(layer::describe(error));
    };
    match **source {
        Error::Tar(_) if layer::read(tar)?.error.is_some() => Ok(Outcome::Matches),
        Error::Rule(_) => Ok(Outcome::Differs(BTreeSet::from([Difference::LayerRule]))),
        _ => Err(layer::describe(error)),
    }
}

fn make_parent(folder: &Path, files: &[ParentFile]) -> Result<(), Error> {
    let options = ImportOptions::default();
    let mut writer = PortableLayerWriter::create(folder, &options, &())?;
    for file in files {
        let attributes = if file.dir {
            FileAttributes::DIRECTORY
        } else {
            FileAttributes::ARCHIVE
        };
        let path = LayerPath::parse(file.path.as_bytes()).map_err(|source| Error::Path {
            path: file.path.clone(),
            source,
        })?;
        writer.add(&FileEntry {
            path,
            basic_info: FileBasicInfo {
                attributes,
                ..FileBasicInfo::default()
            },
            size: 0,
            metadata_first: true,
        })?;
    }
    writer.finish().map(drop)
}
