//! `validate`: why a layer will not import, or misbehave.

use std::fmt::{self, Write as _};
use std::fs;
use std::path::{Path, PathBuf};

use anstyle::{AnsiColor, Style};
use clap::builder::PossibleValuesParser;
use clap::{Args, ValueEnum};
use serde::Serialize;
use wclayer::portable::PortableLayer;
use wclayer::rules::{Rule, Severity};
use wclayer::source;
use wclayer::validate::{self, Finding, Findings, Report, ValidateOptions};
use wclayer::{ErrorKind, ParentChain};

use super::import::Source;
use super::view_options;
use crate::errors::CliError;
use crate::escape::escaped;
use crate::file_argument::{STDIN, is_dash};
use crate::layer_view;
use crate::output::Output;
use crate::progress::Bar;
use crate::signals;

const EXAMPLES: &str = "\
Examples:
  wclayer validate base.tar.gz
  curl -sL URL | wclayer validate -
  wclayer validate -l layers/base --deny warnings app.tar.gz
  wclayer validate --explain parent-missing

Exit codes: 0 no errors, 1 errors (or warnings, with --deny warnings), 2 failed, wrong usage.";
/// How many findings of each rule are shown without --all.
const SHOWN: usize = 10;
/// How many findings of each rule are shown with --all, so that memory is bounded.
const SHOWN_AT_MOST: usize = 100_000;
/// How many findings are shown below a failed import.
const SHOWN_OF_IMPORT: usize = 10;
/// How many rules are named when a layer was imported that breaks them.
const RULES_OF_WARNING: usize = 3;
/// Entries with longer names are not aligned, in characters.
const WIDEST: usize = 60;
/// Of longer names and details only the start and the end are shown, in characters.
const LONGEST: usize = 400;
const BOLD: Style = Style::new().bold();

/// Check a layer by every rule: why it will not import, or misbehave
///
/// Takes a layer tar (plain, gzip or zstd), a portable layer or a transport folder. An import stops
/// at the first thing that is wrong; this goes on, and tells of each what will happen and what to do
/// about it. The rules on parents need these: named with -l, or stored with the layer. A layer
/// without parents is checked as a base layer. With --quiet only the exit code tells: 1 for errors,
/// 2 when the check failed.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// Parent layer: a folder or a tar; repeat it for each, nearest parent first
    ///
    /// When only the nearest is given, its own parents are found by themselves.
    #[arg(short, long = "layer", value_name = "PARENT")]
    layers: Vec<PathBuf>,
    /// Show every finding (100,000 of a rule and 64 MiB in all at most), not the first 10 of a rule
    #[arg(long)]
    all: bool,
    /// Exit with 1 for these as well
    #[arg(long, value_name = "WHAT")]
    deny: Option<Deny>,
    /// Print what a rule means, or all of them, instead of checking
    #[arg(long, value_name = "ID|all", value_parser = rule_ids(), hide_possible_values = true)]
    explain: Option<String>,
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
    /// Layer to check; `-` for a tar on stdin
    #[arg(value_name = "LAYER", required_unless_present = "explain")]
    layer: Option<PathBuf>,
}

/// What is no better than an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Deny {
    /// What misbehaves after the import
    Warnings,
}

fn rule_ids() -> PossibleValuesParser {
    let ids = Rule::ALL.iter().map(|rule| rule.info().id);
    PossibleValuesParser::new(ids.chain(["all"]))
}

/// Checks a layer, or explains rules.
pub(crate) fn run(arguments: &Arguments, output: &Output) -> Result<(), CliError> {
    if let Some(id) = &arguments.explain {
        return explain(id, output);
    }
    let Some(layer) = &arguments.layer else {
        return Ok(());
    };
    let limit = if arguments.all { SHOWN_AT_MOST } else { SHOWN };
    let options = ValidateOptions {
        parents: ParentChain::from_nearest_first(&arguments.layers),
        limit,
        ..ValidateOptions::default()
    };
    view_options::check_places(&arguments.layers)?;
    let report = check(layer, &options, output)?;
    let shown = Shown {
        layer,
        report: &report,
    };
    output.result(&shown, &ReportJson::new(layer, &report))?;
    let denied = match arguments.deny {
        Some(Deny::Warnings) => report.count(Severity::Warning),
        None => 0,
    };
    match report.count(Severity::Error) + denied {
        0 => Ok(()),
        _ => Err(CliError::Found),
    }
}

fn check(layer: &Path, options: &ValidateOptions, output: &Output) -> Result<Report, CliError> {
    if is_dash(layer) {
        return check_stdin(options, output);
    }
    let found = fs::metadata(layer).ok().filter(fs::Metadata::is_file);
    let progress = Bar::start(output, found.map(|found| found.len()), signals::watch()?);
    Ok(validate::validate(layer, options, &progress)?)
}

