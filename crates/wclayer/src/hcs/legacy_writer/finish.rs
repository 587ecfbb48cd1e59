//! The end of a layer with parents: `ImportLayer`, and what can be done only after it.

use std::collections::BTreeSet;

use super::parents::{Parents, walk};
use super::{LeftOut, LegacyWriter, Part};
use crate::error::{Result, entry_error};
use crate::hcs::base_writer::check_target;
use crate::hcs::is_absent;
use crate::hcs::summary::WriterSummary;
use crate::hcs::utility_image::process_utility_vm;
use crate::layout;
use crate::path::LayerPath;
use crate::rules::Breach;
use crate::transport::{Added, TransportFiles};
use crate::volume::{Root, Volume, delete_tree};

/// A link whose target was found.
struct FoundLink {
    path: LayerPath,
    target: LayerPath,
    origin: Origin,
}

/// The layer that has the target of a link.
enum Origin {
    /// The layer being made.
    Layer,
    /// A parent, counted from the nearest.
    Parent(usize),
}

/// Completes the layer. Whatever can be found wrong is found before Windows is called.
pub(super) fn finish<V: Volume>(mut writer: LegacyWriter<'_, V>) -> Result<WriterSummary> {
    writer.transport.finish()?;
    let removals = resolve_removals(&writer)?;
    let links = find_links(&writer)?;
    let mut warnings = warnings(&writer);

    // Windows works on the folder next: nothing of it stays open.
    drop(writer.transport);
    let layer = &writer.layer;
    let service = &*writer.host.service;
    service.import_layer(layer.path(), writer.temporary.path(), &writer.chain)?;
    for path in &removals {
        delete(layer, path)?;
    }
    for link in links {
        delete(layer, &link.path)?;
        let root = match link.origin {
            Origin::Layer => layer,
            Origin::Parent(index) => writer.parents.get(index),
        };
        let linked = layer.link(root, &link.target, &link.path);
        linked.map_err(entry_error("link", layer.path(), &link.path))?;
    }
    writer.times.reapply(layer)?;
    if writer.utility_vm.is_started() {
        process_utility_vm(service, layer)?;
        writer.times.reapply_utility_vm(layer)?;
    }
    if let Err(error) = writer.temporary.delete() {
        warnings.push(error.to_string());
    }
    Ok(WriterSummary { warnings })
}

/// Lists what is to be deleted after the import: what the parents have and the layer removes, but
/// for what the layer itself adds.
fn resolve_removals<V: Volume>(writer: &LegacyWriter<'_, V>) -> Result<BTreeSet<LayerPath>> {
    let mut removals = BTreeSet::new();
    let mut opaque: Vec<_> = writer.opaque.iter().cloned().collect();
    for path in &writer.removals {
        match writer.transport.added(path) {
            None => drop(removals.insert(path.clone())),
            // Replaced as a whole: what the parents have in it does not shine through.
            Some(Added::Directory) => opaque.push(path.clone()),
            Some(_) => {}
        }
    }
    for directory in opaque {
        expand(&writer.parents, &writer.transport, directory, &mut removals)?;
    }
    Ok(removals)
}

/// Adds a removal for everything that the parents have in a directory and the layer does not add.
fn expand<R: Root>(
    parents: &Parents<R>,
    transport: &TransportFiles<R>,
    directory: LayerPath,
    removals: &mut BTreeSet<LayerPath>,
) -> Result<()> {
    let mut directories = vec![directory];
    while let Some(directory) = directories.pop() {
        for path in parents.names_in(&directory)? {
            match transport.added(&path) {
                None => drop(removals.insert(path)),
                Some(Added::Directory) => directories.push(path),
                Some(_) => {}
            }
        }
    }
    Ok(())
}

/// Finds the target of every link: in this layer, else in a parent.
fn find_links<V: Volume>(writer: &LegacyWriter<'_, V>) -> Result<Vec<FoundLink>> {
    let links = writer.links.in_order()?;
    let found = links.into_iter().map(|(path, target)| {
        Ok(FoundLink {
            path: path.clone(),
            target: target.clone(),
            origin: find_target(writer, path, target)?,
        })
    });
    found.collect()
}

fn find_target<V: Volume>(
    writer: &LegacyWriter<'_, V>,
    path: &LayerPath,
    target: &LayerPath,
) -> Result<Origin> {
    let part = Part::of(target);
    let added = match part {
        Part::UtilityVm => writer.utility_vm.added(target),
        Part::Transport => writer.transport.added(target),
    };
    if added.is_some() {
        return check_target(path, target, added).map(|()| Origin::Layer);
    }
    let found = match part {
        Part::UtilityVm => walk(&writer.layer, target)?.map(|stat| (Origin::Layer, stat)),
        Part::Transport => {
            let found = writer.parents.find(target)?;
            found.map(|(index, stat)| (Origin::Parent(index), stat))
        }
    };
    let target = target.clone();
    match found {
        None => Err(Breach::LinkTargetMissing { target }.broken_by(path)),
        Some((_, stat)) if stat.is_directory() => {
            Err(Breach::LinkToDirectory { target }.broken_by(path))
        }
        Some((origin, _)) => Ok(origin),
    }
}

fn warnings<V: Volume>(writer: &LegacyWriter<'_, V>) -> Vec<String> {
    let inherited = writer.inherited.iter().map(|directory| {
        format!("the directory `{directory}` is missing in the layer: it was taken from a parent")
    });
    let made = writer.transport.made().chain(&writer.utility_vm.made);
    let made = made.map(|directory| {
        format!("the directory `{directory}` is missing in the layer: it was made")
    });
    let left_out = (writer.left_out != LeftOut::Nothing).then(|| {
        let name = layout::TOMBSTONES;
        format!("the file `{name}` of the layer was left out: Windows keeps that name for itself")
    });
    inherited.chain(made).chain(left_out).collect()
}

/// Deletes what the import put at a path; nothing is fine.
fn delete<R: Root>(layer: &R, path: &LayerPath) -> Result<()> {
    match delete_tree(layer, path) {
        Err(error) if is_absent(&error) => Ok(()),
        deleted => deleted.map_err(entry_error("delete", layer.path(), path)),
    }
}
