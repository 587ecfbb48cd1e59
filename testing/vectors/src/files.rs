//! Finds the vectors and loads cases.
//!
//! The folder is the one named by `WCLAYER_VECTORS`, or the copy in this crate.

use std::fs;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;

use crate::Check;

/// The environment variable that selects another folder of vectors.
pub const VARIABLE: &str = "WCLAYER_VECTORS";

/// Returns the folder of the vectors.
pub fn folder() -> PathBuf {
    match std::env::var_os(VARIABLE) {
        Some(folder) => folder.into(),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("data"),
    }
}

/// Lists the cases of a folder: the JSON files with their names, sorted. Empty without the folder.
///
/// # Errors
///
/// Fails if the folder cannot be read.
pub fn json_files(folder: &Path) -> Check<Vec<(String, PathBuf)>> {
    if !folder.exists() {
        return Ok(Vec::new());
    }
    let at_folder = |error| format!("cannot read {}: {error}", folder.display());
    let mut files = Vec::new();
    for item in fs::read_dir(folder).map_err(at_folder)? {
        let path = item.map_err(at_folder)?.path();
        if let (Some("json"), Some(stem)) = (
            path.extension().and_then(|text| text.to_str()),
            path.file_stem(),
        ) {
            files.push((stem.to_string_lossy().into_owned(), path.clone()));
        }
    }
    files.sort();
    Ok(files)
}

/// Loads a JSON file.
///
/// # Errors
///
/// Fails if the file cannot be read or does not have the requested shape.
pub fn load<T: DeserializeOwned>(path: &Path) -> Check<T> {
    serde_json::from_slice(&read(path)?)
        .map_err(|error| format!("{} is not a vector: {error}", path.display()))
}

/// Loads a JSON file that may be missing.
///
/// # Errors
///
/// Same as [`load`], except for a missing file.
pub fn load_optional<T: DeserializeOwned>(path: &Path) -> Check<Option<T>> {
    path.exists().then(|| load(path)).transpose()
}

/// Reads a whole file.
///
/// # Errors
///
/// Fails if the file cannot be read.
pub fn read(path: &Path) -> Check<Vec<u8>> {
    fs::read(path).map_err(|error| format!("cannot read {}: {error}", path.display()))
}
