//! [`LayerRef`]: what a user wrote to name a layer.

use std::convert::Infallible;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

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
}

impl fmt::Display for LayerRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => path.display().fmt(f),
        }
    }
}

impl FromStr for LayerRef {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self::Path(text.into()))
    }
}

impl<T: ?Sized + AsRef<OsStr>> From<&T> for LayerRef {
    fn from(text: &T) -> Self {
        Self::Path(text.into())
    }
}

impl From<String> for LayerRef {
    fn from(text: String) -> Self {
        Self::Path(text.into())
    }
}

impl From<OsString> for LayerRef {
    fn from(text: OsString) -> Self {
        Self::Path(text.into())
    }
}

impl From<PathBuf> for LayerRef {
    fn from(path: PathBuf) -> Self {
        Self::Path(path)
    }
}

impl From<&Self> for LayerRef {
    fn from(reference: &Self) -> Self {
        reference.clone()
    }
}

impl From<&ParentChain> for ParentChain<LayerRef> {
    fn from(parents: &ParentChain) -> Self {
        Self::from_nearest_first(parents.iter_nearest_first())
    }
}
