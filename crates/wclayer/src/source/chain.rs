//! [`Chain`]: a layer and its parents, found and not yet opened.
//!
//! Which layers are the parents of a layer is decided here for all commands:
//!
//! - If no parent is given, they are those that the layer itself names: a portable layer in its
//!   descriptor, a transport folder in a `layerchain.json` that somebody put there.
//! - If only the nearest parent is given, the parents that this one names follow it.
//! - If several are given, they are the parents.
//!
//! An image is its whole chain, the top layer nearest; as a parent, it must have a single layer.
//!
//! A portable layer knows the DiffIDs of its parents. Whatever is given for it, or follows it in
//! the chain, is compared with these.

use std::path::Path;
use std::sync::Arc;

use super::image_choice::{ImageChoice, only_layer};
use super::open::{Access, access_to};
use super::recognise::{Layer, recognise};
use super::tar::open_tar;
use super::{Disks, LayerRef};
use crate::error::{EntryProblem, ImageError, Result, io_error};
use crate::hcs;
use crate::hub::Progress;
use crate::image::{Image, ImageReference};
use crate::kind::{Kind, Needed};
use crate::layer::ChainLayer;
use crate::layout;
use crate::parent_chain::ParentChain;
use crate::portable;
use crate::transport;
use crate::view::View;

/// A layer and its parents, nearest first.
#[derive(Debug, Clone, Default)]
pub struct Chain {
    layers: Vec<Layer>,
    /// Whether only the nearest layer is to be seen.
    nearest_only: bool,
    /// The image that the layers are from.
    image: Option<Arc<Image>>,
}

impl Chain {
    /// Finds a layer and its parents.
    ///
    /// With `nearest_only`, the layer is to be seen alone. Its parents are in the chain only if
    /// they are given, for the hard links that lead there.
    ///
    /// # Errors
    ///
    /// Returns [`Error::NotFound`](crate::Error::NotFound) or
    /// [`Error::NotALayer`](crate::Error::NotALayer) for what is not a layer, a
    /// [`PortableError`](crate::error::PortableError) if a portable layer cannot be read or was
    /// made on other parents, and [`Error::Io`](crate::Error::Io).
    pub fn resolve(
        layer: impl Into<LayerRef>,
        given: &ParentChain<LayerRef>,
        nearest_only: bool,
    ) -> Result<Self> {
        Self::resolve_choosing(layer, given, nearest_only, &ImageChoice::default())
    }

    /// Finds a layer and its parents, the layer perhaps in an image: all its layers are the chain, or
    /// the chosen one and those below it.
    ///
    /// # Errors
    ///
    /// Same as [`resolve`](Self::resolve), and an [`ImageError`] if the image cannot be opened or has
    /// nothing that was chosen.
    pub fn resolve_choosing(
        layer: impl Into<LayerRef>,
        given: &ParentChain<LayerRef>,
        nearest_only: bool,
        choice: &ImageChoice,
    ) -> Result<Self> {
        let layer = recognise(layer)?;
        if let Some(reference) = layer.image() {
            let label = layer.label().to_owned();
            if !given.is_empty() {
                return Err(ImageError::WithParents { label }.into());
            }
            return Self::of_image(&layer, &reference, nearest_only, choice);
        }
        layer.check()?;
        choice.check_unused(&layer)?;
        let given = find_all(given)?;
        let parents = match (given.is_empty(), nearest_only) {
            (true, true) => Vec::new(),
            (true, false) => layer.own_parents()?,
            _ if layer.kind().is_portable() => {
                find_paths(&layer.portable()?.parents_given(&paths(&given))?)?
            }
            (false, true) => given,
            (false, false) => completed(given)?,
        };
        Ok(Self {
            layers: [vec![layer], parents].concat(),
            nearest_only,
            image: None,
        })
    }

    fn of_image(
        named: &Layer,
        reference: &ImageReference,
        nearest_only: bool,
        choice: &ImageChoice,
    ) -> Result<Self> {
        let image = choice.open(reference)?;
        let first = choice.first(&image)?;
        let layers = image.layers.iter().rev().enumerate().skip(first);
        let layers = layers.map(|(number, layer)| Layer::of_image(named, number, layer));
        let mut layers: Vec<Layer> = layers.collect::<Result<_>>()?;
        if nearest_only {
            layers.truncate(1);
        }
        Ok(Self {
            layers,
            nearest_only,
            image: Some(Arc::new(image)),
        })
    }

    /// Returns the image that the layers are from, if they are from one.
    pub fn image(&self) -> Option<&Image> {
        self.image.as_deref()
    }

    /// Finds the parents that are given for a new layer. The chain is empty if none are given.
    ///
    /// # Errors
    ///
    /// Same as [`resolve`](Self::resolve).
    pub fn of_parents(given: &ParentChain<LayerRef>) -> Result<Self> {
        Ok(Self {
            layers: completed(find_all(given)?)?,
            nearest_only: false,
            image: None,
        })
    }

