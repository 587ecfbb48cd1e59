//! The parents of a portable layer: where they are now, and whether they are those it was made on.
//!
//! `layer.json` has each parent's folder from that of the layer, so that a store of layers can be
//! moved, and its DiffID, so that another layer in its place is noticed. `layerchain.json` has where
//! they were when the layer was made: there a parent is looked for when the layer alone was moved.
//! Layers of version 1 have the latter only.

use std::collections::HashSet;
use std::path::{Component, Path, PathBuf};

use super::descriptor::{self, BoundFiles, LayerDescriptor, ParentRecord};
use super::layer::{PortableLayer, canonical, list};
use crate::digest::{DiffId, Digest};
use crate::error::{Error, Result, io_error};
use crate::error::{OtherDiffIds, PortableError};
use crate::layout;
use crate::parent_chain::ParentChain;
use crate::place::is_portable_layer;

/// The most parents of a layer: twice as many as any tool makes.
const MAX_PARENTS: usize = 255;

/// Reads where the parents of a layer are; they are not looked at.
pub(super) fn stored(layer: &Path, descriptor: &LayerDescriptor) -> Result<ParentChain> {
    let text = descriptor::read_file(layer, layout::LAYER_CHAIN)?;
    if let Some(bound) = &descriptor.bound
        && bound.layer_chain != Digest::of(&text)
    {
        return Err(descriptor::damaged(layer, layout::LAYER_CHAIN).into());
    }
    let places = chain_of(layer, &text)?;
    let places = match &descriptor.bound {
        Some(bound) => places_of(layer, bound, &places)?,
        None => places,
    };
    check_each_once(layer, &places)?;
    Ok(ParentChain::from_nearest_first(places))
}

/// Returns where the parents are that a descriptor names, whatever the list beside it says.
pub(super) fn of_descriptor(layer: &Path, descriptor: &LayerDescriptor) -> Result<ParentChain> {
    let places = match &descriptor.bound {
        Some(bound) => places_of(layer, bound, &[])?,
        None => chain_of(layer, &descriptor::read_file(layer, layout::LAYER_CHAIN)?)?,
    };
    check_each_once(layer, &places)?;
    Ok(ParentChain::from_nearest_first(places))
}

/// Finds the parents on the way from the layer, else where they were.
fn places_of(layer: &Path, bound: &BoundFiles, were: &[PathBuf]) -> Result<Vec<PathBuf>> {
    if bound.parents.is_empty() {
        return Ok(Vec::new());
    }
    // Paths with `..` in them mean what the system says only below a folder without links.
    let folder = dunce::canonicalize(layer).map_err(io_error("resolve", layer))?;
    let place = |(number, parent): (usize, &ParentRecord)| {
        let beside = join(&folder, &parent.path);
        let was = were
            .get(number)
            .filter(|was| was.symlink_metadata().is_ok());
        match was {
            Some(was) if beside.symlink_metadata().is_err() => was.clone(),
            _ => beside,
        }
    };
    Ok(bound.parents.iter().enumerate().map(place).collect())
}

/// Parses `layerchain.json`.
pub(super) fn chain_of(layer: &Path, text: &[u8]) -> Result<Vec<PathBuf>> {
    let parsed: serde_json::Result<Option<Vec<PathBuf>>> = serde_json::from_slice(text);
    let places = parsed.map_err(|source| PortableError::Json {
        path: layer.join(layout::LAYER_CHAIN),
        source: source.into(),
    })?;
    let places = places.unwrap_or_default();
    // A relative path would mean another folder in every working folder.
    if places.len() > MAX_PARENTS || !places.iter().all(|place| place.is_absolute()) {
        return Err(no_chain(layer));
    }
    Ok(places)
}

fn check_each_once(layer: &Path, places: &[PathBuf]) -> Result<()> {
    let mut known: HashSet<PathBuf> = dunce::canonicalize(layer).into_iter().collect();
    match places.len() <= MAX_PARENTS && places.iter().all(|place| known.insert(place.clone())) {
        true => Ok(()),
        false => Err(no_chain(layer)),
    }
}

pub(super) fn no_chain(layer: &Path) -> Error {
    PortableError::Chain {
        layer: layer.to_owned(),
    }
    .into()
}

/// Makes the record of a parent of the layer that will be at `layer`; both are without links.
pub(super) fn record(layer: &Path, parent: &Path, diff_id: DiffId) -> ParentRecord {
    ParentRecord {
        path: relative(layer, parent).unwrap_or_else(|| parent.to_owned()),
        diff_id,
    }
}

/// Returns the way from one folder to another, with `/` between names; `None` when they share
/// nothing but the root.
fn relative(from: &Path, to: &Path) -> Option<PathBuf> {
    let is_same = |(from, to): &(Component<'_>, Component<'_>)| from == to;
    let shared: Vec<_> = from
        .components()
        .zip(to.components())
        .take_while(is_same)
        .collect();
    let is_name = |(name, _): &(Component<'_>, Component<'_>)| matches!(name, Component::Normal(_));
    if !shared.iter().any(is_name) {
        return None;
    }
    let up = from.components().skip(shared.len()).map(|_| Some(".."));
    let down = to
        .components()
        .skip(shared.len())
        .map(|name| name.as_os_str().to_str());
    let names: Option<Vec<&str>> = up.chain(down).collect();
    Some(names?.join("/").into())
}

