//! The findings that `import` prints: all errors below a failed import, a warning after a portable one.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use wclayer::portable::PortableLayer;
use wclayer::rules::{Rule, Severity};
use wclayer::validate::{self, ValidateOptions};
use wclayer::{ErrorKind, ParentChain};

use super::check;
use super::text::{Entry, counted, shortened};
use crate::errors::CliError;
use crate::escape::escaped;
use crate::output::Output;
use crate::progress::Bar;
use crate::signals;

/// How many findings are shown below a failed import.
const SHOWN_OF_IMPORT: usize = 10;
/// How many rules the warning after an import names.
const RULES_OF_WARNING: usize = 3;

/// Prints all errors in the tar below the error of a failed import. Prints nothing if the check
/// fails.
pub(in crate::commands) fn print_errors(tar: &Path, parents: &[PathBuf], output: &Output) {
    let mut options = ValidateOptions::default()
        .parents(ParentChain::from_nearest_first(parents))
        .limit(SHOWN_OF_IMPORT);
    let mut checked = check(tar, &options, output);
    if let Err(CliError::Layer(error)) = &checked
        && error.kind() != ErrorKind::Cancelled
        && !parents.is_empty()
    {
        // Windows layers cannot be read as parents.
        options.has_unknown_parents = true;
        checked = check(tar, &options, output);
    }
    let Ok(report) = checked else {
        return;
    };
    let errors = report.count(Severity::Error);
    // The error of the import already reports this.
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

/// Warns if an imported layer breaks rules that Windows checks. Does not read the tar again, and
/// ignores a failure to check.
pub(in crate::commands) fn warn_about(layer: &PortableLayer, output: &Output) {
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
        "Windows will fail to import this layer, or containers will fail to start: at least {} ({}); \
         run `wclayer validate {}` for details",
        counted(errors, "error"),
        ids.join(", "),
        escaped(&layer.path().to_string_lossy()),
    ));
}
