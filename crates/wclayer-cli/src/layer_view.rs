//! Describes a layer in rows of text or as a JSON object (`docs/json.md`), the same in every command.

use std::path::{Component, Path, PathBuf};

use serde::Serialize;
use wclayer::hub::EntryCounts;
use wclayer::portable::{PortableLayer, SourceBlob};
use wclayer::source::LayerRef;
use wclayer::{DiffId, ParentChain};

use crate::output::Summary;
use crate::units;

/// A layer as JSON.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct LayerJson<'a> {
    path: String,
    format: &'a str,
    version: u32,
    diff_id: DiffId,
    tar_size: u64,
    content_size: u64,
    source: &'a SourceBlob,
    entry_counts: &'a EntryCounts,
    parents: Vec<String>,
    warnings: &'a [String],
}

impl<'a> LayerJson<'a> {
    /// Describes `layer`.
    pub(crate) fn new(layer: &'a PortableLayer) -> Self {
        let descriptor = layer.descriptor();
        Self {
            path: absolute(layer.path()),
            format: &descriptor.format,
            version: descriptor.version,
            diff_id: descriptor.diff_id,
            tar_size: descriptor.tar_size,
            content_size: descriptor.content_size,
            source: &descriptor.source,
            entry_counts: &descriptor.entries,
            parents: paths(layer.parents()),
            warnings: &descriptor.warnings,
        }
    }
}

/// Adds rows that describe `layer`.
pub(crate) fn rows(summary: &mut Summary, layer: &PortableLayer) {
    let descriptor = layer.descriptor();
    summary.row("DiffID", descriptor.diff_id);
    source_rows(summary, &descriptor.source);
    summary.row("tar size", units::size(descriptor.tar_size));
    summary.row("content", units::size(descriptor.content_size));
    parent_rows(summary, layer.parents());
    entry_rows(summary, &descriptor.entries);
}

/// Adds rows that describe the blob that a layer comes from.
pub(crate) fn source_rows(summary: &mut Summary, source: &SourceBlob) {
    summary.row("source", source.digest);
    summary.row("media type", &source.media_type);
    summary.row("source size", units::size(source.size));
}

/// Adds a row for each parent.
pub(crate) fn parent_rows(summary: &mut Summary, parents: &ParentChain) {
    match parents.is_empty() {
        true => summary.row("parents", "none (a base layer)"),
        false => paths(parents)
            .iter()
            .for_each(|parent| summary.row("parent", parent)),
    }
}

/// Adds rows with the number of entries, in all and of each kind that occurs, right-aligned.
pub(crate) fn entry_rows(summary: &mut Summary, entries: &EntryCounts) {
    let total = entries.total();
    let width = total.max(entries.streams).to_string().len();
    summary.row("entries", format!("{total:>width$}"));
    for (label, count) in [
        ("  directories", entries.directories),
        ("  files", entries.files),
        ("  reparse points", entries.reparse_points),
        ("  hard links", entries.links),
        ("  removals", entries.removals),
        ("  opaque directories", entries.opaque),
        ("streams", entries.streams),
    ] {
        if count > 0 {
            summary.row(label, format!("{count:>width$}"));
        }
    }
}

/// Returns a path for JSON and for steps as text: absolute and without `..`.
pub(crate) fn absolute(path: &Path) -> String {
    // An image that is named with its transport, or a layer of it.
    if !matches!(LayerRef::parse(path.as_os_str()), LayerRef::Path(_)) {
        return path.display().to_string();
    }
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    without_parents(&path).display().to_string()
}

/// Removes `..` from an absolute path; resolves what precedes it, which may be a link.
fn without_parents(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for component in path.components() {
        if component == Component::ParentDir {
            if let Ok(resolved) = plain.canonicalize() {
                plain = resolved;
            }
            plain.pop();
        } else {
            plain.push(component);
        }
    }
    plain
}

/// Returns the folders of a chain for JSON.
pub(crate) fn paths(chain: &ParentChain) -> Vec<String> {
    chain.iter_nearest_first().map(absolute).collect()
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn parent_components_are_resolved() {
        let folder = tempfile::tempdir().expect("a folder");
        let top = folder.path().canonicalize().expect("a path");
        std::fs::create_dir_all(top.join("a/b")).expect("folders");
        std::os::unix::fs::symlink("a/b", top.join("link")).expect("a link");
        for (given, expected) in [
            ("a/../x", "x"),
            ("link/../x", "a/x"),
            ("link/x", "link/x"),
            ("missing/../x", "x"),
            ("./a/./x", "a/x"),
        ] {
            let expected = top.join(expected).display().to_string();
            assert_eq!(absolute(&top.join(given)), expected, "{given}");
        }
        assert_eq!(absolute(Path::new("/../../x")), "/x");
    }
}
