//! `validate`: checks a layer against all rules.

mod after_import;
mod json;
mod text;

pub(super) use self::after_import::{print_errors, warn_about};

use std::fs;
use std::path::{Path, PathBuf};

use clap::builder::PossibleValuesParser;
use clap::{Args, ValueEnum};
use wclayer::rules::{Rule, Severity};
use wclayer::source;
use wclayer::validate::{self, Report, ValidateOptions};

use self::json::{ReportJson, RuleJson, RulesJson};
use self::text::{Shown, write_rule};
use super::Command;
use super::import::Source;
use super::parent_options::ParentOptions;
use super::view_options;
use crate::errors::{CliError, FAILED_TO_ANSWER};
use crate::file_argument::is_dash;
use crate::output::Output;
use crate::progress::Bar;
use crate::signals;

const EXAMPLES: &str = "\
Examples:
  wclayer validate base.tar.gz
  curl -sL URL | wclayer validate -
  wclayer validate -l layers/base --deny warnings app.tar.gz
  wclayer validate --explain parent-missing

Exit codes: 0 no errors, 1 errors (or warnings with --deny warnings), 2 failure or wrong usage.";
/// How many findings of each rule are shown without --all.
const SHOWN: usize = 10;
/// How many findings of each rule are shown with --all, to bound memory.
const SHOWN_AT_MOST: usize = 100_000;

/// Check a layer for problems that make it fail to import or misbehave at run time
///
/// Checks a layer tar (plain, gzip or zstd), a portable layer or a transport folder. Unlike an
/// import, which stops at the first problem, reports every problem with its effect and its fix. To
/// check references to parents, name them with -l unless the layer records them; a layer without
/// parents is checked as a base layer. With --quiet, prints nothing: the exit code is the answer.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Arguments {
    #[command(flatten)]
    parents: ParentOptions,
    /// Show all findings, not just the first 10 of each rule (limits: 100,000 of a rule, 64 MiB in all)
    #[arg(long)]
    all: bool,
    /// Treat findings of this severity as errors: exit with 1
    #[arg(long, value_name = "WHAT")]
    deny: Option<Deny>,
    /// Explain a rule, or all rules, instead of checking a layer
    #[arg(long, value_name = "ID|all", value_parser = rule_ids(), hide_possible_values = true)]
    explain: Option<String>,
    /// Print a JSON object
    #[arg(long)]
    json: bool,
    /// Layer to check, `-` for a tar on stdin
    #[arg(value_name = "LAYER", required_unless_present = "explain")]
    layer: Option<PathBuf>,
}

/// Findings to treat as errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Deny {
    /// Problems that do not prevent an import
    Warnings,
}

fn rule_ids() -> PossibleValuesParser {
    let ids = Rule::ALL.iter().map(|rule| rule.info().id);
    PossibleValuesParser::new(ids.chain(["all"]))
}

impl Command for Arguments {
    fn run(&self, output: &Output) -> Result<(), CliError> {
        if let Some(id) = &self.explain {
            return explain(id, output);
        }
        let Some(layer) = &self.layer else {
            return Ok(());
        };
        let limit = if self.all { SHOWN_AT_MOST } else { SHOWN };
        let options = ValidateOptions::default()
            .parents(self.parents.chain())
            .limit(limit);
        view_options::check_places(&self.parents.layers)?;
        let report = check(layer, &options, output)?;
        let shown = Shown {
            layer,
            report: &report,
        };
        output.result(&shown, &ReportJson::new(layer, &report))?;
        let denied = match self.deny {
            Some(Deny::Warnings) => report.count(Severity::Warning),
            None => 0,
        };
        match report.count(Severity::Error) + denied {
            0 => Ok(()),
            _ => Err(CliError::Found),
        }
    }

    fn wants_json(&self) -> bool {
        self.json
    }

    fn exit_code_of_failure(&self) -> u8 {
        FAILED_TO_ANSWER
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
