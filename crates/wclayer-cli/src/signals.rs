//! Ctrl-C, SIGTERM, and Ctrl-Break on Windows: the first signal asks the command to stop, the second
//! ends the program. A command that does not [`watch`] ends at the first.
//!
//! The exit code is 128 plus the number of the signal, as in shells: 130 for Ctrl-C.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use signal_hook::consts;
use signal_hook::flag;

use crate::errors::CliError;

/// The signals, each with its exit code.
const STOP: &[(i32, u8)] = &[
    (consts::SIGINT, INTERRUPTED),
    (consts::SIGTERM, 143),
    // The only one that a Windows program can send to another.
    #[cfg(windows)]
    (consts::SIGBREAK, INTERRUPTED),
];
/// The exit code after Ctrl-C.
const INTERRUPTED: u8 = 130;

/// The state that the handlers share.
#[derive(Clone)]
struct Signals {
    /// Whether the next signal ends the program; if set, a command that watches must stop.
    stop: Arc<AtomicBool>,
    /// The exit code of the last signal.
    code: Arc<AtomicUsize>,
}

static SIGNALS: OnceLock<Signals> = OnceLock::new();
static WATCH: OnceLock<()> = OnceLock::new();

/// Makes signals end the program with their exit codes until a command calls [`watch`].
pub(crate) fn start() -> Result<(), CliError> {
    let signals = SIGNALS.get_or_init(|| Signals {
        stop: Arc::new(AtomicBool::new(true)),
        code: Arc::new(AtomicUsize::new(INTERRUPTED.into())),
    });
    for &(signal, code) in STOP {
        let stop = Arc::clone(&signals.stop);
        let register = flag::register_conditional_shutdown(signal, code.into(), stop);
        register.map_err(CliError::Signals)?;
    }
    Ok(())
}

/// Returns a flag that is set once the command must stop, in place of ending the program.
///
/// For commands that check the flag.
pub(crate) fn watch() -> Result<Arc<AtomicBool>, CliError> {
    let Some(signals) = SIGNALS.get() else {
        return Ok(Arc::default());
    };
    if WATCH.set(()).is_ok() {
        // Registered after the shutdown, which must see the flag as the previous signal left it.
        for &(signal, code) in STOP {
            flag::register(signal, Arc::clone(&signals.stop))
                .and_then(|_| flag::register_usize(signal, Arc::clone(&signals.code), code.into()))
                .map_err(CliError::Signals)?;
        }
        signals.stop.store(false, Ordering::SeqCst);
    }
    Ok(Arc::clone(&signals.stop))
}

/// Returns the exit code of a command stopped by a signal.
pub(crate) fn exit_code() -> u8 {
    let code = SIGNALS
        .get()
        .map(|signals| signals.code.load(Ordering::SeqCst));
    code.and_then(|code| u8::try_from(code).ok())
        .unwrap_or(INTERRUPTED)
}