fn check_stdin(options: &ValidateOptions, output: &Output) -> Result<Report, CliError> {
    let tar = Source::open(None)?;
    let progress = Bar::start(output, None, signals::watch()?);
    let parents = source::open_parents(&options.parents, &progress)?;
    let limit = options.limit;
    Ok(validate::validate_tar(
        tar.bytes,
        parents.as_ref(),
        limit,
        &progress,
    )?)
}

/// Prints, below the error of a failed import, all that is wrong with the tar. Says nothing where
/// that cannot be found out.
pub(super) fn tell_errors(tar: &Path, parents: &[PathBuf], output: &Output) {
    let mut options = ValidateOptions {
        parents: ParentChain::from_nearest_first(parents),
        limit: SHOWN_OF_IMPORT,
        ..ValidateOptions::default()
    };
    let mut checked = check(tar, &options, output);
    if let Err(CliError::Layer(error)) = &checked
        && error.kind() != ErrorKind::Cancelled
        && !parents.is_empty()
    {
        // Layers that Windows runs containers from cannot be looked into.
        options.has_unknown_parents = true;
        checked = check(tar, &options, output);
    }
    let Ok(report) = checked else {
        return;
    };
    let errors = report.count(Severity::Error);
    // The error itself names what is not a layer.
    if errors == 0 || report.rules.contains_key(&Rule::NotALayer) {
        return;
    }
    let findings = report.by_severity();
    let findings = findings.filter(|(rule, _)| rule.info().severity == Severity::Error);
    let mut text = format!("`wclayer validate` finds {}:\n", counted(errors, "error"));
    let mut left = SHOWN_OF_IMPORT;
    for (rule, found) in findings {
        for finding in found.first.iter().take(left) {
            left -= 1;
            let what = match finding.detail.is_empty() {
                true => rule.info().title,
                false => &finding.detail,
            };
            let entry = Entry(finding);
            let _ = writeln!(text, "  {}: {entry}: {}", rule.info().id, shortened(what));
        }
    }
    if errors > SHOWN_OF_IMPORT as u64 {
        let _ = writeln!(text, "  and {} more", errors - SHOWN_OF_IMPORT as u64);
    }
    output.below_error(&text);
}

/// Warns when a layer that was imported breaks rules that imports to Windows check. Its tar is not
/// read again; what goes wrong is not worth an error.
pub(super) fn warn_of(layer: &PortableLayer, output: &Output) {
    if output.is_quiet() {
        return;
    }
    let checked = signals::watch().map(|cancel| {
        let progress = Bar::start(output, None, cancel);
        validate::validate_stored(layer, 1, &progress)
    });
    let Ok(Ok(report)) = checked else {
        return;
    };
    let errors = report.count(Severity::Error);
    if errors == 0 {
        return;
    }
    let broken = report.by_severity().map(|(rule, _)| rule.info());
    let ids = broken.filter(|rule| rule.severity == Severity::Error);
    let mut ids: Vec<&str> = ids.map(|rule| rule.id).collect();
    if ids.len() > RULES_OF_WARNING {
        ids.truncate(RULES_OF_WARNING);
        ids.push("…");
    }
    output.warn(&format!(
        "the layer will not import to Windows, or not run: at least {} ({}); `wclayer validate {}` \
         shows all",
        counted(errors, "error"),
        ids.join(", "),
        escaped(&layer.path().to_string_lossy()),
    ));
}

/// A report for people.
struct Shown<'a> {
    layer: &'a Path,
    report: &'a Report,
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (rule, findings) in self.report.by_severity() {
            write_rule(f, rule, Some(findings.count))?;
            write_findings(f, findings)?;
            writeln!(f)?;
        }
        let report = self.report;
        let name = match is_dash(self.layer) {
            true => STDIN.into(),
            false => self.layer.to_string_lossy(),
        };
        write!(
            f,
            "{BOLD}`{}`{BOLD:#}: {}, {}, {} in {}",
            escaped(&name),
            counted(report.count(Severity::Error), "error"),
            counted(report.count(Severity::Warning), "warning"),
            counted(report.count(Severity::Note), "note"),
            counted(report.entries, "entry"),
        )?;
        match report.parents {
            0 => write!(f, ", as a base layer")?,
            parents => write!(f, ", on top of {}", counted(parents as u64, "layer"))?,
        }
        match report.is_complete {
            true => writeln!(f),
            false => writeln!(f, ", up to the damage"),
        }
    }
}

