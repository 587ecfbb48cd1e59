//! Rules on a whole layer: how its entries relate to one another and to the parents.
//!
//! The index answers every question, so that memory does not grow with the layer.

use std::collections::HashMap;

use ntmeta::ReparsePoint;

use super::Report;
use super::hive::BCD;
use crate::check::{LinkEnd, Links, check_each};
use crate::error::Result;
use crate::hub::Progress;
use crate::hub::poll;
use crate::index::{Index, IndexBuilder, IndexedEntry, IndexedKind, Lookup};
use crate::layout::{self, FILES, HIVES, UTILITY_VM, UTILITY_VM_FILES};
use crate::path::LayerPath;
use crate::place::INDEX_FILE;
use crate::place::leftovers;
use crate::place::scratch::Scratch;
use crate::rules::{Breach, Rule};
use crate::view::{NodeKind, Target, View, target_of_text};

/// Creates an index in a temporary folder, which is deleted with the value returned first.
pub(super) fn new_index() -> Result<(Scratch, IndexBuilder)> {
    let mut scratch = Scratch::new(leftovers::CHECK)?;
    let index = IndexBuilder::create(&scratch.path().join(INDEX_FILE))?;
    scratch.hide();
    Ok((scratch, index))
}

/// Checks a layer on top of its parents; `None` for a base layer.
pub(super) fn check(
    index: &Index,
    parents: Option<&View>,
    report: &mut Report,
    progress: &dyn Progress,
) -> Result<()> {
    let is_unknown = parents.is_some_and(|view| view.depth() == 0);
    let mut links = Links::new(index, parents, progress);
    check_each(index, parents, &mut links, progress, &mut |error| {
        let is_missing = matches!(error.breach, Breach::LinkTargetMissing { .. });
        if !(is_unknown && is_missing) {
            report.add_breach(error);
        }
        Ok(())
    })?;
    let layer = Layer {
        index,
        parents,
        is_unknown,
        report,
        progress,
    };
    layer.check_beyond_import(&mut links)
}

/// Checks the rules on a whole layer that the import of a portable layer does not enforce.
pub(super) fn check_beyond_import(
    index: &Index,
    parents: Option<&View>,
    report: &mut Report,
    progress: &dyn Progress,
) -> Result<()> {
    let layer = Layer {
        index,
        parents,
        is_unknown: false,
        report,
        progress,
    };
    layer.check_beyond_import(&mut Links::new(index, parents, progress))
}

/// For how many files the hard links are counted, so that memory is bounded.
const MAX_COUNTED: usize = 1 << 20;

/// Returns whether the nearest parent has a utility VM: files of its own, or the copy of its parent's
/// that every layer with an entry `UtilityVM` gets.
fn has_utility_vm(parents: &View) -> Result<bool> {
    if View::find(parents, &layout::path(UTILITY_VM_FILES))?.is_none() {
        return Ok(false);
    }
    for name in [UTILITY_VM, UTILITY_VM_FILES] {
        let slots = parents.slots(&layout::path(name))?;
        let mut slots = slots.iter();
        if slots.any(|(layer, slot)| *layer == 0 && (slot.added.is_some() || slot.has_added_below))
        {
            return Ok(true);
        }
    }
    Ok(false)
}

struct Layer<'a> {
    index: &'a Index,
    parents: Option<&'a View>,
    /// Whether there are parents that cannot be read.
    is_unknown: bool,
    report: &'a mut Report,
    progress: &'a dyn Progress,
}

