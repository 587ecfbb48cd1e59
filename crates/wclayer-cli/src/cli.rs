//! The command line: global options, the list of commands, and what happens to wrong usage.
//!
//! The arguments of a command are beside its code in [`crate::commands`]. Options, their short
//! forms and their defaults are those of hcsshim's `wclayer`, so that scripts written for it go
//! on working; what is new stands beside them.
//!
//! Source: hcsshim `cmd/wclayer`.

use std::env;
use std::ffi::{OsStr, OsString};
use std::io::Write;
use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{ArgAction, Args, ColorChoice, CommandFactory, FromArgMatches, Parser, ValueEnum};

use crate::commands::{self, NOT_LONG};
use crate::errors::{FAILED, WRONG_USAGE};
use crate::output;

const EXAMPLES: &str = "\
Examples:
  wclayer import -i base.tar.gz layers/base
  wclayer import -l layers/base -i app.tar.gz layers/app
  wclayer info layers/app
  wclayer export -z -o app.tar.gz layers/app

Exit codes: 0 done, 1 failed, 2 wrong usage, 130 stopped by Ctrl-C. Of diff and validate: 0 equal,
no errors; 1 different, errors found; 2 failed, wrong usage.";

/// Windows Container layer utility
///
/// wclayer manipulates the storage layers of Windows containers, on any system. It imports layers
/// from OCI layer tar files and exports them again. A portable layer is a folder with the tar, an
/// index of it and the list of its parents, given back bit for bit; on Windows with the Host Compute
/// Service, layers that containers run from are made, mounted and removed as well.
#[derive(Parser)]
#[command(name = "wclayer", version, after_long_help = EXAMPLES, arg_required_else_help = true)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) global: GlobalOptions,
    #[command(subcommand)]
    pub(crate) command: commands::Chosen,
}

// Not a doc comment: clap would take it for the program's description.
// The options that every command takes.
#[derive(Debug, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct GlobalOptions {
    /// Print nothing but errors and what was asked for: no progress, warnings or summaries
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
    /// Print the steps on stderr; given twice, with the time of each
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub(crate) verbose: u8,
    /// When to use colour
    #[arg(long, global = true, value_name = "WHEN", default_value_t)]
    pub(crate) color: ColorChoice,
}

/// Returns the whole command line as clap describes it.
pub(crate) fn command() -> clap::Command {
    let mut command = Arguments::command();
    command.build();
    // The reference has the same short form.
    command.mut_subcommand("help", |help| help.visible_alias("h"))
}

/// Reads the program's arguments.
pub(crate) fn parse() -> Result<Arguments, clap::Error> {
    let color = color_choice(env::args_os());
    output::set_color(color);
    let matches = command().color(color).try_get_matches()?;
    let arguments = Arguments::from_arg_matches(&matches)?;
    match arguments.command.0.conflict() {
        Some(conflict) => Err(command().error(ErrorKind::ArgumentConflict, conflict)),
        None => Ok(arguments),
    }
}

/// Prints help, the version, or what is wrong with the usage.
pub(crate) fn report(error: clap::Error) -> ExitCode {
    match error.kind() {
        // As the reference answers an empty command line.
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            let printed = output::print(&error.render().ansi());
            ExitCode::from(if printed.is_ok() { 0 } else { FAILED })
        }
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            let printed = error.print().and_then(|()| std::io::stdout().flush());
            match printed {
                // A reader that has seen enough is not a failure.
                Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
                    ExitCode::from(FAILED)
                }
                _ => ExitCode::SUCCESS,
            }
        }
        _ => report_wrong_usage(error),
    }
}

fn report_wrong_usage(mut error: clap::Error) -> ExitCode {
    let message = error.render().to_string();
    let arguments: Vec<OsString> = env::args_os().collect();
    let hint = hint(&error, &arguments);
    if let Some(hint) = hint {
        let tip = ContextValue::StyledStrs(vec![hint.into()]);
        error.insert(ContextKind::Suggested, tip);
    }
    let _ = error.print();
    if arguments.iter().any(|argument| argument == "--json") {
        output::print_usage_error_json(&message, hint);
    }
    ExitCode::from(WRONG_USAGE)
}

/// Returns what may have been meant by a command line that is wrong.
fn hint(error: &clap::Error, arguments: &[OsString]) -> Option<&'static str> {
    let is_option = |argument: &&OsString| argument.as_encoded_bytes().starts_with(b"-");
    let command = arguments
        .iter()
        .skip(1)
        .find(|argument| !is_option(argument));
    let is_ls = command.is_some_and(|command| command == "ls");
    // `ls -l LAYER` lacks the layer, `ls LAYER -l` the parent.
    let names_none = match error.kind() {
        ErrorKind::MissingRequiredArgument | ErrorKind::UnknownArgument => true,
        ErrorKind::InvalidValue | ErrorKind::TooFewValues => {
            error.get(ContextKind::InvalidValue).is_none_or(is_empty)
        }
        _ => false,
    };
    let is_long = |argument: &OsString| {
        let letters = argument.to_str().and_then(|text| text.strip_prefix('-'));
        letters.is_some_and(|letters| !letters.starts_with('-') && letters.contains('l'))
    };
    (is_ls && names_none && arguments.iter().any(is_long)).then_some(NOT_LONG)
}

fn is_empty(value: &ContextValue) -> bool {
    matches!(value, ContextValue::String(text) if text.is_empty())
}

/// Finds `--color` before clap does, whose own messages follow it too.
fn color_choice(arguments: impl Iterator<Item = OsString>) -> ColorChoice {
    let arguments: Vec<OsString> = arguments.take_while(|argument| argument != "--").collect();
    let joined = |argument: &OsString| {
        argument
            .to_str()
            .and_then(|text| text.strip_prefix("--color="))
            .map(str::to_owned)
    };
    let separate = |pair: &[OsString]| {
        (pair[0] == OsStr::new("--color")).then(|| pair[1].to_string_lossy().into_owned())
    };
    arguments
        .iter()
        .find_map(joined)
        .or_else(|| arguments.windows(2).find_map(separate))
        .and_then(|value| ColorChoice::from_str(&value, false).ok())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_description_is_consistent() {
        command().debug_assert();
    }

    #[test]
    fn colour_is_found_in_both_spellings_and_not_behind_the_end_of_options() {
        let choice = |line: &str| color_choice(line.split(' ').map(OsString::from));
        assert_eq!(choice("wclayer --color never info x"), ColorChoice::Never);
        assert_eq!(choice("wclayer info --color=always x"), ColorChoice::Always);
        assert_eq!(choice("wclayer info -- --color=always"), ColorChoice::Auto);
        assert_eq!(choice("wclayer info --color"), ColorChoice::Auto);
    }
}
