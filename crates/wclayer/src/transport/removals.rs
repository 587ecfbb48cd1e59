//! [`Removals`]: the paths that a transport folder removes, for questions about them.

use ntmeta::FileAttributes;

use crate::error::Result;
use crate::path::LayerPath;
use crate::volume::Listed;

/// The paths that a folder removes, sorted: those below a directory come together.
pub(super) struct Removals(Vec<LayerPath>);

impl Removals {
    pub(super) fn new(mut paths: Vec<LayerPath>) -> Self {
        paths.sort();
        paths.dedup();
        Self(paths)
    }

    pub(super) fn contains(&self, path: &LayerPath) -> bool {
        self.0.binary_search(path).is_ok()
    }

    /// Returns the spelling of a path that is removed or has removals below it.
    pub(super) fn spelling(&self, path: &LayerPath) -> Option<LayerPath> {
        if let Ok(at) = self.0.binary_search(path) {
            return Some(self.0[at].clone());
        }
        let first = self.below(Some(path)).first()?;
        std::iter::successors(first.parent(), LayerPath::parent).find(|above| above == path)
    }

    /// Returns the removed paths below a directory, at any depth.
    pub(super) fn below(&self, directory: Option<&LayerPath>) -> &[LayerPath] {
        let Some(directory) = directory else {
            return &self.0;
        };
        let prefix: Vec<u16> = directory.folded_units().chain([u16::from(b'/')]).collect();
        let is_before = |path: &LayerPath| path.folded_units().lt(prefix.iter().copied());
        let rest = &self.0[self.0.partition_point(is_before)..];
        &rest[..rest.partition_point(|path| path.is_below(directory))]
    }

    pub(super) fn has_below(&self, directory: &LayerPath) -> bool {
        !self.below(Some(directory)).is_empty()
    }

    /// Returns the names directly in a directory that are removed or have removals below them.
    pub(super) fn children(&self, directory: Option<&LayerPath>) -> Result<Vec<LayerPath>> {
        let depth = directory.map_or(0, |directory| directory.components().count());
        let mut children: Vec<LayerPath> = Vec::new();
        for path in self.below(directory) {
            if children
                .last()
                .is_some_and(|last| path == last || path.is_below(last))
            {
                continue;
            }
            let name = path.components().nth(depth).unwrap_or_default().to_vec();
            let listed = Listed {
                name,
                attributes: FileAttributes::empty(),
            };
            children.push(listed.path_in(directory)?);
        }
        Ok(children)
    }
}
