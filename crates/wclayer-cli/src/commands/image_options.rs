//! `--platform` and `--only`: which image of several is read, and which of its layers.

use clap::Args;
use wclayer::image::Platform;
use wclayer::source::{Chain, ImageChoice, LayerChoice};

use crate::output::Output;

// Not a doc comment: clap would use it as the description of the command.
// The image of several.
#[derive(Debug, Args)]
pub(crate) struct PlatformOption {
    /// Platform of the image to read, where there are several [default: Windows on this processor]
    ///
    /// Of several images that fit, the newest is read.
    #[arg(long, value_name = "OS/ARCH[:VERSION]")]
    pub(crate) platform: Option<Platform>,
}

// Not a doc comment: clap would use it as the description of the command.
// The image of several, and its layer.
#[derive(Debug, Args)]
pub(crate) struct ImageOptions {
    #[command(flatten)]
    platform: PlatformOption,
    /// Layer of an image to read, with those below it as its parents (0 is the top)
    ///
    /// `wclayer info IMAGE` lists the layers; a digest is that of the blob, or the DiffID. The output
    /// numbers layers from the chosen one.
    #[arg(long, value_name = "N|DIGEST")]
    only: Option<LayerChoice>,
}

impl PlatformOption {
    /// Returns the choice of an image with all its layers.
    pub(crate) fn choice(&self) -> ImageChoice {
        ImageChoice::default().platform(self.platform.clone())
    }
}

impl ImageOptions {
    /// Returns the choice.
    pub(crate) fn choice(&self) -> ImageChoice {
        self.platform.choice().only(self.only)
    }
}

/// Reports which of several images was chosen.
pub(crate) fn report_chosen(chain: &Chain, output: &Output) {
    if let Some(image) = chain.image() {
        report_platform(
            &image.label,
            &image.config.platform,
            &image.other_platforms,
            output,
        );
    }
}

/// Reports which of several platforms was chosen, and the others.
pub(crate) fn report_platform(
    label: &str,
    platform: &Platform,
    others: &[Platform],
    output: &Output,
) {
    if others.is_empty() {
        return;
    }
    let others: Vec<String> = others.iter().map(Platform::to_string).collect();
    output.warn(&format!(
        "chose {platform} of `{label}`; --platform chooses another: {}",
        others.join(", ")
    ));
}
