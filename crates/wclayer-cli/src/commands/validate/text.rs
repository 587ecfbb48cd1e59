//! The report, and the explanation of a rule, as text.

use std::fmt::{self, Write as _};
use std::path::Path;

use anstyle::{AnsiColor, Style};
use wclayer::rules::{Rule, Severity};
use wclayer::validate::{Finding, Findings, Report};

use super::SHOWN;
use crate::escape::escaped;
use crate::file_argument::{STDIN, is_dash};

/// The longest name that is aligned, in characters.
const WIDEST: usize = 60;
/// The longest name or detail that is shown in full, in characters.
const LONGEST: usize = 400;
const BOLD: Style = Style::new().bold();

/// A report as text.
pub(super) struct Shown<'a> {
    pub(super) layer: &'a Path,
    pub(super) report: &'a Report,
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
            false => writeln!(f, ", up to the damaged part"),
        }
    }
}

pub(super) fn write_rule(f: &mut impl fmt::Write, rule: Rule, count: Option<u64>) -> fmt::Result {
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
        more if shown.len() <= SHOWN => writeln!(f, "    and {more} more: use --all to show them"),
        more => writeln!(f, "    and {more} more"),
    }
}

/// An entry with its offset.
pub(super) struct Entry<'a>(pub(super) &'a Finding);

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

/// Escapes a text for the terminal, and omits the middle of a very long one.
pub(super) fn shortened(text: &str) -> String {
    let text = escaped(text).to_string();
    let count = text.chars().count();
    if count <= LONGEST {
        return text;
    }
    let start: String = text.chars().take(LONGEST - 100).collect();
    let end: String = text.chars().skip(count - 100).collect();
    format!("{start}[…]{end}")
}

pub(super) fn counted(count: u64, what: &str) -> String {
    match (count, what.strip_suffix('y')) {
        (1, _) => format!("1 {what}"),
        (_, Some(stem)) => format!("{count} {stem}ies"),
        (_, None) => format!("{count} {what}s"),
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
