//! Rules on a whole layer: what its entries have to do with one another and with the parents.
//!
//! The index answers every question, so that memory does not grow with the layer.

use super::entry::{BASE_HIVES, BCD};
use super::problem::rule_of_import;
use super::{Report, Rule};
use crate::chain::{NodeKind, View};
use crate::error::Result;
use crate::index::{Index, IndexedEntry, IndexedKind};
use crate::layout::{self, FILES, HIVES, UTILITY_VM, UTILITY_VM_FILES};
use crate::path::LayerPath;
use crate::portable::{Below, Found, Step, check_each};

/// How many further names NTFS gives a file.
const MAX_LINKS: u32 = 1023;

/// Checks a layer on top of its parents; `None` for a base layer.
pub(super) fn check(index: &Index, parents: Option<&View>, report: &mut Report) -> Result<()> {
    let below = parents.map(|view| view as &dyn Below);
    check_each(index, below, &mut |error| {
        let detail = error.rule.to_string();
        let offset = Some(error.offset);
        report.add(rule_of_import(&error.rule), error.entry, offset, detail);
        Ok(())
    })?;
    let mut layer = Layer {
        index,
        parents,
        report,
    };
    layer.check_what_must_be_there()?;
    layer.check_utility_vm()?;
    layer.check_directories()?;
    layer.check_repeated()?;
    layer.check_links()?;
    layer.check_whiteouts()
}

impl Below for View {
    fn find(&self, path: &LayerPath) -> Result<Option<Found>> {
        Ok(View::find(self, path)?.map(|node| Found {
            kind: match node.kind {
                NodeKind::Directory => IndexedKind::Directory,
                _ => IndexedKind::File,
            },
            is_reparse_point: node.is_reparse_point(),
            path: node.path,
            target: None,
        }))
    }

    fn in_the_way(&self, way: &[Step]) -> Result<Option<Found>> {
        for Step { path, is_own } in way {
            let Some(found) = Below::find(self, path)? else {
                return Ok(None);
            };
            match found.kind == IndexedKind::Directory && !found.is_reparse_point {
                true => {}
                false if *is_own => return Ok(None),
                false => return Ok(Some(found)),
            }
        }
        Ok(None)
    }
}

struct Layer<'a> {
    index: &'a Index,
    parents: Option<&'a View>,
    report: &'a mut Report,
}

impl Layer<'_> {
    fn add(&mut self, rule: Rule, entry: &IndexedEntry, detail: impl Into<String>) {
        let offset = Some(entry.offset);
        self.report
            .add(rule, entry.path.to_string(), offset, detail);
    }

    fn has(&self, name: &str) -> Result<bool> {
        Ok(self.index.find_added(&layout::path(name))?.is_some())
    }

    fn check_what_must_be_there(&mut self) -> Result<()> {
        if !self.has(FILES)? {
            self.report.add(Rule::FilesMissing, "", None, "");
        }
        if self.parents.is_some() {
            if !self.has(HIVES)? {
                self.report.add(Rule::HivesMissing, "", None, "");
            }
            return Ok(());
        }
        for hive in BASE_HIVES {
            if !self.has(hive)? {
                self.report.add(Rule::BaseHiveMissing, hive, None, "");
            }
        }
        Ok(())
    }

    fn check_utility_vm(&mut self) -> Result<()> {
        let Some(top) = self.index.find_added(&layout::path(UTILITY_VM))? else {
            return Ok(());
        };
        if top.kind != IndexedKind::Directory {
            return Ok(());
        }
        if !self.has(UTILITY_VM_FILES)? {
            self.add(Rule::UtilityVmFilesMissing, &top, "");
        }
        match self.parents {
            Some(parents) if View::find(parents, &layout::path(UTILITY_VM_FILES))?.is_none() => {
                self.add(Rule::UtilityVmParent, &top, "");
            }
            None if self.has(UTILITY_VM_FILES)? && !self.has(BCD)? => {
                self.add(Rule::BcdMissing, &top, "");
            }
            _ => {}
        }
        Ok(())
    }

    /// Of each directory the first entry stands for all.
    fn check_directories(&mut self) -> Result<()> {
        let index = self.index;
        index.for_each_directory(|entry| {
            let Some(directory) = entry.path.parent() else {
                return Ok(());
            };
            let detail = format!("the directory is `{directory}`");
            match index.find_first_added(&directory)? {
                // That `Files` is missing is told once.
                None if layout::is(&directory, FILES) => {}
                None => self.add(Rule::ParentMissing, &entry, detail),
                Some(found) if found.id > entry.id => {
                    self.add(Rule::ChildBeforeParent, &entry, detail);
                }
                Some(_) => {}
            }
            Ok(())
        })
    }

    fn check_repeated(&mut self) -> Result<()> {
        let mut previous: Option<IndexedEntry> = None;
        let index = self.index;
        index.for_each_repeated(|entry| {
            let twin = previous.as_ref().filter(|twin| {
                twin.path == entry.path
                    && twin.kind == entry.kind
                    && twin.reparse.is_some() == entry.reparse.is_some()
            });
            if let Some(twin) = twin {
                let offset = twin.offset;
                let (rule, detail) = match twin.path.as_bytes() == entry.path.as_bytes() {
                    true => (Rule::Duplicate, String::new()),
                    false => (Rule::CaseTwin, format!(" as `{}`", twin.path)),
                };
                let detail = match self.report.has_offsets {
                    true => format!("it is also at byte {offset:#x}{detail}"),
                    false => format!("it is also there{detail}"),
                };
                self.add(rule, &entry, detail);
            }
            previous = Some(entry);
            Ok(())
        })
    }

    fn check_links(&mut self) -> Result<()> {
        let index = self.index;
        index.for_each_link(|link| {
            let Some(target) = &link.target else {
                return Ok(());
            };
            let detail = format!("the target is `{target}`");
            match (index.find_first_added(target)?, self.parents) {
                (Some(found), None) if found.id > link.id => {
                    self.add(Rule::LinkBeforeTarget, &link, detail);
                }
                (None, Some(parents)) if View::find(parents, target)?.is_some() => {
                    self.add(Rule::LinkToParent, &link, detail);
                }
                _ => {}
            }
            Ok(())
        })?;
        index.for_each_link_beyond(MAX_LINKS, |link| {
            let target = link.target.as_ref().map(ToString::to_string);
            let detail = format!("the target is `{}`", target.unwrap_or_default());
            self.add(Rule::LinkTooMany, &link, detail);
            Ok(())
        })
    }

    fn check_whiteouts(&mut self) -> Result<()> {
        let index = self.index;
        index.for_each_whiteout(|entry| {
            if entry.kind == IndexedKind::Opaque {
                return Ok(());
            }
            if index.find_added(&entry.path)?.is_some() {
                self.add(Rule::WhiteoutAndEntry, &entry, "");
            }
            let Some(parents) = self.parents else {
                return Ok(());
            };
            if View::find(parents, &entry.path)?.is_none() {
                match layout::is_below(&entry.path, UTILITY_VM_FILES) {
                    true => self.add(Rule::WhiteoutUtilityVm, &entry, ""),
                    false => self.add(Rule::WhiteoutOfNothing, &entry, ""),
                }
            }
            Ok(())
        })
    }
}
