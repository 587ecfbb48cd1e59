//! Why a layer will not import, or misbehave: every rule, checked on the whole layer.
//!
//! ```text
//! layer → tar → pass: rules on single entries ─→ index ─→ whole: rules on the layer, with its parents
//!               (goes on after what is wrong)            └→ Report: findings by rule
//! ```
//!
//! An import stops at the first thing that is wrong; [`validate`] goes on and collects. [`Rule`] is
//! the table of all rules, which `docs/rules.md` prints. The pass reads the tar once and keeps its
//! index in a temporary folder; then the index is asked about what entries have to do with one
//! another and with the parents, where `portable/check` has the rules that imports share.
//! Memory does not grow with the layer; it holds the findings, as many a rule as are asked for.

mod entry;
mod names;
mod pass;
mod problem;
mod source;
mod stored;
mod streams;
mod whole;

use std::collections::BTreeMap;
use std::path::Path;

pub use crate::rules::{Rule, Severity};
pub use pass::validate_tar;
pub use stored::validate_stored;

use crate::error::Result;
use crate::hub::Progress;
use crate::parent_chain::ParentChain;

/// A place where a layer breaks a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The rule.
    pub rule: Rule,
    /// The entry, as the tar spells it; empty where the layer as a whole is meant.
    pub entry: String,
    /// Where its first header block starts in the uncompressed tar, in bytes; `None` where there is
    /// no tar, or no entry.
    pub offset: Option<u64>,
    /// What is wrong with this one; may be empty where the rule says it all.
    pub detail: String,
}

/// The findings of one rule.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Findings {
    /// How many there are.
    pub count: u64,
    /// The first of them.
    pub first: Vec<Finding>,
}

/// What was found out about a layer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// The findings of each rule that is broken.
    pub rules: BTreeMap<Rule, Findings>,
    /// How many entries were read.
    pub entries: u64,
    /// How many parents it was checked on top of; 0 for a base layer.
    pub parents: usize,
    /// Whether all of the layer was read; else only single entries were checked, up to the damage.
    pub is_complete: bool,
    limit: usize,
    has_offsets: bool,
    /// Bytes of the texts of all findings that are kept.
    kept: usize,
}

/// How many bytes the texts of findings may have in all; each rule keeps its first finding.
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

    /// Returns how many findings there are of a severity.
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

/// How a layer is to be checked.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ValidateOptions {
    /// Its parents, nearest first. When there are none, those that the layer itself names; a layer
    /// that names none is a base layer.
    pub parents: ParentChain,
    /// That there are parents which cannot be read, such as layers of the Host Compute Service:
    /// what the layer has to do with them is not checked.
    pub has_unknown_parents: bool,
    /// How many findings of each rule are kept, with texts of 64 MiB in all; all are counted.
    pub limit: usize,
}

impl ValidateOptions {
    /// Sets `parents`.
    #[must_use]
    pub fn parents(mut self, parents: ParentChain) -> Self {
        self.parents = parents;
        self
    }

    /// Sets `has_unknown_parents`.
    #[must_use]
    pub fn has_unknown_parents(mut self, has_unknown_parents: bool) -> Self {
        self.has_unknown_parents = has_unknown_parents;
        self
    }

    /// Sets `limit`.
    #[must_use]
    pub fn limit(mut self, limit: usize) -> Self {
        self.limit = limit;
        self
    }
}

impl Default for ValidateOptions {
    fn default() -> Self {
        Self {
            parents: ParentChain::none(),
            has_unknown_parents: false,
            limit: 10,
        }
    }
}

/// Checks a layer by all rules: a portable layer, a transport folder or a layer tar (plain, gzip or
/// zstd).
///
/// ```
/// use wclayer::validate::{Severity, ValidateOptions, validate};
///
/// let layer = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/sample/app.tar.gz");
/// let report = validate(layer, &ValidateOptions::default(), &())?;
/// for (rule, findings) in report.by_severity() {
///     println!("{}: {}", rule.info().id, findings.count);
/// }
/// // Without its parents it is taken for a base layer.
/// assert!(report.count(Severity::Error) > 0);
/// # Ok::<(), wclayer::Error>(())
/// ```
///
/// # Errors
///
/// [`Error::NoLayer`](crate::Error::NoLayer) for what is no layer; when a file or a parent cannot be
/// read; [`Error::Cancelled`](crate::Error::Cancelled). What is wrong with the layer is no error
/// here, but in the report.
pub fn validate(
    layer: impl AsRef<Path>,
    options: &ValidateOptions,
    progress: &dyn Progress,
) -> Result<Report> {
    source::validate(layer.as_ref(), options, progress)
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