fn write_rule(f: &mut impl fmt::Write, rule: Rule, count: Option<u64>) -> fmt::Result {
    let info = rule.info();
    let style = match info.severity {
        Severity::Error => AnsiColor::Red.on_default().bold(),
        Severity::Warning => AnsiColor::Yellow.on_default().bold(),
        Severity::Note => AnsiColor::Cyan.on_default().bold(),
    };
    let name = info.severity.name();
    write!(f, "{style}{name}{style:#} {BOLD}{}{BOLD:#}", info.id)?;
    if let Some(count) = count.filter(|count| *count > 1) {
        write!(f, " ({count} times)")?;
    }
    writeln!(f, "\n  {}", info.title)?;
    writeln!(f, "  What happens: {}", info.effect)?;
    writeln!(f, "  Fix: {}", info.fix)
}

fn write_findings(f: &mut fmt::Formatter<'_>, findings: &Findings) -> fmt::Result {
    let shown = &findings.first;
    let offset = |finding: &Finding| finding.offset.map(|offset| format!("{offset:#x}"));
    let offsets = shown.iter().filter_map(offset).map(|text| text.len());
    let offset_width = offsets.max().unwrap_or(0);
    let names = shown.iter().map(|finding| width(&finding.entry));
    let name_width = names.filter(|width| *width <= WIDEST).max().unwrap_or(0);
    for finding in shown {
        let mut line = String::from("    ");
        if offset_width > 0 {
            let text = offset(finding).unwrap_or_default();
            let _ = write!(line, "{text:>offset_width$}  ");
        }
        let pad = name_width.saturating_sub(width(&finding.entry));
        let (name, detail) = (shortened(&finding.entry), shortened(&finding.detail));
        let _ = write!(line, "{name}{:pad$}  {detail}", "");
        match line.trim() {
            "" => {}
            _ => writeln!(f, "{}", line.trim_end())?,
        }
    }
    match findings.count - shown.len() as u64 {
        0 => Ok(()),
        more if shown.len() <= SHOWN => writeln!(f, "    and {more} more: --all shows them"),
        more => writeln!(f, "    and {more} more"),
    }
}

/// An entry with its place.
struct Entry<'a>(&'a Finding);

impl fmt::Display for Entry<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0.entry.is_empty(), self.0.offset) {
            (true, None) => write!(f, "the layer"),
            (true, Some(offset)) => write!(f, "byte {offset:#x} of the tar"),
            (false, None) => write!(f, "`{}`", shortened(&self.0.entry)),
            (false, Some(offset)) => {
                write!(f, "`{}` at byte {offset:#x}", shortened(&self.0.entry))
            }
        }
    }
}

fn width(text: &str) -> usize {
    escaped(text).chars().count()
}

/// A name or a text as a terminal may show it: of a very long one the start and the end.
fn shortened(text: &str) -> String {
    let text = escaped(text).to_string();
    let count = text.chars().count();
    if count <= LONGEST {
        return text;
    }
    let start: String = text.chars().take(LONGEST - 100).collect();
    let end: String = text.chars().skip(count - 100).collect();
    format!("{start}[…]{end}")
}

fn counted(count: u64, what: &str) -> String {
    match (count, what.strip_suffix('y')) {
        (1, _) => format!("1 {what}"),
        (_, Some(stem)) => format!("{count} {stem}ies"),
        (_, None) => format!("{count} {what}s"),
    }
}

fn explain(id: &str, output: &Output) -> Result<(), CliError> {
    let rules: Vec<Rule> = match Rule::by_id(id) {
        Some(rule) => vec![rule],
        None => Rule::ALL.to_vec(),
    };
    let mut text = String::new();
    for (number, rule) in rules.iter().enumerate() {
        if number > 0 {
            text.push('\n');
        }
        // Writing to a String cannot fail.
        let _ = write_rule(&mut text, *rule, None);
    }
    let rules = rules.into_iter().map(RuleJson::new).collect();
    output.answer(&text, &RulesJson { rules })
}

/// The result as JSON.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ReportJson<'a> {
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

/// Rules, explained.
#[derive(Debug, Serialize)]
struct RulesJson {
    rules: Vec<RuleJson>,
}

#[derive(Debug, Serialize)]
struct RuleJson {
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
    fn new(layer: &Path, report: &'a Report) -> Self {
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
    fn new(rule: Rule) -> Self {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn very_long_names_are_shortened() {
        assert_eq!(shortened("a\u{1b}b"), escaped("a\u{1b}b").to_string());
        let long = format!("Files/{}/end", "ä".repeat(30_000));
        let shown = shortened(&long);
        assert!(shown.starts_with("Files/ä") && shown.ends_with("ä/end"));
        assert!(shown.contains("ä[…]ä") && shown.chars().count() == 403);
    }

    #[test]
    fn counts_are_words() {
        assert_eq!(counted(1, "entry"), "1 entry");
        assert_eq!(counted(0, "entry"), "0 entries");
        assert_eq!(counted(2, "note"), "2 notes");
    }
}