    /// Returns the layers, nearest first.
    pub fn layers(&self) -> &[Layer] {
        &self.layers
    }

    /// Returns the part of the chain that is seen: only the nearest layer, if that was asked for.
    #[must_use]
    pub fn seen(mut self) -> Self {
        if self.nearest_only {
            self.layers.truncate(1);
        }
        self
    }

    /// Returns the chain without its nearest `count` layers.
    #[must_use]
    pub fn below(mut self, count: usize) -> Self {
        self.layers.drain(..count.min(self.layers.len()));
        self
    }

    /// Returns the number of bytes of all layer tars in the chain, which opening it reads or skips.
    pub fn tars_size(&self) -> u64 {
        self.layers.iter().filter_map(Layer::tar_size).sum()
    }

    /// Opens every layer and merges them.
    ///
    /// `progress` receives the bytes of tars that are read or skipped, and can cancel that.
    ///
    /// # Errors
    ///
    /// Returns [`Error::WrongKind`](crate::Error::WrongKind) for a layer that cannot be read in
    /// place, [`Error::Cancelled`](crate::Error::Cancelled), and the errors of reading a layer.
    pub fn open(&self, access: Access, progress: &dyn Progress) -> Result<View> {
        let count = self.layers.len();
        let layers = self.layers.iter().enumerate();
        let layers = layers.map(|(number, layer)| {
            let access = access_to(access, number + 1 == count);
            layer.open(access, progress)
        });
        let view = View::new(layers.collect::<Result<_>>()?);
        Ok(match self.nearest_only {
            true => view.only_nearest(1),
            false => view,
        })
    }
}

impl Layer {
    /// Opens this layer alone: to be put into a [`View`] together with others, also of kinds that
    /// this crate does not know.
    ///
    /// # Errors
    ///
    /// Same as [`Chain::open`].
    pub fn open(&self, access: Access, progress: &dyn Progress) -> Result<Box<dyn ChainLayer>> {
        match self.kind() {
            Kind::Portable | Kind::DamagedPortable => portable::chain_layer(self.path()),
            Kind::Transport => transport::chain_layer(&Disks::new(), self.path()),
            Kind::Tar(_) => Ok(Box::new(open_tar(&self.tar()?, access, progress)?)),
            _ => Err(self.refuse(Needed::View)),
        }
    }

    /// Returns the parents that the layer itself names; a portable layer checks that they are those
    /// it was made on.
    ///
    /// # Errors
    ///
    /// Returns an error if the layer is damaged, or a portable layer's parents are not the right
    /// ones.
    pub fn stored_parents(&self) -> Result<ParentChain> {
        match self.kind() {
            Kind::Portable | Kind::DamagedPortable => self.portable()?.checked_parents(),
            Kind::Transport | Kind::Windows(_) => stored_in_folder(self.path()),
            _ => Ok(ParentChain::none()),
        }
    }

    fn own_parents(&self) -> Result<Vec<Self>> {
        find_paths(&self.stored_parents()?)
    }
}

/// Completes the parents that are given, as the head of this file says.
fn completed(mut given: Vec<Layer>) -> Result<Vec<Layer>> {
    match &given[..] {
        [] => {}
        [nearest] => {
            let further = nearest.own_parents()?;
            given.extend(further);
        }
        [nearest, further @ ..] if nearest.kind().is_portable() => {
            let further = nearest.portable()?.parents_given(&paths(further))?;
            given.truncate(1);
            given.extend(find_paths(&further)?);
        }
        _ => {}
    }
    Ok(given)
}

fn find_all(given: &ParentChain<LayerRef>) -> Result<Vec<Layer>> {
    let found = given.as_slice().iter().map(|parent| {
        let parent = recognise(parent)?;
        if let Some(reference) = parent.image() {
            let image = ImageChoice::default().open(&reference)?;
            return Layer::of_image(&parent, 0, only_layer(&image)?);
        }
        parent.check()?;
        if parent.kind() == Kind::DamagedPortable {
            // Opened for its error, which says what is damaged.
            parent.portable()?;
        }
        Ok(parent)
    });
    found.collect()
}

fn find_paths(parents: &ParentChain) -> Result<Vec<Layer>> {
    find_all(&parents.into())
}

fn paths(layers: &[Layer]) -> ParentChain {
    ParentChain::from_nearest_first(layers.iter().map(Layer::path))
}

/// Returns the parents that a folder names in a `layerchain.json`; none without one.
fn stored_in_folder(folder: &Path) -> Result<ParentChain> {
    let path = folder.join(layout::LAYER_CHAIN);
    match std::fs::symlink_metadata(&path) {
        Ok(found) if found.is_file() => {
            let parents = hcs::stored_parents(&Disks::new(), folder)?;
            Ok(parents.unwrap_or_default())
        }
        Ok(_) => Err(EntryProblem::ReparsePoint.of(&layout::path(layout::LAYER_CHAIN))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(ParentChain::none()),
        Err(error) => Err(io_error("open", &path)(error)),
    }
}
