//! Ctrl-C and SIGTERM, and Ctrl-Break on Windows: the first asks the command to stop, the second
//! ends the program. A command that cannot stop by itself is ended by the first.
//!
//! The exit code is 128 and the number of the signal, as shells have it: 130 for Ctrl-C.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use signal_hook::consts;
use signal_hook::flag;

use crate::errors::CliError;

/// The signals, each with its exit code.
const STOP: &[(i32, u8)] = &[
    (consts::SIGINT, INTERRUPTED),
    (consts::SIGTERM, 143),
    // The only one that a program on Windows can send to another.
    #[cfg(windows)]
    (consts::SIGBREAK, INTERRUPTED),
];
/// The exit code after Ctrl-C.
const INTERRUPTED: u8 = 130;

/// What the handlers share.
#[derive(Clone)]
struct Signals {
    /// Whether the next signal ends the program; a command that watches is to stop then.
    stop: Arc<AtomicBool>,
    /// The exit code of the last signal.
    code: Arc<AtomicUsize>,
}

static SIGNALS: OnceLock<Signals> = OnceLock::new();
static WATCH: OnceLock<()> = OnceLock::new();

/// Makes signals end the program with their exit codes, until a command [watches](watch).
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

/// Starts to watch; the flag is set once the command is to stop.
///
/// To be called by commands that look at the flag.
pub(crate) fn watch() -> Result<Arc<AtomicBool>, CliError> {
    let Some(signals) = SIGNALS.get() else {
        return Ok(Arc::default());
    };
    if WATCH.set(()).is_ok() {
        // Registered behind the shutdown, which sees the flag as the signal before left it.
        for &(signal, code) in STOP {
            flag::register(signal, Arc::clone(&signals.stop))
                .and_then(|_| flag::register_usize(signal, Arc::clone(&signals.code), code.into()))
                .map_err(CliError::Signals)?;
        }
        signals.stop.store(false, Ordering::SeqCst);
    }
    Ok(Arc::clone(&signals.stop))
}

/// Returns the exit code of a command that a signal stopped.
pub(crate) fn exit_code() -> u8 {
    let code = SIGNALS
        .get()
        .map(|signals| signals.code.load(Ordering::SeqCst));
    code.and_then(|code| u8::try_from(code).ok())
        .unwrap_or(INTERRUPTED)
}
