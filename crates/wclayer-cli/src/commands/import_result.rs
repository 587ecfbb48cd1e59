//! The result of an `import` to a transport folder or a Windows layer, which do not keep the tar.

use std::time::Duration;

use serde::Serialize;
use wclayer::hub::EntryCounts;
use wclayer::portable::SourceBlob;
use wclayer::tar::LayerBlob;
use wclayer::{DiffId, ParentChain};

use super::import::Arguments;
use crate::errors::CliError;
use crate::layer_view;
use crate::output::{Output, Summary};
use crate::units;

/// An imported layer.
pub(super) struct Imported<'a> {
    /// The name of the format.
    pub(super) format: &'static str,
    /// The imported tar.
    pub(super) blob: &'a LayerBlob,
    /// The parents.
    pub(super) parents: &'a ParentChain,
    /// The number of entries of each kind.
    pub(super) entries: EntryCounts,
    /// The length of all data in bytes.
    pub(super) content_size: u64,
    /// Warnings about the layer, apart from those about the tar.
    pub(super) warnings: &'a [String],
}

/// The result as JSON.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ImportJson<'a> {
    path: String,
    format: &'static str,
    diff_id: DiffId,
    tar_size: u64,
    content_size: u64,
    source: SourceBlob,
    entry_counts: EntryCounts,
    parents: Vec<String>,
    warnings: &'a [&'a str],
    elapsed_seconds: f64,
}

impl Imported<'_> {
    /// Prints the result and the warnings.
    pub(super) fn show(
        &self,
        arguments: &Arguments,
        taken: Duration,
        output: &Output,
    ) -> Result<(), CliError> {
        let source = SourceBlob {
            digest: self.blob.digest,
            size: self.blob.size,
            media_type: self.blob.compression.media_type().to_owned(),
        };
        let warnings = self.blob.warnings.iter().chain(self.warnings);
        let warnings: Vec<&str> = warnings.map(String::as_str).collect();
        let summary = self.summary(arguments, &source, taken);
        let json = ImportJson {
            path: layer_view::absolute(&arguments.path),
            format: self.format,
            diff_id: self.blob.diff_id,
            tar_size: self.blob.tar_size,
            content_size: self.content_size,
            source,
            entry_counts: self.entries,
            parents: layer_view::paths(self.parents),
            warnings: &warnings,
            elapsed_seconds: units::seconds(taken),
        };
        output.result(&summary, &json)?;
        warnings.iter().for_each(|warning| output.warn(warning));
        Ok(())
    }

    fn summary(&self, arguments: &Arguments, source: &SourceBlob, taken: Duration) -> Summary {
        let mut summary = Summary::new(format!("Imported `{}`", arguments.path.display()));
        summary.row("format", self.format);
        summary.row("DiffID", self.blob.diff_id);
        layer_view::source_rows(&mut summary, source);
        summary.row("tar size", units::size(self.blob.tar_size));
        summary.row("content", units::size(self.content_size));
        layer_view::parent_rows(&mut summary, self.parents);
        layer_view::entry_rows(&mut summary, &self.entries);
        summary.row("time", units::time_and_rate(self.blob.tar_size, taken));
        summary
    }
}
