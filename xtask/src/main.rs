//! Tasks of this repository that need more than a cargo command.
//!
//! `cargo xtask bench` measures import and export beside the usual alternatives; `cargo xtask
//! peers` lets other programs read our output. Both build the release binary `wclayer` first and
//! run it like a user. `cargo xtask rules` writes `docs/rules.md`.

mod bench;
mod build;
mod measure;
mod oci;
mod peers;
mod rules;
mod table;

use std::process::ExitCode;

use clap::Parser;

/// The result of a task; errors are only displayed.
type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Tasks of the wclayer repository
#[derive(Parser)]
#[command(bin_name = "cargo xtask")]
enum Task {
    Bench(bench::Options),
    Peers(peers::Options),
    /// Write docs/rules.md from the table of rules
    Rules,
}

fn main() -> ExitCode {
    let result = match Task::parse() {
        Task::Bench(options) => bench::run(&options),
        Task::Peers(options) => peers::run(&options),
        Task::Rules => rules::run(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("Error: {error}");
            ExitCode::FAILURE
        }
    }
}
