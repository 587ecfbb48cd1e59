//! Ctrl-C and SIGTERM, and Ctrl-Break on Windows: the first asks the command to stop, the second
//! stops the program.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use signal_hook::consts;
use signal_hook::flag;

use crate::errors::{CliError, FAILED};

const STOP: &[i32] = &[
    consts::SIGINT,
    consts::SIGTERM,
    // The only one that a program on Windows can send to another.
    #[cfg(windows)]
    consts::SIGBREAK,
];

/// Starts to watch; the flag is set once the command is to stop.
///
/// To be called by commands that look at the flag: the others are stopped by the system.
pub(crate) fn watch() -> Result<Arc<AtomicBool>, CliError> {
    let stop = Arc::new(AtomicBool::new(false));
    for &signal in STOP {
        // Registered first, so that it sees the flag as the signal before left it.
        flag::register_conditional_shutdown(signal, FAILED.into(), Arc::clone(&stop))
            .and_then(|_| flag::register(signal, Arc::clone(&stop)))
            .map_err(CliError::Signals)?;
    }
    Ok(stop)
}
