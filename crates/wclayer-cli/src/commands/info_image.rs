//! `info` of an image.

use serde::Serialize;
use wclayer::image::{Config, Image, ImageLayer, ImageReference};
use wclayer::source::ImageChoice;
use wclayer::{DiffId, Digest};

use super::image_options::report_platform;
use crate::errors::CliError;
use crate::output::{Output, Summary};
use crate::units;

/// An image as JSON.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ImageJson<'a> {
    image: &'a str,
    format: &'static str,
    manifest_digest: Option<Digest>,
    config_digest: Digest,
    platform: String,
    other_platforms: Vec<String>,
    created: Option<&'a str>,
    config: ConfigJson<'a>,
    size: u64,
    layers: Vec<LayerJson<'a>>,
}

/// How containers of an image are run, as JSON.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ConfigJson<'a> {
    entrypoint: &'a [String],
    cmd: &'a [String],
    env: &'a [String],
    working_dir: Option<&'a str>,
    user: Option<&'a str>,
}

/// A layer of an image as JSON.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct LayerJson<'a> {
    number: usize,
    digest: Option<Digest>,
    diff_id: DiffId,
    size: u64,
    media_type: Option<&'a str>,
    created_by: Option<&'a str>,
    /// Whether the blob is in the image.
    present: bool,
    urls: &'a [String],
}

/// Describes an image from its documents alone: no layer is read.
pub(crate) fn run(
    reference: &ImageReference,
    label: &str,
    choice: &ImageChoice,
    output: &Output,
) -> Result<(), CliError> {
    let image = choice.open(reference)?;
    let json = ImageJson::new(label, &image);
    report_platform(
        label,
        &image.config.platform,
        &image.other_platforms,
        output,
    );
    output.answer(&json.summary(), &json)
}

impl<'a> ImageJson<'a> {
    fn new(label: &'a str, image: &'a Image) -> Self {
        let config = &image.config;
        let layers: Vec<_> = image.layers.iter().rev().enumerate().map(layer).collect();
        let sizes = layers.iter().map(|layer| layer.size);
        Self {
            image: label,
            format: "image",
            manifest_digest: image.manifest_digest,
            config_digest: image.config_digest,
            platform: config.platform.to_string(),
            other_platforms: image
                .other_platforms
                .iter()
                .map(ToString::to_string)
                .collect(),
            created: config.created.as_deref(),
            config: ConfigJson::new(config),
            size: sizes.fold(0, u64::saturating_add),
            layers,
        }
    }

    fn summary(&self) -> Summary {
        let mut summary = Summary::new(format!("Image `{}`", self.image));
        if let Some(digest) = self.manifest_digest {
            summary.row("manifest", digest);
        }
        summary.row("config", self.config_digest);
        summary.row("platform", &self.platform);
        if let Some(created) = self.created {
            summary.row("created", created);
        }
        let ConfigJson {
            entrypoint,
            cmd,
            env,
            working_dir,
            user,
        } = &self.config;
        for (label, words) in [("entrypoint", entrypoint), ("command", cmd)] {
            if !words.is_empty() {
                summary.row(label, words.join(" "));
            }
        }
        for (label, value) in [("working dir", working_dir), ("user", user)] {
            if let Some(value) = value.filter(|value| !value.is_empty()) {
                summary.row(label, value);
            }
        }
        env.iter().for_each(|variable| summary.row("env", variable));
        summary.row("size", units::size(self.size));
        summary.row("layers", self.layers.len());
        self.layers
            .iter()
            .for_each(|layer| layer.add_to(&mut summary));
        summary
    }
}

impl<'a> ConfigJson<'a> {
    fn new(config: &'a Config) -> Self {
        let config = &config.config;
        Self {
            entrypoint: config.entrypoint.as_deref().unwrap_or_default(),
            cmd: config.cmd.as_deref().unwrap_or_default(),
            env: config.env.as_deref().unwrap_or_default(),
            working_dir: config.working_dir.as_deref(),
            user: config.user.as_deref(),
        }
    }
}

fn layer((number, layer): (usize, &ImageLayer)) -> LayerJson<'_> {
    LayerJson {
        number,
        digest: layer.digest,
        diff_id: layer.diff_id,
        size: layer.size,
        media_type: Some(&*layer.media_type).filter(|media_type| !media_type.is_empty()),
        created_by: layer.created_by.as_deref(),
        present: layer.blob().is_ok(),
        urls: &layer.urls,
    }
}

impl LayerJson<'_> {
    fn add_to(&self, summary: &mut Summary) {
        let there = if self.present {
            ""
        } else {
            " (foreign: not in the image)"
        };
        summary.row("layer", format!("{}{there}", self.number));
        if let Some(digest) = self.digest {
            summary.row("  digest", digest);
        }
        summary.row("  DiffID", self.diff_id);
        summary.row("  size", units::size(self.size));
        if let Some(by) = self.created_by {
            summary.row("  created by", by);
        }
    }
}
