//! Hints about errors of the command itself.

use super::{NAME_PARENTS, NOT_LONG};
use crate::errors::{CliError, Contentless, Mistake};

/// Returns the hint for an error, if there is one.
pub(crate) fn hint(error: &CliError) -> Option<String> {
    let hint = match error {
        CliError::Layer(error) => return super::of_library(error),
        CliError::InJson(error) => return hint(error),
        CliError::Mistaken(_, mistake) => of_mistake(*mistake),
        #[cfg(not(windows))]
        CliError::NeedsHostCompute { .. } => {
            "Use portable layers: `import`, `export`, `info` and `remove` handle them on every system."
        }
        CliError::CannotReplace => "Delete the existing layer with `wclayer remove` first.",
        CliError::HivesElsewhere => "Omit --hives: other formats need no empty hives.",
        CliError::OutputIsTerminal => "Use -o FILE, or pipe the output into another program.",
        CliError::OutputExists { .. } => {
            "Choose another name, or omit --no-clobber to replace the file."
        }
        CliError::OutputIsLayer { .. } => "Choose another file with -o FILE.",
        CliError::InputIsDash => {
            "Layers are read more than once: save the tar to a file first. `validate -`, `info -` \
             and `import -i -` read standard input; for a file named `-`, write `./-`."
        }
        CliError::InputIsTerminal => "Use -i FILE, or pipe a tar into wclayer.",
        CliError::NoLayerNumber { .. } | CliError::NotInChain { .. } => {
            "Use --verbose to list the layers with their numbers."
        }
        CliError::NoEntry { why, .. } => why,
        CliError::NoContent { what, .. } => match what {
            Contentless::Directory => "Use `wclayer ls` to list it.",
            Contentless::Link(_) => "Use --follow to print its target.",
            Contentless::HardLink(_) => NAME_PARENTS,
        },
        CliError::NotMade { .. } => {
            "Use --json to list the missing entries; everything else was extracted."
        }
        CliError::LinkOutside { .. } | CliError::LinkLoop { .. } => return None,
        CliError::Reported | CliError::Found | CliError::Stdout(_) | CliError::Signals(_) => {
            return None;
        }
    };
    Some(hint.to_owned())
}

fn of_mistake(mistake: Mistake) -> &'static str {
    match mistake {
        Mistake::LongListing => NOT_LONG,
        Mistake::ParentsOfOneSide => {
            "-l names parents of both A and B; use --left-layer or --right-layer for parents of one."
        }
        Mistake::NotATime => {
            "Use --newer with a time (`2024-05-01`, `2024-05-01 12:30+02:00`), `today`, `yesterday`, \
             `2 days ago` (or weeks, hours, minutes), or the path of an entry."
        }
    }
}
