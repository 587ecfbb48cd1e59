//! Checks a whole layer and reports everything that makes its import fail or that goes wrong later.
//!
//! ```text
//! tar ────────────── pass ──── member: rules that only a tar can break
//!                      │
//! portable layer ─── stored ── entry: rules on one entry ──┐
//!                      │                                   ├─► Report: findings by rule
//! transport folder ─ checker   whole: rules on the layer ──┘
//!                      │         ▲    with its parents
//!                      └─ index ─┘
//! ```
//!
//! An import stops at the first broken rule; [`validate`] continues and collects. [`Rule`] is the
//! table of all rules, printed in `docs/rules.md`. The source is read once, and each entry is
//! checked as it passes; an index in a temporary folder then answers how entries relate to one
//! another and to the parents. The rules that imports enforce on whole layers are in `check`.
//! Memory does not grow with the layer, only with the number of findings kept for each rule.

mod checker;
mod entry;
mod hive;
mod member;
mod names;
mod pass;
mod problem;
mod source;
mod stored;
mod streams;
mod whole;

use std::collections::BTreeMap;

pub use crate::rules::{Rule, Severity};
pub use pass::validate_tar;
pub use stored::validate_stored;

use crate::error::Result;
use crate::hub::Progress;
use crate::parent_chain::ParentChain;
use crate::rules::RuleError;
use crate::source::LayerRef;

/// An entry that breaks a rule, or a rule that the layer as a whole breaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The rule.
    pub rule: Rule,
    /// The entry as the tar spells it; empty if the layer as a whole breaks the rule.
    pub entry: String,
    /// Where its first header block starts in the uncompressed tar, in bytes; `None` without a tar
    /// or an entry.
    pub offset: Option<u64>,
    /// What is wrong with this entry; empty if the rule's title is enough.
    pub detail: String,
}

/// The findings of one rule.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Findings {
    /// How many there are.
    pub count: u64,
    /// The first of them, as many as were asked for.
    pub first: Vec<Finding>,
}

/// The result of checking a layer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// The findings of each broken rule.
    pub rules: BTreeMap<Rule, Findings>,
    /// How many entries were read.
    pub entries: u64,
    /// How many parents the layer was checked with; 0 for a base layer.
    pub parents: usize,
    /// Whether the whole layer was read. If not, only the entries before the damage were checked,
    /// one by one.
    pub is_complete: bool,
    limit: usize,
    has_offsets: bool,
    /// Bytes in the texts of all findings kept.
    kept: usize,
}

/// How many bytes the texts of all findings together may have; each rule keeps at least one finding.
const MAX_KEPT: usize = 64 << 20;

impl Report {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            limit,
            has_offsets: true,
            ..Self::default()
        }
    }

    pub(crate) fn add(
        &mut self,
        rule: Rule,
        entry: impl Into<String>,
        offset: Option<u64>,
        detail: impl Into<String>,
    ) {
        let findings = self.rules.entry(rule).or_default();
        findings.count += 1;
        if findings.first.len() >= self.limit {
            return;
        }
        let (entry, detail) = (entry.into(), detail.into());
        let kept = self.kept + entry.len() + detail.len();
        if kept > MAX_KEPT && !findings.first.is_empty() {
            return;
        }
        self.kept = kept;
        findings.first.push(Finding {
            rule,
            entry,
            offset: offset.filter(|_| self.has_offsets),
            detail,
        });
    }

    /// Adds an entry that breaks a rule, in the words of an import that refuses it.
    pub(crate) fn add_breach(&mut self, error: RuleError) {
        let Some(rule) = error.breach.rule() else {
            return;
        };
        let breach = match self.has_offsets {
            true => error.breach,
            false => error.breach.without_offset(),
        };
        self.add(rule, error.entry, error.offset, breach.to_string());
    }

    /// Returns the number of findings of a severity.
    pub fn count(&self, severity: Severity) -> u64 {
        self.rules
            .iter()
            .filter(|(rule, _)| rule.info().severity == severity)
            .map(|(_, findings)| findings.count)
            .sum()
    }

    /// Iterates over the broken rules with their findings: errors first, then in the table's order.
    pub fn by_severity(&self) -> impl Iterator<Item = (Rule, &Findings)> {
        [Severity::Error, Severity::Warning, Severity::Note]
            .into_iter()
            .flat_map(|severity| {
                let rules = self.rules.iter();
                rules.filter(move |(rule, _)| rule.info().severity == severity)
            })
            .map(|(rule, findings)| (*rule, findings))
    }
}

/// How to check a layer.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ValidateOptions {
    /// The parents, nearest first. If empty, the parents that the layer itself names; a layer that
    /// names none is a base layer.
    pub parents: ParentChain<LayerRef>,
    /// Whether the layer has parents that cannot be read, such as Windows layers: rules that depend
    /// on the parents are not checked.
    pub has_unknown_parents: bool,
    /// How many findings of each rule to keep, up to 64 MiB of text in total; all are counted.
    pub limit: usize,
}

setters!(ValidateOptions { parents: ParentChain<LayerRef>, has_unknown_parents: bool, limit: usize });

impl Default for ValidateOptions {
    fn default() -> Self {
        Self {
            parents: ParentChain::none(),
            has_unknown_parents: false,
            limit: 10,
        }
    }
}

/// Checks a portable layer, a transport folder or a layer tar (plain, gzip or zstd) against all
/// rules.
///
/// ```
/// use wclayer::validate::{Severity, ValidateOptions, validate};
///
/// let layer = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/sample/app.tar.gz");
/// let report = validate(layer, &ValidateOptions::default(), &())?;
/// for (rule, findings) in report.by_severity() {
///     println!("{}: {}", rule.info().id, findings.count);
/// }
/// // Without parents, it is checked as a base layer.
/// assert!(report.count(Severity::Error) > 0);
/// # Ok::<(), wclayer::Error>(())
/// ```
///
/// # Errors
///
/// Returns [`Error::NotFound`](crate::Error::NotFound), [`Error::NotALayer`](crate::Error::NotALayer)
/// or [`Error::WrongKind`](crate::Error::WrongKind) if there is no layer to check,
/// [`Error::Cancelled`](crate::Error::Cancelled), or an error if a file or a parent cannot be read.
/// Faults of the layer are not errors but findings in the report.
pub fn validate(
    layer: impl Into<LayerRef>,
    options: &ValidateOptions,
    progress: &dyn Progress,
) -> Result<Report> {
    source::validate(&layer.into(), options, progress)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn findings_with_long_texts_are_counted_and_not_all_kept() {
        let mut report = Report::new(usize::MAX);
        let name = "n".repeat(1 << 20);
        for _ in 0..100 {
            report.add(Rule::Duplicate, &*name, Some(0), "");
        }
        report.add(Rule::CaseTwin, &*name, Some(0), "");
        report.add(Rule::CaseTwin, &*name, Some(0), "");
        let of = |rule| (report.rules[&rule].count, report.rules[&rule].first.len());
        assert_eq!(of(Rule::Duplicate), (100, 64));
        assert_eq!(of(Rule::CaseTwin), (2, 1));
    }
}