impl Layer<'_> {
    fn check_beyond_import(mut self, links: &mut Links<'_>) -> Result<()> {
        self.check_required()?;
        self.check_utility_vm()?;
        self.check_directories()?;
        self.check_repeated()?;
        self.check_links(links)?;
        self.check_reparse_points()?;
        self.check_whiteouts()
    }

    fn add(&mut self, rule: Rule, entry: &IndexedEntry, detail: impl Into<String>) {
        let offset = Some(entry.offset);
        self.report
            .add(rule, entry.path.to_string(), offset, detail);
    }

    fn add_breach(&mut self, entry: &IndexedEntry, breach: Breach) {
        self.report
            .add_breach(breach.of(&entry.path, Some(entry.offset)));
    }

    fn has(&self, name: &str) -> Result<bool> {
        Ok(self.index.find_added(&layout::path(name))?.is_some())
    }

    fn check_required(&mut self) -> Result<()> {
        if !self.has(FILES)? {
            self.report.add(Rule::FilesMissing, "", None, "");
        }
        if self.parents.is_some() {
            if !self.has(HIVES)? {
                self.report.add(Rule::HivesMissing, "", None, "");
            }
            return self.check_deltas();
        }
        for hive in layout::BASE_HIVES {
            if !self.has(hive)? {
                self.report.add(Rule::BaseHiveMissing, hive, None, "");
            }
        }
        Ok(())
    }

    /// Checks that each replaced hive of the base layer comes with a delta.
    fn check_deltas(&mut self) -> Result<()> {
        for (delta, hive) in layout::HIVE_DELTAS.iter().zip(layout::BASE_HIVES) {
            let delta = format!("{HIVES}/{delta}");
            if let Some(entry) = self.index.find_added(&layout::path(hive))?
                && !self.has(&delta)?
            {
                let detail = format!("there is no `{delta}`");
                self.add(Rule::HiveWithoutDelta, &entry, detail);
            }
        }
        Ok(())
    }

    /// Checks that symbolic links and junctions lead to the kind of thing they are marked as.
    fn check_reparse_points(&mut self) -> Result<()> {
        let index = self.index;
        index.for_each_reparse_point(|entry| {
            poll(self.progress)?;
            let point = entry.reparse.as_deref().map(ReparsePoint::decode);
            let Some(Ok(point)) = point else {
                return Ok(());
            };
            let text = point.target().filter(|text| !text.is_empty());
            let Some(Target::Inside(target)) = text.map(|text| target_of_text(&entry.path, &text))
            else {
                return Ok(());
            };
            let is_marked = entry.kind == IndexedKind::Directory;
            let Some(is_directory) = self.is_directory(&target)? else {
                return Ok(());
            };
            let is_wrong = match point {
                ReparsePoint::MountPoint(_) => !is_directory,
                _ => is_directory != is_marked,
            };
            if is_wrong {
                let kind = if is_directory { "directory" } else { "file" };
                let detail = format!("its target `{target}` is a {kind}");
                self.add(Rule::SymlinkKind, &entry, detail);
            }
            Ok(())
        })
    }

    /// Returns whether the layer on top of its parents has a directory at a path; `None` if it has
    /// nothing there.
    fn is_directory(&self, path: &LayerPath) -> Result<Option<bool>> {
        if self.index.find_added(path)?.is_none() && self.index.has_children(path)? {
            return Ok(Some(true));
        }
        match (self.index.look_up(path)?, self.parents) {
            (Lookup::Present(entry), _) => Ok(Some(entry.kind == IndexedKind::Directory)),
            (Lookup::Unknown, Some(parents)) => {
                let found = View::find(parents, path)?;
                Ok(found.map(|node| node.kind == NodeKind::Directory))
            }
            _ => Ok(None),
        }
    }

    fn check_utility_vm(&mut self) -> Result<()> {
        let Some(top) = self.index.find_added(&layout::path(UTILITY_VM))? else {
            return Ok(());
        };
        if top.kind != IndexedKind::Directory {
            return Ok(());
        }
        match self.parents {
            Some(parents) if !self.is_unknown && !has_utility_vm(parents)? => {
                self.add_breach(&top, Breach::ParentUtilityVmMissing);
            }
            Some(_) => {}
            None if !self.has(UTILITY_VM_FILES)? => {
                self.add(Rule::UtilityVmFilesMissing, &top, "");
            }
            None if !self.has(BCD)? => self.add(Rule::BcdMissing, &top, ""),
            None => {}
        }
        Ok(())
    }

    /// Checks that each directory comes before its entries. The first entry stands for all of them.
    fn check_directories(&mut self) -> Result<()> {
        let index = self.index;
        index.for_each_directory(|entry| {
            poll(self.progress)?;
            let Some(directory) = entry.path.parent() else {
                return Ok(());
            };
            let rule = match index.find_first_added(&directory)? {
                Some(found) if found.id < entry.id => return Ok(()),
                Some(_) => Rule::ChildBeforeParent,
                // Reported once, as `files-missing`.
                None if layout::is(&directory, FILES) => return Ok(()),
                None => Rule::ParentMissing,
            };
            if !self.is_in_copy(&entry, &directory)? {
                self.add(rule, &entry, format!("the directory is `{directory}`"));
            }
            Ok(())
        })
    }

    /// Returns whether a directory is in the copy of the parent's utility VM, which the entry
    /// `UtilityVM` creates.
    fn is_in_copy(&self, entry: &IndexedEntry, directory: &LayerPath) -> Result<bool> {
        let Some(parents) = self.parents else {
            return Ok(false);
        };
        if !layout::is_in(directory, UTILITY_VM_FILES) {
            return Ok(false);
        }
        let top = self.index.find_first_added(&layout::path(UTILITY_VM))?;
        if top.is_none_or(|top| top.id > entry.id) {
            return Ok(false);
        }
        let found = View::find(parents, directory)?;
        Ok(self.is_unknown || found.is_some_and(|found| found.is_plain_directory()))
    }

    fn check_repeated(&mut self) -> Result<()> {
        let mut previous: Option<IndexedEntry> = None;
        let index = self.index;
        index.for_each_repeated(|entry| {
            poll(self.progress)?;
            let twin = previous.as_ref().filter(|twin| {
                twin.path == entry.path
                    && twin.kind == entry.kind
                    && twin.reparse.is_some() == entry.reparse.is_some()
            });
            if let Some(twin) = twin {
                let rule = match twin.path.as_bytes() == entry.path.as_bytes() {
                    true => Rule::Duplicate,
                    false => Rule::CaseTwin,
                };
                let mut detail = String::from("it also comes");
                if rule == Rule::CaseTwin {
                    detail += &format!(" as `{}`", twin.path);
                }
                if self.report.has_offsets {
                    detail += &format!(" at byte {:#x}", twin.offset);
                }
                self.add(rule, &entry, detail);
            }
            previous = Some(entry);
            Ok(())
        })
    }

    fn check_links(&mut self, links: &mut Links<'_>) -> Result<()> {
        let index = self.index;
        let mut names = HashMap::new();
        index.for_each_link(|link| {
            poll(self.progress)?;
            let (Some(target), LinkEnd::File { file, .. }) = (&link.target, links.end(&link)?)
            else {
                return Ok(());
            };
            if let Some((rule, detail)) = self.check_order(&link, target)? {
                self.add(rule, &link, detail);
            }
            if names.len() == MAX_COUNTED && !names.contains_key(&file) {
                return Ok(());
            }
            let count = names.entry(file).or_insert(0_u32);
            *count = count.saturating_add(1);
            // Reported once for each file, at the first link beyond the limit.
            if *count == layout::MAX_FURTHER_NAMES + 1 {
                let detail = format!("the target is `{target}`");
                self.add(Rule::LinkTooMany, &link, detail);
            }
            Ok(())
        })
    }

    /// Checks that a link comes after its target and spells it the same way. In a layer with parents,
    /// hcsshim looks for the exact name among the entries before the link and then in the parents; in
    /// the utility VM and in a base layer, it looks on the disk.
    fn check_order(
        &self,
        link: &IndexedEntry,
        target: &LayerPath,
    ) -> Result<Option<(Rule, String)>> {
        let in_parents = match self.parents {
            Some(parents) => View::find(parents, target)?.is_some(),
            None => false,
        };
        let on_disk = self.parents.is_none() || layout::is_below(target, UTILITY_VM_FILES);
        let Some(found) = self.index.find_first_added(target)? else {
            let detail = format!("the target is `{target}`");
            return Ok(in_parents.then_some((Rule::LinkToParent, detail)));
        };
        if on_disk && (in_parents || self.is_unknown) {
            return Ok(None);
        }
        let is_twin = found.path.as_bytes() == target.as_bytes();
        let rule = match found.id < link.id {
            true if on_disk || is_twin => return Ok(None),
            true => Rule::LinkTargetCase,
            false => Rule::LinkBeforeTarget,
        };
        let instead = match in_parents {
            true => "; it links to a parent's file at that path",
            false => "",
        };
        let spelled = &found.path;
        let detail = match is_twin {
            true => format!("the target is `{target}`{instead}"),
            false => format!("the target is `{target}`, its entry `{spelled}`{instead}"),
        };
        Ok(Some((rule, detail)))
    }

    /// Checks that a removed path is not added as well. hcsshim removes paths after adding everything
    /// except the hard links, and in the utility VM immediately.
    fn check_removed(&self, whiteout: &IndexedEntry) -> Result<Option<Rule>> {
        let Some(added) = self.index.find_added(&whiteout.path)? else {
            return Ok(None);
        };
        if layout::is_below(&whiteout.path, UTILITY_VM_FILES) {
            return Ok((added.id < whiteout.id).then_some(Rule::WhiteoutAndEntry));
        }
        Ok(match added.kind {
            IndexedKind::Link => None,
            IndexedKind::Directory if self.index.has_children(&added.path)? => {
                Some(Rule::WhiteoutAndDirectory)
            }
            _ => Some(Rule::WhiteoutAndEntry),
        })
    }

    fn check_whiteouts(&mut self) -> Result<()> {
        let index = self.index;
        index.for_each_whiteout(|entry| {
            poll(self.progress)?;
            if entry.kind == IndexedKind::Opaque {
                return Ok(());
            }
            if let Some(rule) = self.check_removed(&entry)? {
                self.add(rule, &entry, "");
            }
            let Some(parents) = self.parents.filter(|_| !self.is_unknown) else {
                return Ok(());
            };
            if View::find(parents, &entry.path)?.is_none() {
                match layout::is_below(&entry.path, UTILITY_VM_FILES) {
                    true => self.add_breach(&entry, Breach::RemovalOfNothing),
                    false => self.add(Rule::WhiteoutOfNothing, &entry, ""),
                }
            }
            Ok(())
        })
    }
}