/// Goes from a folder without links the way that [`relative`] gives.
fn join(folder: &Path, way: &Path) -> PathBuf {
    let mut place = folder.to_owned();
    for step in way.components() {
        match step {
            Component::ParentDir => drop(place.pop()),
            step => place.push(step),
        }
    }
    place
}

impl PortableLayer {
    /// Returns the folders of the layer's parents, after checking that these are there.
    ///
    /// # Errors
    ///
    /// [`PortableError::Parent`] for one that is missing or no layer, and
    /// [`PortableError::OtherParent`] for another layer in its place.
    pub fn checked_parents(&self) -> Result<ParentChain> {
        for (number, place) in self.parents().iter_nearest_first().enumerate() {
            let parent = PortableLayer::open(place).map_err(|source| PortableError::Parent {
                layer: self.path().to_owned(),
                parent: place.to_owned(),
                source: Box::new(source),
            })?;
            let found = parent.descriptor().diff_id;
            if let Some(expected) = self.recorded(number)
                && expected != found
            {
                return Err(PortableError::OtherParent {
                    layer: self.path().to_owned(),
                    parent: place.to_owned(),
                    diff_ids: Box::new(OtherDiffIds { expected, found }),
                }
                .into());
            }
        }
        Ok(self.parents().clone())
    }

    /// Returns the parents that a caller gives for the layer, after checking that they are those it
    /// was made on, wherever they are now. The nearest one may stand for all, whose own parents then
    /// complete the chain; for an empty list, the stored parents are returned.
    ///
    /// A layer of version 1 does not say which layers its parents are: while these are where they
    /// were, they are compared with the given ones.
    ///
    /// # Errors
    ///
    /// Returns [`PortableError::ParentMismatch`] if they are others,
    /// [`PortableError::ParentWithoutDiffId`] if that cannot be known, and the errors of
    /// [`checked_parents`](Self::checked_parents).
    pub fn parents_given(&self, given: &ParentChain) -> Result<ParentChain> {
        let Some(nearest) = given.nearest() else {
            return self.checked_parents();
        };
        let mut chain = given.clone();
        let expected = self.expected();
        let may_stand_for_all = expected.as_ref().is_none_or(|all| all.len() > 1);
        if given.len() == 1 && may_stand_for_all && is_portable_layer(nearest) {
            let further = PortableLayer::open(nearest)?.checked_parents()?;
            let all = [nearest].into_iter().chain(further.iter_nearest_first());
            chain = ParentChain::from_nearest_first(all);
        }
        let has_parents = expected.as_ref().is_some_and(|all| !all.is_empty());
        let id = |place: &Path| match is_portable_layer(place) || !place.exists() {
            true => PortableLayer::open(place).map(|layer| Some(layer.descriptor().diff_id)),
            false if has_parents => Err(PortableError::ParentWithoutDiffId {
                layer: self.path().to_owned(),
                parent: place.to_owned(),
            }
            .into()),
            false => Ok(None),
        };
        let ids = chain.iter_nearest_first().map(id);
        let ids: Vec<Option<DiffId>> = ids.collect::<Result<_>>()?;
        let is_same = |expected: Vec<DiffId>| expected.into_iter().map(Some).eq(ids);
        if expected.is_none_or(is_same) {
            check_each_once(self.path(), &canonical(&chain))?;
            return Ok(chain);
        }
        Err(PortableError::ParentMismatch {
            layer: self.path().to_owned(),
            expected: list(self.parents()),
            given: list(given),
        }
        .into())
    }

    /// Checks a caller's list of parents as [`parents_given`](Self::parents_given) does; an empty
    /// list is no claim.
    ///
    /// # Errors
    ///
    /// As for that.
    pub fn check_parents(&self, given: &ParentChain) -> Result<()> {
        match given.is_empty() {
            true => Ok(()),
            false => self.parents_given(given).map(drop),
        }
    }

    /// Returns which layer a parent is, in a layer that says so.
    fn recorded(&self, number: usize) -> Option<DiffId> {
        let bound = self.descriptor().bound.as_ref()?;
        bound.parents.get(number).map(|parent| parent.diff_id)
    }

    /// Returns which layers the parents are, as far as that can be known.
    fn expected(&self) -> Option<Vec<DiffId>> {
        if let Some(bound) = &self.descriptor().bound {
            return Some(bound.parents.iter().map(|parent| parent.diff_id).collect());
        }
        let stored = self.parents().iter_nearest_first().map(|place| {
            let layer = PortableLayer::open(place).ok()?;
            Some(layer.descriptor().diff_id)
        });
        stored.collect()
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn ways_lead_from_a_layer_to_its_parent() {
        for (from, to, way) in [
            ("/s/app", "/s/base", Some("../base")),
            ("/s/a/app", "/s/b/base", Some("../../b/base")),
            ("/s/app", "/s/app/base", Some("base")),
            ("/s/base/app", "/s/base", Some("..")),
            ("/app", "/base", None),
            ("/s/app", "/t/base", None),
        ] {
            let found = relative(Path::new(from), Path::new(to));
            assert_eq!(found.as_deref(), way.map(Path::new), "{from} {to}");
            let back = found.map(|way| join(Path::new(from), &way));
            assert!(back.is_none_or(|back| back == Path::new(to)), "{from} {to}");
        }
    }
}
