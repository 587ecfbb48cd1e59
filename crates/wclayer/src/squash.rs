//! Merges a chain of layers into one layer.
//!
//! ```text
//! View ─ reader → hub → LayerWriter
//! ```
//!
//! The output depends only on the view: entries are sorted by name, and the content of a file with
//! several names is at the first of them.
//!
//! A file hides the files of the layers below, so the nearest one is kept. Registry hives are
//! different: each layer's delta holds changes to the hives below, and nothing here can merge them.
//! If several layers change a hive, squashing is refused; on request, it keeps the nearest delta
//! and loses the others. Windows ignores the delta of a layer that has the whole hive: if a base
//! layer becomes part of the result, the deltas above it that change something are lost and left
//! out.

use std::collections::{HashMap, HashSet};
use std::io::Read;
use std::path::Path;

use ntmeta::hive;

use crate::error::{Error, Result};
use crate::hub::{self, LayerWriter, Progress};
use crate::layer::ItemKind;
use crate::layout;
use crate::path::LayerPath;
use crate::view::View;

/// How much of a hive is read to see whether it changes something, in bytes: the root key comes
/// first.
const HIVE_START: u64 = 64 * 1024;

/// How to squash a chain.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SquashOptions {
    /// Whether the lowest layer is left out: the result then goes on top of it, and keeps the
    /// chain's removals of its paths.
    pub keep_base: bool,
    /// Whether registry changes may be lost: if several layers have some, or if their base layer
    /// becomes part of the result.
    pub lose_registry: bool,
}

setters!(SquashOptions {
    keep_base: bool,
    lose_registry: bool
});

/// The result of squashing a chain.
#[derive(Debug)]
#[non_exhaustive]
pub struct Squashed<T> {
    /// The output of the writer.
    pub output: T,
    /// The lost registry changes; only with [`SquashOptions::lose_registry`].
    pub lost_hives: Vec<LostHive>,
}

/// Registry changes that are lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LostHive {
    /// The hive.
    pub path: LayerPath,
    /// The layers whose changes are lost, nearest first.
    pub layers: Vec<usize>,
}

/// Writes everything that is seen of a view to `writer`, and finishes the writer.
///
/// ```
/// use wclayer::source::{self, OpenOptions};
/// use wclayer::squash::{SquashOptions, squash};
/// use wclayer::tar::TarLayerWriter;
///
/// let layer = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/sample/base.tar.gz");
/// let view = source::open(layer, &OpenOptions::default(), &())?;
/// let writer = TarLayerWriter::new(Vec::new());
/// let squashed = squash(view, SquashOptions::default(), writer, &())?;
/// assert_eq!(squashed.output.len() % 512, 0);
/// # Ok::<(), wclayer::Error>(())
/// ```
///
/// # Errors
///
/// Returns [`Error::Layer`] with the nearest layer around: [`Error::OnlyBase`] if the base is to be
/// kept and nothing is on top of it; [`Error::SeveralHives`]; [`Error::Rule`] for a hard link without
/// a target, or for an entry that its own layer hides, such as one below a symbolic link; or an error
/// of reading the view or writing the layer. Returns [`Error::Cancelled`] if cancelled.
pub fn squash<W: LayerWriter>(
    view: View,
    options: SquashOptions,
    writer: W,
    progress: &dyn Progress,
) -> Result<Squashed<W::Output>> {
    let layer = view.places().next().map(Path::to_owned);
    squash_view(view, options, writer, progress).map_err(|error| match layer {
        Some(layer) => error.of_layer("squash", &layer),
        None => error,
    })
}

fn squash_view<W: LayerWriter>(
    view: View,
    options: SquashOptions,
    writer: W,
    progress: &dyn Progress,
) -> Result<Squashed<W::Output>> {
    let depth = view.depth();
    let view = match options.keep_base {
        false => view,
        true if depth < 2 => return Err(Error::OnlyBase),
        true => view.only_nearest(depth - 1),
    };
    check_nothing_is_lost(&view)?;
    let hives = Hives::find(&view, options.keep_base)?;
    if !options.lose_registry {
        hives.check(&view)?;
    }
    let mut reader = view.reader(&[]).as_layer();
    reader = reader.taking(hives.kept).without(hives.left_out);
    let output = hub::copy(&mut reader, writer, progress)?;
    Ok(Squashed {
        output,
        lost_hives: hives.lost,
    })
}

