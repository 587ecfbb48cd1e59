//! `wclayer`: Windows container image layers on the command line.
//!
//! [`cli`] describes the arguments, [`commands`] has a file for each command, which calls the
//! library and hands its result to [`output`], or an error to [`errors`]. Exit codes: 0 done, 1
//! failed, 2 wrong usage.

mod cli;
mod commands;
mod errors;
mod escape;
mod input_hints;
mod layer_view;
mod list_json;
mod node_view;
mod output;
mod path_argument;
mod progress;
mod signals;
mod units;

use std::panic::{self, PanicHookInfo};
use std::process::ExitCode;

use crate::output::Output;

fn main() -> ExitCode {
    panic::set_hook(Box::new(report_fault));
    panic::catch_unwind(run).unwrap_or(ExitCode::from(errors::FAILED))
}

fn run() -> ExitCode {
    let arguments = match cli::parse() {
        Ok(arguments) => arguments,
        Err(error) => return cli::report(error),
    };
    let output = Output::new(&arguments.global, arguments.command.wants_json());
    match commands::run(arguments.command, &output) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => errors::report(&error, &output),
    }
}

/// Says that the program itself is at fault, in place of a backtrace.
fn report_fault(panic: &PanicHookInfo<'_>) {
    let place = panic
        .location()
        .map(|place| format!(" ({}:{})", place.file(), place.line()));
    let payload = panic.payload();
    let message = payload.downcast_ref::<&str>().copied();
    let message = message.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    let message = message.unwrap_or("no message");
    let message = format!(
        "wclayer has a fault: {message}{}",
        place.unwrap_or_default()
    );
    output::print_error(
        &message,
        &[],
        Some("Please report it, with the command that you gave."),
    );
}
