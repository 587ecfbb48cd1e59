//! [`ImageChoice`]: which platform of an image is read, and which of its layers.

use std::fmt;
use std::str::FromStr;

use super::recognise::Layer;
use crate::digest::Digest;
use crate::error::{ImageError, Result};
use crate::image::{self, Image, ImageLayer, ImageReference, OpenImage, Platform};

/// How much of an instruction is listed, in characters.
const LISTED_LENGTH: usize = 60;

/// What is chosen of an image: all layers of the most fitting platform, unless something is asked
/// for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImageChoice {
    /// The platform.
    pub platform: Option<Platform>,
    /// The layer, which is read with those below it as its parents.
    pub only: Option<LayerChoice>,
}

setters!(ImageChoice { platform: Option<Platform>, only: Option<LayerChoice> });

/// One layer of an image.
///
/// ```
/// use wclayer::source::LayerChoice;
///
/// assert_eq!("2".parse(), Ok(LayerChoice::Number(2)));
/// assert!("top".parse::<LayerChoice>().is_err());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum LayerChoice {
    /// By its number, 0 for the top.
    Number(usize),
    /// By the digest of its blob, or by its DiffID.
    Digest(Digest),
}

/// A text that is not a [`LayerChoice`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is neither the number of a layer (0 is the top) nor a digest")]
pub struct LayerChoiceError(pub String);

impl FromStr for LayerChoice {
    type Err = LayerChoiceError;

    fn from_str(text: &str) -> Result<Self, LayerChoiceError> {
        if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
            let number = text.parse().map(Self::Number);
            return number.map_err(|_| LayerChoiceError(text.to_owned()));
        }
        let digest = text.parse().map(Self::Digest);
        digest.map_err(|_| LayerChoiceError(text.to_owned()))
    }
}

impl fmt::Display for LayerChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Digest(digest) => digest.fmt(f),
        }
    }
}

impl ImageChoice {
    /// Opens the image of the platform.
    ///
    /// # Errors
    ///
    /// Same as [`image::open`].
    pub fn open(&self, reference: &ImageReference) -> Result<Image> {
        let wanted = OpenImage {
            platform: self.platform.clone(),
            ..OpenImage::default()
        };
        image::open(reference, &wanted, &())
    }

    /// Returns the number of the first layer that is read.
    pub(super) fn first(&self, image: &Image) -> Result<usize, ImageError> {
        let Some(only) = &self.only else {
            return Ok(0);
        };
        let is_it = |(number, layer): (usize, &ImageLayer)| match only {
            LayerChoice::Number(wanted) => number == *wanted,
            LayerChoice::Digest(wanted) => {
                layer.digest == Some(*wanted) || layer.diff_id.to_string() == wanted.to_string()
            }
        };
        let found = image.layers.iter().rev().enumerate().position(is_it);
        found.ok_or_else(|| ImageError::NoSuchLayer {
            label: image.label.clone(),
            layer: only.to_string(),
            layers: listed(image),
        })
    }

    /// Checks that nothing is chosen of a layer that is not an image.
    pub(super) fn check_unused(&self, layer: &Layer) -> Result<(), ImageError> {
        match *self == Self::default() {
            true => Ok(()),
            false => Err(ImageError::NothingToChoose {
                label: layer.label().to_owned(),
            }),
        }
    }
}

/// Returns the layer of an image that has a single one.
pub(super) fn only_layer(image: &Image) -> Result<&ImageLayer, ImageError> {
    match &image.layers[..] {
        [one] => Ok(one),
        _ => Err(ImageError::SeveralLayers {
            label: image.label.clone(),
            layers: listed(image),
        }),
    }
}

/// Returns the start of an instruction, which may be very long.
fn start_of(instruction: &str) -> String {
    match instruction.char_indices().nth(LISTED_LENGTH) {
        Some((end, _)) => format!("{}…", &instruction[..end]),
        None => instruction.to_owned(),
    }
}

fn listed(image: &Image) -> Vec<String> {
    let layers = image.layers.iter().rev().enumerate();
    let line = |(number, layer): (usize, &ImageLayer)| match &layer.created_by {
        Some(by) => format!("{number}: {} ({})", layer.diff_id, start_of(by)),
        None => format!("{number}: {}", layer.diff_id),
    };
    layers.map(line).collect()
}