/// Refuses layers with entries that the view leaves out.
fn check_nothing_is_lost(view: &View) -> Result<()> {
    view.for_each_lost(&mut |layer, lost| {
        let error = Error::Rule(lost.rule.of(&lost.path, Some(lost.offset)));
        Err(error.of_layer("read", view.layer(layer).place()))
    })
}

/// The hive deltas of the layers that are squashed.
#[derive(Default)]
struct Hives {
    /// The layer that each delta comes from, if not from the nearest layer that has one.
    kept: HashMap<LayerPath, usize>,
    /// The deltas to leave out of the result.
    left_out: HashSet<LayerPath>,
    lost: Vec<LostHive>,
}

impl Hives {
    fn find(view: &View, keep_base: bool) -> Result<Self> {
        let mut hives = Self::default();
        let in_hives = |name: &str| layout::path(&format!("{}/{name}", layout::HIVES));
        let bases = layout::BASE_HIVES.iter().zip(layout::BASE_HIVE_LINKS);
        for (delta, (base, link)) in layout::HIVE_DELTAS.iter().zip(bases) {
            let mut has_base = false;
            for whole in [layout::path(base), in_hives(link)] {
                has_base |= !keep_base && view.find(&whole)?.is_some();
            }
            hives.decide(view, in_hives(delta), has_base)?;
        }
        Ok(hives)
    }

    /// Decides what happens to a delta; `has_base` says whether the result has the whole hive.
    fn decide(&mut self, view: &View, path: LayerPath, has_base: bool) -> Result<()> {
        let Some(lowest) = view.seen().checked_sub(1) else {
            return Ok(());
        };
        let mut layers = Vec::new();
        // A delta in the layer of the whole hive had no effect before either.
        let above = if has_base { lowest } else { view.seen() };
        for layer in 0..above {
            if changes_something(view, layer, &path)? {
                layers.push(layer);
            }
        }
        if has_base && !layers.is_empty() {
            match view.layer(lowest).slot(&path)?.added {
                Some(_) => drop(self.kept.insert(path.clone(), lowest)),
                None => drop(self.left_out.insert(path.clone())),
            }
        } else if !has_base && !layers.is_empty() {
            self.kept.insert(path.clone(), layers.remove(0));
        }
        if !layers.is_empty() {
            self.lost.push(LostHive { path, layers });
        }
        Ok(())
    }

    /// Refuses to lose registry changes.
    fn check(&self, view: &View) -> Result<()> {
        let Some(lost) = self.lost.first() else {
            return Ok(());
        };
        let kept = self.kept.get(&lost.path);
        let kept = kept.filter(|kept| lost.layers.iter().all(|layer| *kept < layer));
        let places: Vec<_> = view.places().collect();
        let name = |layer: &usize| format!("`{}`", places[*layer].display());
        let layers: Vec<String> = kept.into_iter().chain(&lost.layers).map(name).collect();
        Err(Error::SeveralHives {
            hive: lost.path.to_string(),
            layers: layers.join(", "),
        })
    }
}

/// Returns whether a layer has a hive of its own at a path that changes something.
fn changes_something(view: &View, layer: usize, path: &LayerPath) -> Result<bool> {
    let Some(item) = view.layer(layer).slot(path)?.added else {
        return Ok(false);
    };
    if item.kind != ItemKind::File || item.size == 0 {
        return Ok(false);
    }
    let mut start = Vec::new();
    let content = view.layer(layer).content(&item, None)?;
    let read = content.reader().take(HIVE_START).read_to_end(&mut start);
    read.map_err(Error::input)?;
    Ok(!hive::says_nothing(&start))
}
