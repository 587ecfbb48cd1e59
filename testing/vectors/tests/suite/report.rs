//! Runs cases and counts the outcomes.

use std::collections::BTreeMap;
use std::panic::{self, AssertUnwindSafe};
use std::process::ExitCode;

use crate::case::{Case, Outcome};
use crate::differences::Difference;

/// The outcomes so far.
#[derive(Default)]
pub(crate) struct Report {
    kinds: BTreeMap<&'static str, Counts>,
    differences: BTreeMap<Difference, u32>,
}

#[derive(Default, Clone, Copy)]
struct Counts {
    matched: u32,
    differ: u32,
    unjudged: u32,
    failed: u32,
}

impl Counts {
    fn passed(self) -> u32 {
        self.matched + self.differ + self.unjudged
    }
}

impl Report {
    /// Runs a case; a panic fails only that case.
    pub(crate) fn run(&mut self, kind: &'static str, case: Case) {
        let Case { name, run } = case;
        let result = panic::catch_unwind(AssertUnwindSafe(run))
            .unwrap_or_else(|_| Err("panicked, see the message above".to_owned()));
        let counts = self.kinds.entry(kind).or_default();
        match result {
            Ok(Outcome::Matches) => counts.matched += 1,
            Ok(Outcome::Unjudged) => counts.unjudged += 1,
            Ok(Outcome::Differs(differences)) => {
                counts.differ += 1;
                for difference in differences {
                    *self.differences.entry(difference).or_default() += 1;
                }
            }
            Err(error) => self.fail(kind, &name, &error),
        }
    }

    /// Records and prints a failure.
    pub(crate) fn fail(&mut self, kind: &'static str, name: &str, error: &str) {
        self.kinds.entry(kind).or_default().failed += 1;
        println!("FAILED {kind}/{name}: {error}\n");
    }

    /// Returns whether no case was run.
    pub(crate) fn is_empty(&self) -> bool {
        self.kinds.is_empty()
    }

    /// Prints all counts and returns the result of the whole run.
    pub(crate) fn print(&self, order: &[&str]) -> ExitCode {
        if !self.differences.is_empty() {
            println!("differences on purpose (cases, rule: reason):");
            for (difference, count) in &self.differences {
                println!("{count:5}  {}: {}", difference.rule(), difference.reason());
            }
            println!();
        }
        println!("kind              cases  matched  differ on purpose  not judged  failed");
        for kind in order {
            let counts = self.kinds.get(kind).copied().unwrap_or_default();
            let Counts {
                matched,
                differ,
                unjudged,
                failed,
            } = counts;
            let cases = counts.passed() + failed;
            println!("{kind:16}{cases:7}{matched:9}{differ:19}{unjudged:12}{failed:8}");
        }
        let passed: u32 = self.kinds.values().map(|counts| counts.passed()).sum();
        let failed: u32 = self.kinds.values().map(|counts| counts.failed).sum();
        println!("\n{passed} passed, {failed} failed");
        if failed == 0 {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        }
    }
}
