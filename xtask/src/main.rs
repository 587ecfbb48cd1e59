//! Tasks of this repository that need more than a cargo command.
//!
//! `cargo xtask bench` measures import and export beside the tools people would use instead;
//! `cargo xtask peers` lets other programs read what we write. Both build the release binary
//! `wclayer` first and run it as a user does.

mod bench;
mod build;
mod measure;
mod oci;
mod peers;
mod table;

use std::process::ExitCode;

use clap::Parser;

/// The result of a task: its errors are only shown.
type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Tasks of the wclayer repository.
#[derive(Parser)]
#[command(bin_name = "cargo xtask")]
enum Task {
    Bench(bench::Options),
    Peers(peers::Options),
}

fn main() -> ExitCode {
    let result = match Task::parse() {
        Task::Bench(options) => bench::run(&options),
        Task::Peers(options) => peers::run(&options),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("Error: {error}");
            ExitCode::FAILURE
        }
    }
}
