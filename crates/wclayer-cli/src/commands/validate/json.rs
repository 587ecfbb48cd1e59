//! The report, and the explanation of rules, as JSON (`docs/json.md`).

use std::path::Path;

use serde::Serialize;
use wclayer::rules::{Rule, Severity};
use wclayer::validate::{Findings, Report};

use crate::file_argument::is_dash;
use crate::layer_view;

/// The result as JSON.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ReportJson<'a> {
    /// `None` for standard input.
    path: Option<String>,
    parent_count: usize,
    entry_count: u64,
    complete: bool,
    error_count: u64,
    warning_count: u64,
    note_count: u64,
    rules: Vec<BrokenJson<'a>>,
}

/// Explanations of rules as JSON.
#[derive(Debug, Serialize)]
pub(super) struct RulesJson {
    pub(super) rules: Vec<RuleJson>,
}

#[derive(Debug, Serialize)]
pub(super) struct RuleJson {
    id: &'static str,
    severity: &'static str,
    title: &'static str,
    effect: &'static str,
    fix: &'static str,
}

#[derive(Debug, Serialize)]
struct BrokenJson<'a> {
    #[serde(flatten)]
    rule: RuleJson,
    count: u64,
    findings: Vec<FindingJson<'a>>,
}

#[derive(Debug, Serialize)]
struct FindingJson<'a> {
    entry: Option<&'a str>,
    offset: Option<u64>,
    detail: &'a str,
}

impl<'a> ReportJson<'a> {
    pub(super) fn new(layer: &Path, report: &'a Report) -> Self {
        Self {
            path: (!is_dash(layer)).then(|| layer_view::absolute(layer)),
            parent_count: report.parents,
            entry_count: report.entries,
            complete: report.is_complete,
            error_count: report.count(Severity::Error),
            warning_count: report.count(Severity::Warning),
            note_count: report.count(Severity::Note),
            rules: report.by_severity().map(BrokenJson::new).collect(),
        }
    }
}

impl RuleJson {
    pub(super) fn new(rule: Rule) -> Self {
        let info = rule.info();
        Self {
            id: info.id,
            severity: info.severity.name(),
            title: info.title,
            effect: info.effect,
            fix: info.fix,
        }
    }
}

impl<'a> BrokenJson<'a> {
    fn new((rule, findings): (Rule, &'a Findings)) -> Self {
        let first = findings.first.iter().map(|finding| FindingJson {
            entry: Some(&*finding.entry).filter(|entry| !entry.is_empty()),
            offset: finding.offset,
            detail: &finding.detail,
        });
        Self {
            rule: RuleJson::new(rule),
            count: findings.count,
            findings: first.collect(),
        }
    }
}
