//! The suite: runs every vector against the code of this project.
//!
//! Each kind of vector has a module that finds its cases and runs them. A case matches, differs in
//! a way listed in [`differences`], or fails. `WCLAYER_VECTORS` selects another folder of vectors
//! than the copy in this package; an argument selects the cases whose `kind/name` contains it.

mod backup_stream;
mod backup_to_tar;
mod case;
mod differences;
mod ea;
mod expected;
mod export;
mod folder;
mod folder_export;
mod import;
mod layer;
mod legacy_writer;
mod portable;
mod reparse;
mod report;
mod sddl;
mod source;
mod spelling;
mod tar_diff;
mod time;

use std::path::Path;
use std::process::ExitCode;

use case::Case;
use report::Report;
use vectors::{Check, files};

/// Finds the cases of one kind below the folder of all vectors.
type Find = fn(&Path) -> Check<Vec<Case>>;

/// The kinds of vectors.
const KINDS: [(&str, Find); 13] = [
    ("import", |root| import::cases(&root.join("import"))),
    ("real_layers", |root| {
        import::cases(&root.join("real_layers"))
    }),
    ("portable", portable::cases),
    ("backup_to_tar", |root| {
        backup_to_tar::cases(&root.join("backup_to_tar"))
    }),
    ("export", |root| export::cases(&root.join("export"))),
    ("legacy_writer", legacy_writer::cases),
    ("base_export", |root| {
        folder_export::cases(&root.join("base_export"), folder_export::Kind::Base)
    }),
    ("transport_export", |root| {
        folder_export::cases(
            &root.join("transport_export"),
            folder_export::Kind::Transport,
        )
    }),
    ("reparse", |root| reparse::cases(&root.join("reparse.json"))),
    ("ea", |root| ea::cases(&root.join("ea.json"))),
    ("sddl", |root| sddl::cases(&root.join("sddl.json"))),
    ("time", |root| time::cases(&root.join("time.json"))),
    ("backup_stream", |root| {
        backup_stream::cases(&root.join("backupstream.json"))
    }),
];

/// Test runner arguments that take a value.
const WITH_VALUE: [&str; 6] = [
    "--color",
    "--format",
    "--logfile",
    "--skip",
    "--test-threads",
    "--shuffle-seed",
];

/// The part of the command line that applies here.
#[derive(Default)]
struct Arguments {
    filters: Vec<String>,
    exact: bool,
    list: bool,
    ignored: bool,
}

impl Arguments {
    fn parse(mut arguments: impl Iterator<Item = String>) -> Self {
        let mut parsed = Self::default();
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--exact" => parsed.exact = true,
                "--list" => parsed.list = true,
                "--ignored" => parsed.ignored = true,
                option if WITH_VALUE.contains(&option) => drop(arguments.next()),
                option if option.starts_with('-') => {}
                filter => parsed.filters.push(filter.to_owned()),
            }
        }
        parsed
    }

    /// Returns whether to run a case, selected by its own name or by its kind.
    fn wants(&self, kind: &str, name: &str) -> bool {
        let full = format!("{kind}/{name}");
        self.filters.is_empty()
            || self.filters.iter().any(|filter| match self.exact {
                true => *filter == full || filter == kind,
                false => full.contains(filter.as_str()),
            })
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse(std::env::args().skip(1));
    if arguments.list {
        // One test per kind; none are ignored.
        KINDS
            .iter()
            .filter(|_| !arguments.ignored)
            .for_each(|(kind, _)| println!("{kind}: test"));
        return ExitCode::SUCCESS;
    }
    let root = files::folder();
    let mut report = Report::default();
    for (kind, find) in KINDS.iter().filter(|_| !arguments.ignored) {
        match find(&root) {
            Ok(cases) => cases
                .into_iter()
                .filter(|case| arguments.wants(kind, &case.name))
                .for_each(|case| report.run(kind, case)),
            Err(error) => report.fail(kind, "(loading)", &error),
        }
    }
    if report.is_empty() && arguments.filters.is_empty() && !arguments.ignored {
        report.fail(
            "(all)",
            "(loading)",
            &format!("no vectors in {}", root.display()),
        );
    }
    report.print(&KINDS.map(|(kind, _)| kind))
}
