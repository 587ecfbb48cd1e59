//! The layers below a layer, in the only order that this project uses.
//!
//! The reference documents three different orders for lists of parents; every call into Windows
//! takes the immediate parent first. [`ParentChain`] is built from either end by name, so that
//! callers cannot confuse the two, and is read nearest first.
//!
//! Source: hcsshim `internal/wclayer`, docker's `layerchain.json` (topmost first).

use std::path::{Path, PathBuf};

/// A layer's parents, nearest (the immediate parent) first, base layer last: their folders, or
/// whatever else names a layer.
///
/// ```
/// use wclayer::ParentChain;
///
/// let chain: ParentChain = ParentChain::from_base_first(["base", "patch"]);
/// assert_eq!(chain, ParentChain::from_nearest_first(["patch", "base"]));
/// assert_eq!(chain.nearest().unwrap().to_str(), Some("patch"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParentChain<T = PathBuf> {
    nearest_first: Vec<T>,
}

impl<T> Default for ParentChain<T> {
    fn default() -> Self {
        Self::none()
    }
}

impl<T> ParentChain<T> {
    /// Returns the chain of a base layer: no parents.
    pub fn none() -> Self {
        Self {
            nearest_first: Vec::new(),
        }
    }

    /// Makes a chain from layers listed from the immediate parent down to the base layer.
    pub fn from_nearest_first(layers: impl IntoIterator<Item = impl Into<T>>) -> Self {
        Self {
            nearest_first: layers.into_iter().map(Into::into).collect(),
        }
    }

    /// Makes a chain from layers listed from the base layer up to the immediate parent.
    pub fn from_base_first(layers: impl IntoIterator<Item = impl Into<T>>) -> Self {
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

    /// Returns the parents, nearest first.
    pub fn as_slice(&self) -> &[T] {
        &self.nearest_first
    }
}

impl ParentChain {
    /// Returns the immediate parent.
    pub fn nearest(&self) -> Option<&Path> {
        self.nearest_first.first().map(PathBuf::as_path)
    }

    /// Iterates from the immediate parent to the base layer.
    pub fn iter_nearest_first(&self) -> impl DoubleEndedIterator<Item = &Path> {
        self.nearest_first.iter().map(PathBuf::as_path)
    }
}
