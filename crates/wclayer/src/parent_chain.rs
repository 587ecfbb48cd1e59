//! The layers below a layer, in the only order that this project uses.
//!
//! The reference documents three different orders for lists of parents; every call into Windows
//! takes the immediate parent first. [`ParentChain`] is built from either end by name, so that
//! callers cannot confuse the two, and is read nearest first.
//!
//! Source: hcsshim `internal/wclayer`, docker's `layerchain.json` (topmost first).

use std::path::{Path, PathBuf};

/// The folders of a layer's parents, nearest (the immediate parent) first, base layer last.
///
/// ```
/// use wclayer::ParentChain;
///
/// let chain = ParentChain::from_base_first(["base", "patch"]);
/// assert_eq!(chain, ParentChain::from_nearest_first(["patch", "base"]));
/// assert_eq!(chain.nearest().unwrap().to_str(), Some("patch"));
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ParentChain {
    nearest_first: Vec<PathBuf>,
}

impl ParentChain {
    /// Returns the chain of a base layer: no parents.
    pub fn none() -> Self {
        Self::default()
    }

    /// Makes a chain from folders listed from the immediate parent down to the base layer.
    pub fn from_nearest_first(layers: impl IntoIterator<Item = impl Into<PathBuf>>) -> Self {
        Self {
            nearest_first: layers.into_iter().map(Into::into).collect(),
        }
    }

    /// Makes a chain from folders listed from the base layer up to the immediate parent.
    pub fn from_base_first(layers: impl IntoIterator<Item = impl Into<PathBuf>>) -> Self {
        let mut chain = Self::from_nearest_first(layers);
        chain.nearest_first.reverse();
        chain
    }

    /// Returns whether there is no parent: the layer is a base layer.
    pub fn is_empty(&self) -> bool {
        self.nearest_first.is_empty()
    }

    /// Returns the number of parents.
    pub fn len(&self) -> usize {
        self.nearest_first.len()
    }

    /// Returns the immediate parent.
    pub fn nearest(&self) -> Option<&Path> {
        self.nearest_first.first().map(PathBuf::as_path)
    }

    /// Iterates from the immediate parent to the base layer.
    pub fn iter_nearest_first(&self) -> impl DoubleEndedIterator<Item = &Path> {
        self.nearest_first.iter().map(PathBuf::as_path)
    }
}
