//! Hints about errors of the command itself.

use crate::errors::CliError;

/// Returns the hint for an error, if there is one.
pub(crate) fn hint(error: &CliError) -> Option<String> {
    let hint = match error {
        CliError::Layer(error) => return super::of_library(error),
        CliError::InJson(error) => return hint(error),
        CliError::Hinted(_, hint) => hint,
        #[cfg(not(windows))]
        CliError::NeedsHostCompute { .. } => {
            "`import`, `export`, `info` and `remove` handle portable layers on every system."
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
            "--verbose lists the layers with their numbers."
        }
        CliError::NoEntry { why, .. } => why,
        CliError::NoContent { hint, .. } => hint,
        CliError::NotMade { .. } => {
            "Everything else was extracted; --json lists the missing entries."
        }
        CliError::LinkOutside { .. } | CliError::LinkLoop { .. } => return None,
        CliError::Reported | CliError::Found | CliError::Stdout(_) | CliError::Signals(_) => {
            return None;
        }
    };
    Some(hint.to_owned())
}
