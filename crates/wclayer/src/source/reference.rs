//! [`LayerRef`]: what a user wrote to name a layer.

use std::convert::Infallible;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use crate::image::{ImageReference, ReferenceError};
use crate::parent_chain::ParentChain;

/// What a user wrote to name a layer, parsed once.
///
/// It says where the layer is, not what it is: that is for
/// [`recognise`](super::recognise) to decide. Shown with `{}`, it is the label that messages use.
///
/// ```
/// use wclayer::source::LayerRef;
///
/// let layer: LayerRef = "layers/base".parse()?;
/// assert_eq!(layer, LayerRef::Path("layers/base".into()));
/// assert_eq!(layer.to_string(), "layers/base");
/// # Ok::<(), std::convert::Infallible>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum LayerRef {
    /// A file or folder on this machine.
    Path(PathBuf),
    /// An image, named with its transport.
    Image(ImageReference),
    /// A text with the transport of an image, and something malformed after it.
    Malformed {
        /// The text.
        text: String,
        /// What is wrong with it.
        problem: ReferenceError,
    },
}

impl LayerRef {
    /// Parses what a user wrote. Anything without the transport of an image is a path; a file whose
    /// name begins with one is named `./oci:…`.
    pub fn parse(text: &OsStr) -> Self {
        match text.to_str().and_then(ImageReference::parse) {
            None => Self::Path(text.into()),
            Some(Ok(image)) => Self::Image(image),
            Some(Err(problem)) => Self::Malformed {
                text: text.to_string_lossy().into_owned(),
                problem,
            },
        }
    }
}

impl fmt::Display for LayerRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => path.display().fmt(f),
            Self::Image(image) => image.fmt(f),
            Self::Malformed { text, .. } => f.write_str(text),
        }
    }
}

impl FromStr for LayerRef {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self::parse(text.as_ref()))
    }
}

impl<T: ?Sized + AsRef<OsStr>> From<&T> for LayerRef {
    fn from(text: &T) -> Self {
        Self::parse(text.as_ref())
    }
}

impl From<String> for LayerRef {
    fn from(text: String) -> Self {
        Self::parse(text.as_ref())
    }
}

impl From<OsString> for LayerRef {
    fn from(text: OsString) -> Self {
        Self::parse(&text)
    }
}

impl From<PathBuf> for LayerRef {
    fn from(path: PathBuf) -> Self {
        Self::parse(path.as_os_str())
    }
}

impl From<ImageReference> for LayerRef {
    fn from(image: ImageReference) -> Self {
        Self::Image(image)
    }
}

impl From<&Self> for LayerRef {
    fn from(reference: &Self) -> Self {
        reference.clone()
    }
}

impl From<&ParentChain> for ParentChain<LayerRef> {
    fn from(parents: &ParentChain) -> Self {
        Self::from_nearest_first(
            parents
                .iter_nearest_first()
                .map(|parent| LayerRef::Path(parent.into())),
        )
    }
}
