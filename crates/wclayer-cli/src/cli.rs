//! The command line: global options, and the reports of wrong usage.
//!
//! The arguments of each command are next to its code in [`crate::commands`]. Options keep the
//! names, short forms and defaults of hcsshim's `wclayer`, so that scripts written for it continue
//! to work.
//!
//! Source: hcsshim `cmd/wclayer`.

use std::env;
use std::ffi::{OsStr, OsString};
use std::io::Write;
use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{ArgAction, Args, ColorChoice, CommandFactory, FromArgMatches, Parser, ValueEnum};

use crate::commands;
use crate::errors::{FAILED, WRONG_USAGE};
use crate::hints;
use crate::output;

const EXAMPLES: &str = "\
Examples:
  wclayer import -i base.tar.gz layers/base
  wclayer import -l layers/base -i app.tar.gz layers/app
  wclayer info layers/app
  wclayer export -z -o app.tar.gz layers/app

Exit codes: 0 success, 1 failure, 2 wrong usage, 130 stopped by Ctrl-C. diff and validate exit with
0 if there are no differences or errors, 1 if there are, and 2 on failure or wrong usage.";

/// Work with the layers of Windows container images
///
/// wclayer imports OCI layer tars and exports them again, on any system, and lists, compares,
/// extracts and checks their contents. A portable layer is a folder that holds the tar, an index of
/// it and the list of its parents; exporting it restores the tar bit for bit. On Windows with the
/// Host Compute Service, wclayer also makes, mounts and removes the layers that containers run from.
#[derive(Parser)]
#[command(name = "wclayer", version, after_long_help = EXAMPLES, arg_required_else_help = true)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) global: GlobalOptions,
    #[command(subcommand)]
    pub(crate) command: commands::Chosen,
}

// Not a doc comment: clap would use it as the description of the program.
// The options of every command.
#[derive(Debug, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct GlobalOptions {
    /// Print only results and errors: no progress, warnings or summaries
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
    /// Print each step to stderr; repeat to include times
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub(crate) verbose: u8,
    /// Use colour
    #[arg(long, global = true, value_name = "WHEN", default_value_t)]
    pub(crate) color: ColorChoice,
}

/// Returns clap's description of the whole command line.
pub(crate) fn command() -> clap::Command {
    let mut command = Arguments::command();
    command.build();
    // hcsshim's `wclayer` has the same alias.
    command.mut_subcommand("help", |help| help.visible_alias("h"))
}

/// Parses the program's arguments.
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

/// Prints help, the version, or an error about the usage.
pub(crate) fn report(error: clap::Error) -> ExitCode {
    match error.kind() {
        // hcsshim's `wclayer` also succeeds without arguments.
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            let printed = output::print(&error.render().ansi());
            ExitCode::from(if printed.is_ok() { 0 } else { FAILED })
        }
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            let printed = error.print().and_then(|()| std::io::stdout().flush());
            match printed {
                // A reader that stops early is not a failure.
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

/// Returns a hint about a likely mistake in the command line.
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
    (is_ls && names_none && arguments.iter().any(is_long)).then_some(hints::NOT_LONG)
}

fn is_empty(value: &ContextValue) -> bool {
    matches!(value, ContextValue::String(text) if text.is_empty())
}

/// Finds `--color` before clap parses the arguments, since it also applies to clap's messages.
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
    fn colour_is_found_in_both_spellings_and_not_after_the_end_of_options() {
        let choice = |line: &str| color_choice(line.split(' ').map(OsString::from));
        assert_eq!(choice("wclayer --color never info x"), ColorChoice::Never);
        assert_eq!(choice("wclayer info --color=always x"), ColorChoice::Always);
        assert_eq!(choice("wclayer info -- --color=always"), ColorChoice::Auto);
        assert_eq!(choice("wclayer info --color"), ColorChoice::Auto);
    }
}
