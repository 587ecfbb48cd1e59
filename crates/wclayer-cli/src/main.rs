//! `wclayer`: Windows container image layers on the command line.
//!
//! [`cli`] describes the arguments. [`commands`] has a file for each command, which calls the
//! library and passes its result to [`output`] or an error to [`errors`]; [`hints`] adds advice. Exit
//! codes: 0 success, 1 failure, 2 wrong usage, 130 stopped by Ctrl-C; `diff` and `validate` fail
//! with 2, since 1 is one of their answers.

mod cli;
mod commands;
mod errors;
mod escape;
mod file_argument;
mod hints;
mod layer_view;
mod list_json;
mod memory;
mod node_view;
mod output;
mod path_argument;
mod progress;
mod signals;
mod sparse_sink;
mod units;

use std::panic::{self, AssertUnwindSafe, PanicHookInfo};
use std::process::ExitCode;

use crate::output::Output;

#[global_allocator]
static ALLOCATOR: memory::Allocator = memory::Allocator;

fn main() -> ExitCode {
    panic::set_hook(Box::new(report_fault));
    let arguments = match cli::parse() {
        Ok(arguments) => arguments,
        Err(error) => return cli::report(error),
    };
    let failed = arguments.command.0.exit_code_of_failure();
    panic::catch_unwind(AssertUnwindSafe(|| run(arguments, failed)))
        .unwrap_or(ExitCode::from(failed))
}

fn run(arguments: cli::Arguments, failed: u8) -> ExitCode {
    let output = Output::new(&arguments.global, arguments.command.0.wants_json());
    match signals::start().and_then(|()| arguments.command.0.run(&output)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => errors::report(&error, failed, &output),
    }
}

/// Reports a bug in the program, instead of a backtrace.
fn report_fault(panic: &PanicHookInfo<'_>) {
    let place = panic
        .location()
        .map(|place| format!(" ({}:{})", place.file(), place.line()));
    let payload = panic.payload();
    let message = payload.downcast_ref::<&str>().copied();
    let message = message.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    let message = message.unwrap_or("no message");
    let message = format!("wclayer has a bug: {message}{}", place.unwrap_or_default());
    output::print_error(
        &message,
        &[],
        Some("Please report it, together with the command that you ran."),
    );
}
